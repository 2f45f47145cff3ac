//! Tools and the choice among them, as bytes.

use crate::{
    CompletionRequest, Error, JsonSchema, Tool, ToolChoice, ToolMode, Tools,
    json::{push_list, push_sorted, push_text},
    openai::request_body::{Member, RequestBody},
    request_body::push_object_extras,
    tool::ToolForm,
};

/// Writes the tools and the choice among them; with a schema, a tool for the answer, which must be called.
pub(super) fn push_tools(
    body: &mut RequestBody,
    request: &CompletionRequest,
    forced: Option<&JsonSchema>,
) -> Result<(), Error> {
    let forced = match forced {
        Some(schema) if request.tools.get(schema.name()).is_some() => {
            let text = format!("response_schema: `{}` is the name of a tool too", schema.name());
            return Err(Error::invalid_request(text));
        }
        Some(schema) => Some(
            Tool::new(schema.name(), schema.clone())?
                .with_description("Gives the answer.")
                .with_strict(schema.is_strict()),
        ),
        None => None,
    };
    let tools = request.tools.as_slice();
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
        body.member(const { Member::named("tool_choice") }, |out| {
            push_tool_choice(out, choice, &request.tools);
        });
    }
    Ok(())
}

/// The members of a tool that are the mapping's own.
const MANAGED: [&str; 2] = ["name", "parameters"];

fn push_tool(out: &mut Vec<u8>, tool: &Tool, at: usize) -> Result<(), Error> {
    let place = || format!("tools[{at}].extras");
    if let ToolForm::Raw(raw) = tool.form() {
        let from = out.len();
        push_sorted(out, raw);
        return push_object_extras(out, from, tool.extras(), &[], place);
    }
    let kind = kind(tool);
    out.extend_from_slice(br#"{"type":"#);
    push_text(out, kind);
    out.push(b',');
    push_text(out, kind);
    out.push(b':');
    let from = out.len();
    out.extend_from_slice(br#"{"name":"#);
    push_text(out, tool.name());
    if let Some(description) = tool.description() {
        out.extend_from_slice(br#","description":"#);
        push_text(out, description);
    }
    if let Some(parameters) = tool.parameters() {
        out.extend_from_slice(br#","parameters":"#);
        out.extend_from_slice(parameters.as_json().as_bytes());
    }
    if tool.is_strict() {
        out.extend_from_slice(br#","strict":true"#);
    }
    out.push(b'}');
    push_object_extras(out, from, tool.extras(), &MANAGED, place)?;
    out.push(b'}');
    Ok(())
}

fn kind(tool: &Tool) -> &'static str {
    if tool.is_custom() { "custom" } else { "function" }
}

fn push_tool_choice(out: &mut Vec<u8>, choice: &ToolChoice, tools: &Tools) {
    match choice {
        ToolChoice::Auto => out.extend_from_slice(br#""auto""#),
        ToolChoice::Required => out.extend_from_slice(br#""required""#),
        ToolChoice::None => out.extend_from_slice(br#""none""#),
        ToolChoice::Tool(name) => push_named(out, name, tools),
        ToolChoice::Allowed { mode, tools: names } => {
            out.extend_from_slice(br#"{"type":"allowed_tools","allowed_tools":{"mode":"#);
            push_text(
                out,
                match mode {
                    ToolMode::Auto => "auto",
                    ToolMode::Required => "required",
                },
            );
            out.extend_from_slice(br#","tools":"#);
            push_list(out, names, |out, name| push_named(out, name, tools));
            out.extend_from_slice(b"}}");
        }
        ToolChoice::Raw { choice } => push_sorted(out, choice),
    }
}

/// Writes the name of a tool with its kind.
fn push_named(out: &mut Vec<u8>, name: &str, tools: &Tools) {
    let kind = tools.get(name).map_or("function", kind);
    out.extend_from_slice(br#"{"type":"#);
    push_text(out, kind);
    out.push(b',');
    push_text(out, kind);
    out.extend_from_slice(br#":{"name":"#);
    push_text(out, name);
    out.extend_from_slice(b"}}");
}
