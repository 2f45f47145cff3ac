//! The values made for a schema satisfy it, in the eyes of a validator that is not ours.

use crate::client::{Client, request};
use oa_sim::Sim;
use serde_json::{Value, json};

async fn made(client: &mut Client, schema: &str) -> Result<String, String> {
    let body = format!(
        r#"{{"messages":[{{"role":"user","content":"x"}}],
            "response_format":{{"type":"json_schema","json_schema":{{"name":"x","schema":{schema}}}}}}}"#
    );
    client.send(request(&body)).await;
    let reply = client.reply().await.unwrap();
    let json = reply.json();
    match reply.status {
        200 => Ok(json["choices"][0]["message"]["content"].as_str().unwrap().to_owned()),
        _ => Err(json["error"]["message"].as_str().unwrap().to_owned()),
    }
}

const VALID: &[&str] = &[
    "{}",
    "true",
    r#"{"type":"object"}"#,
    r#"{"type":["null","integer"]}"#,
    r#"{"type":"null"}"#,
    r#"{"const":{"b":1,"a":[null]}}"#,
    r#"{"enum":[3,4]}"#,
    r#"{"type":"boolean"}"#,
    r#"{"type":"integer","minimum":7}"#,
    r#"{"type":"integer","maximum":-7}"#,
    r#"{"type":"integer","exclusiveMinimum":7,"exclusiveMaximum":9}"#,
    r#"{"type":"integer","minimum":7.5}"#,
    r#"{"type":"integer","minimum":10,"multipleOf":7}"#,
    r#"{"type":"integer","maximum":-10,"multipleOf":7}"#,
    r#"{"type":"integer","minimum":1,"multipleOf":2.5}"#,
    r#"{"type":"integer","minimum":-9223372036854775808,"maximum":9223372036854775807}"#,
    r#"{"type":"array","items":{"type":"integer","minimum":0,"maximum":3},"minItems":4,"uniqueItems":true}"#,
    r#"{"type":"array","items":{"type":"integer","maximum":0},"minItems":4,"uniqueItems":true}"#,
    concat!(
        r#"{"type":"array","items":{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1},"#,
        r#""minItems":9,"uniqueItems":true}"#,
    ),
    r#"{"type":"number","minimum":0,"maximum":1}"#,
    r#"{"type":"number","exclusiveMinimum":0,"exclusiveMaximum":1}"#,
    r#"{"type":"number","exclusiveMinimum":0}"#,
    r#"{"type":"number","exclusiveMaximum":0}"#,
    r#"{"type":"number","multipleOf":0.25,"minimum":0.3}"#,
    r#"{"type":"string","minLength":30}"#,
    r#"{"type":"string","maxLength":2}"#,
    r#"{"type":"string","minLength":3,"maxLength":3}"#,
    r#"{"type":"string","pattern":"^[A-Z]{3}-[0-9]+$","minLength":9}"#,
    r#"{"type":"string","format":"date-time"}"#,
    r#"{"type":"string","format":"email"}"#,
    r#"{"type":"string","format":"uuid"}"#,
    r#"{"type":"string","format":"something-new"}"#,
    r#"{"type":"array","items":{"type":"string"}}"#,
    r#"{"type":"array","items":{"type":"string"},"maxItems":0}"#,
    r#"{"type":"array","items":{"type":"integer","minimum":5},"minItems":4,"uniqueItems":true}"#,
    r#"{"type":"array","items":{"enum":["a","b","c"]},"minItems":3,"uniqueItems":true}"#,
    r#"{"type":"array","items":{"type":"boolean"},"minItems":2,"uniqueItems":true}"#,
    concat!(
        r#"{"type":"array","items":{"type":"object","properties":{"a":{"type":"string"}},"#,
        r#""required":["a"]},"minItems":2,"uniqueItems":true}"#,
    ),
    r#"{"type":"array","prefixItems":[{"type":"string"},{"type":"integer"}],"items":false}"#,
    r#"{"type":"array","prefixItems":[{"const":1}],"items":{"const":2},"minItems":3}"#,
    r#"{"type":"array","contains":{"const":5}}"#,
    r#"{"type":"object","required":["a","b"],"properties":{"b":{"type":"integer"}}}"#,
    r#"{"type":"object","required":["a"],"additionalProperties":{"type":"boolean"}}"#,
    r#"{"type":"object","minProperties":3}"#,
    r#"{"type":"object","properties":{"a":{},"b":{},"c":{}},"maxProperties":2,"required":["c"]}"#,
    r#"{"type":"object","properties":{"a":false,"b":{"type":"string"}}}"#,
    r#"{"properties":{"a":{"minLength":5},"b":{"minimum":9},"c":{"items":{"const":1}}}}"#,
    r##"{"$ref":"#/$defs/a","$defs":{"a":{"type":"integer"}}}"##,
    concat!(
        r##"{"type":"object","properties":{"x":{"$ref":"#/$defs/a~1b","description":"d"}},"##,
        r##""$defs":{"a/b":{"enum":["q"]}}}"##,
    ),
    r##"{"type":"object","properties":{"v":{"type":"integer"},"next":{"$ref":"#"}},"required":["v"]}"##,
    concat!(
        r##"{"type":"object","properties":{"v":{"type":"integer"},"next":{"anyOf":[{"$ref":"#"},"##,
        r##"{"type":"null"}]}},"required":["v","next"],"additionalProperties":false}"##,
    ),
    r##"{"type":"object","properties":{"kids":{"type":"array","items":{"$ref":"#"}}},"required":["kids"]}"##,
    concat!(
        r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"},"c":{"$ref":"#"},"##,
        r##""d":{"$ref":"#"}}}"##,
    ),
    r#"{"anyOf":[false,{"type":"integer"}]}"#,
    r#"{"type":"object","anyOf":[{"properties":{"a":{"const":1}},"required":["a"]},{"required":["b"]}]}"#,
    r#"{"oneOf":[{"type":"string"},{"type":"integer"}]}"#,
    concat!(
        r#"{"allOf":[{"type":"object","properties":{"a":{"type":"integer","minimum":3}},"required":["a"]},"#,
        r#"{"properties":{"a":{"minimum":5},"b":{"type":"string"}},"required":["b"]}]}"#,
    ),
    concat!(
        r#"{"allOf":[{"properties":{"a":{"type":"integer","minimum":3}}},"#,
        r#"{"properties":{"a":{"maximum":4}},"required":["a"]}]}"#,
    ),
    concat!(
        r##"{"allOf":[{"$ref":"#/$defs/base"},{"required":["a"]}],"$defs":{"base":{"type":"object","##,
        r##""properties":{"a":{"type":"string"}}}}}"##,
    ),
    concat!(
        r##"{"$defs":{"Level":{"oneOf":[{"const":"low"},{"const":"high"}]}},"type":"object","##,
        r##""properties":{"level":{"$ref":"#/$defs/Level"}},"required":["level"]}"##,
    ),
];

#[tokio::test]
async fn values_satisfy_their_schema() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    for schema in VALID {
        let text = made(&mut client, schema).await.unwrap_or_else(|problem| panic!("{schema}: {problem}"));
        let value: Value = serde_json::from_str(&text).unwrap();
        let parsed: Value = serde_json::from_str(schema).unwrap();
        let validator = jsonschema::validator_for(&parsed).unwrap();
        if let Err(problem) = validator.validate(&value) {
            panic!("{schema}: {text}: {problem}");
        }
    }
}

#[tokio::test]
async fn members_keep_the_order_of_the_schema() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let schema = r#"{"type":"object","required":["answer","z"],"properties":
        {"z":{"type":"string"},"reasoning":{"type":"string"},
        "answer":{"type":"integer"},"a":{"type":"null"}}}"#;
    let text = made(&mut client, schema).await.unwrap();
    assert_eq!(text, r#"{"z":"z","reasoning":"reasoning","answer":1,"a":null}"#);
}

#[tokio::test]
async fn what_may_go_on_without_end_ends_soon() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let schema = r##"{"type":"object","properties":{"next":{"anyOf":[{"$ref":"#"},{"type":"null"}]}},
        "required":["next"],"additionalProperties":false}"##;
    let text = made(&mut client, schema).await.unwrap();
    assert_eq!(text, r#"{"next":{"next":{"next":null}}}"#);
}

#[tokio::test]
async fn what_cannot_be_made_is_said() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let cases = [
        (r#"{"type":"strang"}"#, "Invalid type: strang"),
        (r#"{"type":5}"#, "Invalid type: 5"),
        (r#"{"type":[]}"#, "type must not be an empty list"),
        ("5", "a schema must be an object or a boolean"),
        ("false", "no value is allowed"),
        (r#"{"enum":[]}"#, "enum must be a list"),
        (r#"{"anyOf":[]}"#, "must be lists that are not empty"),
        (r#"{"not":{"type":"string"}}"#, "the keyword \"not\""),
        (r#"{"type":"string","pattern":"(?<=x)y"}"#, "look-around"),
        (r#"{"type":"string","minLength":5,"maxLength":4}"#, "5 to 4 characters"),
        (r#"{"type":"string","minLength":99999999}"#, "cannot be made"),
        (r#"{"type":"integer","minimum":5,"maximum":4}"#, "no number fits"),
        (r#"{"type":"integer","minimum":9007199254740993}"#, "no number fits"),
        (r#"{"type":"array","minItems":99999999}"#, "cannot be made"),
        (r#"{"type":"array","items":{"const":1},"minItems":2,"uniqueItems":true}"#, "different items"),
        (
            r#"{"type":"object","required":["a"],"additionalProperties":false}"#,
            "no value is allowed for \"a\"",
        ),
        (r#"{"type":"object","required":["a","b"],"maxProperties":1}"#, "maxProperties"),
        (r##"{"$ref":"#/nowhere"}"##, "leads nowhere"),
        (r#"{"$ref":"https://example.com/x"}"#, "leads out of the schema"),
        (r##"{"$ref":"#"}"##, "without end"),
        (r##"{"type":"object","properties":{"a":{"$ref":"#"}},"required":["a"]}"##, "without end"),
        (
            r##"{"type":"object","properties":{"a":{"$ref":"#"},"b":{"$ref":"#"}},"required":["a","b"]}"##,
            "without end",
        ),
        (r##"{"type":"array","items":{"$ref":"#"},"minItems":2}"##, "without end"),
        (r##"{"anyOf":[{"$ref":"#"},{"$ref":"#"},{"$ref":"#"}]}"##, "without end"),
    ];
    for (schema, problem) in cases {
        let error = made(&mut client, schema).await.unwrap_err();
        assert!(error.contains(problem), "{schema}: {error}");
    }
}

#[tokio::test]
async fn a_tool_without_a_possible_call_is_refused() {
    let sim = Sim::start().await.unwrap();
    let mut client = Client::connect(&sim).await;
    let body = json!({
        "messages": [{"role": "user", "content": "x"}],
        "tools": [{"type": "function", "function": {"name": "f", "parameters": {"type": "objekt"}}}],
        "tool_choice": "required",
    });
    let reply = client.post(&body).await;
    assert_eq!(reply.status, 400);
    assert_eq!(
        reply.json()["error"]["message"],
        "Grammar error in the parameters of tool f: Invalid type: objekt"
    );
}
