//! Answers in the form of the OpenAI API: completions, streams, tool calls, model lists, errors.

use super::Answer;
use crate::json::Json;

/// The time stamp of what is made here, the same in every run.
const CREATED: usize = 1_700_000_000;

/// The id of every tool call that is made here.
const CALL: &str = "call_sim";

/// Answers in the form of the OpenAI API, for tests that care about what is answered and not about its bytes.
/// The model is named `oa-sim`, the id is `chatcmpl-sim`, a token is a word.
impl Answer {
    /// A completion with this text, not streamed: finish reason `stop`, with usage.
    ///
    /// ```
    /// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
    /// use oa_sim::{Answer, Sim};
    ///
    /// let sim = Sim::builder()
    ///     .script([
    ///         Answer::rate_limited(2),
    ///         Answer::tool_call("get_weather", r#"{"city":"Paris"}"#),
    ///         Answer::completion("It rains in Paris."),
    ///         Answer::streamed(["It ", "rains."]),
    ///     ])
    ///     .start()
    ///     .await?;
    /// # Ok(()) }
    /// ```
    pub fn completion(text: impl Into<String>) -> Self {
        let text = text.into();
        let tokens = words(&text);
        let message = Json::object([("role", Json::text("assistant")), ("content", Json::Text(text))]);
        whole(message, "stop", tokens)
    }

    /// A completion that is streamed, one event for each text, with its role before and its finish reason
    /// (`stop`), usage and `[DONE]` after them. Each event is one HTTP chunk.
    pub fn streamed<T: Into<String>>(texts: impl IntoIterator<Item = T>) -> Self {
        let texts: Vec<String> = texts.into_iter().map(Into::into).collect();
        let tokens = words(&texts.concat());
        let deltas = texts.into_iter().map(|text| Json::object([("content", Json::Text(text))]));
        stream(deltas, "stop", tokens)
    }

    /// A completion that calls one tool, not streamed: id `call_sim`, finish reason `tool_calls`. The
    /// arguments are sent as they stand, JSON or not.
    pub fn tool_call(name: impl Into<String>, arguments: impl Into<String>) -> Self {
        let function = function([("name", name.into()), ("arguments", arguments.into())]);
        let call = Json::object([("id", Json::text(CALL)), ("type", Json::text("function")), function]);
        let message = Json::object([
            ("role", Json::text("assistant")),
            ("content", Json::Null),
            ("tool_calls", Json::List(vec![call])),
        ]);
        whole(message, "tool_calls", 1)
    }

    /// [`tool_call`](Answer::tool_call) as a stream: the name first, then the arguments in these fragments.
    pub fn streamed_tool_call<T: Into<String>>(
        name: impl Into<String>,
        fragments: impl IntoIterator<Item = T>,
    ) -> Self {
        let index = || ("index", Json::count(0));
        let delta = |call: Json| Json::object([("tool_calls", Json::List(vec![call]))]);
        let first = Json::object([
            index(),
            ("id", Json::text(CALL)),
            ("type", Json::text("function")),
            function([("name", name.into()), ("arguments", String::new())]),
        ]);
        let fragments = fragments
            .into_iter()
            .map(|text| delta(Json::object([index(), function([("arguments", text.into())])])));
        stream([delta(first)].into_iter().chain(fragments), "tool_calls", 1)
    }

    /// An error in OpenAI's form: `{"error":{"message":...,"type":...,"param":null,"code":STATUS}}`, with a
    /// type that servers give for that status.
    ///
    /// ```
    /// # use oa_sim::Answer;
    /// let answer = Answer::error(503, "The engine is busy").header("retry-after", "1");
    /// # let _ = answer;
    /// ```
    pub fn error(status: u16, message: impl Into<String>) -> Self {
        let kind = match status {
            401 => "AuthenticationError",
            403 => "PermissionDeniedError",
            404 => "NotFoundError",
            429 => "rate_limit_error",
            400..=499 => "BadRequestError",
            503 => "ServiceUnavailableError",
            _ => "InternalServerError",
        };
        refusal(
            status,
            [
                ("message", Json::text(message)),
                ("type", Json::text(kind)),
                ("param", Json::Null),
                ("code", Json::count(usize::from(status))),
            ],
        )
    }

    /// 429 with `Retry-After` in seconds.
    pub fn rate_limited(seconds: u32) -> Self {
        Self::error(429, "Rate limit reached").header("retry-after", &seconds.to_string())
    }

    /// 503 as llama.cpp answers on every path while it loads its model.
    pub fn loading() -> Self {
        let error = [
            ("message", Json::text("Loading model")),
            ("type", Json::text("unavailable_error")),
            ("code", Json::count(503)),
        ];
        refusal(503, error).close()
    }

    /// A model list with these ids, for `GET /v1/models`.
    ///
    /// ```
    /// # use oa_sim::Answer;
    /// let list = Answer::models(["small", "large"]).on("GET", "/v1/models").forever();
    /// # let _ = list;
    /// ```
    pub fn models<T: Into<String>>(ids: impl IntoIterator<Item = T>) -> Self {
        let entry = |id: T| {
            Json::object([
                ("id", Json::text(id)),
                ("object", Json::text("model")),
                ("created", Json::count(CREATED)),
                ("owned_by", Json::text("oa-sim")),
            ])
        };
        let data = ids.into_iter().map(entry).collect();
        json(200, &Json::object([("object", Json::text("list")), ("data", Json::List(data))]))
    }
}

fn json(status: u16, body: &Json) -> Answer {
    Answer::bytes(status, "application/json", body.to_string())
}

fn refusal<const N: usize>(status: u16, error: [(&str, Json); N]) -> Answer {
    json(status, &Json::object([("error", Json::object(error))]))
}

fn function<const N: usize>(members: [(&str, String); N]) -> (&'static str, Json) {
    ("function", Json::object(members.map(|(name, text)| (name, Json::Text(text)))))
}

fn whole(message: Json, finish_reason: &str, tokens: usize) -> Answer {
    let choice = choice(("message", message), Json::text(finish_reason));
    json(200, &envelope("chat.completion", vec![choice], Some(tokens)))
}

fn stream(deltas: impl IntoIterator<Item = Json>, finish_reason: &str, tokens: usize) -> Answer {
    let chunk = |delta: Json, finish_reason: Json| {
        envelope("chat.completion.chunk", vec![choice(("delta", delta), finish_reason)], None)
    };
    let role = Json::object([("role", Json::text("assistant")), ("content", Json::text(""))]);
    let mut chunks = vec![chunk(role, Json::Null)];
    chunks.extend(deltas.into_iter().map(|delta| chunk(delta, Json::Null)));
    chunks.push(chunk(Json::object([]), Json::text(finish_reason)));
    chunks.push(envelope("chat.completion.chunk", Vec::new(), Some(tokens)));
    Answer::events(chunks)
}

fn choice(content: (&str, Json), finish_reason: Json) -> Json {
    let index = ("index", Json::count(0));
    Json::object([index, content, ("logprobs", Json::Null), ("finish_reason", finish_reason)])
}

/// The members around the choices, with usage where `tokens` says how many the answer has.
fn envelope(object: &str, choices: Vec<Json>, tokens: Option<usize>) -> Json {
    let mut members = vec![
        ("id".to_owned(), Json::text("chatcmpl-sim")),
        ("object".to_owned(), Json::text(object)),
        ("created".to_owned(), Json::count(CREATED)),
        ("model".to_owned(), Json::text("oa-sim")),
        ("choices".to_owned(), Json::List(choices)),
    ];
    if let Some(tokens) = tokens {
        let usage = Json::object([
            ("prompt_tokens", Json::count(1)),
            ("total_tokens", Json::count(1 + tokens)),
            ("completion_tokens", Json::count(tokens)),
        ]);
        members.push(("usage".to_owned(), usage));
    }
    Json::Object(members)
}

fn words(text: &str) -> usize {
    text.split_whitespace().count()
}
