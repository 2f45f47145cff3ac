//! Anthropic Messages: a request as a chat request, and the planned answer in the form of a message.

use super::{
    chat::ChatRequest,
    model::Model,
    plan::{Plan, PlannedChoice, plan, prompt_tokens},
    refusal::{Refusal, json},
};
use crate::{
    answer::{Answer, messages::event_piece},
    json::Json,
    piece::Piece,
    recorded::Recorded,
};

/// Answers `POST /v1/messages` as vLLM does, by way of its chat completions.
pub(crate) fn answer(model: &Model, request: &Recorded) -> Result<Answer, Refusal> {
    let chat = read(model, request, true)?;
    let plan = plan(model, &chat)?;
    Ok(match chat.stream {
        Some(_) => stream(model, &chat, &plan),
        None => json(200, &message(model, &chat, &plan, true)),
    })
}

/// Answers `POST /v1/messages/count_tokens`.
pub(crate) fn count(model: &Model, request: &Recorded) -> Result<Answer, Refusal> {
    let chat = read(model, request, false)?;
    Ok(json(200, &Json::object([("input_tokens", Json::count(prompt_tokens(&chat)))])))
}

fn read(model: &Model, request: &Recorded, needs_limit: bool) -> Result<ChatRequest, Refusal> {
    let mut asked = request.clone();
    if let Some(body) = std::str::from_utf8(&request.body).ok().and_then(|text| Json::parse(text).ok()) {
        if body.as_object().is_some() {
            if needs_limit && body.get("max_tokens").is_none() {
                return Err(refused("body.max_tokens: Field required"));
            }
            asked.body = chat_body(&body).map_err(|place| refused(&place))?.to_string().into();
        }
    }
    ChatRequest::read(model, &asked)
}

fn refused(message: &str) -> Refusal {
    Box::new(Answer::message_error(400, "invalid_request_error", message))
}

/// The request as the body of a chat completion, or what is wrong with it.
fn chat_body(body: &Json) -> Result<Json, String> {
    let mut messages = Vec::new();
    if let Some(system) = body.get("system") {
        messages.push(turn("system", Json::Text(text_of(system, "body.system")?)));
    }
    let turns = body.get("messages").and_then(Json::as_list);
    for (at, one) in turns.ok_or("body.messages: Field required")?.iter().enumerate() {
        push_turn(&mut messages, one, &format!("body.messages.{at}"))?;
    }
    let mut out = vec![("messages".to_owned(), Json::List(messages))];
    for name in ["model", "max_tokens", "temperature", "top_p", "stream"] {
        out.extend(body.get(name).map(|value| (name.to_owned(), value.clone())));
    }
    out.extend(body.get("stop_sequences").map(|stop| ("stop".to_owned(), stop.clone())));
    if let Some(tools) = body.get("tools").and_then(Json::as_list) {
        let tools = tools.iter().map(tool).collect();
        out.push(("tools".to_owned(), Json::List(tools)));
    }
    if let Some(choice) = body.get("tool_choice") {
        let name = choice.get("name").and_then(Json::as_text).unwrap_or_default();
        let chosen = match choice.get("type").and_then(Json::as_text) {
            Some("auto") => Json::text("auto"),
            Some("any") => Json::text("required"),
            Some("none") => Json::text("none"),
            Some("tool") => Json::object([
                ("type", Json::text("function")),
                ("function", Json::object([("name", Json::text(name))])),
            ]),
            _ => return Err("body.tool_choice.type: is none of auto, any, none, tool".to_owned()),
        };
        out.push(("tool_choice".to_owned(), chosen));
        if choice.get("disable_parallel_tool_use") == Some(&Json::Bool(true)) {
            out.push(("parallel_tool_calls".to_owned(), Json::Bool(false)));
        }
    }
    let format = body.get("output_config").and_then(|config| config.get("format"));
    if let Some(schema) = format.and_then(|format| format.get("schema")) {
        let schema = Json::object([("name", Json::text("answer")), ("schema", schema.clone())]);
        let format = Json::object([("type", Json::text("json_schema")), ("json_schema", schema)]);
        out.push(("response_format".to_owned(), format));
    }
    Ok(Json::Object(out))
}

fn turn(role: &str, content: Json) -> Json {
    Json::object([("role", Json::text(role)), ("content", content)])
}

fn tool(tool: &Json) -> Json {
    let mut function = Vec::new();
    for (from, to) in [("name", "name"), ("description", "description"), ("input_schema", "parameters")] {
        function.extend(tool.get(from).map(|value| (to.to_owned(), value.clone())));
    }
    Json::object([("type", Json::text("function")), ("function", Json::Object(function))])
}

/// The text of a content: a text, or a list of text blocks.
fn text_of(content: &Json, place: &str) -> Result<String, String> {
    if let Json::Text(text) = content {
        return Ok(text.clone());
    }
    let blocks = content.as_list().ok_or_else(|| format!("{place}: Input should be a valid string"))?;
    let text = |block: &Json| block.get("text").and_then(Json::as_text).map(str::to_owned);
    let texts: Option<Vec<String>> = blocks.iter().map(text).collect();
    Ok(texts.ok_or_else(|| format!("{place}.text: Field required"))?.concat())
}

/// Adds a message as those of a chat: the results of tools are messages of their own, before the rest.
fn push_turn(messages: &mut Vec<Json>, one: &Json, place: &str) -> Result<(), String> {
    let role = one.get("role").and_then(Json::as_text);
    let role = role.ok_or_else(|| format!("{place}.role: Field required"))?;
    let content = one.get("content").ok_or_else(|| format!("{place}.content: Field required"))?;
    let Some(blocks) = content.as_list() else {
        messages.push(turn(role, content.clone()));
        return Ok(());
    };
    let (mut parts, mut calls) = (Vec::new(), Vec::new());
    for block in blocks {
        let member = |name: &str| block.get(name).cloned().unwrap_or(Json::Null);
        match block.get("type").and_then(Json::as_text) {
            Some("text") => parts.push(block.clone()),
            Some("image") => {
                let url = Json::object([("url", Json::text(image_url(block)))]);
                parts.push(Json::object([("type", Json::text("image_url")), ("image_url", url)]));
            }
            Some("tool_result") => {
                let content = block.get("content").map_or(Ok(String::new()), |text| text_of(text, place))?;
                messages.push(Json::object([
                    ("role", Json::text("tool")),
                    ("tool_call_id", member("tool_use_id")),
                    ("content", Json::Text(content)),
                ]));
            }
            Some("tool_use") => {
                let arguments = Json::Text(member("input").to_string());
                let function = Json::object([("name", member("name")), ("arguments", arguments)]);
                let kind = ("type", Json::text("function"));
                calls.push(Json::object([("id", member("id")), kind, ("function", function)]));
            }
            Some("thinking" | "redacted_thinking") => {}
            Some(other) => return Err(format!("{place}.content: a block cannot be of the type {other}")),
            None => return Err(format!("{place}.content.type: Field required")),
        }
    }
    if !calls.is_empty() {
        messages.push(Json::object([
            ("role", Json::text(role)),
            ("content", if parts.is_empty() { Json::Null } else { Json::List(parts) }),
            ("tool_calls", Json::List(calls)),
        ]));
    } else if !parts.is_empty() {
        messages.push(turn(role, Json::List(parts)));
    }
    Ok(())
}

fn image_url(block: &Json) -> String {
    let source = |name: &str| block.get("source")?.get(name)?.as_text().map(str::to_owned);
    source("url").unwrap_or_else(|| {
        let data = source("data").unwrap_or_default();
        format!("data:{};base64,{data}", source("media_type").unwrap_or_default())
    })
}

fn stop_reason(choice: &PlannedChoice) -> &'static str {
    match choice.finish {
        _ if choice.stopped_by.is_some() => "stop_sequence",
        "length" => "max_tokens",
        "tool_calls" => "tool_use",
        _ => "end_turn",
    }
}

/// The message: whole, or as a stream begins with it.
fn message(model: &Model, chat: &ChatRequest, plan: &Plan, is_whole: bool) -> Json {
    let choice = &plan.choices[0];
    let blocks =
        if is_whole { blocks(choice).into_iter().map(|block| block.whole).collect() } else { vec![] };
    let stop = |value: Json| if is_whole { value } else { Json::Null };
    Json::object([
        ("id", Json::text(format!("msg_sim_{:08x}", plan.id))),
        ("type", Json::text("message")),
        ("role", Json::text("assistant")),
        ("content", Json::List(blocks)),
        ("model", Json::text(chat.model.as_str())),
        ("stop_reason", stop(Json::text(stop_reason(choice)))),
        ("stop_sequence", stop(choice.stopped_by.as_deref().map_or(Json::Null, Json::text))),
        ("usage", usage(model, plan, if is_whole { choice.tokens() } else { 0 })),
    ])
}

fn usage(model: &Model, plan: &Plan, tokens: usize) -> Json {
    let cached = model.cached_tokens.map_or(0, |cached| cached.min(plan.prompt_tokens));
    Json::object([
        ("input_tokens", Json::count(plan.prompt_tokens - cached)),
        ("cache_read_input_tokens", Json::count(cached)),
        ("output_tokens", Json::count(tokens)),
    ])
}

/// A block as it is sent whole, as it begins, and its deltas.
struct Block {
    whole: Json,
    start: Json,
    deltas: Vec<Json>,
}

fn blocks(choice: &PlannedChoice) -> Vec<Block> {
    let typed = |kind: &str, members: Vec<(&str, Json)>| {
        let members = members.into_iter().map(|(name, value)| (name.to_owned(), value));
        Json::Object(std::iter::once(("type".to_owned(), Json::text(kind))).chain(members).collect())
    };
    let pieces = |tokens: &[String], kind: &str, name: &str| -> Vec<Json> {
        tokens.iter().map(|token| typed(kind, vec![(name, Json::text(token.as_str()))])).collect()
    };
    let mut blocks = Vec::new();
    if !choice.reasoning.is_empty() {
        let signed = |text: String, signature: &str| {
            typed("thinking", vec![("thinking", Json::Text(text)), ("signature", Json::text(signature))])
        };
        let mut deltas = pieces(&choice.reasoning, "thinking_delta", "thinking");
        deltas.push(typed("signature_delta", vec![("signature", Json::text("c2ltdWxhdGVk"))]));
        let whole = signed(choice.reasoning.concat(), "c2ltdWxhdGVk");
        blocks.push(Block { whole, start: signed(String::new(), ""), deltas });
    }
    if !choice.content.is_empty() || choice.calls.is_empty() {
        let text = |text: String| typed("text", vec![("text", Json::Text(text))]);
        blocks.push(Block {
            whole: text(choice.content.concat()),
            start: text(String::new()),
            deltas: pieces(&choice.content, "text_delta", "text"),
        });
    }
    blocks.extend(choice.calls.iter().map(|call| {
        let of = |input: Json| {
            let (id, name) = (Json::text(call.id.as_str()), Json::text(call.name.as_str()));
            typed("tool_use", vec![("id", id), ("name", name), ("input", input)])
        };
        let arguments = call.arguments.concat();
        Block {
            // What a limit on tokens cut off is no object.
            whole: of(Json::parse(&arguments).unwrap_or(Json::Text(arguments))),
            start: of(Json::Object(Vec::new())),
            deltas: pieces(&call.arguments, "input_json_delta", "partial_json"),
        }
    }));
    blocks
}

fn stream(model: &Model, chat: &ChatRequest, plan: &Plan) -> Answer {
    let choice = &plan.choices[0];
    let mut pieces = vec![event_piece("message_start", [("message", message(model, chat, plan, false))])];
    for (index, block) in blocks(choice).into_iter().enumerate() {
        let index = || ("index", Json::count(index));
        pieces.push(event_piece("content_block_start", [index(), ("content_block", block.start)]));
        for delta in block.deltas {
            if !model.token_delay.is_zero() {
                pieces.push(Piece::Delay(model.token_delay));
            }
            pieces.push(event_piece("content_block_delta", [index(), ("delta", delta)]));
        }
        pieces.push(event_piece("content_block_stop", [index()]));
    }
    let delta = Json::object([
        ("stop_reason", Json::text(stop_reason(choice))),
        ("stop_sequence", choice.stopped_by.as_deref().map_or(Json::Null, Json::text)),
    ]);
    let usage = usage(model, plan, choice.tokens());
    pieces.push(event_piece("message_delta", [("delta", delta), ("usage", usage)]));
    pieces.push(event_piece("message_stop", []));
    Answer::stream(pieces)
}
