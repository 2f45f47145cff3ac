//! A request as bytes: written straight to the body, the same bytes for equal requests.

mod messages;
mod tools;

use super::request_body::{Member, RequestBody};
use crate::{
    CompletionRequest, Error, Profile, RuntimeConfig, SchemaMode,
    call_headers::body_members,
    json::{push_list, push_text},
    request_body::{merged_texts, tools_length},
    schema_directive::directive,
};
use messages::{messages_length, push_messages, push_system, system_and_rest};
use tools::push_tools;

/// How a request's schema is put to the server; none without one. Where the profile says that the server does
/// not constrain answers, a tool stands for the answer, unless the request has tools of its own.
pub(super) fn schema_mode(profile: &Profile, request: &CompletionRequest) -> Option<SchemaMode> {
    request.response_schema.as_ref()?;
    let default = match (profile.force_prompt_augmentation_fallback(), request.tools.is_empty()) {
        (false, _) => SchemaMode::ResponseFormat,
        (true, true) => SchemaMode::ForcedTool,
        (true, false) => SchemaMode::Prompt,
    };
    Some(request.schema_mode.unwrap_or(default))
}

/// Writes the body of a request that was validated, with its schema in this way.
pub(super) fn encode(
    profile: &Profile,
    request: &CompletionRequest,
    mode: Option<SchemaMode>,
) -> Result<Vec<u8>, Error> {
    refuse_config(request)?;
    refuse_mode(mode)?;
    let config = &request.config;
    let mut body = RequestBody::with_capacity(capacity(profile, request));
    body.member(const { Member::named("model") }, |out| push_text(out, profile.model()));
    body.integer(const { Member::named("max_tokens") }, config.max_tokens);
    push_prompt(&mut body, request, mode)?;
    if request.stream {
        body.member(const { Member::named("stream") }, |out| out.extend_from_slice(b"true"));
    }
    push_config(&mut body, config);
    // That is a name of chat completions: this wire has no member for a session.
    let spelled = body_members(profile, request).filter(|(_, name, _)| *name != "prompt_cache_key");
    body.push_spelled(spelled, &config.extras)?;
    if !config.extras.is_empty() {
        let own = ["model", "messages", "tools", "stream"];
        body.push_extras(&config.extras, &["stop_sequences"], &own)?;
    }
    Ok(body.finish())
}

/// The extras that count among the tokens of the prompt.
const OF_THE_PROMPT: [&str; 5] =
    ["cache_control", "context_management", "mcp_servers", "output_config", "thinking"];

/// Writes what the prompt of a request is made of: the messages, the tools, and what counts among the extras.
pub(super) fn encode_prompt(profile: &Profile, request: &CompletionRequest) -> Result<Vec<u8>, Error> {
    let mode = schema_mode(profile, request);
    refuse_mode(mode)?;
    let mut body = RequestBody::with_capacity(capacity(profile, request));
    body.member(const { Member::named("model") }, |out| push_text(out, profile.model()));
    push_prompt(&mut body, request, mode)?;
    let mut extras = request.config.extras.clone();
    extras.retain(|name, _| OF_THE_PROMPT.contains(&name.as_str()));
    body.push_extras(&extras, &[], &[])?;
    Ok(body.finish())
}

/// Writes the messages and the tools, with the schema in this way.
fn push_prompt(
    body: &mut RequestBody,
    request: &CompletionRequest,
    mode: Option<SchemaMode>,
) -> Result<(), Error> {
    let under = |wanted: SchemaMode| request.response_schema.as_ref().filter(|_| mode == Some(wanted));
    let (system, rest) = system_and_rest(request.messages());
    let directive = under(SchemaMode::Prompt).map(directive);
    if system.is_some() || directive.is_some() {
        body.try_member(const { Member::named("system") }, |out| push_system(out, system, directive))?;
    }
    body.try_member(const { Member::named("messages") }, |out| push_messages(out, request.messages(), rest))?;
    push_tools(body, request, under(SchemaMode::ForcedTool))?;
    if let Some(schema) = under(SchemaMode::ResponseFormat) {
        body.member(const { Member::named("output_config") }, |out| {
            out.extend_from_slice(br#"{"format":{"type":"json_schema","schema":"#);
            out.extend_from_slice(schema.as_json().as_bytes());
            out.extend_from_slice(b"}}");
        });
    }
    Ok(())
}

/// Refuses settings that this wire cannot say, or not without.
fn refuse_config(request: &CompletionRequest) -> Result<(), Error> {
    let config = &request.config;
    if config.max_tokens.is_none() {
        return Err(Error::invalid_request(
            "config.max_tokens: is required by Anthropic Messages, and there is no default",
        ));
    }
    let unknown = [
        ("config.seed", config.seed.is_some()),
        ("config.frequency_penalty", config.frequency_penalty.is_some()),
        ("config.presence_penalty", config.presence_penalty.is_some()),
        ("stream_options", request.stream && !request.stream_options.is_empty()),
    ];
    if let Some((name, _)) = unknown.into_iter().find(|(_, is_set)| *is_set) {
        return Err(Error::invalid_request(format!("{name}: Anthropic Messages has no such parameter")));
    }
    Ok(())
}

fn refuse_mode(mode: Option<SchemaMode>) -> Result<(), Error> {
    if let Some(mode @ (SchemaMode::StructuredOutputs | SchemaMode::JsonSchema)) = mode {
        return Err(Error::invalid_request(format!("schema_mode: Anthropic Messages has no `{mode}`")));
    }
    Ok(())
}

fn capacity(profile: &Profile, request: &CompletionRequest) -> usize {
    // Near enough that a body without many escapes is written without growing.
    let messages = messages_length(request.messages());
    let schema = request.response_schema.as_ref().map_or(0, |schema| schema.as_json().len() + 256);
    let tools = tools_length(request.tools.as_slice());
    messages + messages / 16 + tools + schema + profile.model().len() + 192
}

fn push_config(body: &mut RequestBody, config: &RuntimeConfig) {
    body.float(const { Member::named("temperature") }, config.temperature);
    body.float(const { Member::named("top_p") }, config.top_p);
    if let Some(declared) = &config.stop_sequences {
        let stop = merged_texts(declared, config.extras.get("stop_sequences"));
        body.member(const { Member::named("stop_sequences") }, |out| {
            push_list(out, &stop, |out, text| push_text(out, text));
        });
    }
}
