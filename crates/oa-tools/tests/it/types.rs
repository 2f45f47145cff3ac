//! Rust types of every shape that serde knows, each with a value, for the golden tests and the round trips.

#![allow(dead_code, reason = "some members are only ever deserialized")]

use schemars::JsonSchema;
use serde::{Deserialize, Serialize, de::DeserializeOwned};
use serde_json::Value;
use std::collections::{BTreeMap, BTreeSet, HashMap};

/// What is done with each type.
pub(crate) trait Visit {
    fn visit<T>(&mut self, name: &str, sample: T)
    where
        T: JsonSchema + DeserializeOwned + Serialize + PartialEq + std::fmt::Debug + Send + Sync + 'static;
}

macro_rules! types {
    ($($item:item)*) => {$(
        #[derive(Debug, Clone, PartialEq, Serialize, Deserialize, JsonSchema)]
        $item
    )*};
}

types! {
    /// Where it is.
    pub(crate) struct Place {
        /// The city's name.
        city: String,
        country: String,
        altitude: i32,
    }

    pub(crate) struct Reasoned { reasoning: String, answer: bool }

    pub(crate) struct Optional { name: String, nickname: Option<String>, age: Option<u8> }

    pub(crate) struct Skipped {
        zeta: String,
        #[serde(skip_serializing_if = "Option::is_none")]
        alpha: Option<String>,
        middle: u8,
    }

    pub(crate) struct Defaults {
        #[serde(default)]
        tags: Vec<String>,
        #[serde(default = "five")]
        limit: u32,
        #[serde(default)]
        note: Option<String>,
    }

    #[serde(default)]
    pub(crate) struct AllDefault { host: String, port: u16 }

    #[serde(deny_unknown_fields)]
    pub(crate) struct Closed { a: String, b: Option<bool> }

    #[serde(rename_all = "camelCase")]
    pub(crate) struct Renamed { first_name: String, #[serde(rename = "surname")] last_name: String }

    pub(crate) struct Integers { a: i8, b: u8, c: i16, d: u16, e: i32, f: u32, g: i64, h: u64 }

    pub(crate) struct Floats { a: f32, b: f64 }

    pub(crate) struct Wide { a: i128, b: usize, c: isize, d: std::num::NonZeroU8 }

    pub(crate) struct Letter { char: char, flag: bool, unit: () }

    pub(crate) struct Newtype(Place);

    pub(crate) struct Meters(f64);

    pub(crate) struct Pair(String, u8);

    pub(crate) struct Unit;

    pub(crate) struct Empty {}

    pub(crate) struct Lists { names: Vec<String>, places: Vec<Place>, matrix: Vec<Vec<u8>> }

    pub(crate) struct Sets { numbers: BTreeSet<u8> }

    pub(crate) struct Tuples { point: (f64, f64), entry: (String, u8, bool), rgb: [u8; 3] }

    pub(crate) struct Maps { scores: BTreeMap<String, u8>, places: HashMap<String, Place> }

    pub(crate) struct IntegerKeys { by_number: BTreeMap<u8, String>, signed: BTreeMap<i16, String> }

    pub(crate) struct EnumKeys { by_color: BTreeMap<Color, u8> }

    pub(crate) struct NestedMap { outer: BTreeMap<String, BTreeMap<String, Option<u8>>> }

    pub(crate) struct Durations { wait: std::time::Duration, at: std::time::SystemTime }

    pub(crate) struct Wrapped { boxed: Box<Place>, borrowed: std::borrow::Cow<'static, str> }

    pub(crate) struct Fallible {
        outcome: Result<Place, String>,
        bound: std::ops::Bound<u8>,
        range: std::ops::Range<u8>,
    }

    pub(crate) struct Addresses { v4: std::net::Ipv4Addr, any: std::net::IpAddr, path: std::path::PathBuf }

    #[derive(PartialOrd, Eq, Ord)]
    pub(crate) enum Color { Red, Green, #[serde(rename = "deep-blue")] Blue }

    /// A size.
    pub(crate) enum Described {
        /// Small enough.
        Small,
        /// Too large.
        Large,
    }

    pub(crate) struct UsesEnums { color: Color, size: Option<Described>, colors: Vec<Color> }

    pub(crate) enum External {
        Unit,
        Newtype(Place),
        Tuple(u8, String),
        Struct { a: u8, b: Option<String> },
    }

    #[serde(tag = "kind")]
    pub(crate) enum Internal {
        Unit,
        Newtype(Place),
        Struct { a: u8, b: Option<String> },
    }

    #[serde(tag = "t", content = "c")]
    pub(crate) enum Adjacent {
        Unit,
        Newtype(Place),
        Tuple(u8, String),
        Struct { a: u8 },
    }

    #[serde(untagged)]
    pub(crate) enum Untagged { Number(i32), Text(String), Place(Place), List(Vec<u8>) }

    pub(crate) struct UsesExternal { shape: External }

    pub(crate) struct UsesInternal { shapes: Vec<Internal> }

    pub(crate) struct UsesAdjacent { shape: Option<Adjacent> }

    pub(crate) struct UsesUntagged { value: Untagged, map: BTreeMap<String, Untagged> }

    pub(crate) struct Flat {
        id: u32,
        #[serde(flatten)]
        place: Place,
    }

    pub(crate) struct FlatEnum {
        id: u8,
        #[serde(flatten)]
        shape: Internal,
    }

    pub(crate) struct FlatExternal {
        id: u8,
        #[serde(flatten)]
        shape: External2,
    }

    pub(crate) enum External2 { One(u8), Two { x: bool } }

    pub(crate) struct FlatOption {
        id: u8,
        #[serde(flatten)]
        place: Option<Reasoned>,
    }

    pub(crate) struct FlatMap {
        id: u8,
        #[serde(flatten)]
        rest: BTreeMap<String, u8>,
    }

    pub(crate) struct Anything { id: u8, value: Value }

    pub(crate) struct Node { value: u8, next: Option<Box<Node>> }

    pub(crate) struct Tree { name: String, children: Vec<Tree> }

    pub(crate) enum Expr { Number(i8), Sum(Box<Expr>, Box<Expr>), Neg { of: Box<Expr> } }

    pub(crate) struct Forest { root: Expr, trees: BTreeMap<String, Tree> }

    pub(crate) struct Limited {
        #[schemars(length(min = 1, max = 20), regex(pattern = r"^[a-z]+$"))]
        name: String,
        #[schemars(range(min = 1, max = 5))]
        stars: u8,
        #[schemars(length(min = 1, max = 3))]
        tags: Vec<String>,
        #[schemars(email)]
        mail: String,
        #[schemars(url)]
        site: String,
    }

    pub(crate) struct Documented {
        /// The place it is at.
        place: Place,
        /// Perhaps another.
        #[serde(default)]
        other: Option<Place>,
        #[schemars(example = &"a", title = "A note", extend("x-order" = 3))]
        note: String,
    }

    pub(crate) struct Generic<T> { value: T, more: Vec<T> }

    pub(crate) struct Moments {
        #[schemars(with = "DateTime")]
        at: String,
        #[schemars(with = "NaiveDateTime")]
        local: String,
        #[schemars(with = "NaiveDate")]
        day: String,
        #[schemars(with = "Uuid")]
        id: String,
    }
}

impl Default for AllDefault {
    fn default() -> Self {
        Self { host: "localhost".into(), port: 80 }
    }
}

fn five() -> u32 {
    5
}

/// The schemas that the crates chrono and uuid give their types.
macro_rules! formats {
    ($($name:ident $format:literal;)*) => {$(
        pub(crate) struct $name;

        impl JsonSchema for $name {
            fn inline_schema() -> bool {
                true
            }

            fn schema_name() -> std::borrow::Cow<'static, str> {
                stringify!($name).into()
            }

            fn json_schema(_: &mut schemars::SchemaGenerator) -> schemars::Schema {
                schemars::json_schema!({"type": "string", "format": $format})
            }
        }
    )*};
}

formats! {
    DateTime "date-time";
    NaiveDateTime "partial-date-time";
    NaiveDate "date";
    Uuid "uuid";
}

fn place() -> Place {
    Place { city: "Oslo".into(), country: "Norway".into(), altitude: -3 }
}

fn tree(name: &str, children: Vec<Tree>) -> Tree {
    Tree { name: name.into(), children }
}

/// Every type once.
pub(crate) fn each(visit: &mut impl Visit) {
    macro_rules! visit {
        ($($name:literal: $sample:expr;)*) => {$( visit.visit($name, $sample); )*};
    }
    visit! {
        "place": place();
        "reasoned": Reasoned { reasoning: "r".into(), answer: true };
        "optional": Optional { name: "n".into(), nickname: None, age: Some(7) };
        "skipped": Skipped { zeta: "z".into(), alpha: None, middle: 1 };
        "defaults": Defaults { tags: vec![], limit: 5, note: None };
        "all_default": AllDefault::default();
        "closed": Closed { a: "a".into(), b: Some(false) };
        "renamed": Renamed { first_name: "A".into(), last_name: "B".into() };
        "integers": Integers { a: -1, b: 2, c: -3, d: 4, e: -5, f: 4_000_000_000, g: -7, h: 8 };
        "floats": Floats { a: 0.5, b: -2.25 };
        "wide": Wide { a: -1, b: 2, c: -3, d: std::num::NonZeroU8::MIN };
        "letter": Letter { char: 'x', flag: true, unit: () };
        "newtype": Newtype(place());
        "meters": Meters(1.5);
        "pair": Pair("a".into(), 1);
        "unit": Unit;
        "empty": Empty {};
        "lists": Lists { names: vec!["a".into()], places: vec![place()], matrix: vec![vec![1], vec![]] };
        "sets": Sets { numbers: [1, 2].into() };
        "tuples": Tuples { point: (1.0, -1.0), entry: ("a".into(), 1, true), rgb: [1, 2, 3] };
        "maps": Maps { scores: [("a".into(), 1)].into(), places: [("p".into(), place())].into() };
        "integer_keys": IntegerKeys { by_number: [(1, "a".into())].into(), signed: [(-1,
        "b".into())].into() };
        "enum_keys": EnumKeys { by_color: [(Color::Blue, 1)].into() };
        "nested_map": NestedMap { outer: [("a".into(), [("b".into(), None)].into())].into() };
        "durations": Durations {
            wait: std::time::Duration::from_millis(1500),
            at: std::time::UNIX_EPOCH + std::time::Duration::from_secs(1),
        };
        "wrapped": Wrapped { boxed: Box::new(place()), borrowed: "b".into() };
        "fallible": Fallible { outcome: Err("e".into()), bound: std::ops::Bound::Included(1), range: 1..3 };
        "addresses": Addresses {
            v4: std::net::Ipv4Addr::LOCALHOST,
            any: std::net::Ipv4Addr::LOCALHOST.into(),
            path: "/tmp".into(),
        };
        "color": Color::Green;
        "described": Described::Large;
        "uses_enums": UsesEnums { color: Color::Blue, size: None, colors: vec![Color::Red] };
        "external": External::Struct { a: 1, b: None };
        "internal": Internal::Newtype(place());
        "adjacent": Adjacent::Tuple(1, "a".into());
        "untagged": Untagged::Text("a".into());
        "uses_external": UsesExternal { shape: External::Tuple(1, "a".into()) };
        "uses_internal": UsesInternal { shapes: vec![Internal::Unit, Internal::Struct { a: 1, b: None }] };
        "uses_adjacent": UsesAdjacent { shape: Some(Adjacent::Unit) };
        "uses_untagged": UsesUntagged {
            value: Untagged::List(vec![1]),
            map: [("a".into(), Untagged::Number(1)), ("b".into(), Untagged::Place(place()))].into(),
        };
        "flat": Flat { id: 1, place: place() };
        "flat_enum": FlatEnum { id: 1, shape: Internal::Struct { a: 1, b: Some("b".into()) } };
        "flat_external": FlatExternal { id: 1, shape: External2::Two { x: true } };
        "flat_option": FlatOption { id: 1, place: Some(Reasoned { reasoning: "r".into(), answer: false }) };
        "flat_map": FlatMap { id: 1, rest: [("a".into(), 1)].into() };
        "anything": Anything { id: 1, value: serde_json::json!([1, "a"]) };
        "node": Node { value: 1, next: Some(Box::new(Node { value: 2, next: None })) };
        "tree": tree("a", vec![tree("b", vec![])]);
        "expr": Expr::Sum(Box::new(Expr::Number(1)), Box::new(Expr::Neg { of: Box::new(Expr::Number(2)) }));
        "forest": Forest { root: Expr::Number(1), trees: [("a".into(), tree("b", vec![]))].into() };
        "limited": Limited {
            name: "abc".into(),
            stars: 3,
            tags: vec!["a".into()],
            mail: "a@example.com".into(),
            site: "http://example.com/".into(),
        };
        "documented": Documented { place: place(), other: None, note: "n".into() };
        "generic": Generic { value: Some(place()), more: vec![None] };
        "moments": Moments {
            at: "2026-01-02T03:04:05Z".into(),
            local: "2026-01-02T03:04:05".into(),
            day: "2026-01-02".into(),
            id: "00000000-0000-0000-0000-000000000000".into(),
        };
        "list_of_places": vec![place()];
        "map_of_places": BTreeMap::from([("a".to_owned(), place())]);
        "number": 5_i32;
        "text": "a".to_owned();
        "tuple": (1_u8, "a".to_owned(), Color::Red);
        "option": Some(place());
    }
}
