//! Tools and the choice among them, as bytes.

use crate::{
    CompletionRequest, Error, JsonSchema, Tool, ToolChoice,
    anthropic::request_body::{Member, RequestBody},
    json::{equal, push_sorted, push_text},
    request_body::push_object_extras,
    tool::ToolForm,
};
use serde_json::{Map, Value};

/// Writes the tools and the choice among them; with a schema, a tool for the answer, which must be called.
pub(super) fn push_tools(
    body: &mut RequestBody,
    request: &CompletionRequest,
    forced: Option<&JsonSchema>,
) -> Result<(), Error> {
    let tools = request.tools.as_slice();
    let forced = forced.map(|schema| forced_tool(request, schema)).transpose()?;
    if !tools.is_empty() || forced.is_some() {
        body.try_member(const { Member::named("tools") }, |out| {
            out.push(b'[');
            for (at, tool) in tools.iter().chain(&forced).enumerate() {
                if at > 0 {
                    out.push(b',');
                }
                push_tool(out, tool, at)?;
            }
            out.push(b']');
            Ok::<(), Error>(())
        })?;
    }
    let forced = forced.map(|forced| match tools {
        [] => ToolChoice::Tool(forced.name().to_owned()),
        _ => ToolChoice::Required,
    });
    if let Some(choice) = forced.as_ref().or(request.tool_choice.as_ref()) {
        let choice = with_more(tool_choice(choice)?, request.config.extras.get("tool_choice"));
        body.member(const { Member::named("tool_choice") }, |out| push_sorted(out, &choice));
    }
    Ok(())
}

/// The tool whose arguments are the answer.
fn forced_tool(request: &CompletionRequest, schema: &JsonSchema) -> Result<Tool, Error> {
    if request.tools.get(schema.name()).is_some() {
        let text = format!("response_schema: `{}` is the name of a tool too", schema.name());
        return Err(Error::invalid_request(text));
    }
    let tool = Tool::new(schema.name(), schema.clone())?.with_description("Gives the answer.");
    Ok(tool.with_strict(schema.is_strict()))
}

/// The members of a tool that are the mapping's own.
const MANAGED: [&str; 2] = ["name", "input_schema"];

fn push_tool(out: &mut Vec<u8>, tool: &Tool, at: usize) -> Result<(), Error> {
    let place = || format!("tools[{at}].extras");
    let from = out.len();
    let parameters = match tool.form() {
        ToolForm::Function { parameters, .. } => parameters,
        ToolForm::Raw(raw) => {
            push_sorted(out, raw);
            return push_object_extras(out, from, tool.extras(), &[], place);
        }
        ToolForm::Custom => {
            let text = format!("tools[{at}]: Anthropic Messages has no tools whose input is a text");
            return Err(Error::invalid_request(text));
        }
    };
    out.extend_from_slice(br#"{"name":"#);
    push_text(out, tool.name());
    if let Some(description) = tool.description() {
        out.extend_from_slice(br#","description":"#);
        push_text(out, description);
    }
    out.extend_from_slice(br#","input_schema":"#);
    out.extend_from_slice(parameters.as_json().as_bytes());
    out.extend_from_slice(if tool.is_strict() { br#","strict":true}"# } else { b"}" });
    push_object_extras(out, from, tool.extras(), &MANAGED, place)
}

fn tool_choice(choice: &ToolChoice) -> Result<Value, Error> {
    let (kind, name) = match choice {
        ToolChoice::Auto => ("auto", None),
        ToolChoice::Required => ("any", None),
        ToolChoice::None => ("none", None),
        ToolChoice::Tool(name) => ("tool", Some(name)),
        ToolChoice::Raw { choice } => return Ok(choice.clone()),
        ToolChoice::Allowed { .. } => {
            let text = "tool_choice: Anthropic Messages has no choice of several tools";
            return Err(Error::invalid_request(text));
        }
    };
    let members = [("type", Some(kind)), ("name", name.map(String::as_str))];
    let members = members.into_iter().filter_map(|(key, text)| Some((key.to_owned(), Value::from(text?))));
    Ok(Value::Object(members.collect()))
}

/// The choice with the further members of an extra that agrees with it: `disable_parallel_tool_use`.
fn with_more(choice: Value, extra: Option<&Value>) -> Value {
    let agrees = |choice: &Map<String, Value>, extra: &Map<String, Value>| {
        choice.iter().all(|(key, value)| extra.get(key).is_some_and(|other| equal(other, value)))
    };
    match (&choice, extra) {
        (Value::Object(members), Some(Value::Object(extra))) if agrees(members, extra) => {
            Value::Object(extra.clone())
        }
        _ => choice,
    }
}
