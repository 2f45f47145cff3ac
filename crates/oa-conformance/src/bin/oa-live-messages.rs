//! Calls a real server through Anthropic Messages, and checks what comes back.
//!
//! ```text
//! oa-live-messages --base-url URL --key KEY --model NAME
//! ```

use oa_conformance::args::Args;
use oa_provider::{
    AnthropicProvider, Category, CompletionRequest, Error, Event, FinishReason, Image, JsonSchema, Message,
    Probe, Provider, Response, RuntimeConfig, Tool, ToolChoice, Tools, UserBlock,
};
use serde_json::json;
use std::{future::Future, process::ExitCode, time::Duration};
use tokio::{
    task::JoinSet,
    time::{Instant, timeout},
};

/// No call of a server that lives takes longer.
const LIMIT: Duration = Duration::from_secs(60);

type Checked = Result<String, String>;

#[tokio::main(flavor = "current_thread")]
async fn main() -> ExitCode {
    let args = Args::of_process();
    let value = |name| args.value(name);
    let (Some(base_url), Some(key), Some(model)) = (value("--base-url"), value("--key"), value("--model"))
    else {
        eprintln!("usage: oa-live-messages --base-url URL --key KEY --model NAME");
        return ExitCode::from(2);
    };
    let live = Live { base_url, key, model, right: 0, wrong: 0 };
    let live = live.run().await;
    println!("messages: {} right, {} wrong", live.right, live.wrong);
    ExitCode::from(u8::from(live.wrong > 0))
}

struct Live {
    base_url: String,
    key: String,
    model: String,
    right: u32,
    wrong: u32,
}

impl Live {
    async fn run(mut self) -> Self {
        let good = self.provider(&self.model, Some(&self.key));
        let wrong_key = self.provider(&self.model, Some("sk-wrong-key"));
        let keyless = self.provider(&self.model, None);
        let other = self.provider("no-such-model", Some(&self.key));
        self.check("ready", async { done(good.ready().await) }).await;
        let both = AnthropicProvider::builder(&self.base_url, &self.model).api_key(&self.key);
        let both = both.probe(Probe::Both).build();
        self.check("ready, both probes", async { done(both.map_err(wording)?.ready().await) }).await;
        self.check("ready, wrong model", async { refused(other.ready().await, &[Category::InvalidModel]) })
            .await;
        self.check("text", text(&good)).await;
        self.check("stream", stream(&good)).await;
        self.check("a stream is the whole answer", same(&good)).await;
        self.check("system", whole(&good, [Message::system("be kind"), Message::user("hi")].into())).await;
        self.check(
            "blocks",
            whole(&good, Message::user([UserBlock::text("hi"), UserBlock::text("there")]).into()),
        )
        .await;
        self.check("extras", whole(&good, hi().with_config(config(24).with_extra("top_k", 5)))).await;
        for stream in [false, true] {
            let named = |name: &str| format!("{name}{}", if stream { ", streamed" } else { "" });
            self.check(&named("limit on tokens"), limit(&good, stream)).await;
            self.check(&named("stop sequence"), stop(&good, stream)).await;
            self.check(&named("tools"), tools_called(&good, None, stream)).await;
            self.check(&named("forced tool"), tools_called(&good, Some(ToolChoice::Required), stream)).await;
            let weather = ToolChoice::Tool("get_weather".into());
            self.check(&named("named tool"), tools_called(&good, Some(weather), stream)).await;
            self.check(&named("results of tools"), results(&good, stream)).await;
            self.check(&named("reasoning sent back"), reasoning(&good, stream)).await;
            self.check(&named("thinking"), thinking(&good, stream)).await;
            self.check(&named("schema"), schema(&good, stream)).await;
            self.check(&named("image"), image(&good, stream)).await;
            self.check(&named("overflow"), overflow(&good, stream)).await;
            self.check(&named("wrong model"), wrong_model(&other, stream)).await;
            self.check(&named("wrong key"), unauthorized(&wrong_key, stream)).await;
            self.check(&named("no key"), unauthorized(&keyless, stream)).await;
        }
        self.check("no limit on tokens", async {
            refused(good.complete(&"hi".into()).await, &[Category::InvalidRequest])
        })
        .await;
        self.check("cancelled mid-stream", cancelled(&good)).await;
        self.check("eight at once", concurrent(&good)).await;
        self.check("twenty in turn", sequential(&good)).await;
        self
    }

    fn provider(&self, model: &str, key: Option<&str>) -> AnthropicProvider {
        let builder = AnthropicProvider::builder(&self.base_url, model);
        let builder = match key {
            Some(key) => builder.api_key(key),
            None => builder,
        };
        builder.build().unwrap_or_else(|error| panic!("{error}"))
    }

    async fn check(&mut self, name: &str, check: impl Future<Output = Checked>) {
        let checked =
            timeout(LIMIT, check).await.unwrap_or_else(|_| Err(format!("nothing within {LIMIT:?}")));
        match checked {
            Ok(what) => {
                self.right += 1;
                println!("right  {name}: {what}");
            }
            Err(why) => {
                self.wrong += 1;
                println!("WRONG  {name}: {why}");
            }
        }
    }
}

#[expect(clippy::needless_pass_by_value, reason = "it is mapped over errors")]
fn wording(error: Error) -> String {
    format!("{}: {error}", error.category())
}

fn done(result: Result<(), Error>) -> Checked {
    result.map(|()| "done".to_owned()).map_err(wording)
}

fn refused<T>(result: Result<T, Error>, categories: &[Category]) -> Checked {
    match result {
        Ok(_) => Err("want an error".to_owned()),
        Err(error) if categories.contains(&error.category()) => Ok(wording(error)),
        Err(error) => Err(wording(error)),
    }
}

fn config(max_tokens: u64) -> RuntimeConfig {
    RuntimeConfig::new().with_max_tokens(max_tokens).with_temperature(0.0)
}

fn hi() -> CompletionRequest {
    CompletionRequest::new(Message::user("hi")).with_config(config(24))
}

fn shown(response: &Response) -> String {
    let calls: Vec<_> = response.message.tool_calls.iter().map(|call| call.name.as_str()).collect();
    format!("{:?} {:?} {:?} {:?}", response.text(), calls, response.server_finish_reason, response.usage)
}

async fn answered(provider: &AnthropicProvider, request: &CompletionRequest) -> Result<Response, String> {
    provider.complete(request).await.map_err(wording)
}

fn well_formed(response: &Response) -> Checked {
    match response {
        _ if response.finish_reason == FinishReason::Error => Err(format!("no reason: {}", shown(response))),
        _ if response.usage.total_tokens.is_none() => Err(format!("no usage: {}", shown(response))),
        _ => Ok(shown(response)),
    }
}

async fn text(provider: &AnthropicProvider) -> Checked {
    let response = answered(provider, &hi()).await?;
    if response.text().is_empty() { Err("no text".to_owned()) } else { well_formed(&response) }
}

async fn whole(provider: &AnthropicProvider, request: CompletionRequest) -> Checked {
    let request = if request.config.max_tokens.is_none() { request.with_config(config(24)) } else { request };
    well_formed(&answered(provider, &request).await?)
}

async fn stream(provider: &AnthropicProvider) -> Checked {
    let mut stream = provider.stream(&hi()).await.map_err(wording)?;
    let (mut text, mut pieces) = (String::new(), 0);
    while let Some(event) = stream.next().await {
        match event.map_err(wording)? {
            Event::Content(delta) => {
                text.push_str(&delta);
                pieces += 1;
            }
            Event::Done(response) if response.text() == text && pieces > 1 => return well_formed(&response),
            Event::Done(response) => return Err(format!("{pieces} pieces {text:?}: {}", shown(&response))),
            _ => {}
        }
    }
    Err("no end".to_owned())
}

async fn same(provider: &AnthropicProvider) -> Checked {
    let whole = answered(provider, &hi()).await?;
    let streamed = answered(provider, &hi().with_stream(true)).await?;
    let facts = |response: &Response| {
        let raw = response.raw.json().unwrap_or_default();
        json!([
            response.message,
            response.finish_reason,
            response.model,
            response.usage.completion_tokens,
            raw["content"],
            raw["stop_reason"]
        ])
    };
    if facts(&whole) == facts(&streamed) {
        return Ok(shown(&streamed));
    }
    Err(format!("{} and {}", facts(&whole), facts(&streamed)))
}

async fn limit(provider: &AnthropicProvider, stream: bool) -> Checked {
    let response = answered(provider, &hi().with_config(config(1)).with_stream(stream)).await?;
    match response.finish_reason {
        FinishReason::Length => well_formed(&response),
        _ => Err(shown(&response)),
    }
}

/// A stop sequence out of the middle of what the server says without one.
async fn stop(provider: &AnthropicProvider, stream: bool) -> Checked {
    let text = answered(provider, &hi()).await?.text().into_owned();
    let word = text.split_whitespace().nth(1).ok_or("too few words")?.to_owned();
    let config = config(24).with_stop_sequences([word.clone()]);
    let response = answered(provider, &hi().with_config(config).with_stream(stream)).await?;
    let raw = response.raw.json().unwrap_or_default();
    if response.finish_reason == FinishReason::Stop && raw["stop_sequence"] == word.as_str() {
        return well_formed(&response);
    }
    Err(format!("{} after {word:?}: {raw}", shown(&response)))
}

fn tools() -> Result<Tools, String> {
    let parameters = json!({"type": "object", "additionalProperties": false, "required": ["city", "unit"],
        "properties": {"city": {"type": "string"}, "unit": {"type": "string", "enum": ["celsius"]}}});
    let tool = Tool::new("get_weather", parameters).map_err(wording)?.with_description("weather");
    Tools::new([tool]).map_err(wording)
}

/// Whether a model calls is its own affair: the answer is checked, and an invalid call is an error that has
/// it.
async fn tools_called(provider: &AnthropicProvider, choice: Option<ToolChoice>, stream: bool) -> Checked {
    let mut request = hi().with_tools(tools()?).with_config(config(90)).with_stream(stream);
    request.tool_choice = choice;
    match provider.complete(&request).await {
        Ok(response) => well_formed(&response),
        Err(error) if error.category() == Category::InvalidResponse && error.partial().is_some() => {
            Ok(wording(error))
        }
        // vLLM refuses its own answer, where the input is no object.
        Err(error) if error.message().contains("valid dictionary") => Ok(wording(error)),
        Err(error) => Err(wording(error)),
    }
}

async fn results(provider: &AnthropicProvider, stream: bool) -> Checked {
    let history = json!([{"role": "user", "content": "weather in Paris?"}, {"role": "assistant",
        "content": [{"type": "text", "text": "I look."}], "tool_calls": [
            {"id": "toolu_1", "name": "get_weather", "arguments": {"city": "Paris", "unit": "celsius"}},
            {"id": "toolu_2", "name": "get_weather", "arguments": {"city": "Rome", "unit": "celsius"}}]},
        {"role": "tool", "tool_call_id": "toolu_1", "content": "21"},
        {"role": "tool", "tool_call_id": "toolu_2", "content": "25"}]);
    let history: Vec<Message> = serde_json::from_value(history).map_err(|error| error.to_string())?;
    let request = CompletionRequest::new(history).with_tools(tools()?).with_config(config(40));
    well_formed(&answered(provider, &request.with_stream(stream)).await?)
}

async fn reasoning(provider: &AnthropicProvider, stream: bool) -> Checked {
    let history = json!([{"role": "user", "content": "hi"}, {"role": "assistant", "content": [
        {"type": "thinking", "text": "hm", "signature": "c2ln"}, {"type": "text", "text": "yes"}]},
        {"role": "user", "content": "go on"}]);
    let history: Vec<Message> = serde_json::from_value(history).map_err(|error| error.to_string())?;
    let request = CompletionRequest::new(history).with_config(config(24)).with_stream(stream);
    well_formed(&answered(provider, &request).await?)
}

async fn thinking(provider: &AnthropicProvider, stream: bool) -> Checked {
    let template = json!({"enable_thinking": true});
    let config = config(60).with_extra("chat_template_kwargs", template);
    let response = answered(provider, &hi().with_config(config).with_stream(stream)).await?;
    Ok(format!("{:?} beside {}", response.message.reasoning(), well_formed(&response)?))
}

/// Not every server constrains the answer: one that does not satisfy the schema is an error that says so.
async fn schema(provider: &AnthropicProvider, stream: bool) -> Checked {
    let schema = json!({"type": "object", "additionalProperties": false, "required": ["a"],
        "properties": {"a": {"type": "integer", "minimum": 0, "maximum": 9}}});
    let schema = JsonSchema::new(schema).map_err(wording)?;
    let request = hi().with_response_schema(schema).with_config(config(60)).with_stream(stream);
    match provider.complete(&request).await {
        Ok(response) => response.parsed.map(|value| value.to_string()).ok_or_else(|| "not parsed".to_owned()),
        Err(error) if error.category() == Category::StructuredOutputInvalid => Ok(wording(error)),
        Err(error) => Err(wording(error)),
    }
}

async fn image(provider: &AnthropicProvider, stream: bool) -> Checked {
    const PIXEL: &str =
        "iVBORw0KGgoAAAANSUhEUgAAAAEAAAABCAYAAAAfFcSJAAAADUlEQVR42mNk+M9QDwADhgGAWjR9awAAAABJRU5ErkJggg==";
    let blocks = [UserBlock::text("what is it?"), Image::base64("image/png", PIXEL).into()];
    let request = CompletionRequest::new(Message::user(blocks)).with_config(config(8)).with_stream(stream);
    match provider.complete(&request).await {
        Ok(response) => well_formed(&response),
        Err(error) => refused(Err::<(), _>(error), &[Category::UnsupportedContentBlock]),
    }
}

async fn overflow(provider: &AnthropicProvider, stream: bool) -> Checked {
    let long = CompletionRequest::new(Message::user("word ".repeat(9000))).with_config(config(8));
    refused(provider.complete(&long.with_stream(stream)).await, &[Category::InvalidRequest])
}

/// llama.cpp answers under any name.
async fn wrong_model(provider: &AnthropicProvider, stream: bool) -> Checked {
    match provider.complete(&hi().with_stream(stream)).await {
        Ok(response) => well_formed(&response),
        error => refused(error, &[Category::InvalidModel]),
    }
}

async fn unauthorized(provider: &AnthropicProvider, stream: bool) -> Checked {
    refused(provider.complete(&hi().with_stream(stream)).await, &[Category::Authentication])
}

async fn cancelled(provider: &AnthropicProvider) -> Checked {
    let request = hi().with_config(config(400).with_extra("ignore_eos", true));
    let mut stream = provider.stream(&request).await.map_err(wording)?;
    for _ in 0..3 {
        stream.next().await.ok_or("it ended")?.map_err(wording)?;
    }
    drop(stream);
    let started = Instant::now();
    let next = text(provider).await?;
    Ok(format!("the next answer after {:?}: {next}", started.elapsed()))
}

async fn concurrent(provider: &AnthropicProvider) -> Checked {
    let mut calls = JoinSet::new();
    for at in 0..8 {
        let provider = provider.clone();
        calls.spawn(async move { provider.complete(&hi().with_stream(at % 2 == 0)).await });
    }
    let answers = calls.join_all().await;
    let refused = answers.iter().filter(|answer| answer.is_err()).count();
    // A server with a short queue may refuse some.
    let all_known = answers.iter().all(|answer| match answer {
        Ok(response) => !response.text().is_empty(),
        Err(error) => error.is_transient(),
    });
    if all_known {
        Ok(format!("{} answers, {refused} refused", 8 - refused))
    } else {
        Err(format!("{answers:?}"))
    }
}

async fn sequential(provider: &AnthropicProvider) -> Checked {
    let first = answered(provider, &hi()).await?.text().into_owned();
    for at in 0..20 {
        let text = answered(provider, &hi().with_stream(at % 2 == 0)).await?.text().into_owned();
        if text != first {
            return Err(format!("call {at}: {text:?}, not {first:?}"));
        }
    }
    Ok(first)
}
