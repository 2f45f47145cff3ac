//! Completions: one token, a stream, a tool call, a schema, and what they say of their tokens.

use crate::{
    client::{Answer, Client, Timing},
    environment::Target,
    finding::Finding,
    hints::{Call, Hints, is_cooldown},
    identity::{Identity, Server},
    models::Models,
    text,
};
use oa_wire::{
    Category, CompletionRequest, Error, FinishReason, JsonSchema, Message, Profile, RuntimeConfig,
    TokenLimit, Tool, ToolChoice, Tools, Usage, openai::other_form,
};
use serde_json::json;
use std::time::Duration;
use tokio::time::sleep;

/// The longest cooldown that is waited for.
const COOLDOWN: Duration = Duration::from_secs(15);

/// A first token that takes longer than this is worth a word.
const SLOW: Duration = Duration::from_secs(10);

pub(crate) struct Calls<'a> {
    client: &'a Client,
    identity: &'a Identity,
    profile: Profile,
    hints: Hints<'a>,
    /// The list has the model.
    listed: bool,
    /// What the calls that worked say of their tokens, and whether they were streams.
    usages: Vec<(&'static str, Usage)>,
    /// How long the one token took.
    one_token: Option<Duration>,
    another_model_answers: bool,
    /// How long the stream took to its first token.
    first_token: Option<Duration>,
}

impl<'a> Calls<'a> {
    pub(crate) fn new(
        client: &'a Client,
        target: &'a Target,
        identity: &'a Identity,
        models: &'a Models,
        model: &'a str,
    ) -> Self {
        Self {
            client,
            identity,
            profile: Profile::new(model).with_surface_invalid_tool_calls(true),
            hints: Hints { target, identity, model: Some(model) },
            listed: models.list.as_ref().is_none_or(|list| list.find(model).is_some()),
            usages: Vec::new(),
            one_token: None,
            another_model_answers: false,
            first_token: None,
        }
    }

    /// Whether the completion was answered by another model than the one that was asked for.
    pub(crate) fn another_model_answers(&self) -> bool {
        self.another_model_answers
    }

    /// How long the stream took to its first token.
    pub(crate) fn first_token(&self) -> Option<Duration> {
        self.first_token
    }

    /// One token. Like every call here it also says whether it is any use to go on.
    pub(crate) async fn completion(&mut self) -> (Finding, bool) {
        let request = CompletionRequest::new([Message::user("Hi")]);
        let mut before = String::new();
        let mut result = self.ask(&request, 1).await;
        // A failure hides behind a cooldown: when that is over, it shows itself again.
        if let Err(error) = &result {
            let wait = error.retry_after().map(|after| after.delay).filter(|_| is_cooldown(error));
            if let Some(wait) = wait.filter(|wait| *wait <= COOLDOWN) {
                sleep(wait + Duration::from_millis(250)).await;
                before = format!("after {} of the router's cooldown (429): ", text::duration(wait));
                result = self.ask(&request, 1).await;
            }
        }
        let answer = match result {
            Ok(answer) => answer,
            Err(error) => {
                let mut finding = self.hints.finding(&error, Call::Completion);
                finding.observed = format!("{before}{}", finding.observed);
                return (finding, false);
            }
        };
        self.usages.push(("a completion", answer.response.usage));
        self.one_token = Some(answer.timing.head);
        let response = &answer.response;
        let reason = response.server_finish_reason.as_deref().unwrap_or(response.finish_reason.as_str());
        let mut observed = format!("{before}one token, finish reason {}", text::one_line(reason, 40));
        let upstream = answer.headers.get("x-litellm-model-api-base").and_then(|base| base.to_str().ok());
        if let Some(upstream) = upstream {
            observed = format!("{observed}, from {}", text::one_line(upstream, 120));
        }
        let version = answer.headers.get("x-litellm-version").and_then(|version| version.to_str().ok());
        if let Some(version) = version {
            observed = format!("{observed}, by LiteLLM {}", text::one_line(version, 40));
        }
        (self.judge_completion(&answer, observed, !before.is_empty()), true)
    }

    fn judge_completion(&mut self, answer: &Answer, observed: String, was_cooling: bool) -> Finding {
        let asked = self.profile.model().to_owned();
        if was_cooling {
            return Finding::warning(observed)
                .cause(
                    "something failed shortly before, and the router refused all requests for some seconds",
                )
                .next(self.hints.target.again());
        }
        if self.profile.body_form().token_limit == TokenLimit::MaxCompletionTokens {
            return Finding::warning(format!("{observed}; it refuses max_tokens"))
                .cause("this model wants max_completion_tokens: give it as an extra field")
                .next(format!("{} --extra max_completion_tokens=64", self.hints.chat()));
        }
        // A revision (`name@main`) or a provider's prefix is the same model.
        let is_other = |model: &&str| !self.listed && !model.contains(&*asked) && !asked.contains(*model);
        let other = answer.response.model.as_deref().filter(is_other);
        if let Some(other) = other {
            self.another_model_answers = true;
            return Finding::warning(format!("{observed}; the answer is {other}'s"))
                .cause(format!(
                    "the server takes no notice of the name {asked}, and answers with what it has"
                ))
                .next(format!("{} --model {}", self.hints.target.doctor(), text::word(other)));
        }
        if answer.timing.head >= SLOW {
            return Finding::warning(observed)
                .cause("the model was not in memory, or requests of others wait in the same queue")
                .next(self.hints.target.oa("ready --warm-up"));
        }
        Finding::ok(observed)
    }

    /// A short stream.
    pub(crate) async fn stream(&mut self) -> (Finding, bool) {
        let prompt = "Count from 1 to 20, with a space after each number.";
        let request = CompletionRequest::new([Message::user(prompt)]).with_stream(true);
        let answer = match self.ask(&request, 40).await {
            Ok(answer) => answer,
            Err(error) => return self.broken(&error),
        };
        self.usages.push(("a stream", answer.response.usage));
        let Timing { head, first, last, pieces, bursts } = answer.timing;
        self.first_token = (pieces > 0).then_some(first);
        let observed = format!(
            "head after {}, {pieces} pieces from {} to {}",
            text::duration(head),
            text::duration(first),
            text::duration(last)
        );
        let header = |name: &str| answer.headers.get(name).and_then(|value| value.to_str().ok());
        let kind = header("content-type").unwrap_or("no content type");
        if !kind.starts_with("text/event-stream") {
            let finding = Finding::warning(format!("no stream: the answer is {}", text::one_line(kind, 60)))
                .cause("the server or a gateway does not stream, and gives the answer as a whole");
            return (finding.next(self.watch()), true);
        }
        // Tokens that took a while to make came all at once, and not because the first one took so long.
        let at_once = bursts <= 2 && last.saturating_sub(first) * 5 <= last;
        let slow = last >= Duration::from_millis(300)
            && self.one_token.is_none_or(|one| first >= one.saturating_mul(2));
        if pieces >= 4 && at_once && slow {
            let via = ["via", "x-cache", "server"].into_iter().find_map(|name| Some((name, header(name)?)));
            let via = via.map(|(name, value)| format!(" ({name}: {})", text::one_line(value, 60)));
            let late = if head * 5 >= last * 4 {
                "the head late, and everything at once"
            } else {
                "everything at once"
            };
            let finding = Finding::warning(format!("{observed}: {late}")).cause(format!(
                "a gateway on the way{} holds the stream back until it is complete: nginx needs \
                 `proxy_buffering off`, others their own word for \
                 it",
                via.unwrap_or_default()
            ));
            return (finding.next(self.watch()), true);
        }
        (Finding::ok(observed), true)
    }

    /// A tool call that is forced: any, and where none comes, the tool by its name.
    pub(crate) async fn tools(&mut self) -> (Finding, bool) {
        let (request, name) = match tool_request() {
            Ok(found) => found,
            Err(error) => return self.broken(&error),
        };
        let by_name = request.clone().with_tool_choice(ToolChoice::Tool(name.to_owned()));
        let mut reason = FinishReason::Stop;
        for request in [request, by_name] {
            let answer = match self.ask(&request, 128).await {
                Ok(answer) => answer,
                Err(error) => return self.lacking(&error, &self.how_to_get_tools()),
            };
            let calls = &answer.response.message.tool_calls;
            if let Some(problem) = calls.iter().find_map(|call| call.arguments.error()) {
                let observed = format!("{name} was called, but: {}", text::one_line(problem, 200));
                let cause = "the server reads calls, and does not hold the model to the schema: an \
                             application must expect such calls, or ask for `strict` tools where the server \
                             knows them";
                return (Finding::warning(observed).cause(cause).next(self.hints.chat()), true);
            }
            if let Some(call) = calls.first() {
                let more = if calls.len() > 1 { format!(", {} calls", calls.len()) } else { String::new() };
                return (Finding::ok(format!("{} was called{more}", text::one_line(&call.name, 60))), true);
            }
            reason = answer.response.finish_reason;
        }
        // The tools were taken, so that they are switched on.
        let how = match self.identity.server {
            Some(Server::LlamaCpp) => {
                "the model wrote no call: its template knows no tools, or it is too small for them".to_owned()
            }
            _ => self.how_to_get_tools(),
        };
        let observed = if reason == FinishReason::Length {
            format!("no call of {name} within 128 tokens: the answer is text")
        } else {
            format!("{name} was not called: the answer is text")
        };
        let next = match self.identity.server {
            Some(Server::LiteLlm) => "oa doctor API_BASE_OF_THE_UPSTREAM".to_owned(),
            Some(Server::LlamaCpp) => self.hints.chat(),
            _ => self.setting().map_or_else(|| self.hints.chat(), str::to_owned),
        };
        (Finding::warning(observed).cause(how).next(next), true)
    }

    /// An answer by a schema.
    pub(crate) async fn schema(&mut self) -> (Finding, bool) {
        let schema = json!({
            "title": "doctor_color",
            "type": "object",
            "properties": {"color": {"type": "string", "enum": ["green", "red"]}},
            "required": ["color"],
            "additionalProperties": false,
        });
        let request = match JsonSchema::new(schema) {
            Ok(schema) => {
                CompletionRequest::new([Message::user("Which color has grass?")]).with_response_schema(schema)
            }
            Err(error) => return self.broken(&error),
        };
        let cause = "the server takes no notice of response_format or cannot do json_schema: ask by prompt \
                     (--fallback), which every model understands";
        match self.ask(&request, 128).await {
            Ok(answer) if answer.response.parsed.is_some() => {
                (Finding::ok("the answer fits the schema"), true)
            }
            Ok(_) => {
                let finding = Finding::warning("no answer by the schema").cause(cause);
                (finding.next(format!("{} --schema FILE --fallback", self.hints.chat())), true)
            }
            Err(error) => {
                let cut =
                    error.structured().is_some_and(|failure| failure.finish_reason == FinishReason::Length);
                let cut_cause = "the model wrote for too long: 128 tokens were allowed";
                let (finding, go_on) = self.lacking(&error, if cut { cut_cause } else { cause });
                let by_prompt = format!("{} --schema FILE --fallback", self.hints.chat());
                (if finding.category.is_none() && !cut { finding.next(by_prompt) } else { finding }, go_on)
            }
        }
    }

    /// Whether tokens are counted. Asks nothing.
    pub(crate) fn usage(&self) -> Finding {
        if self.usages.is_empty() {
            return Finding::skipped("no completion worked");
        }
        let counted = |usage: &Usage| usage.prompt_tokens.is_some() && usage.completion_tokens.is_some();
        let without: Vec<&str> =
            self.usages.iter().filter(|(_, usage)| !counted(usage)).map(|(what, _)| *what).collect();
        if !without.is_empty() {
            return Finding::warning(format!("no token counts in {}", without.join(" and ")))
                .cause(
                    "the server does not report usage, or a gateway strips it; in a stream it must obey \
                        stream_options",
                )
                .next(format!("{} --json", self.hints.chat()));
        }
        let shown = self.usages.iter().map(|(what, usage)| {
            let number = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
            format!("{what}: {} + {} tokens", number(usage.prompt_tokens), number(usage.completion_tokens))
        });
        let shown: Vec<String> = shown.collect();
        let cached = self.usages.iter().filter_map(|(_, usage)| usage.cached_tokens).max();
        let cached = match (cached, self.identity.server) {
            (Some(cached), _) => format!("cached tokens are reported ({cached})"),
            (None, Some(Server::Vllm)) => {
                "cached tokens are not reported (vLLM does with --enable-prompt-tokens-details)".to_owned()
            }
            (None, _) => "cached tokens are not reported".to_owned(),
        };
        Finding::ok(format!("{}; {cached}", shown.join(", ")))
    }

    /// A short stream of Anthropic Messages, where the server has that too.
    pub(crate) async fn messages(&self) -> Finding {
        const ABSENT: [u16; 3] = [404, 405, 501];
        let request = CompletionRequest::new([Message::user("Hi")])
            .with_stream(true)
            .with_config(RuntimeConfig::new().with_temperature(0.0).with_max_tokens(8));
        let endpoint = &self.hints.target.messages;
        match self.client.exchange(endpoint, &self.profile, &request).await {
            Ok(answer) => {
                let response = &answer.response;
                let reason =
                    response.server_finish_reason.as_deref().unwrap_or(response.finish_reason.as_str());
                Finding::ok(format!(
                    "/v1/messages streams: {} pieces, stop reason {}",
                    answer.timing.pieces,
                    text::one_line(reason, 40)
                ))
            }
            Err(error) if error.status().is_some_and(|status| ABSENT.contains(&status)) => {
                Finding::skipped("the server has no /v1/messages")
            }
            Err(error) => self
                .hints
                .finding(&error, Call::Completion)
                .only_a_warning()
                .cause("the server has /v1/messages, and it does not work; chat completions do")
                .next(format!("{} --wire anthropic", self.hints.chat())),
        }
    }

    /// Asks for at most so many tokens, in the form that the server takes.
    async fn ask(&mut self, request: &CompletionRequest, tokens: u64) -> Result<Answer, Error> {
        // The same question has the same answer, as far as the server can.
        let config = RuntimeConfig::new().with_temperature(0.0).with_max_tokens(tokens);
        let request = request.clone().with_config(config);
        let result = self.client.complete(&self.profile, &request).await;
        let other = result.as_ref().err().and_then(|error| other_form(&self.profile, &request, error));
        let Some(form) = other else { return result };
        self.profile = self.profile.clone().with_body_form(form);
        self.client.complete(&self.profile, &request).await
    }

    /// A failure of something that plain completions need.
    fn broken(&self, error: &Error) -> (Finding, bool) {
        (self.hints.finding(error, Call::Completion), !is_final(error))
    }

    /// A failure of something that an application may not need; a failure all the same if it is of another
    /// kind.
    fn lacking(&self, error: &Error, cause: &str) -> (Finding, bool) {
        match error.category() {
            Category::InvalidRequest
            | Category::InvalidResponse
            | Category::UnsupportedContentBlock
            | Category::StructuredOutputInvalid => {
                let finding = self.hints.finding(error, Call::Completion).only_a_warning();
                (finding.cause(cause).next(self.setting().map_or(self.hints.chat(), str::to_owned)), true)
            }
            _ => self.broken(error),
        }
    }

    fn how_to_get_tools(&self) -> String {
        let how = match self.identity.server {
            Some(Server::Vllm) => {
                "vLLM needs --enable-auto-tool-choice and a --tool-call-parser that fits the model"
            }
            Some(Server::Sglang) => "SGLang needs a --tool-call-parser that fits the model",
            Some(Server::LlamaCpp) => "llama.cpp needs a template that knows tools, and older ones --jinja",
            Some(Server::Ollama) => {
                "Ollama takes no notice of tool_choice: the model decides, if it knows tools at all"
            }
            Some(Server::LiteLlm) => "the upstream does not do tools, or the proxy drops them",
            _ => "the server or the model does not do tools",
        };
        format!("{how}; a small model may also fail to write a call")
    }

    /// How the server would be started for tools.
    fn setting(&self) -> Option<&'static str> {
        match self.identity.server? {
            Server::Vllm => Some("vllm serve MODEL --enable-auto-tool-choice --tool-call-parser hermes"),
            Server::Sglang => {
                Some("python3 -m sglang.launch_server --model-path MODEL --tool-call-parser qwen25")
            }
            Server::LlamaCpp => Some("llama-server -m MODEL --jinja"),
            _ => None,
        }
    }

    /// The stream as it comes, byte by byte.
    fn watch(&self) -> String {
        format!("{} --json-events", self.hints.chat())
    }
}

/// What no other call would survive either.
fn is_final(error: &Error) -> bool {
    matches!(error.category(), Category::Authentication | Category::RateLimit | Category::Unavailable)
}

fn tool_request() -> Result<(CompletionRequest, &'static str), Error> {
    let name = "get_weather";
    let parameters = json!({
        "type": "object",
        "properties": {"city": {"type": "string"}},
        "required": ["city"],
        "additionalProperties": false,
    });
    let tool = Tool::new(name, parameters)?.with_description("The current weather of a city.");
    let request = CompletionRequest::new([Message::user("What is the weather in Paris?")])
        .with_tools(Tools::new([tool])?)
        .with_tool_choice(ToolChoice::Required);
    Ok((request, name))
}
