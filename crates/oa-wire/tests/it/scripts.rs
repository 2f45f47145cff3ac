//! Every deviation of the simulator's catalogue, decoded from its bytes alone.
//!
//! What a transport sees of a broken connection stands here as [`ResponseDecoder::abort`]. Refusals by status
//! are left to the classifier's own tests.

use crate::common::{cut, typed};
use bytes::Bytes;
use http::StatusCode;
use oa_sim::{
    Piece,
    scripts::{self, Expected, Script, endings, errors, fields, framing, tool_calls},
};
use oa_wire::Profile;
use oa_wire::openai::{ChatCall, Endpoint, ResponseDecoder};
use oa_wire::{
    AssistantMessage, Category, CompletionRequest, Error, Event, FinishReason, Message, Response, Tool, Tools,
};
use serde_json::Value;

fn catalogue() -> Vec<Script> {
    let all = [framing::all(), endings::all(), errors::all(), fields::all(), tool_calls::all()];
    // Without the validator no arguments break a schema.
    let judged = |name: &str| cfg!(feature = "validator") || name != "arguments_wrong_type";
    all.into_iter().flatten().filter(|script| judged(script.name)).collect()
}

/// A call that offers the tools of the scripts.
fn call() -> ChatCall {
    let tools = scripts::tools();
    let tools = tools.as_array().unwrap().iter().map(|tool| {
        let function = &tool["function"];
        Tool::new(function["name"].as_str().unwrap(), function["parameters"].clone()).unwrap()
    });
    let request = CompletionRequest::new([Message::user("hi")])
        .with_tools(Tools::new(tools).unwrap())
        .with_stream(true);
    let endpoint = Endpoint::new("http://localhost:8000", None).unwrap();
    ChatCall::new(&endpoint, &Profile::new("oa-sim"), &request).unwrap()
}

/// The outcome of a script's body in these pieces.
fn outcome(script: &Script, pieces: Vec<Bytes>) -> Result<Response, Error> {
    let is_page = script.answer.body_bytes().starts_with(b"<");
    let headers = typed(if is_page { "text/html" } else { "text/event-stream; charset=utf-8" });
    let mut decoder = call().on_response(StatusCode::OK, &headers, None);
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.poll_event() {
            if let Event::Done(response) = event? {
                return Ok(*response);
            }
        }
    }
    let broken = |piece: &Piece| matches!(piece, Piece::Cut | Piece::Reset | Piece::Stall);
    if script.answer.body().iter().any(broken) && !decoder.is_done() {
        return Err(decoder.abort(Error::new(Category::Unavailable, "the connection broke")));
    }
    ResponseDecoder::finish(decoder)
}

fn judge(expected: &Expected, got: &Result<Response, Error>) -> Result<(), String> {
    let nothing = Response::new(AssistantMessage::default(), FinishReason::Error);
    let response = match (&expected.error, got) {
        (None, Ok(response)) => response,
        (None, Err(error)) => return Err(format!("an error: {error}")),
        (Some(_), Ok(_)) => return Err("no error".to_owned()),
        (Some(want), Err(error)) => {
            same("category", &error.category().as_str(), &want.category)?;
            same("transient", &error.is_transient(), &want.transient)?;
            same("the server's words", &error.message().contains(want.mentions), &true)?;
            error.partial().unwrap_or(&nothing)
        }
    };
    same("text", &*response.text(), &*expected.text)?;
    same("reasoning", &response.message.reasoning().unwrap_or_default(), &expected.reasoning.as_str())?;
    let calls = &response.message.tool_calls;
    same("count of calls", &calls.len(), &expected.tool_calls.len())?;
    for (call, want) in calls.iter().zip(&expected.tool_calls) {
        same("name", &call.name.as_str(), &want.name)?;
        same("id", &Some(call.id.as_str()).filter(|_| !call.id_is_local), &want.id)?;
        same("arguments", &call.arguments.as_object().cloned().map(Value::Object), &want.arguments)?;
    }
    if expected.error.is_none() {
        same("finish reason", &response.finish_reason.as_str(), &expected.finish_reason)?;
        let usage = response.usage;
        let want = expected.usage;
        same(
            "usage",
            &[usage.prompt_tokens, usage.completion_tokens, usage.total_tokens, usage.cached_tokens],
            &[want.prompt_tokens, want.completion_tokens, want.total_tokens, want.cached_tokens],
        )?;
    }
    Ok(())
}

fn same<T: ?Sized + PartialEq + std::fmt::Debug>(what: &str, got: &T, want: &T) -> Result<(), String> {
    if got == want { Ok(()) } else { Err(format!("{what}: {got:?}, want {want:?}")) }
}

#[test]
fn every_deviation_comes_out_right_whole_and_in_any_pieces() {
    let scripts = catalogue();
    assert!(scripts.len() >= 60, "{} scripts", scripts.len());
    let mut wrong = Vec::new();
    for script in &scripts {
        let body = Bytes::from(script.answer.body_bytes());
        let every = |apart: usize| cut(&body, &(apart..body.len()).step_by(apart).collect::<Vec<_>>());
        for (how, pieces) in
            [("whole", vec![body.clone()]), ("by 1", every(1)), ("by 7", every(7)), ("by 64", every(64))]
        {
            if let Err(why) = judge(&script.expected, &outcome(script, pieces)) {
                wrong.push(format!("{} ({}), {how}: {why}", script.name, script.about));
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}
