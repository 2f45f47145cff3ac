//! Every request gets an answer, whatever it holds. A panic would close the connection without one.

use crate::client::{Client, request};
use oa_sim::Sim;
#[cfg(feature = "generate")]
use serde_json::{Value, json};

/// A small generator of numbers, the same in every run.
struct Numbers(u64);

impl Numbers {
    fn below(&mut self, limit: usize) -> usize {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as usize % limit
    }
}

#[cfg(feature = "generate")]
fn odd_values() -> Vec<Value> {
    vec![
        json!(null),
        json!(true),
        json!(-1),
        json!(0),
        json!(1.5),
        json!(u64::MAX),
        json!(i64::MIN),
        json!(1e300),
        json!(""),
        json!("x"),
        json!([]),
        json!([null]),
        json!({}),
        json!({"a": []}),
    ]
}

#[cfg(feature = "generate")]
/// Every place in a value, as JSON pointers.
fn places(value: &Value, at: &str, found: &mut Vec<String>) {
    found.push(at.to_owned());
    match value {
        Value::Array(items) => {
            for (index, item) in items.iter().enumerate() {
                places(item, &format!("{at}/{index}"), found);
            }
        }
        Value::Object(members) => {
            for (name, member) in members {
                places(member, &format!("{at}/{name}"), found);
            }
        }
        _ => {}
    }
}

#[cfg(feature = "generate")]
#[tokio::test]
async fn any_member_may_be_anything() {
    let schema = json!({
        "type": "object", "required": ["a", "b", "c"], "minProperties": 1, "additionalProperties": false,
        "properties": {
            "a": {"type": "string", "minLength": 2, "maxLength": 9, "pattern": "^[a-z]{2,4}$"},
            "b": {"type": "array", "items": {"type": "integer", "minimum": 1, "multipleOf": 2}, "minItems": 2,
                  "uniqueItems": true},
            "c": {"anyOf": [{"$ref": "#/properties/a"}, {"enum": [1, 2]}]},
        },
    });
    let body = json!({
        "model": "oa-sim", "stream": true, "stream_options": {"include_usage": true}, "n": 2, "seed": 3,
        "max_tokens": 50, "stop": ["zzz"], "temperature": 1, "parallel_tool_calls": true,
        "messages": [
            {"role": "system", "content": "s"},
            {"role": "user", "content": [{"type": "text", "text": "f"},
                {"type": "image_url", "image_url": {"url": "https://example.com/x.png"}}]},
        ],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": schema.clone()}}],
        "tool_choice": {"type": "function", "function": {"name": "f"}},
        "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
    });
    let mut found = Vec::new();
    places(&body, "", &mut found);
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    assert_eq!(client.post(&body).await.status, 200);
    for place in found {
        for odd in odd_values() {
            for with_tools in [true, false] {
                let mut changed = body.clone();
                *changed.pointer_mut(&place).unwrap() = odd.clone();
                if let (false, Some(members)) = (with_tools, changed.as_object_mut()) {
                    members.remove("tools");
                    members.remove("tool_choice");
                }
                let reply = client.post(&changed).await;
                assert!(
                    [200, 400, 404].contains(&reply.status) && reply.complete,
                    "{place} = {odd}: {reply:?}"
                );
            }
        }
    }
}

#[cfg(feature = "generate")]
#[tokio::test]
async fn any_schema_gets_an_answer() {
    const WORDS: [&str; 28] = [
        "type",
        "properties",
        "required",
        "items",
        "prefixItems",
        "enum",
        "const",
        "anyOf",
        "oneOf",
        "allOf",
        "$ref",
        "$defs",
        "minimum",
        "maximum",
        "exclusiveMinimum",
        "multipleOf",
        "minLength",
        "maxLength",
        "pattern",
        "format",
        "minItems",
        "maxItems",
        "uniqueItems",
        "contains",
        "additionalProperties",
        "minProperties",
        "maxProperties",
        "not",
    ];
    fn value(numbers: &mut Numbers, depth: usize) -> Value {
        let scalars = [
            json!("object"),
            json!("array"),
            json!("integer"),
            json!("string"),
            json!("#"),
            json!("#/$defs/a"),
            json!("^a+$"),
            json!("["),
            json!("a"),
            json!(true),
            json!(false),
            json!(null),
            json!(0),
            json!(3),
            json!(-2.5),
            json!(1e20),
            json!("date"),
        ];
        match numbers.below(if depth == 0 { 1 } else { 4 }) {
            0 => scalars[numbers.below(scalars.len())].clone(),
            1 => (0..numbers.below(4)).map(|_| value(numbers, depth - 1)).collect(),
            _ => {
                let mut members = serde_json::Map::new();
                for _ in 0..numbers.below(5) {
                    let name = if numbers.below(5) == 0 { "a" } else { WORDS[numbers.below(WORDS.len())] };
                    members.insert(name.to_owned(), value(numbers, depth - 1));
                }
                Value::Object(members)
            }
        }
    }
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let mut numbers = Numbers(1);
    let mut made = 0;
    for _ in 0..3000 {
        let schema = value(&mut numbers, 4);
        let body = json!({
            "messages": [{"role": "user", "content": "x"}],
            "response_format": {"type": "json_schema", "json_schema": {"name": "x", "schema": schema}},
        });
        let reply = client.post(&body).await;
        assert!([200, 400].contains(&reply.status), "{schema}: {reply:?}");
        made += usize::from(reply.status == 200);
    }
    assert!(made > 300, "only {made} schemas had a value: the generator tests nothing");
}

#[tokio::test]
async fn arbitrary_bytes_do_no_harm() {
    let sim = Sim::builder().max_body(4096).max_head(4096).start().await.unwrap();
    let mut numbers = Numbers(7);
    let valid = request(r#"{"messages":[{"role":"user","content":"x"}]}"#);
    for _ in 0..500 {
        let mut bytes = valid.clone().into_bytes();
        for _ in 0..=numbers.below(6) {
            let at = numbers.below(bytes.len());
            match numbers.below(3) {
                0 => bytes[at] = numbers.below(256) as u8,
                1 => drop(bytes.drain(at..(at + 1 + numbers.below(9)).min(bytes.len()))),
                _ => bytes.insert(at, b"\r\n: \0;09a"[numbers.below(9)]),
            }
            if bytes.is_empty() {
                break;
            }
        }
        let mut client = Client::connect(&sim).await;
        client.send(&bytes).await;
    }
    sim.wait_for(|stats| stats.connections == 500 && stats.open == 0).await;
    let seen = sim.stats();
    assert!(seen.malformed > 100 && seen.requests > 20, "{seen:?}");
    assert_eq!(Client::connect(&sim).await.get("/health").await.status, 200);
}
