//! The layer that splits reasoning in tags from the text.

use oa_wire::{
    Completion, CompletionRequest, Error, Event, EventSource, Response, TextDelta, ThinkPiece, ThinkSplitter,
};
use pin_project_lite::pin_project;
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    task::{Context, Poll, ready},
};
use tower_layer::Layer;
use tower_service::Service;

/// Makes reasoning of a `<think>` section at the start of an answer's text, whole or streamed, by a
/// [`ThinkSplitter`]. For servers that do not do it themselves. An answer that has reasoning stays as it is.
///
/// Answers are checked against a schema below all layers: with a schema, the server itself has to keep
/// reasoning out of the text.
///
/// ```
/// use oa_middleware::ThinkLayer;
///
/// let layer = ThinkLayer::new().open_section(true);
/// ```
#[derive(Clone, Debug, Default)]
#[must_use = "a layer does nothing until it is put around a service"]
pub struct ThinkLayer {
    splitter: ThinkSplitter,
}

impl ThinkLayer {
    /// A layer for answers whose section has its opening tag.
    pub fn new() -> Self {
        Self::default()
    }

    /// Whether the section is open from the start, because the chat template has the opening tag. Default:
    /// off.
    pub fn open_section(mut self, on: bool) -> Self {
        self.splitter = self.splitter.with_open_section(on);
        self
    }
}

impl<S> Layer<S> for ThinkLayer {
    type Service = Think<S>;

    fn layer(&self, inner: S) -> Self::Service {
        Think { inner, splitter: self.splitter.clone() }
    }
}

/// The service of [`ThinkLayer`].
#[derive(Clone, Debug)]
pub struct Think<S> {
    inner: S,
    splitter: ThinkSplitter,
}

impl<S> Think<S> {
    accessors!();
}

impl<S> Service<CompletionRequest> for Think<S>
where
    S: Service<CompletionRequest, Response = Completion, Error = Error>,
{
    type Response = Completion;
    type Error = Error;
    type Future = ThinkFuture<S::Future>;

    fn poll_ready(&mut self, cx: &mut Context<'_>) -> Poll<Result<(), Error>> {
        self.inner.poll_ready(cx)
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        ThinkFuture { call: self.inner.call(request), splitter: Some(self.splitter.clone()) }
    }
}

pin_project! {
    /// The future of [`Think`].
    #[derive(Debug)]
    #[must_use = "futures do nothing unless polled"]
    pub struct ThinkFuture<F> {
        #[pin]
        call: F,
        splitter: Option<ThinkSplitter>,
    }
}

impl<F: Future<Output = Result<Completion, Error>>> Future for ThinkFuture<F> {
    type Output = Result<Completion, Error>;

    fn poll(self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Self::Output> {
        let this = self.project();
        let answer = ready!(this.call.poll(cx));
        let splitter = this.splitter.take().unwrap_or_default();
        Poll::Ready(answer.map(|answer| match answer {
            Completion::Response(mut response) => {
                splitter.split(&mut response.message);
                Completion::Response(response)
            }
            Completion::Stream(stream) => Completion::Stream(stream.wrap(|inner| Splitting {
                inner,
                fresh: splitter.clone(),
                splitter: Some(splitter),
                queue: VecDeque::new(),
            })),
            answer => answer,
        }))
    }
}

/// A stream whose text is split.
struct Splitting {
    inner: Pin<Box<dyn EventSource>>,
    /// A splitter of a whole text.
    fresh: ThinkSplitter,
    /// None when the server splits itself.
    splitter: Option<ThinkSplitter>,
    queue: VecDeque<Event>,
}

impl Splitting {
    /// Takes an event; its own events go into the queue.
    fn take(&mut self, event: Event) {
        let queue = &mut self.queue;
        let mut piece = |piece: ThinkPiece<'_>| match piece {
            ThinkPiece::Reasoning(text) => queue.push_back(Event::Reasoning(TextDelta::from(text))),
            ThinkPiece::Text(text) => queue.push_back(Event::Content(TextDelta::from(text))),
            _ => {}
        };
        match (event, &mut self.splitter) {
            (Event::Content(text), Some(splitter)) => splitter.push(&text, piece),
            (Event::Done(mut response), splitter) => {
                if let Some(splitter) = splitter {
                    splitter.finish(&mut piece);
                }
                self.fresh.clone().split(&mut response.message);
                queue.push_back(Event::Done(response));
            }
            (event @ Event::Reasoning(_), splitter) => {
                if let Some(mut splitter) = splitter.take() {
                    splitter.finish(piece);
                }
                queue.push_back(event);
            }
            (event, _) => queue.push_back(event),
        }
    }
}

impl EventSource for Splitting {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Poll::Ready(Some(Ok(event)));
            }
            match ready!(self.inner.as_mut().poll_event(cx)) {
                Some(Ok(event)) => self.take(event),
                end => return Poll::Ready(end),
            }
        }
    }

    fn snapshot(&self) -> Response {
        let mut response = self.inner.snapshot();
        self.fresh.clone().split(&mut response.message);
        response
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::testing::{Script, Step, request};
    use tower::ServiceExt;

    #[tokio::test(start_paused = true)]
    async fn a_section_is_reasoning_whole_and_streamed() {
        let whole = "<think>why</think>\nbecause";
        let steps = [
            Step::text(whole),
            Step::stream([(0, "<thi"), (0, "nk>wh"), (0, "y</think>\nbe"), (0, "cause")]),
        ];
        let service = ThinkLayer::new().layer(Script::new(steps));
        let response = service.clone().oneshot(request()).await.unwrap().into_response().await.unwrap();
        assert_eq!((&*response.text(), response.message.reasoning()), ("because", Some("why")));
        let answer = service.oneshot(request().with_stream(true)).await.unwrap();
        let Completion::Stream(mut stream) = answer else { panic!("no stream") };
        let (mut reasoning, mut text) = (String::new(), String::new());
        while let Some(event) = stream.next().await {
            match event.unwrap() {
                Event::Reasoning(piece) => reasoning.push_str(&piece),
                Event::Content(piece) => text.push_str(&piece),
                Event::Done(done) => assert_eq!(done.message, response.message),
                _ => {}
            }
        }
        assert_eq!((reasoning.as_str(), text.as_str()), ("why", "because"));
    }

    #[tokio::test(start_paused = true)]
    async fn a_text_without_tags_is_left_as_it_is() {
        let steps = [Step::text("a <think>b</think>"), Step::stream([(0, "<b"), (0, ">c")])];
        let service = ThinkLayer::new().layer(Script::new(steps));
        for (stream, want) in [(false, "a <think>b</think>"), (true, "<b>c")] {
            let answer = service.clone().oneshot(request().with_stream(stream)).await.unwrap();
            assert_eq!(answer.into_response().await.unwrap().text(), want);
        }
    }
}
