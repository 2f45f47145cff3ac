//! Any text as a schema, a history, a configuration, a URL or a key, and any bytes as a list of models, as
//! arguments or as an event stream: nothing panics, and what is accepted is accepted again.
//!
//! The first byte chooses what the rest is.
#![no_main]

use bytes::Bytes;
use libfuzzer_sys::fuzz_target;
use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{
    ApiKey, CompletionRequest, JsonSchema, Message, ModelList, Profile, RuntimeConfig, ToolArguments, sse,
};
use serde_json::{Value, json};
use std::{str, sync::OnceLock};

fuzz_target!(|input: &[u8]| {
    let Some((&which, rest)) = input.split_first() else { return };
    match (which % 7, str::from_utf8(rest)) {
        (0, Ok(text)) => schema(text),
        (1, Ok(text)) => history(text),
        (2, Ok(text)) => config(text),
        (3, Ok(text)) => url(text),
        (4, _) => models(rest),
        (5, _) => arguments(rest),
        (6, _) => events(which, rest),
        _ => {}
    }
});

fn schema(text: &str) {
    let Ok(schema) = JsonSchema::from_text_in_order(text) else { return };
    let again = JsonSchema::from_text_in_order(schema.as_json()).expect("what is sent is a schema");
    assert_eq!(again, schema, "a schema as it is sent is the same schema");
    let _ = schema.validate(&json!({"a": [1, {}], "b": "aa", "n": 1}));
}

fn history(text: &str) {
    let Ok(messages) = serde_json::from_str::<Vec<Message>>(text) else { return };
    encode(&CompletionRequest::new(messages).with_stream(text.len() % 2 == 0));
}

fn config(text: &str) {
    let Ok(config) = serde_json::from_str::<RuntimeConfig>(text) else { return };
    encode(&CompletionRequest::new([Message::user("hi")]).with_config(config));
}

fn encode(request: &CompletionRequest) {
    static ENDPOINT: OnceLock<Endpoint> = OnceLock::new();
    let endpoint = ENDPOINT.get_or_init(|| Endpoint::new("http://h", None).expect("a URL"));
    match ChatCall::new(endpoint, &Profile::new("m"), request) {
        Ok(call) => drop(serde_json::from_slice::<Value>(call.body()).expect("the body is JSON")),
        Err(error) => assert!(!error.message().is_empty()),
    }
}

fn url(text: &str) {
    let key = ApiKey::new(text).ok();
    let Ok(endpoint) = Endpoint::new(text, key) else { return };
    if !endpoint.base_url().starts_with("exact:") {
        assert!(endpoint.chat_uri().path().ends_with("/v1/chat/completions"), "{text:?}");
    }
    let again = Endpoint::new(endpoint.base_url(), None).expect("what was taken is taken again");
    assert_eq!(again.base_url(), endpoint.base_url());
}

fn models(bytes: &[u8]) {
    if let Ok(list) = ModelList::parse(bytes) {
        assert!(list.ids().all(|id| list.find(id).is_some()));
    }
}

fn arguments(bytes: &[u8]) {
    let text = String::from_utf8_lossy(bytes);
    let arguments = ToolArguments::parse(&text);
    assert!(arguments.as_object().is_some() != arguments.error().is_some());
    if let Ok(Value::Object(object)) = serde_json::from_str(&text) {
        assert_eq!(arguments.as_object(), Some(&object));
    }
}

/// The events of a stream, whole and in pieces.
fn events(seed: u8, bytes: &[u8]) {
    let most = usize::from(seed / 7) + 1;
    let whole = read([Bytes::copy_from_slice(bytes)]);
    let pieces = read(bytes.chunks(most).map(Bytes::copy_from_slice));
    assert_eq!(pieces, whole, "in pieces of {most}");
}

fn read(pieces: impl IntoIterator<Item = Bytes>) -> Vec<String> {
    let mut decoder = sse::Decoder::default();
    let mut seen = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        while let Some(event) = decoder.next_event().expect("within the limits") {
            seen.push(format!("{event:?}"));
        }
    }
    seen.extend(decoder.finish().expect("within the limits").map(|event| format!("{event:?}")));
    seen
}
