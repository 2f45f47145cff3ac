//! The body of any request is JSON, has what was asked for and nothing else, and has the same bytes whatever
//! order maps were built in.
//!
//! The order of a map shows only where something switched on `serde_json`'s `preserve_order`. So this runs
//! twice, the second time as `cargo test -p oa-wire --features
//! serde_json/preserve_order,serde_json/arbitrary_precision`.

use oa_wire::Profile;
use oa_wire::openai::{ChatCall, Endpoint};
use oa_wire::{
    AssistantBlock, AssistantMessage, Category, CompletionRequest, Image, ImageDetail, JsonSchema, Message,
    RuntimeConfig, Tool, ToolCall, ToolChoice, Tools, UserBlock,
};
use proptest::prelude::*;
use serde::de::{Deserialize, Deserializer, Error as _, MapAccess, SeqAccess, Visitor};
use serde_json::{Map, Value, json};
use std::{collections::BTreeMap, fmt};

fn endpoint() -> Endpoint {
    Endpoint::new("http://localhost:8000", None).unwrap()
}

/// A value whose maps can be built in two orders.
#[derive(Clone, Debug)]
enum Tree {
    Leaf(Value),
    List(Vec<Tree>),
    Map(Vec<(String, Tree)>),
}

impl Tree {
    fn build(&self, backwards: bool) -> Value {
        match self {
            Self::Leaf(value) => value.clone(),
            Self::List(list) => list.iter().map(|tree| tree.build(backwards)).collect(),
            Self::Map(members) => Value::Object(object(members, backwards)),
        }
    }
}

fn object(members: &[(String, Tree)], backwards: bool) -> Map<String, Value> {
    let build = |(key, tree): &(String, Tree)| (key.clone(), tree.build(backwards));
    if backwards { members.iter().rev().map(build).collect() } else { members.iter().map(build).collect() }
}

fn text() -> impl Strategy<Value = String> {
    prop_oneof![
        "[a-zA-Z ]{1,8}",
        "\\PC{1,6}",
        prop::sample::select(vec!["\"", "\\", "\n\u{0}", "😀", "\u{7f}\u{2028}"]).prop_map(str::to_owned)
    ]
}

fn number() -> impl Strategy<Value = f64> {
    prop_oneof![
        Just(0.0),
        Just(1.0),
        -2.0..2.0f64,
        any::<f64>().prop_filter("finite", |number| number.is_finite())
    ]
}

fn tree() -> impl Strategy<Value = Tree> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        any::<u64>().prop_map(Value::from),
        number().prop_map(Value::from),
        text().prop_map(Value::from),
    ];
    leaf.prop_map(Tree::Leaf).prop_recursive(3, 16, 4, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..4).prop_map(Tree::List),
            members(inner).prop_map(Tree::Map)
        ]
    })
}

fn members(of: impl Strategy<Value = Tree>) -> impl Strategy<Value = Vec<(String, Tree)>> {
    prop::collection::btree_map("[a-z\"é]{1,4}", of, 0..5)
        .prop_map(|map: BTreeMap<_, _>| map.into_iter().collect())
}

/// A schema of an object with these properties.
fn schema() -> impl Strategy<Value = Tree> {
    let property = prop::sample::select(vec!["string", "integer", "number", "boolean"]);
    let properties = prop::collection::btree_map("[a-z\"é]{1,4}", (property, text()), 0..4);
    (properties, prop::option::of("[a-z]{1,5}"), any::<bool>()).prop_map(|(properties, title, closed)| {
        let leaf = |value: Value| Tree::Leaf(value);
        let required = properties.keys().map(|name| leaf(json!(name))).collect();
        let properties = properties.into_iter().map(|(name, (kind, about))| {
            let members =
                vec![("type".to_owned(), leaf(json!(kind))), ("description".to_owned(), leaf(json!(about)))];
            (name, Tree::Map(members))
        });
        let mut members = vec![
            ("type".to_owned(), leaf(json!("object"))),
            ("properties".to_owned(), Tree::Map(properties.collect())),
            ("required".to_owned(), Tree::List(required)),
            ("additionalProperties".to_owned(), leaf(json!(!closed))),
        ];
        members.extend(title.map(|title| ("title".to_owned(), leaf(json!(title)))));
        Tree::Map(members)
    })
}

/// The parts of a request.
#[derive(Clone, Debug)]
struct Parts {
    system: Option<String>,
    turns: Vec<Turn>,
    last: String,
    tools: Vec<(String, Tree)>,
    choice: u8,
    schema: Option<Tree>,
    numbers: [Option<f64>; 4],
    max_tokens: Option<u64>,
    seed: Option<i64>,
    stop: Option<Vec<String>>,
    extras: Vec<(String, Tree)>,
    stream: bool,
    fallback: bool,
}

/// A question with an image, and an answer that calls a tool.
#[derive(Clone, Debug)]
struct Turn {
    question: String,
    image: Option<String>,
    answer: Option<String>,
    thought: Option<String>,
    arguments: Vec<(String, Tree)>,
}

fn parts() -> impl Strategy<Value = Parts> {
    let turn = (
        text(),
        prop::option::of(text()),
        prop::option::of(text()),
        prop::option::of(text()),
        members(tree()),
    )
        .prop_map(|(question, image, answer, thought, arguments)| Turn {
            question,
            image,
            answer,
            thought,
            arguments,
        });
    let given = (prop::option::of(text()), prop::collection::vec(turn, 0..3), text());
    let tools = prop::collection::btree_map("[a-z]{1,6}", schema(), 0..3)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>());
    let asked = (tools, 0..5u8, prop::option::of(schema()), any::<bool>(), any::<bool>());
    let numbers = prop::array::uniform4(prop::option::of(number()));
    let stop = prop::option::of(prop::collection::vec(text(), 0..3));
    let extras = prop::collection::btree_map("x_[a-z\"é]{1,4}", tree(), 0..4)
        .prop_map(|map| map.into_iter().collect::<Vec<_>>());
    let config = (numbers, any::<Option<u64>>(), any::<Option<i64>>(), stop, extras);
    (given, asked, config).prop_map(
        |((system, turns, last), (tools, choice, schema, stream, fallback), config)| {
            let (numbers, max_tokens, seed, stop, extras) = config;
            Parts {
                system,
                turns,
                last,
                tools,
                choice,
                schema,
                numbers,
                max_tokens,
                seed,
                stop,
                extras,
                stream,
                fallback,
            }
        },
    )
}

impl Parts {
    fn messages(&self, backwards: bool) -> Vec<Message> {
        let mut messages: Vec<Message> = self.system.iter().map(Message::system).collect();
        for (at, turn) in self.turns.iter().enumerate() {
            let image = turn
                .image
                .iter()
                .map(|data| Image::base64("image/png", data).with_detail(ImageDetail::Low).into());
            messages.push(Message::user(
                [UserBlock::text(&*turn.question)].into_iter().chain(image).collect::<Vec<_>>(),
            ));
            let thought = turn.thought.iter().map(AssistantBlock::thinking);
            let answer = turn.answer.iter().map(|text| AssistantBlock::Text { text: text.clone() });
            let call = ToolCall::new(format!("call_{at}"), "f", object(&turn.arguments, backwards));
            let blocks: Vec<_> = thought.chain(answer).collect();
            messages.push(AssistantMessage::new(blocks).with_tool_calls([call]).into());
            messages.push(Message::tool(format!("call_{at}"), &*turn.question));
        }
        messages.push(Message::user(&*self.last));
        messages
    }

    fn choice(&self) -> Option<ToolChoice> {
        match (self.choice, self.tools.first()) {
            (0, _) => Some(ToolChoice::Auto),
            (1, _) => Some(ToolChoice::None),
            (2, Some(_)) => Some(ToolChoice::Required),
            (3, Some((name, _))) => Some(ToolChoice::Tool(name.clone())),
            _ => None,
        }
    }

    fn request(&self, backwards: bool) -> CompletionRequest {
        let tools =
            self.tools.iter().map(|(name, schema)| Tool::new(&**name, schema.build(backwards)).unwrap());
        let mut config = RuntimeConfig::new();
        (config.max_tokens, config.seed) = (self.max_tokens, self.seed);
        [config.temperature, config.top_p, config.frequency_penalty, config.presence_penalty] = self.numbers;
        config.stop_sequences.clone_from(&self.stop);
        config.extras = object(&self.extras, backwards);
        let mut request = CompletionRequest::new(self.messages(backwards))
            .with_tools(Tools::new(tools).unwrap())
            .with_config(config)
            .with_stream(self.stream);
        request.tool_choice = self.choice();
        request.response_schema =
            self.schema.as_ref().map(|schema| JsonSchema::new(schema.build(backwards)).unwrap());
        request
    }

    fn body(&self, backwards: bool) -> Vec<u8> {
        let profile = Profile::new("a \"model\"").with_force_prompt_augmentation_fallback(self.fallback);
        ChatCall::new(&endpoint(), &profile, &self.request(backwards)).unwrap().body().to_vec()
    }

    /// The members that the body must have, and no other.
    fn keys(&self) -> Vec<&str> {
        let [temperature, top_p, frequency, presence] = self.numbers.map(|number| number.is_some());
        let fields = [
            ("model", true),
            ("messages", true),
            ("tools", !self.tools.is_empty()),
            ("tool_choice", self.choice().is_some()),
            ("response_format", self.schema.is_some() && !self.fallback),
            ("stream", self.stream),
            ("stream_options", self.stream),
            ("temperature", temperature),
            ("max_tokens", self.max_tokens.is_some()),
            ("top_p", top_p),
            ("seed", self.seed.is_some()),
            ("frequency_penalty", frequency),
            ("presence_penalty", presence),
            ("stop", self.stop.is_some()),
        ];
        let set = fields.iter().filter(|(_, is_set)| *is_set).map(|(name, _)| *name);
        let mut keys: Vec<_> = set.chain(self.extras.iter().map(|(name, _)| name.as_str())).collect();
        keys.sort_unstable();
        keys
    }
}

/// Names of members that the mapping may produce itself, and of two that it does not.
const NAMES: [&str; 16] = [
    "model",
    "messages",
    "tools",
    "tool_choice",
    "stream",
    "stream_options",
    "response_format",
    "temperature",
    "max_tokens",
    "top_p",
    "seed",
    "frequency_penalty",
    "presence_penalty",
    "stop",
    "",
    "n",
];

/// JSON of which no object has the same key twice.
struct Unique;

impl<'de> Deserialize<'de> for Unique {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        deserializer.deserialize_any(Self)
    }
}

impl<'de> Visitor<'de> for Unique {
    type Value = Self;

    fn expecting(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("JSON")
    }

    fn visit_bool<E>(self, _: bool) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_i64<E>(self, _: i64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_u64<E>(self, _: u64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_f64<E>(self, _: f64) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_str<E>(self, _: &str) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_unit<E>(self) -> Result<Self, E> {
        Ok(self)
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut seq: A) -> Result<Self, A::Error> {
        while seq.next_element::<Self>()?.is_some() {}
        Ok(self)
    }

    fn visit_map<A: MapAccess<'de>>(self, mut map: A) -> Result<Self, A::Error> {
        let mut keys = Vec::new();
        while let Some((key, _)) = map.next_entry::<String, Self>()? {
            if keys.contains(&key) {
                return Err(A::Error::custom(format!("the key {key:?} twice")));
            }
            keys.push(key);
        }
        Ok(self)
    }
}

proptest! {
    #[test]
    fn the_bytes_are_the_same_whatever_order_maps_were_built_in(parts in parts()) {
        prop_assert_eq!(String::from_utf8(parts.body(false)), String::from_utf8(parts.body(true)));
    }

    #[test]
    fn a_body_is_json_with_no_key_twice_and_no_field_that_was_not_set(parts in parts()) {
        let bytes = parts.body(false);
        serde_json::from_slice::<Unique>(&bytes).map_err(|error| TestCaseError::fail(error.to_string()))?;
        let body: Map<String, Value> = serde_json::from_slice(&bytes).unwrap();
        let mut keys: Vec<_> = body.keys().map(String::as_str).collect();
        keys.sort_unstable();
        prop_assert_eq!(keys, parts.keys());
        for (name, value) in body.iter().filter(|(name, _)| !name.starts_with("x_")) {
            prop_assert!(!value.is_null(), "{} is null", name);
        }
    }

    #[test]
    fn a_body_says_what_was_asked(parts in parts()) {
        let bytes = parts.body(false);
        let body: Value = serde_json::from_slice(&bytes).unwrap();
        prop_assert_eq!(&body["model"], "a \"model\"");
        let messages = body["messages"].as_array().unwrap();
        let put_first = usize::from(parts.fallback && parts.schema.is_some() && parts.system.is_none());
        prop_assert_eq!(messages.len(), parts.messages(false).len() + put_first);
        prop_assert_eq!(&messages.last().unwrap()["content"], &json!(parts.last));
        let answers = messages.iter().filter(|message| message["role"] == "assistant");
        for (turn, sent) in parts.turns.iter().zip(answers) {
            prop_assert_eq!(sent["content"].as_str(), turn.answer.as_deref());
            let arguments = sent["tool_calls"][0]["function"]["arguments"].as_str().unwrap();
            let arguments: Value = serde_json::from_str(arguments).unwrap();
            prop_assert_eq!(arguments, Value::Object(object(&turn.arguments, false)));
        }
        for ((name, schema), sent) in parts.tools.iter().zip(body["tools"].as_array().into_iter().flatten()) {
            prop_assert_eq!(&sent["function"]["name"], &json!(name));
            prop_assert_eq!(&sent["function"]["parameters"], &schema.build(false));
        }
        let names = ["temperature", "top_p", "frequency_penalty", "presence_penalty"];
        for (name, number) in names.iter().zip(parts.numbers) {
            prop_assert_eq!(body[name].as_f64(), number, "{}", name);
        }
        for (name, extra) in &parts.extras {
            prop_assert_eq!(&body[name], &extra.build(false));
        }
    }

    #[test]
    fn an_extra_of_any_name_is_sent_once_or_refused_by_name(
        parts in parts(),
        name in prop::sample::select(NAMES.to_vec()),
        value in tree(),
        same in any::<bool>(),
    ) {
        let mut request = parts.request(false);
        let profile = Profile::new("m").with_force_prompt_augmentation_fallback(parts.fallback);
        let plain = ChatCall::new(&endpoint(), &profile, &request).unwrap();
        let body: Value = serde_json::from_slice(plain.body()).unwrap();
        let given = body.get(name).filter(|_| same);
        request.config.extras.insert(name.to_owned(), given.cloned().unwrap_or_else(|| value.build(false)));
        match ChatCall::new(&endpoint(), &profile, &request) {
            Ok(call) if given.is_some() => prop_assert_eq!(call.body(), plain.body()),
            Ok(call) => {
                let unique = serde_json::from_slice::<Unique>(call.body());
                prop_assert!(unique.is_ok(), "{}", String::from_utf8_lossy(call.body()));
            }
            Err(error) => {
                prop_assert!(given.is_none(), "{}", error);
                prop_assert_eq!(error.category(), Category::InvalidRequest);
                prop_assert!(error.message().contains(&format!("config.extras.{name}")), "{}", error);
            }
        }
    }

    #[test]
    fn a_history_is_stored_and_read_back(parts in parts()) {
        let messages = parts.messages(true);
        let stored = serde_json::to_string(&messages).unwrap();
        prop_assert_eq!(serde_json::from_str::<Vec<Message>>(&stored).unwrap(), messages);
    }
}

#[test]
fn a_key_that_comes_twice_is_noticed() {
    assert!(serde_json::from_str::<Unique>(r#"{"a":1,"b":[{"c":1.5,"c":null}]}"#).is_err());
    assert!(serde_json::from_str::<Unique>(r#"{"a":1,"b":[{"c":"x","d":true}]}"#).is_ok());
}
