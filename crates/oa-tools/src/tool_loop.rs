//! The loop of an agent, step by step: complete, run the tools, complete with their results.

use crate::{ToolResult, ToolSet};
use oa_provider::Provider;
use oa_wire::{
    CompletionRequest, CompletionStream, Error, Event, FinishReason, Response, ToolArguments, ToolCall,
};
use std::fmt;

/// How often the model is asked, unless another number is set.
const MAX_ROUNDS: u32 = 8;

/// A conversation in which the model calls tools: asks, runs what the model calls, and goes on with the
/// results, until it answers. Each step is returned to the caller, and nothing happens between the calls of
/// [`next`](Self::next).
///
/// ```no_run
/// use oa_provider::OpenAiProvider;
/// use oa_tools::{FunctionTool, Step, ToolLoop, ToolSet};
/// use oa_wire::CompletionRequest;
///
/// #[derive(serde::Deserialize, schemars::JsonSchema)]
/// struct GetWeather {
///     city: String,
/// }
///
/// # async fn example() -> Result<(), oa_wire::Error> {
/// let provider = OpenAiProvider::builder("http://localhost:8000", "my-model").build()?;
/// let weather = |arguments: GetWeather| async move { Ok(format!("Rain in {}.", arguments.city)) };
/// let tools = ToolSet::new([FunctionTool::new("get_weather", weather)?])?;
///
/// let mut steps = ToolLoop::new(provider, tools, CompletionRequest::new("The weather in Oslo?"));
/// while let Some(step) = steps.next().await? {
///     match step {
///         Step::ToolCalls(response) => println!("calls {}", response.message.tool_calls.len()),
///         Step::ToolResults(results) => println!("{}", results[0].content),
///         Step::Answer(response) => println!("{}", response.text()),
///         _ => {}
///     }
/// }
/// # Ok(()) }
/// ```
///
/// Invalid tool calls, of arguments that violate the schema for instance, are not errors here: their results
/// tell the model. A response whose finish reason is `error` is an answer, and its calls are not run.
///
/// It can be stopped at any time: dropping the future of [`next`](Self::next) ends the request or the tools
/// that run, and the next call of it begins that step again (a stream that had begun goes on). The
/// conversation so far is [`request`](Self::request).
pub struct ToolLoop<P> {
    provider: P,
    tools: ToolSet,
    request: CompletionRequest,
    max_rounds: u32,
    rounds: u32,
    state: State,
}

enum State {
    Ask,
    Stream(CompletionStream),
    Run(Vec<ToolCall>),
    Ended,
}

/// One step of a [`ToolLoop`].
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Step {
    /// A piece of a response, where the request asks for a stream. Never [`Event::Done`].
    Event(Event),
    /// The model calls tools, which run in the next step.
    ToolCalls(Box<Response>),
    /// What came of the calls, in their order.
    ToolResults(Vec<ToolResult>),
    /// The model's answer. Nothing follows.
    Answer(Box<Response>),
}

impl<P: Provider> ToolLoop<P> {
    /// A loop that begins with this request. Its tools are those of the set; where it asks for a stream
    /// ([`CompletionRequest::stream`]), the events are steps too. The model is asked at most 8 times.
    pub fn new(provider: P, tools: ToolSet, request: CompletionRequest) -> Self {
        let mut request = request.with_tools(tools.definitions().clone());
        request.surface_invalid_tool_calls = request.surface_invalid_tool_calls.or(Some(true));
        Self { provider, tools, request, max_rounds: MAX_ROUNDS, rounds: 0, state: State::Ask }
    }

    /// Sets how often the model is asked at most. 8 by default.
    #[must_use]
    pub fn with_max_rounds(mut self, rounds: u32) -> Self {
        self.max_rounds = rounds;
        self
    }

    /// The next step; `None` after the answer.
    ///
    /// # Errors
    ///
    /// Those of the provider; then the same step can be tried again.
    /// [`InvalidResponse`](oa_wire::Category::InvalidResponse) when the model still calls tools after the
    /// last round.
    pub async fn next(&mut self) -> Result<Option<Step>, Error> {
        loop {
            match &mut self.state {
                State::Ended => return Ok(None),
                State::Ask if self.rounds >= self.max_rounds => {
                    let text = format!("the model called tools in each of {} rounds", self.rounds);
                    return Err(Error::invalid_response(text)
                        .with_hint("raise the limit with `ToolLoop::with_max_rounds`"));
                }
                State::Ask if self.request.stream => {
                    self.state = State::Stream(self.provider.stream(&self.request).await?);
                }
                State::Ask => {
                    let response = self.provider.complete(&self.request).await?;
                    return Ok(Some(self.answered(response)));
                }
                State::Stream(stream) => match stream.next().await {
                    Some(Ok(Event::Done(response))) => return Ok(Some(self.answered(*response))),
                    Some(Ok(event)) => return Ok(Some(Step::Event(event))),
                    Some(Err(error)) => {
                        self.state = State::Ask;
                        return Err(error);
                    }
                    None => {
                        self.state = State::Ask;
                        return Err(Error::invalid_response("the stream ended without a response"));
                    }
                },
                State::Run(calls) => {
                    let results = self.tools.run(calls).await;
                    self.request.messages_mut().extend(results.iter().map(ToolResult::to_message));
                    self.state = State::Ask;
                    return Ok(Some(Step::ToolResults(results)));
                }
            }
        }
    }

    /// Takes the steps that are left and returns the answer.
    ///
    /// # Errors
    ///
    /// Those of [`next`](Self::next), and when the answer was returned before.
    pub async fn run(mut self) -> Result<Response, Error> {
        while let Some(step) = self.next().await? {
            if let Step::Answer(response) = step {
                return Ok(*response);
            }
        }
        Err(Error::invalid_request("the loop has ended before"))
    }

    /// The conversation so far: the messages that were given, the calls, the results, the answer.
    pub fn request(&self) -> &CompletionRequest {
        &self.request
    }

    /// How often the model has answered.
    pub fn rounds(&self) -> u32 {
        self.rounds
    }

    /// Goes on with a response.
    fn answered(&mut self, response: Response) -> Step {
        self.rounds += 1;
        let calls = &response.message.tool_calls;
        if calls.is_empty() || response.finish_reason == FinishReason::Error {
            // An empty message, or calls without results, cannot be sent back.
            if calls.is_empty() && !response.text().is_empty() {
                self.request.messages_mut().push(response.message.clone().into());
            }
            self.state = State::Ended;
            return Step::Answer(Box::new(response));
        }
        self.state = State::Run(calls.clone());
        let mut message = response.message.clone();
        for call in &mut message.tool_calls {
            // Servers refuse a history with arguments that are no object. The result tells the model what
            // they were.
            if call.arguments.as_object().is_none() {
                call.arguments = ToolArguments::default();
            }
        }
        self.request.messages_mut().push(message.into());
        Step::ToolCalls(Box::new(response))
    }
}

impl<P> fmt::Debug for ToolLoop<P> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("ToolLoop")
            .field("rounds", &self.rounds)
            .field("max_rounds", &self.max_rounds)
            .finish_non_exhaustive()
    }
}
