//! `oa chat`: one completion, as text, as JSON, or event by event.

// Doc comments of flags are the text of the help.
#![allow(clippy::doc_markdown)]

use crate::{
    explain,
    failure::Failure,
    input, process,
    record::{self, ErrorEvent, ToolCallLine},
    screen::{self, Screen},
    server::{ModelArgs, ServerArgs},
    spinner::Spinner,
    values,
};
use oa_middleware::{FirstEventTimeoutLayer, IdleTimeoutLayer, RetryEvent, RetryLayer, RetryPolicy};
use oa_provider::{HttpProvider, Layered, Provider};
use oa_wire::{
    CompletionRequest, CompletionStream, Error, Event, FinishReason, Mapping, Message, Response,
    RuntimeConfig, UserBlock, anthropic, openai,
};
use serde_json::Value;
use std::{
    io::{self, IsTerminal},
    path::PathBuf,
    sync::Arc,
    time::Duration,
};
use tower_layer::Layer;

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to ask; several words are joined by spaces
    ///
    /// Standard input, where it is no terminal, is read too and put after the prompt; `-` reads it alone.
    prompt: Vec<String>,
    /// Instructions to the model
    #[arg(short, long, value_name = "TEXT")]
    system: Option<String>,
    /// Image to send, may be repeated
    #[arg(short, long = "image", value_name = "PATH_OR_URL")]
    images: Vec<String>,
    /// JSON Schema that the answer must satisfy; prints the value on one line
    ///
    /// The order of its properties is kept: models write their answer in this order.
    #[arg(long, value_name = "FILE")]
    schema: Option<PathBuf>,
    /// Ask for the schema by prompt, for servers that ignore or refuse `response_format`
    #[arg(long)]
    fallback: bool,

    /// How the server is spoken to: chat completions, or Anthropic Messages (/v1/messages)
    ///
    /// Messages need a limit on tokens: without --max-tokens it is 4096.
    #[arg(long, value_name = "WIRE", value_enum, default_value_t = Wire::Openai, help_heading = "Server")]
    wire: Wire,
    /// How many times a transient failure is retried
    ///
    /// Never after the first piece of a stream. The waits grow from 1 to 30 seconds, and are never shorter
    /// than the server asks for; where it asks for a longer one, the command fails at once.
    #[arg(long, value_name = "COUNT", default_value_t = 2, help_heading = "Server")]
    retries: u32,

    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    model: ModelArgs,
    #[command(flatten)]
    sampling: Sampling,
    #[command(flatten)]
    output: OutputArgs,
}

/// The wire mappings.
#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Wire {
    Openai,
    Anthropic,
}

/// The limit on tokens of a request that needs one and was given none.
const MAX_TOKENS: u64 = 4096;

#[derive(clap::Args)]
#[command(next_help_heading = "Sampling")]
struct Sampling {
    /// Sampling temperature, 0 is greedy
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    temperature: Option<f64>,
    /// Most tokens to generate
    #[arg(long, value_name = "COUNT", allow_negative_numbers = true, value_parser = values::count)]
    max_tokens: Option<u64>,
    /// Probability mass to sample from
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    top_p: Option<f64>,
    /// Seed of the sampler
    #[arg(long, value_name = "INTEGER", allow_negative_numbers = true)]
    seed: Option<i64>,
    /// Penalty by how often a token came
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    frequency_penalty: Option<f64>,
    /// Penalty for a token that came at all
    #[arg(long, value_name = "NUMBER", allow_negative_numbers = true)]
    presence_penalty: Option<f64>,
    /// Text that ends the answer, may be repeated
    #[arg(long, value_name = "TEXT", allow_hyphen_values = true)]
    stop: Vec<String>,
    /// Any other field of the request, may be repeated
    ///
    /// Such as top_k=20 or 'chat_template_kwargs={"enable_thinking":false}'. What is not JSON is taken as
    /// text.
    #[arg(long = "extra", value_name = "KEY=JSON", value_parser = values::extra)]
    extras: Vec<(String, Value)>,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Output")]
// Each is a flag of its own on the command line.
#[allow(clippy::struct_excessive_bools)]
struct OutputArgs {
    /// Print the whole response as JSON
    #[arg(long, group = "form")]
    json: bool,
    /// Print what the server sent
    #[arg(long, group = "form")]
    raw: bool,
    /// Print one JSON object per event, as they come
    #[arg(long, group = "form", conflicts_with = "no_stream")]
    json_events: bool,
    /// Stream the answer [default: when it is printed to a terminal]
    #[arg(long, overrides_with = "no_stream")]
    stream: bool,
    /// Wait for the whole answer
    #[arg(long, overrides_with = "stream")]
    no_stream: bool,
    /// Print the reasoning to standard error also when that is no terminal
    #[arg(long)]
    show_reasoning: bool,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    let mut screen = Screen::new(args.output.show_reasoning);
    let result = match args.request() {
        Ok(request) => process::block_on(args.ask(&request, &mut screen)),
        Err(failure) => Err(failure),
    };
    if let Err(Failure::Call(error)) = &result {
        // The failure of the call matters more than one to show what came before it.
        let _ = args.show_failed(error, &mut screen);
    }
    result
}

impl Args {
    fn request(&self) -> Result<CompletionRequest, Failure> {
        let words = (!self.prompt.is_empty()).then(|| self.prompt.join(" "));
        let prompt = input::prompt(words.as_deref())?;
        let images = self.images.iter().map(|image| input::image(image)).collect::<Result<Vec<_>, _>>()?;
        let user = match (prompt, images) {
            (Some(text), images) if images.is_empty() => Message::user(text),
            (None, images) if images.is_empty() => return Err(nothing_to_ask()),
            (text, images) => {
                let text = text.into_iter().map(UserBlock::text);
                Message::user(text.chain(images.into_iter().map(UserBlock::from)).collect::<Vec<_>>())
            }
        };
        let mut config = self.sampling.config();
        if self.wire == Wire::Anthropic {
            config.max_tokens = config.max_tokens.or(Some(MAX_TOKENS));
        }
        let system = self.system.iter().map(Message::system);
        let request = CompletionRequest::new(system.chain([user]).collect::<Vec<_>>())
            .with_config(config)
            .with_stream(self.streams());
        Ok(match &self.schema {
            Some(path) => request.with_response_schema(input::schema(path)?),
            None => request,
        })
    }

    /// Whether the server should stream.
    fn streams(&self) -> bool {
        let output = &self.output;
        let as_it_comes = self.prints_text() && io::stdout().is_terminal();
        output.stream || !output.no_stream && (output.json_events || as_it_comes)
    }

    /// Whether the answer is printed as text, rather than as something that is whole only at its end.
    fn prints_text(&self) -> bool {
        let output = &self.output;
        self.schema.is_none() && !output.json && !output.raw && !output.json_events
    }

    async fn ask(&self, request: &CompletionRequest, screen: &mut Screen) -> Result<(), Failure> {
        match self.wire {
            Wire::Openai => self.ask_over::<openai::Endpoint>(request, screen).await,
            Wire::Anthropic => self.ask_over::<anthropic::Endpoint>(request, screen).await,
        }
    }

    async fn ask_over<M: Mapping>(
        &self,
        request: &CompletionRequest,
        screen: &mut Screen,
    ) -> Result<(), Failure> {
        let server = self.server.find_or_simulate(&self.model).await?;
        let builder = server.builder::<M>(&self.model).await?;
        let provider = builder.force_prompt_augmentation_fallback(self.fallback).build()?;
        let spinner = Arc::new(Spinner::new(None));
        spinner.set("waiting for the first token");
        let provider = self.stacked(provider, Arc::clone(&spinner));
        let named = |error| explain::of_timeout(error, self.server.timeout);
        let response = if request.stream {
            let stream = spinner.spin(provider.stream(request)).await.map_err(named)?;
            self.follow(stream, screen).await?
        } else {
            spinner.spin(provider.complete(request)).await.map_err(named)?
        };
        self.show(&response, request, screen)?;
        Ok(())
    }

    /// The provider with the time limit and the retries.
    fn stacked<M: Mapping>(&self, provider: HttpProvider<M>, spinner: Arc<Spinner>) -> impl Provider {
        let limit = self.server.timeout.unwrap_or(Duration::MAX);
        let named = self.server.timeout;
        let policy = RetryPolicy::new().max_attempts(self.retries.saturating_add(1)).on_retry(
            move |retry: &RetryEvent<'_>| {
                let error = explain::of_timeout(retry.error.clone(), named);
                spinner.note(&format!("{error}; retrying in {:.1} s", retry.wait.as_secs_f64()));
            },
        );
        let attempt =
            FirstEventTimeoutLayer::new(limit).layer(IdleTimeoutLayer::new(limit).layer(provider.clone()));
        Layered::new(RetryLayer::new(policy).without_budget().layer(attempt), provider)
    }

    /// Reads the stream to its end, and shows the events where they are wanted.
    async fn follow(&self, mut stream: CompletionStream, screen: &mut Screen) -> Result<Response, Failure> {
        while let Some(event) = stream.next().await {
            let event = event.map_err(|error| explain::of_timeout(error, self.server.timeout))?;
            if self.output.json_events {
                screen.line(&json(&event)?)?;
            } else if self.prints_text() {
                match &event {
                    Event::Content(text) => screen.content(text)?,
                    Event::Reasoning(text) => screen.reasoning(text)?,
                    _ => {}
                }
            }
            if let Event::Done(response) = event {
                return Ok(*response);
            }
        }
        Err(Error::invalid_response("the stream ended without a response").into())
    }

    /// Shows what the events did not show.
    fn show(&self, response: &Response, request: &CompletionRequest, screen: &mut Screen) -> io::Result<()> {
        if self.output.json_events {
            return Ok(());
        }
        if self.output.raw {
            return screen.bytes(&response.raw.to_bytes());
        }
        if self.output.json {
            return screen.line(&serde_json::to_string_pretty(response)?);
        }
        if !(request.stream && self.prints_text()) {
            screen.reasoning(response.message.reasoning().unwrap_or_default())?;
            match record::parsed(response) {
                Some(value) => screen.content(&value)?,
                None => screen.content(&response.text())?,
            }
        }
        show_tool_calls(response, screen)?;
        screen.end_lines()?;
        if let Some(remark) = remark(response) {
            screen::note(&remark);
        }
        Ok(())
    }

    /// Shows what came before the call failed.
    fn show_failed(&self, error: &Error, screen: &mut Screen) -> io::Result<()> {
        if self.output.json_events {
            return screen.line(&json(&ErrorEvent::of(error))?);
        }
        let Some(partial) = error.partial() else { return screen.end_lines() };
        if let Some(failure) = error.structured() {
            // What is piped on should be what was asked for, or nothing.
            screen::note(&format!("the output was: {}", failure.output_content));
        } else if self.prints_text() {
            // The events have shown the text of a stream.
            if !self.streams() {
                screen.content(&partial.text())?;
            }
            show_tool_calls(partial, screen)?;
        }
        screen.end_lines()
    }
}

impl Sampling {
    fn config(&self) -> RuntimeConfig {
        let mut config = RuntimeConfig::new();
        config.temperature = self.temperature;
        config.max_tokens = self.max_tokens;
        config.top_p = self.top_p;
        config.seed = self.seed;
        config.frequency_penalty = self.frequency_penalty;
        config.presence_penalty = self.presence_penalty;
        config.stop_sequences = (!self.stop.is_empty()).then(|| self.stop.clone());
        config.extras = self.extras.iter().cloned().collect();
        config
    }
}

fn show_tool_calls(response: &Response, screen: &mut Screen) -> io::Result<()> {
    response.message.tool_calls.iter().try_for_each(|call| screen.line(&json(&ToolCallLine::of(call))?))
}

/// What the reader of a text cannot see from it.
fn remark(response: &Response) -> Option<String> {
    let empty = response.message.text_parts().all(str::is_empty) && response.message.tool_calls.is_empty();
    Some(match response.finish_reason {
        FinishReason::Length => {
            "the answer was cut off (finish_reason length): --max-tokens, or the model's context, ran out"
                .to_owned()
        }
        FinishReason::ContentFilter => "a content filter cut the answer off".to_owned(),
        FinishReason::Error => match response.server_finish_reason.as_deref() {
            Some(word) => {
                format!("the answer may be incomplete: the server ended it with finish_reason `{word}`")
            }
            None => "the answer may be incomplete: the server gave no finish_reason".to_owned(),
        },
        _ if empty => "the model answered without any text".to_owned(),
        _ => return None,
    })
}

fn nothing_to_ask() -> Failure {
    Failure::Usage("chat", "nothing to ask: give a PROMPT, or text on standard input".to_owned())
}

fn json(record: &impl serde::Serialize) -> io::Result<String> {
    Ok(serde_json::to_string(record)?)
}
