//! A completion service for tests: it plays a script under tokio's clock and records the requests.

use oa_wire::{
    AssistantMessage, Completion, CompletionRequest, CompletionStream, Error, Event, EventSource,
    FinishReason, JsonSchema, Message, Profile, Response, Usage,
    openai::{ChatCall, Endpoint},
};
use serde_json::json;
use std::{
    collections::VecDeque,
    future::Future,
    pin::Pin,
    sync::{
        Arc, Mutex,
        atomic::{AtomicUsize, Ordering},
    },
    task::{Context, Poll, ready},
    time::Duration,
};
use tokio::time::{Instant, Sleep, sleep, sleep_until};
use tower_service::Service;

pub(crate) fn request() -> CompletionRequest {
    CompletionRequest::new([Message::user("hi")])
}

/// A finished answer of this text, with 7 prompt and 5 completion tokens.
pub(crate) fn response(text: &str) -> Response {
    let Message::Assistant(message) = Message::assistant(text) else { unreachable!() };
    let mut response = Response::new(message, FinishReason::Stop);
    let mut usage = Usage::default();
    (usage.prompt_tokens, usage.completion_tokens, usage.total_tokens) = (Some(7), Some(5), Some(12));
    response.usage = usage;
    response.id = Some("cc-1".to_owned());
    response.model = Some("served-model".to_owned());
    response
}

/// An error as the wire makes it, with this output, which is no JSON.
pub(crate) fn structured_failure(output: &str) -> Error {
    structured_failure_after(output, "stop")
}

/// The same, with this finish reason.
pub(crate) fn structured_failure_after(output: &str, finish_reason: &str) -> Error {
    let schema = JsonSchema::new(json!({"type": "object", "properties": {}})).unwrap();
    let endpoint = Endpoint::new("http://h", None).unwrap();
    let call = ChatCall::new(&endpoint, &Profile::new("m"), &request().with_response_schema(schema)).unwrap();
    let body = json!({
        "choices": [{"message": {"content": output}, "finish_reason": finish_reason}],
        "usage": {"prompt_tokens": 20, "completion_tokens": 16, "total_tokens": 36},
    });
    let mut answer = call.on_response("200".parse().unwrap(), &http::HeaderMap::default(), None);
    answer.push(body.to_string().into_bytes().into());
    answer.finish().unwrap_err()
}

/// How many of a step's streams are held open.
#[derive(Clone, Debug, Default)]
pub(crate) struct Open(Arc<AtomicUsize>);

impl Open {
    pub(crate) fn get(&self) -> usize {
        self.0.load(Ordering::SeqCst)
    }
}

/// One answer.
#[derive(Debug)]
pub(crate) struct Step {
    delay: Duration,
    what: What,
    open: Open,
}

#[derive(Debug)]
enum What {
    Answer(Result<Box<Response>, Error>),
    Stream(Vec<(Duration, Result<Event, Error>)>),
    Stall,
}

impl Step {
    fn new(what: What) -> Self {
        Self { delay: Duration::ZERO, what, open: Open::default() }
    }

    pub(crate) fn text(text: &str) -> Self {
        Self::new(What::Answer(Ok(Box::new(response(text)))))
    }

    pub(crate) fn answer(response: Response) -> Self {
        Self::new(What::Answer(Ok(Box::new(response))))
    }

    pub(crate) fn error(error: Error) -> Self {
        Self::new(What::Answer(Err(error)))
    }

    pub(crate) fn stall() -> Self {
        Self::new(What::Stall)
    }

    /// Pieces of text, each so many seconds after the one before, and then the end.
    pub(crate) fn stream(pieces: impl IntoIterator<Item = (u64, &'static str)>) -> Self {
        let pieces: Vec<_> = pieces.into_iter().collect();
        let whole: String = pieces.iter().map(|&(_, text)| text).collect();
        let mut events: Vec<_> = pieces
            .into_iter()
            .map(|(seconds, text)| (Duration::from_secs(seconds), Ok(Event::Content(text.into()))))
            .collect();
        events.push((Duration::ZERO, Ok(Event::Done(Box::new(response(&whole))))));
        Self::new(What::Stream(events))
    }

    /// The same, but it breaks off with this error.
    pub(crate) fn broken_stream(pieces: impl IntoIterator<Item = (u64, &'static str)>, error: Error) -> Self {
        let mut step = Self::stream(pieces);
        if let What::Stream(events) = &mut step.what {
            events.pop();
            events.push((Duration::ZERO, Err(error)));
        }
        step
    }

    /// Seconds until it begins.
    pub(crate) fn after(mut self, seconds: u64) -> Self {
        self.delay = Duration::from_secs(seconds);
        self
    }

    pub(crate) fn open_streams(&self) -> Open {
        self.open.clone()
    }
}

/// A service that answers its calls with these steps in turn. Clones share the script.
#[derive(Clone, Debug)]
pub(crate) struct Script(Arc<Inner>);

#[derive(Debug)]
struct Inner {
    steps: Mutex<VecDeque<Step>>,
    requests: Mutex<Vec<CompletionRequest>>,
}

impl Script {
    pub(crate) fn new(steps: impl IntoIterator<Item = Step>) -> Self {
        Self(Arc::new(Inner { steps: Mutex::new(steps.into_iter().collect()), requests: Mutex::default() }))
    }

    pub(crate) fn requests(&self) -> Vec<CompletionRequest> {
        self.0.requests.lock().unwrap().clone()
    }

    pub(crate) fn calls(&self) -> usize {
        self.0.requests.lock().unwrap().len()
    }
}

impl Service<CompletionRequest> for Script {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        self.0.requests.lock().unwrap().push(request);
        let step = self.0.steps.lock().unwrap().pop_front().expect("a call that the script does not know");
        Box::pin(async move {
            if !step.delay.is_zero() {
                sleep(step.delay).await;
            }
            match step.what {
                What::Answer(answer) => answer.map(Completion::Response),
                What::Stall => std::future::pending().await,
                What::Stream(events) => {
                    let mut due = Instant::now();
                    let events: VecDeque<_> = events
                        .into_iter()
                        .map(|(delay, event)| {
                            due += delay;
                            (due, event)
                        })
                        .collect();
                    step.open.0.fetch_add(1, Ordering::SeqCst);
                    let first = events.front().map(|&(due, _)| due);
                    let source = Playing { events, text: String::new(), sleep: None, open: step.open };
                    if let Some(due) = first.filter(|&due| due > Instant::now()) {
                        sleep_until(due).await;
                    }
                    Ok(Completion::Stream(CompletionStream::new(source)))
                }
            }
        })
    }
}

struct Playing {
    events: VecDeque<(Instant, Result<Event, Error>)>,
    text: String,
    sleep: Option<Pin<Box<Sleep>>>,
    open: Open,
}

impl EventSource for Playing {
    fn poll_event(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<Option<Result<Event, Error>>> {
        let this = &mut *self;
        let Some(&(due, _)) = this.events.front() else { return Poll::Ready(None) };
        if due > Instant::now() {
            let sleep = this.sleep.get_or_insert_with(|| Box::pin(sleep_until(due)));
            ready!(sleep.as_mut().poll(cx));
        }
        this.sleep = None;
        let event = this.events.pop_front().map(|(_, event)| event);
        if let Some(Ok(Event::Content(text))) = &event {
            this.text.push_str(text);
        }
        Poll::Ready(event)
    }

    fn snapshot(&self) -> Response {
        let Message::Assistant(message) = Message::assistant(self.text.as_str()) else {
            return Response::new(AssistantMessage::default(), FinishReason::Error);
        };
        Response::new(message, FinishReason::Error)
    }
}

impl Drop for Playing {
    fn drop(&mut self) {
        self.open.0.fetch_sub(1, Ordering::SeqCst);
    }
}
