//! Tracing does nothing without a subscriber: in a process of its own, since other tests have
//! subscribers.

use oa_middleware::TraceLayer;
use oa_wire::{
    Completion, CompletionRequest, CompletionStream, Error, Event, EventSource, Profile, Response,
};
use std::{
    pin::Pin,
    task::{Context, Poll},
};
use tower::{ServiceExt, service_fn};
use tower_layer::Layer;

/// A stream that tolerates nobody who asks what came so far, as a span of an abandoned call would.
struct Untouchable;

impl EventSource for Untouchable {
    fn poll_event(self: Pin<&mut Self>, _: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        Poll::Ready(Some(Ok(Event::Content("x".into()))))
    }

    fn snapshot(&self) -> Response {
        panic!("somebody asked")
    }
}

#[tokio::test]
async fn streams_pass_through_untouched() {
    let service = service_fn(|_| async { Ok(Completion::Stream(CompletionStream::new(Untouchable))) });
    let service = TraceLayer::new(&Profile::new("m")).payload(true).layer(service);
    let Ok(Completion::Stream(mut stream)) = service.oneshot(CompletionRequest::default()).await else {
        panic!("no stream");
    };
    assert!(matches!(stream.next().await, Some(Ok(Event::Content(_)))));
}
