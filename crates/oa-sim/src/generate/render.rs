//! The planned answer, written as one body or as a stream.

use super::{
    chat::{ChatRequest, StreamOptions},
    model::{CREATED, Model, Reasoning},
    plan::{Plan, PlannedChoice},
    refusal::json,
};
use crate::{answer::Answer, json::Json, piece::Piece};

pub(crate) fn render(model: &Model, chat: &ChatRequest, plan: &Plan) -> Answer {
    match chat.stream {
        Some(options) => Stream { model, chat, plan, options, pieces: Vec::new() }.render(),
        None => unary(model, chat, plan),
    }
}

fn unary(model: &Model, chat: &ChatRequest, plan: &Plan) -> Answer {
    let choices =
        plan.choices.iter().enumerate().map(|(index, choice)| choice_json(model, index, choice)).collect();
    let body = Json::object([
        ("id", Json::text(id(chat, plan))),
        ("object", Json::text("chat.completion")),
        ("created", Json::count(CREATED)),
        ("model", Json::text(chat.model.as_str())),
        ("choices", Json::List(choices)),
        ("system_fingerprint", fingerprint()),
        ("usage", usage(model, plan, completion_tokens(plan), true)),
    ]);
    let answer = json(200, &body);
    let tokens = u32::try_from(completion_tokens(plan)).unwrap_or(u32::MAX);
    match model.token_delay.saturating_mul(tokens) {
        delay if delay.is_zero() => answer,
        delay => answer.delay(delay),
    }
}

fn choice_json(model: &Model, index: usize, choice: &PlannedChoice) -> Json {
    let content = if choice.content.is_empty() && !choice.calls.is_empty() {
        Json::Null
    } else {
        Json::text(choice.content.concat())
    };
    let mut message = vec![("role".to_owned(), Json::text("assistant")), ("content".to_owned(), content)];
    if !choice.reasoning.is_empty() {
        reasoning(model, &choice.reasoning.concat(), &mut message);
    }
    if !choice.calls.is_empty() {
        let calls = choice.calls.iter().map(|call| {
            Json::object([
                ("id", Json::text(call.id.as_str())),
                ("type", Json::text("function")),
                (
                    "function",
                    Json::object([
                        ("name", Json::text(call.name.as_str())),
                        ("arguments", Json::text(call.arguments.concat())),
                    ]),
                ),
            ])
        });
        message.push(("tool_calls".to_owned(), Json::List(calls.collect())));
    }
    Json::object([
        ("index", Json::count(index)),
        ("message", Json::Object(message)),
        ("logprobs", Json::Null),
        ("finish_reason", Json::text(choice.finish)),
        ("stop_reason", choice.stopped_by.as_deref().map_or(Json::Null, Json::text)),
    ])
}

fn reasoning(model: &Model, text: &str, members: &mut Vec<(String, Json)>) {
    let fields: &[&str] = match &model.reasoning {
        Some((Reasoning::Reasoning, _)) => &["reasoning"],
        Some((Reasoning::ReasoningContent, _)) => &["reasoning_content"],
        Some((Reasoning::Both, _)) => &["reasoning", "reasoning_content"],
        None => &[],
    };
    members.extend(fields.iter().map(|field| ((*field).to_owned(), Json::text(text))));
}

fn id(chat: &ChatRequest, plan: &Plan) -> String {
    match &chat.request_id {
        Some(id) => format!("chatcmpl-{id}"),
        None => format!("chatcmpl-sim-{:08x}", plan.id),
    }
}

fn fingerprint() -> Json {
    Json::text(concat!("oa-sim-", env!("CARGO_PKG_VERSION")))
}

fn completion_tokens(plan: &Plan) -> usize {
    plan.choices.iter().map(PlannedChoice::tokens).sum()
}

fn usage(model: &Model, plan: &Plan, completion: usize, details: bool) -> Json {
    let mut members = vec![
        ("prompt_tokens".to_owned(), Json::count(plan.prompt_tokens)),
        ("total_tokens".to_owned(), Json::count(plan.prompt_tokens + completion)),
        ("completion_tokens".to_owned(), Json::count(completion)),
    ];
    if let (Some(cached), true) = (model.cached_tokens, details) {
        let cached = Json::count(cached.min(plan.prompt_tokens));
        members.push(("prompt_tokens_details".to_owned(), Json::object([("cached_tokens", cached)])));
    }
    if model.reasoning.is_some() && details {
        let thought = plan.choices.iter().map(|choice| choice.reasoning.len()).sum();
        let details = Json::object([("reasoning_tokens", Json::count(thought))]);
        members.push(("completion_tokens_details".to_owned(), details));
    }
    Json::Object(members)
}

/// A stream while it is written.
struct Stream<'a> {
    model: &'a Model,
    chat: &'a ChatRequest,
    plan: &'a Plan,
    options: StreamOptions,
    pieces: Vec<Piece>,
}

impl Stream<'_> {
    fn render(mut self) -> Answer {
        for index in 0..self.plan.choices.len() {
            let first = Json::object([("role", Json::text("assistant")), ("content", Json::text(""))]);
            self.chunk(index, first, None, 0);
        }
        let steps: Vec<Vec<Json>> =
            self.plan.choices.iter().map(|choice| deltas(self.model, choice)).collect();
        let longest = steps.iter().map(Vec::len).max().unwrap_or(0);
        let mut tokens = 0;
        for step in 0..longest {
            for (index, deltas) in steps.iter().enumerate() {
                if let Some(delta) = deltas.get(step) {
                    if !self.model.token_delay.is_zero() {
                        self.pieces.push(Piece::Delay(self.model.token_delay));
                    }
                    tokens += 1;
                    self.chunk(index, delta.clone(), None, tokens);
                }
            }
        }
        for (index, choice) in self.plan.choices.iter().enumerate() {
            self.chunk(index, Json::Object(Vec::new()), Some(choice), tokens);
        }
        if self.options.usage_last {
            let usage = usage(self.model, self.plan, completion_tokens(self.plan), true);
            self.event(Vec::new(), Some(usage));
        }
        self.pieces.push(Piece::from("data: [DONE]\n\n"));
        Answer::stream(self.pieces)
    }

    fn chunk(&mut self, index: usize, delta: Json, end: Option<&PlannedChoice>, tokens: usize) {
        let mut members = vec![
            ("index".to_owned(), Json::count(index)),
            ("delta".to_owned(), delta),
            ("logprobs".to_owned(), Json::Null),
            ("finish_reason".to_owned(), end.map_or(Json::Null, |choice| Json::text(choice.finish))),
        ];
        if let Some(choice) = end {
            let stop = choice.stopped_by.as_deref().map_or(Json::Null, Json::text);
            members.push(("stop_reason".to_owned(), stop));
        }
        let usage = self.options.usage_each.then(|| usage(self.model, self.plan, tokens, false));
        self.event(vec![Json::Object(members)], usage);
    }

    fn event(&mut self, choices: Vec<Json>, usage: Option<Json>) {
        let mut members = vec![
            ("id".to_owned(), Json::text(id(self.chat, self.plan))),
            ("object".to_owned(), Json::text("chat.completion.chunk")),
            ("created".to_owned(), Json::count(CREATED)),
            ("model".to_owned(), Json::text(self.chat.model.as_str())),
            ("choices".to_owned(), Json::List(choices)),
        ];
        if let Some(usage) = usage {
            members.push(("usage".to_owned(), usage));
        }
        self.pieces.push(Piece::from(format!("data: {}\n\n", Json::Object(members))));
    }
}

/// One delta for each token of a choice.
fn deltas(model: &Model, choice: &PlannedChoice) -> Vec<Json> {
    let mut deltas = Vec::new();
    for token in &choice.reasoning {
        let mut members = Vec::new();
        reasoning(model, token, &mut members);
        deltas.push(Json::Object(members));
    }
    deltas.extend(choice.content.iter().map(|token| Json::object([("content", Json::text(token.as_str()))])));
    for (index, call) in choice.calls.iter().enumerate() {
        let fragment = |members: Vec<(String, Json)>| {
            Json::object([("tool_calls", Json::List(vec![Json::Object(members)]))])
        };
        deltas.push(fragment(vec![
            ("id".to_owned(), Json::text(call.id.as_str())),
            ("type".to_owned(), Json::text("function")),
            ("index".to_owned(), Json::count(index)),
            ("function".to_owned(), Json::object([("name", Json::text(call.name.as_str()))])),
        ]));
        deltas.extend(call.arguments.iter().map(|token| {
            let function = Json::object([("arguments", Json::text(token.as_str()))]);
            fragment(vec![("index".to_owned(), Json::count(index)), ("function".to_owned(), function)])
        }));
    }
    deltas
}
