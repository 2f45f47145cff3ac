//! The pull reader against `serde_json`.

use super::*;
use proptest::prelude::*;

fn read(text: &str) -> Read<Value> {
    let mut reader = Reader::new(text);
    let value = reader.value()?;
    reader.end()?;
    Ok(value)
}

fn skips(text: &str) -> bool {
    let mut reader = Reader::new(text);
    reader.skip().and_then(|()| reader.end()).is_ok()
}

#[test]
fn it_reads_what_serde_json_reads_and_refuses_what_it_refuses() {
    let deep = "[".repeat(127) + &"]".repeat(127);
    let deeper = "[".repeat(128) + &"]".repeat(128);
    let cases = [
        "{}",
        "[]",
        " [1, 2.5e-3 ,-0, true,false,null]\n",
        r#"{"a":{"b":["\u00e9\ud83d\ude00\n\"\/"]}}"#,
        "",
        "{",
        "[1,]",
        r#"{"a"}"#,
        r#"{"a":1,}"#,
        "01",
        "1.",
        "-",
        "+1",
        ".5",
        "1e",
        "tru",
        "nul",
        "\"\n\"",
        r#""\x""#,
        r#""\u12g4""#,
        "\"",
        "1 2",
        "{} {}",
        "[1 2]",
        "{1:2}",
        &deep,
        &deeper,
    ];
    for text in cases {
        let want = serde_json::from_str::<Value>(text);
        assert_eq!(read(text).ok(), want.ok(), "{text:?}");
        assert_eq!(skips(text), read(text).is_ok(), "{text:?}");
    }
}

#[test]
fn half_a_surrogate_pair_is_replaced() {
    assert_eq!(read(r#""a\ud83d""#), Ok(Value::String("a\u{fffd}".into())));
    assert_eq!(read(r#""\ud83dx\ude00""#), Ok(Value::String("\u{fffd}x\u{fffd}".into())));
}

#[test]
fn a_value_of_another_kind_is_skipped() {
    let mut reader = Reader::new(r#"[{"a":[1]},"x",7]"#);
    let mut seen = Vec::new();
    let array = reader.array(|reader, _| {
        seen.push(reader.text()?.map(Cow::into_owned));
        Ok(())
    });
    assert_eq!(array, Ok(true));
    assert_eq!(seen, [None, Some("x".to_owned()), None]);
}

proptest! {
    #[test]
    fn any_value_reads_back(value in value()) {
        for text in [value.to_string(), serde_json::to_string_pretty(&value).unwrap()] {
            prop_assert_eq!(read(&text), Ok(value.clone()));
            prop_assert!(skips(&text));
        }
    }

    #[test]
    fn any_text_is_accepted_or_refused_as_serde_json_does(
        text in r#"[\[\]{}",:0-9eE.+\-truefalsn\\u \n]{0,24}"#
    ) {
        let want = serde_json::from_str::<Value>(&text);
        let lone_surrogate_or_huge = want.as_ref().is_err_and(|error| {
            let error = error.to_string();
            error.contains("surrogate") || error.contains("out of range") || error.contains("hex escape")
        });
        if !lone_surrogate_or_huge {
            prop_assert_eq!(read(&text).ok(), want.ok());
        }
        prop_assert_eq!(skips(&text), read(&text).is_ok());
    }
}

fn value() -> impl Strategy<Value = Value> {
    let leaf = prop_oneof![
        Just(Value::Null),
        any::<bool>().prop_map(Value::from),
        any::<i64>().prop_map(Value::from),
        ".*".prop_map(Value::from),
    ];
    leaf.prop_recursive(4, 32, 6, |inner| {
        prop_oneof![
            prop::collection::vec(inner.clone(), 0..6).prop_map(Value::from),
            prop::collection::btree_map(".*", inner, 0..6)
                .prop_map(|map| Value::Object(map.into_iter().collect())),
        ]
    })
}
