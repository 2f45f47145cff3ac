//! The checks of an answer against its request, the same for every wire mapping.

use crate::{
    AssistantMessage, Error, ErrorKind, FinishReason, JsonSchema, Response, StructuredOutputFailure, Tool,
    ToolArguments, ToolCall, Tools, error_body::body_start, expected::Expected,
};
use serde_json::Value;
use std::collections::HashSet;

/// The response with its parsed text, or why it is none. `call_problem` finds what is wrong with its tool
/// calls.
pub(crate) fn checked(
    mut response: Response,
    expected: &Expected,
    call_problem: impl FnOnce(&Response) -> Option<String>,
) -> Result<Response, Error> {
    if response.finish_reason != FinishReason::Error && !expected.keep_invalid_tool_calls {
        if let Some(problem) = call_problem(&response) {
            return Err(
                cut_off(Error::invalid_response, problem, response.finish_reason).with_partial(response)
            );
        }
    }
    let Some(schema) = &expected.schema else { return Ok(response) };
    if !response.message.tool_calls.is_empty() {
        return Ok(response);
    }
    let result = match &response.refusal {
        Some(refusal) => Err(format!("at the root: the model refused: `{}`", body_start(refusal))),
        None => parse(&response.message, schema),
    };
    match result {
        Ok(value) => {
            response.parsed = Some(value);
            Ok(response)
        }
        Err(problem) => {
            let failure = |problem: String| {
                Error::structured_output(StructuredOutputFailure {
                    response_schema: schema.clone(),
                    output_content: response.message.text().into_owned(),
                    error_message: problem,
                    finish_reason: response.finish_reason,
                    usage: response.usage,
                })
            };
            let error = match &response.refusal {
                Some(_) => failure(problem).with_kind(ErrorKind::Refusal),
                None => cut_off(failure, problem, response.finish_reason),
            };
            Err(error.with_partial(response))
        }
    }
}

/// An error whose cause is the limit on tokens, where that ended the answer: to retry with the same limit
/// would not help.
fn cut_off(error: impl FnOnce(String) -> Error, problem: String, finish: FinishReason) -> Error {
    if finish != FinishReason::Length {
        return error(problem);
    }
    error(format!("{problem}; the limit on tokens ended the answer (finish_reason `length`)"))
        .with_kind(ErrorKind::TokenLimit)
}

fn parse(message: &AssistantMessage, schema: &JsonSchema) -> Result<Value, String> {
    let text = message.text();
    if text.is_empty() {
        return Err("at the root: the text is empty".to_owned());
    }
    let value = serde_json::from_str(&text).map_err(|error| format!("at the root: not JSON: {error}"))?;
    schema.validate(&value).map_err(|violation| violation.to_string())?;
    Ok(value)
}

/// Reads the arguments of a call, checked against the tool's schema; and the name, against the tools.
/// `repaired` finds the object in a text that is none.
pub(crate) fn read_arguments(
    text: String,
    name: &str,
    tools: &Tools,
    repaired: impl FnOnce(&str) -> Option<&str>,
) -> ToolArguments {
    let tool = tools.get(name);
    let parameters = tool.and_then(Tool::parameters);
    let (mut arguments, is_valid) = ToolArguments::read(text, parameters.and_then(JsonSchema::shape));
    if is_valid {
        return arguments;
    }
    if let Some(object) = arguments.text().and_then(repaired) {
        arguments = ToolArguments::parse(object);
    }
    if tool.is_none() {
        return arguments.with_error(format!("the tool `{name}` was not offered"));
    }
    let Some(parameters) = parameters else { return arguments };
    let violation = arguments.as_value().and_then(|object| parameters.validate(object).err());
    match violation {
        Some(violation) => arguments.with_error(format!("they break the schema of `{name}` {violation}")),
        None => arguments,
    }
}

/// What is wrong with the first of the calls that is wrong. `place` is that of their list.
pub(crate) fn first_problem(place: &str, calls: &[ToolCall]) -> Option<String> {
    calls.iter().enumerate().find_map(|(at, call)| {
        let problem = call.arguments.error()?;
        Some(format!("{place}[{at}] (`{}`): {problem}", call.name))
    })
}

/// Makes an id for each call that has none. One that an earlier call has counts as none: results could not
/// tell them apart.
pub(crate) fn fill_ids(calls: &mut [ToolCall]) {
    if are_few_and_distinct(calls, |call| &call.id) {
        return;
    }
    let sent: HashSet<String> = calls.iter().map(|call| call.id.clone()).collect();
    let mut used = HashSet::new();
    let mut local = (0..).map(|at| format!("call_local_{at}")).filter(|id| !sent.contains(id));
    for call in calls {
        if call.id.is_empty() || !used.insert(call.id.clone()) {
            call.id = local.next().unwrap_or_default();
            call.id_is_local = true;
        }
    }
}

/// True for a few calls that have ids, each another: nearly all answers.
pub(crate) fn are_few_and_distinct<T>(calls: &[T], id: impl Fn(&T) -> &str) -> bool {
    let is_new = |(at, call): (usize, &T)| {
        !id(call).is_empty() && calls[..at].iter().all(|earlier| id(earlier) != id(call))
    };
    calls.len() <= 8 && calls.iter().enumerate().all(is_new)
}
