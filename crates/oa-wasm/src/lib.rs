//! One exchange at a time over exported functions, without any glue: the host writes bytes to [`oa_input`],
//! calls, and reads JSON from [`oa_output`]. `exchange.test.mjs` is the host.

use bytes::Bytes;
use http::{HeaderMap, HeaderName, HeaderValue, StatusCode};
use oa_wire::{
    CompletionRequest, Error, Event, Message, Profile,
    openai::{ChatCall, Endpoint, ResponseDecoder},
};
use serde_json::{Value, json};
use std::cell::RefCell;

#[derive(Default)]
struct Exchange {
    call: Option<ChatCall>,
    decoder: Option<ResponseDecoder>,
    input: Vec<u8>,
    output: String,
}

thread_local! {
    static EXCHANGE: RefCell<Exchange> = RefCell::default();
}

/// Room for so many bytes, which the host writes before the next call.
#[unsafe(no_mangle)]
pub extern "C" fn oa_input(length: usize) -> *mut u8 {
    EXCHANGE.with_borrow_mut(|exchange| {
        exchange.input.resize(length, 0);
        exchange.input.as_mut_ptr()
    })
}

/// Where the JSON of the last call is.
#[unsafe(no_mangle)]
pub extern "C" fn oa_output() -> *const u8 {
    EXCHANGE.with_borrow(|exchange| exchange.output.as_ptr())
}

/// How long the JSON of the last call is.
#[unsafe(no_mangle)]
pub extern "C" fn oa_output_length() -> usize {
    EXCHANGE.with_borrow(|exchange| exchange.output.len())
}

/// Input: `{"base_url", "stream"}`. Output: `{"method", "url", "headers", "body"}`.
#[unsafe(no_mangle)]
pub extern "C" fn oa_request() {
    answer(|exchange, input| {
        let input: Value = serde_json::from_slice(&input).unwrap_or_default();
        let endpoint = Endpoint::new(input["base_url"].as_str().unwrap_or_default(), None)?;
        let request = CompletionRequest::new([Message::user("Hello!")])
            .with_stream(input["stream"] == Value::Bool(true));
        let call = ChatCall::new(&endpoint, &Profile::new("my-model"), &request)?;
        let http = call.http_request();
        let text = |value: &HeaderValue| value.to_str().unwrap_or_default().to_owned();
        let headers = http.headers().iter().map(|(name, value)| json!([name.as_str(), text(value)]));
        let described = json!({
            "method": http.method().as_str(),
            "url": http.uri().to_string(),
            "headers": headers.collect::<Vec<_>>(),
            "body": String::from_utf8_lossy(http.body()),
        });
        exchange.call = Some(call);
        Ok(described)
    });
}

/// Input: `{"status", "headers": [[NAME, VALUE]]}`. Output: null.
#[unsafe(no_mangle)]
pub extern "C" fn oa_response() {
    answer(|exchange, input| {
        let head: Value = serde_json::from_slice(&input).unwrap_or_default();
        let status =
            head["status"].as_u64().and_then(|status| StatusCode::from_u16(u16::try_from(status).ok()?).ok());
        let mut headers = HeaderMap::new();
        for pair in head["headers"].as_array().into_iter().flatten() {
            let name = pair[0].as_str().and_then(|name| name.parse::<HeaderName>().ok());
            let value = pair[1].as_str().and_then(|value| HeaderValue::from_str(value).ok());
            if let (Some(name), Some(value)) = (name, value) {
                headers.append(name, value);
            }
        }
        let call = exchange.call.take();
        exchange.decoder = call.map(|call| call.on_response(status.unwrap_or_default(), &headers, None));
        Ok(Value::Null)
    });
}

/// Input: a part of the body. Output: the texts of the events that it completed.
#[unsafe(no_mangle)]
pub extern "C" fn oa_push() {
    answer(|exchange, input| {
        let mut texts = Vec::new();
        if let Some(decoder) = &mut exchange.decoder {
            decoder.push(Bytes::from(input));
            while let Some(event) = decoder.poll_event() {
                if let Event::Content(text) = event? {
                    texts.push(text.to_string());
                }
            }
        }
        Ok(json!(texts))
    });
}

/// Input: none. Output: `{"text", "finish_reason", "total_tokens"}`.
#[unsafe(no_mangle)]
pub extern "C" fn oa_finish() {
    answer(|exchange, _| {
        let Some(decoder) = exchange.decoder.take() else { return Ok(Value::Null) };
        let response = decoder.finish()?;
        Ok(json!({
            "text": response.text(),
            "finish_reason": response.finish_reason.to_string(),
            "total_tokens": response.usage.total_tokens,
        }))
    });
}

/// Runs one call over the input; an error becomes `{"error": CATEGORY, "message": TEXT}`.
fn answer(run: impl FnOnce(&mut Exchange, Vec<u8>) -> Result<Value, Error>) {
    EXCHANGE.with_borrow_mut(|exchange| {
        let input = std::mem::take(&mut exchange.input);
        let output = run(exchange, input).unwrap_or_else(
            |error| json!({"error": error.category().to_string(), "message": error.to_string()}),
        );
        exchange.output = output.to_string();
    });
}
