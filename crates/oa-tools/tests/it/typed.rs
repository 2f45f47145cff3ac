//! Typed answers over a server.

use crate::{
    support::{hello, scripted, sim},
    types::{Visit, each},
};
use oa_middleware::{RetryLayer, RetryPolicy};
use oa_provider::{Layered, OpenAiProvider};
use oa_sim::{Answer, Sim};
use oa_tools::{ProviderExt, StrictSchema};
use oa_wire::{Category, Event, FinishReason, SchemaMode, Tools};
use schemars::{JsonSchema, Schema, SchemaGenerator};
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::{Value, json};
use std::{
    borrow::Cow,
    sync::{
        Arc, Mutex,
        atomic::{AtomicU32, Ordering},
    },
};
use tower_layer::Layer;

#[derive(Debug, PartialEq, Deserialize, JsonSchema)]
struct City {
    reasoning: String,
    name: String,
    inhabitants: u32,
    mayor: Option<String>,
}

const TOKYO: &str = r#"{"reasoning": "r", "name": "Tokyo", "inhabitants": 14000000, "mayor": null}"#;

fn tokyo() -> City {
    City { reasoning: "r".into(), name: "Tokyo".into(), inhabitants: 14_000_000, mayor: None }
}

#[tokio::test]
async fn an_answer_is_a_value_and_its_response() {
    let (sim, provider) = scripted([Answer::completion(TOKYO)]).await;
    let answer = provider.complete_as::<City>(&hello()).await.unwrap();
    assert_eq!(answer.value, tokyo());
    assert_eq!(answer.response.text(), TOKYO);
    assert_eq!(answer.response.schema_mode, Some(SchemaMode::ResponseFormat));
    let sent = sim.last_request().unwrap();
    let format = &sent.json()["response_format"]["json_schema"];
    assert_eq!((&format["strict"], &format["name"]), (&json!(true), &json!("City")));
    assert_eq!(format["schema"]["properties"]["mayor"], json!({"type": ["string", "null"]}));
    // In the order of the declaration, so that the reasoning is written before the name.
    let text = sent.text();
    let places = ["\"reasoning\":", "\"name\":{", "\"inhabitants\":", "\"mayor\":"]
        .map(|name| text.find(name).unwrap());
    assert!(places.is_sorted(), "{text}");
}

#[tokio::test]
async fn text_schema_and_type_fail_in_the_same_way() {
    let cases = [
        ("Tokyo!", "at the root: not JSON"),
        (r#"{"name": "Tokyo"}"#, "at the root: "),
        (r#"{"reasoning": "r", "name": 7, "inhabitants": 1, "mayor": null}"#, "at /name: "),
        (
            r#"{"reasoning": "r", "name": "Tokyo", "inhabitants": 5000000000, "mayor": null}"#,
            "at /inhabitants: ",
        ),
    ];
    for (text, start) in cases {
        let (_sim, provider) = scripted([Answer::completion(text)]).await;
        let error = provider.complete_as::<City>(&hello()).await.unwrap_err();
        assert_eq!(error.category(), Category::StructuredOutputInvalid);
        let failure = error.structured().unwrap();
        assert_eq!(failure.output_content, text);
        assert!(failure.error_message.starts_with(start), "{}", failure.error_message);
        assert!(!format!("{error:#}").contains("5000000000"), "{error:#}");
    }
}

#[tokio::test]
async fn a_cut_off_answer_and_a_refusal_are_facts_of_their_own() {
    let message = |message: Value, finish: &str| {
        Answer::json(200, json!({"choices": [{"index": 0, "message": message, "finish_reason": finish}]}))
    };
    let cut = message(json!({"role": "assistant", "content": &TOKYO[..30]}), "length");
    let refused = message(json!({"role": "assistant", "content": null, "refusal": "I will not."}), "stop");
    let (_sim, provider) = scripted([cut, refused]).await;
    let error = provider.complete_as::<City>(&hello()).await.unwrap_err();
    assert!(error.is_token_limit(), "{error}");
    assert_eq!(error.structured().unwrap().finish_reason, FinishReason::Length);
    let error = provider.complete_as::<City>(&hello()).await.unwrap_err();
    assert!(error.is_refusal() && error.to_string().contains("I will not."), "{error}");
    assert_eq!(error.partial().unwrap().refusal.as_deref(), Some("I will not."));
}

fn reasking(provider: OpenAiProvider, seen: Arc<Mutex<Vec<String>>>) -> impl oa_provider::Provider {
    let policy = RetryPolicy::new().reask(move |error| {
        let text = error.structured().map(|failure| failure.error_message.clone()).unwrap_or_default();
        seen.lock().unwrap().push(text.clone());
        format!("Correct this: {text}")
    });
    Layered::new(RetryLayer::new(policy).layer(provider.clone()), provider)
}

#[tokio::test]
async fn a_value_that_only_the_type_refuses_is_asked_for_once_more() {
    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Big {
        size: i64,
    }
    let too_large = r#"{"size": 9300000000000000000}"#;
    let (sim, provider) =
        scripted([Answer::completion(too_large), Answer::completion(r#"{"size": 1}"#)]).await;
    let seen = Arc::default();
    let answer = reasking(provider, Arc::clone(&seen)).complete_as::<Big>(&hello()).await.unwrap();
    assert_eq!(answer.value, Big { size: 1 });
    assert_eq!(*seen.lock().unwrap(), ["at /size: expected i64, got an integer that is not"]);
    let messages = &sim.last_request().unwrap().json()["messages"];
    assert_eq!(messages[1], json!({"role": "assistant", "content": too_large}));
    assert!(messages[2]["content"].as_str().unwrap().starts_with("Correct this: at /size"));
}

#[tokio::test]
async fn a_stream_shows_the_value_as_it_is_written() {
    #[derive(Debug, PartialEq, Deserialize, Default)]
    #[serde(default)]
    struct Draft {
        name: Option<String>,
        inhabitants: Option<u32>,
    }
    let pieces = [
        r#"{"reasoning": "r", "na"#,
        r#"me": "To"#,
        r#"kyo", "inhabi"#,
        r#"tants": 140"#,
        r#"00000, "mayor": null}"#,
    ];
    let (_sim, provider) = scripted([Answer::streamed(pieces)]).await;
    let mut stream = provider.stream_as::<City>(&hello()).await.unwrap();
    let mut drafts = Vec::new();
    while let Some(event) = stream.next().await {
        if let Event::Content(_) = event.unwrap() {
            let name = stream.value().and_then(|value| value["name"].as_str()).map(str::to_owned);
            drafts.push(stream.partial::<Draft>().unwrap());
            assert_eq!(drafts.last().unwrap().name, name);
        }
    }
    let draft = |name: Option<&str>, inhabitants| Draft { name: name.map(Into::into), inhabitants };
    let tokyo_so_far = draft(Some("Tokyo"), None);
    assert_eq!(
        drafts,
        [
            draft(None, None),
            draft(Some("To"), None),
            tokyo_so_far,
            draft(Some("Tokyo"), None),
            draft(Some("Tokyo"), Some(14_000_000))
        ]
    );
    let answer = stream.finish().await.unwrap();
    assert_eq!((answer.value, answer.response.finish_reason), (tokyo(), FinishReason::Stop));
}

#[tokio::test]
async fn a_stream_of_another_value_ends_in_the_error() {
    let (_sim, provider) = scripted([Answer::streamed([r#"{"name": "#, "7}"])]).await;
    let mut stream = provider.stream_as::<City>(&hello()).await.unwrap();
    let mut last = None;
    while let Some(event) = stream.next().await {
        last = Some(event);
    }
    assert_eq!(last.unwrap().unwrap_err().category(), Category::StructuredOutputInvalid);
    assert_eq!(stream.finish().await.unwrap_err().category(), Category::StructuredOutputInvalid);
}

#[tokio::test]
async fn a_stream_that_is_dropped_ends_the_request() {
    let pieces = [
        oa_sim::Piece::from("data: {\"choices\":[{\"delta\":{\"content\":\"{\"}}]}\n\n"),
        oa_sim::Piece::Stall,
    ];
    let (sim, provider) = scripted([Answer::stream(pieces)]).await;
    let mut stream = provider.stream_as::<City>(&hello()).await.unwrap();
    stream.next().await.unwrap().unwrap();
    assert_eq!(stream.value(), Some(&json!({})));
    drop(stream);
    sim.wait_for(|stats| stats.client_left == 1).await;
}

#[tokio::test]
async fn calls_of_tools_are_no_value() {
    let (_sim, provider) = scripted([Answer::tool_call("f", "{}")]).await;
    let tool = oa_wire::Tool::new("f", json!({"type": "object"})).unwrap();
    let request = hello().with_tools(Tools::new([tool]).unwrap());
    let error = provider.complete_as::<City>(&request).await.unwrap_err();
    assert_eq!(error.category(), Category::InvalidResponse);
    assert_eq!(error.partial().unwrap().message.tool_calls[0].name, "f");
}

#[tokio::test]
async fn a_forced_tools_arguments_are_the_answer() {
    for streamed in [false, true] {
        let answer = if streamed {
            Answer::streamed_tool_call("City", [&TOKYO[..20], &TOKYO[20..]])
        } else {
            Answer::tool_call("City", TOKYO)
        };
        let (sim, provider) = scripted([answer]).await;
        let request = hello().with_schema_mode(SchemaMode::ForcedTool);
        let answer = if streamed {
            let mut stream = provider.stream_as::<City>(&request).await.unwrap();
            let mut seen = Vec::new();
            while let Some(event) = stream.next().await {
                event.unwrap();
                seen.extend(stream.value().cloned());
            }
            assert!(seen.iter().any(|value| value.get("name").is_none()), "{seen:?}");
            stream.finish().await.unwrap()
        } else {
            provider.complete_as::<City>(&request).await.unwrap()
        };
        assert_eq!(answer.value, tokyo());
        assert_eq!(answer.response.schema_mode, Some(SchemaMode::ForcedTool));
        assert!(answer.response.message.tool_calls.is_empty());
        assert_eq!(answer.response.finish_reason, FinishReason::Stop);
        let sent = sim.last_request().unwrap().json();
        assert_eq!(sent["tool_choice"], json!({"type": "function", "function": {"name": "City"}}));
        assert_eq!(sent["tools"][0]["function"]["strict"], true);
        assert_eq!(sent["response_format"], Value::Null);
    }
}

#[tokio::test]
async fn a_forced_tool_that_is_called_twice_answers_once() {
    let function = |arguments: &str| json!({"name": "City", "arguments": arguments});
    let call =
        |id: &str, arguments: &str| json!({"id": id, "type": "function", "function": function(arguments)});
    let message =
        json!({"role": "assistant", "content": null, "tool_calls": [call("a", TOKYO), call("b", "{}")]});
    let answer = json!({"choices": [{"index": 0, "message": message, "finish_reason": "tool_calls"}]});
    let (_sim, provider) = scripted([Answer::json(200, answer)]).await;
    let request = hello().with_schema_mode(SchemaMode::ForcedTool);
    assert_eq!(provider.complete_as::<City>(&request).await.unwrap().value, tokyo());
}

/// A server that gives, for each type, a value that its schema describes; it comes back as a value of the
/// type.
struct RoundTrip {
    runtime: tokio::runtime::Runtime,
    sim: Sim,
    failed: Vec<String>,
}

impl Visit for RoundTrip {
    fn visit<T>(&mut self, name: &str, _: T)
    where
        T: JsonSchema + DeserializeOwned + Serialize + PartialEq + std::fmt::Debug + Send + Sync + 'static,
    {
        let provider = crate::support::provider(&self.sim);
        let answer = self.runtime.block_on(provider.complete_as::<T>(&hello()));
        let strict = StrictSchema::of::<T>().unwrap().is_strict();
        let sent = self.sim.last_request().unwrap().json();
        assert_eq!(sent["response_format"]["json_schema"]["strict"], strict, "{name}");
        match answer {
            Ok(answer) => {
                let again: T = serde_json::from_value(serde_json::to_value(&answer.value).unwrap()).unwrap();
                assert_eq!(again, answer.value, "{name}");
            }
            Err(error) => self.failed.push(format!(
                "{name}: {error} {:?}",
                error.structured().map(|failure| &failure.output_content)
            )),
        }
    }
}

#[test]
fn every_type_round_trips_over_a_server_that_constrains() {
    let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build().unwrap();
    let (sim, _) = runtime.block_on(sim());
    let mut visit = RoundTrip { runtime, sim, failed: Vec::new() };
    each(&mut visit);
    // What stands in the description alone, the simulator does not know.
    let limits = ["addresses", "letter", "limited", "moments"];
    visit.failed.retain(|failed| !limits.iter().any(|name| failed.starts_with(name)));
    assert!(visit.failed.is_empty(), "{:#?}", visit.failed);
}

#[tokio::test]
async fn the_schema_of_a_type_is_made_once() {
    static MADE: AtomicU32 = AtomicU32::new(0);

    #[derive(Deserialize)]
    struct Counted {
        number: i64,
    }

    impl JsonSchema for Counted {
        fn schema_name() -> Cow<'static, str> {
            "counted".into()
        }

        fn json_schema(generator: &mut SchemaGenerator) -> Schema {
            MADE.fetch_add(1, Ordering::Relaxed);
            let number = generator.subschema_for::<i64>();
            let properties = json!({"number": number});
            schemars::json_schema!({"type": "object", "properties": properties, "required": ["number"]})
        }
    }

    let (_sim, provider) =
        scripted([1, 2, 3].map(|n| Answer::completion(format!(r#"{{"number":{n}}}"#)))).await;
    for number in [1, 2, 3] {
        let answer = provider.complete_as::<Counted>(&"A number?".into()).await.unwrap();
        assert_eq!(answer.value.number, number);
    }
    assert_eq!(MADE.load(Ordering::Relaxed), 1);
}

/// The exchanges of the specification's fixtures for structured output (021 to 027), tool choice (029, 031)
/// and reask (062, 064), with a Rust type in place of the schema.
mod fixtures {
    use super::*;
    use oa_tools::ToolExt;
    use oa_wire::{CompletionRequest, Message, Tool, ToolChoice};

    #[derive(Debug, PartialEq, Deserialize, JsonSchema)]
    struct Person {
        name: String,
        age: i64,
    }

    fn request() -> CompletionRequest {
        CompletionRequest::new([Message::user("Generate a person record.")])
    }

    #[tokio::test]
    async fn success() {
        let (sim, provider) = scripted([Answer::completion(r#"{"name":"Alice","age":30}"#)]).await;
        let answer = provider.complete_as::<Person>(&request()).await.unwrap();
        assert_eq!(answer.value, Person { name: "Alice".into(), age: 30 });
        assert_eq!(answer.response.parsed, Some(json!({"name": "Alice", "age": 30})));
        let sent = sim.last_request().unwrap().json();
        let schema = json!({
            "title": "Person",
            "type": "object",
            "properties": {"name": {"type": "string"}, "age": {"type": "integer"}},
            "required": ["name", "age"],
            "additionalProperties": false,
        });
        let expected = json!({
            "type": "json_schema",
            "json_schema": {"name": "Person", "strict": true, "schema": schema},
        });
        assert_eq!(sent["response_format"], expected);
    }

    #[tokio::test]
    async fn a_text_that_does_not_parse_or_satisfy_is_not_transient() {
        for text in [r#"{"name": "Alice" "age": 30}"#, r#"{"name":"Alice"}"#] {
            let (sim, provider) = scripted([Answer::completion(text)]).await;
            let layer = RetryLayer::new(RetryPolicy::new().max_attempts(3));
            let provider = Layered::new(layer.layer(provider.clone()), provider);
            let error = provider.complete_as::<Person>(&request()).await.unwrap_err();
            assert_eq!(error.category(), Category::StructuredOutputInvalid);
            let failure = error.structured().unwrap();
            assert_eq!((failure.output_content.as_str(), failure.finish_reason), (text, FinishReason::Stop));
            assert!(failure.usage.completion_tokens.is_some() && !failure.error_message.is_empty());
            assert_eq!(sim.requests().len(), 1);
        }
    }

    #[tokio::test]
    async fn the_fallback_has_the_schema_in_the_system_message() {
        let sim =
            Sim::builder().script([Answer::completion(r#"{"name":"Bo","age":1}"#)]).start().await.unwrap();
        let provider = OpenAiProvider::builder(sim.base_url(), "m")
            .force_prompt_augmentation_fallback(true)
            .build()
            .unwrap();
        let answer = provider.complete_as::<Person>(&request()).await.unwrap();
        assert_eq!(answer.response.schema_mode, Some(SchemaMode::Prompt));
        let sent = sim.last_request().unwrap().json();
        assert!(sent.get("response_format").is_none());
        let system = sent["messages"][0]["content"].as_str().unwrap();
        assert!(system.contains(StrictSchema::of::<Person>().unwrap().schema().as_json()), "{system}");
    }

    #[tokio::test]
    async fn tool_choices() {
        let tools = || Tools::new([Tool::of::<Person>("get_person").unwrap()]).unwrap();
        let cases = [
            (None, Value::Null),
            (Some(ToolChoice::Auto), json!("auto")),
            (Some(ToolChoice::Required), json!("required")),
            (Some(ToolChoice::None), json!("none")),
            (
                Some(ToolChoice::Tool("get_person".into())),
                json!({"type": "function", "function": {"name": "get_person"}}),
            ),
        ];
        for (choice, sent) in cases {
            let (sim, provider) =
                scripted([Answer::tool_call("get_person", r#"{"name":"A","age":1}"#)]).await;
            let mut request = request().with_tools(tools());
            request.tool_choice = choice;
            oa_provider::Provider::complete(&provider, &request).await.unwrap();
            assert_eq!(sim.last_request().unwrap().json()["tool_choice"], sent);
        }
        let (sim, provider) = scripted([]).await;
        let without = request().with_tool_choice(ToolChoice::Required);
        let other = request().with_tools(tools()).with_tool_choice(ToolChoice::Tool("search".into()));
        for refused in [without, other] {
            let error = provider.complete_as::<Person>(&refused).await.unwrap_err();
            assert_eq!(error.category(), Category::InvalidRequest);
        }
        assert_eq!(sim.requests().len(), 0);
    }

    #[tokio::test]
    async fn reask_adds_the_output_and_the_correction() {
        let (sim, provider) = scripted([
            Answer::completion(r#"{"name":"Alice"}"#),
            Answer::completion(r#"{"name":"Alice","age":30}"#),
        ])
        .await;
        let seen = Arc::default();
        let answer = reasking(provider, Arc::clone(&seen)).complete_as::<Person>(&request()).await.unwrap();
        assert_eq!(answer.value.age, 30);
        assert_eq!(*seen.lock().unwrap(), [r#"at the root: "age" is a required property"#]);
        let messages = sim.last_request().unwrap().json()["messages"].as_array().unwrap().len();
        assert_eq!((sim.requests().len(), messages), (2, 3));
    }
}
