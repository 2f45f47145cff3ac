//! Helpers of the tests: providers, requests, the bytes of streams, and a transport that plays a script.

use std::collections::VecDeque;
use std::future::Future;
use std::pin::Pin;
use std::sync::{Arc, Mutex};
use std::task::{Context, Poll};
use std::time::Duration;

use bytes::Bytes;
use http_body::Frame;
use oa_provider::OpenAiProvider;
use oa_sim::{Answer, Piece, Sim};
use oa_transport::BoxError;
use oa_wire::{CompletionRequest, Error, Event, Message, Tool, Tools};
use serde_json::{Value, json};
use tower::Service;

pub(crate) const CHAT: &str = "/v1/chat/completions";
pub(crate) const MODELS: &str = "/v1/models";
pub(crate) const DONE: &str = "data: [DONE]\n\n";
pub(crate) const USAGE: &str =
    "data: {\"choices\":[],\"usage\":{\"prompt_tokens\":5,\"completion_tokens\":4,\"total_tokens\":9}}\n\n";

/// A provider of the model that the simulator names by default.
pub(crate) fn provider(sim: &Sim) -> OpenAiProvider {
    OpenAiProvider::builder(sim.base_url(), "oa-sim").build().unwrap()
}

/// A simulator that plays these answers, and its provider.
pub(crate) async fn scripted(answers: impl IntoIterator<Item = Answer>) -> (Sim, OpenAiProvider) {
    let sim = Sim::builder().script(answers).start().await.unwrap();
    let provider = provider(&sim);
    (sim, provider)
}

pub(crate) fn hello() -> CompletionRequest {
    CompletionRequest::new([Message::user("Hello there")])
}

/// The tools of [`oa_sim::scripts::tools`].
pub(crate) fn tools() -> Tools {
    let tool = |name: &str, argument: &str| {
        Tool::new(name, json!({"type": "object", "properties": {argument: {"type": "string"}}})).unwrap()
    };
    Tools::new([tool("get_weather", "city"), tool("get_time", "zone")]).unwrap()
}

/// A whole completion with this text.
pub(crate) fn completion(text: &str) -> Value {
    let message = json!({"role": "assistant", "content": text});
    json!({"choices": [{"index": 0, "message": message, "finish_reason": "stop"}]})
}

/// The event of a chunk with this delta.
pub(crate) fn delta(delta: &Value) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": delta}]}))
}

/// The event of a chunk with this text.
pub(crate) fn text(text: &str) -> String {
    delta(&json!({"content": text}))
}

/// The event of a chunk with this finish reason.
pub(crate) fn finish(reason: &str) -> String {
    format!("data: {}\n\n", json!({"choices": [{"index": 0, "delta": {}, "finish_reason": reason}]}))
}

/// A whole stream of these texts.
pub(crate) fn texts<const N: usize>(parts: [&str; N]) -> Answer {
    let events = parts.map(text).into_iter().chain([finish("stop"), DONE.to_owned()]);
    Answer::stream(events.map(Piece::from))
}

/// The text of an event that is content.
pub(crate) fn content(event: Option<Result<Event, Error>>) -> String {
    match event {
        Some(Ok(Event::Content(text))) => text.to_string(),
        other => panic!("expected content, got {other:?}"),
    }
}

/// The same, but fails instead of waiting forever for what does not come.
pub(crate) async fn soon<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(60), future).await.expect("it should have come long ago")
}

/// The same under a paused clock, where waiting takes no time.
pub(crate) async fn at_all<T>(future: impl Future<Output = T>) -> T {
    tokio::time::timeout(Duration::from_secs(1_000_000), future).await.expect("it should end at all")
}

/// Lets the tasks that hyper left behind put their connections back: they only wait to be run.
pub(crate) async fn settle() {
    for _ in 0..50 {
        tokio::task::yield_now().await;
    }
}

/// A transport without sockets: it plays a script and keeps the requests. Fails calls beyond its script.
#[derive(Clone, Default)]
pub(crate) struct Double {
    steps: Arc<Mutex<VecDeque<Step>>>,
    seen: Arc<Mutex<Vec<http::Request<Bytes>>>>,
}

/// What a [`Double`] does with one request.
pub(crate) enum Step {
    /// Answers.
    Answer(http::Response<Frames>),
    /// Fails.
    Fail(BoxError),
    /// Never answers.
    Hang,
}

impl Double {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self { steps: Arc::new(Mutex::new(steps.into_iter().collect())), ..Self::default() }
    }

    /// The requests so far.
    pub(crate) fn seen(&self) -> Vec<http::Request<Bytes>> {
        self.seen.lock().unwrap().clone()
    }

    pub(crate) fn provider(&self) -> OpenAiProvider<Self> {
        OpenAiProvider::builder("http://double", "m").transport(self.clone()).build().unwrap()
    }
}

impl Service<http::Request<Bytes>> for Double {
    type Response = http::Response<Frames>;
    type Error = BoxError;
    type Future = Pin<Box<dyn Future<Output = Result<Self::Response, BoxError>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), BoxError>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: http::Request<Bytes>) -> Self::Future {
        self.seen.lock().unwrap().push(request);
        let step = self.steps.lock().unwrap().pop_front();
        Box::pin(async move {
            match step {
                Some(Step::Answer(response)) => Ok(response),
                Some(Step::Fail(error)) => Err(error),
                Some(Step::Hang) => std::future::pending().await,
                None => Err("the double's script is over".into()),
            }
        })
    }
}

impl Step {
    pub(crate) fn json(status: u16, body: &Value) -> Self {
        Self::with(status, "application/json", Frames::whole([body.to_string()]))
    }

    pub(crate) fn stream(frames: Frames) -> Self {
        Self::with(200, "text/event-stream", frames)
    }

    /// The list of models of a server that serves `m`.
    pub(crate) fn models() -> Self {
        Self::json(200, &json!({"object": "list", "data": [{"id": "m"}]}))
    }

    fn with(status: u16, content_type: &str, body: Frames) -> Self {
        Self::Answer(
            http::Response::builder().status(status).header("content-type", content_type).body(body).unwrap(),
        )
    }

    /// Adds a header to an answer.
    pub(crate) fn header(self, name: &'static str, value: &str) -> Self {
        let Self::Answer(mut response) = self else { panic!("no answer has no headers") };
        response.headers_mut().insert(name, value.parse().unwrap());
        Self::Answer(response)
    }
}

/// A body of these frames. Panics when it is asked for more after its end, as a body may.
pub(crate) struct Frames {
    frames: VecDeque<Result<Bytes, BoxError>>,
    end: End,
}

enum End {
    ToCome,
    Never,
    Seen,
}

impl Frames {
    /// A body that ends.
    pub(crate) fn whole(frames: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Self { frames: frames.into_iter().map(|frame| Ok(frame.into())).collect(), end: End::ToCome }
    }

    /// A body that never ends: nothing comes after its frames.
    pub(crate) fn open(frames: impl IntoIterator<Item = impl Into<Bytes>>) -> Self {
        Self { end: End::Never, ..Self::whole(frames) }
    }

    /// Fails after the frames so far.
    pub(crate) fn failing(mut self, error: impl Into<BoxError>) -> Self {
        self.frames.push_back(Err(error.into()));
        self
    }
}

impl http_body::Body for Frames {
    type Data = Bytes;
    type Error = BoxError;

    fn poll_frame(
        mut self: Pin<&mut Self>,
        _: &mut Context<'_>,
    ) -> Poll<Option<Result<Frame<Bytes>, BoxError>>> {
        match (self.frames.pop_front(), &self.end) {
            (Some(frame), _) => Poll::Ready(Some(frame.map(Frame::data))),
            (None, End::ToCome) => {
                self.end = End::Seen;
                Poll::Ready(None)
            }
            (None, End::Never) => Poll::Pending,
            (None, End::Seen) => panic!("the body was asked for more after its end"),
        }
    }
}
