//! Nothing that a server quotes of a request is shown.

use super::*;
use serde_json::json;

const CANARY: &str = "canary";

/// Every form in which an error is shown.
fn assert_hidden(error: &Error, body: &str) {
    let report = serde_json::to_string(&error.report()).unwrap();
    for shown in [format!("{error:#}"), format!("{error:?}"), format!("{:?}", error.server()), report] {
        assert!(!shown.contains(CANARY), "{shown}\nof {body}");
    }
}

#[test]
fn the_input_of_a_validation_error_goes_at_every_location() {
    let request = json!({
        "model": "m",
        "messages": [{"role": "user", "content": CANARY}, {"role": "user", "content": [{"type": "text",
        "text": CANARY}]}],
        "tools": [{"type": "function", "function": {"name": "n", "description": CANARY,
        "parameters": {"canary": 1}}}],
        "stop": [CANARY], "user": CANARY, "metadata": {"a": CANARY}, "unknown": CANARY,
    });
    let request = request.as_object().unwrap();
    let inputs =
        request.values().cloned().chain([json!(request), json!(CANARY), json!([CANARY]), json!([[CANARY]])]);
    for input in inputs {
        let python = input.to_string().replace('"', "'").replace("true", "True").replace("null", "None");
        let line = format!("{{'type': 'x', 'loc': ('body', 'n'), 'msg': 'Bad', 'input': {python}}}");
        let object = format!(
            "{{'type': 'x', 'loc': ('body',), 'msg': 'Bad', 'input': {python}, 'ctx': {{'error': \
             ValueError('canary')}}}}"
        );
        let own = format!(
            "1 validation error for ChatCompletionRequest\nn\n  Bad [type=x, input_value={python}, \
             input_type=dict]\n    For"
        );
        let cut: String = own.chars().take(own.len() - 40).collect();
        for message in [
            format!("1 validation error:\n  {line}"),
            format!("1 validation error:\n  {object}"),
            format!("1 validation error:\n  {line}\n\n  File \"/x.py\", line 1, in y\n    POST /v1 [{line}]"),
            format!("[{line}]"),
            format!("{{'errors': [{line}]}}"),
            own,
            cut,
        ] {
            for body in [
                json!({"error": {"message": message, "type": "BadRequestError", "code": 400}}).to_string(),
                json!({"object": "error", "message": message}).to_string(),
                json!({"detail": message}).to_string(),
                json!({"error": {"message": format!("litellm.X: XException - \
                    {message}\nmodel=a")}})
                .to_string(),
                json!({"error": {"message": format!("litellm.X: XException - {}",
                    json!({"error": {"message": message}}))}})
                .to_string(),
                message,
            ] {
                for status in [400, 422, 500] {
                    let error = of(status, &body);
                    assert_hidden(&error, &body);
                    assert!(error.message().contains("Bad"), "{error}\nof {body}");
                    assert!(error.message().chars().count() < 400, "{error}");
                }
            }
        }
        let list = json!({"detail": [{"loc": ["body", "n"], "msg": "Bad", "type": "x", "input": input}]})
            .to_string();
        assert_hidden(&of(422, &list), &list);
        assert_eq!(of(422, &list).message(), "body.n: Bad");
    }
}

#[test]
fn a_request_that_is_quoted_in_a_sentence_or_alone_goes() {
    let messages = json!([{"role": "user", "content": CANARY}]);
    let request = json!({"model": "m", "messages": messages, "tools": [{"function": {"name": "n",
        "description": CANARY}}]});
    let python = request.to_string().replace('"', "'");
    let escaped = request.to_string().replace('"', "\\\"");
    for text in [
        request.to_string(),
        python.clone(),
        format!(
            "Failed to parse tools: Missing tool type: {{\"description\":\"{CANARY}\"}}; tools = \
             [{{\"x\":\"{CANARY}\"}}]"
        ),
        format!("cannot handle {request}, sorry"),
        format!("cannot handle {python}"),
        format!("cannot handle {escaped}"),
        format!("bad request: {}", &python[..python.len() - 5]),
        format!("'messages': [{{'role': 'user', 'content': '{CANARY}'}}]"),
        format!("bad 'input': '{CANARY}' here"),
    ] {
        for body in [
            text.clone(),
            json!({"error": text}).to_string(),
            json!({"error": {"message": text, "param": text, "code": text, "type": text}}).to_string(),
            json!({"detail": text}).to_string(),
            json!({"error": {"message": "m", "metadata": {"raw": text}}}).to_string(),
        ] {
            for (context, status) in [(Http, 400), (Http, 500), (SuccessBody, 200), (Stream, 200)] {
                assert_hidden(&read(context, status, &[], &body), &body);
            }
        }
    }
    for body in [
        json!({"messages": messages}),
        json!({"request": request}),
        json!({"headers": {"authorization": "Bearer canary"}, "json": request}),
        json!({"body": request.to_string()}),
    ] {
        assert_hidden(&of(400, &body.to_string()), &body.to_string());
        assert!(!excerpt(&body.to_string(), 200).contains(CANARY), "{body}");
    }
}

#[test]
fn no_recorded_error_shows_a_request_that_is_put_into_it() {
    let request =
        json!({"messages": [{"role": "user", "content": CANARY}], "tools": [{"description": CANARY}]});
    let python = request.to_string().replace('"', "'");
    let folder = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/exchanges");
    let mut bodies = 0;
    for server in std::fs::read_dir(folder).unwrap() {
        for file in std::fs::read_dir(server.unwrap().path()).unwrap() {
            let text = std::fs::read_to_string(file.unwrap().path()).unwrap();
            let exchange: serde_json::Value = serde_json::from_str(&text).unwrap();
            let status = exchange["response"]["status"].as_u64().unwrap();
            let Some(body) = exchange["response"]["body"].as_str().filter(|_| status >= 300) else {
                continue;
            };
            bodies += 1;
            let status = u16::try_from(status).unwrap();
            let Ok(serde_json::Value::Object(mut object)) = serde_json::from_str(body) else { continue };
            for name in ["input", "request", "headers", "body", "messages", "tools"] {
                object.insert(name.to_owned(), request.clone());
            }
            for echo in [format!(" 'input': {python}"), format!(": {request}"), format!(" {python}")] {
                let mut echoing = serde_json::Value::Object(object.clone());
                append(&mut echoing, &echo);
                let body = echoing.to_string();
                assert_hidden(&of(status, &body), &body);
            }
        }
    }
    assert!(bodies >= 10, "{bodies} recorded errors were read");
}

/// Puts the text behind the message of an error, in whatever member it stands, and into its validation
/// errors.
fn append(value: &mut serde_json::Value, echo: &str) {
    match value {
        serde_json::Value::Object(object) => {
            for (name, member) in object.iter_mut() {
                match member {
                    serde_json::Value::String(text)
                        if matches!(name.as_str(), "message" | "detail" | "error") =>
                    {
                        text.push_str(echo);
                    }
                    member if matches!(name.as_str(), "error" | "detail") => append(member, echo),
                    _ => {}
                }
            }
            if object.contains_key("loc") {
                object.insert("input".to_owned(), json!(echo));
            }
        }
        serde_json::Value::Array(items) => items.iter_mut().for_each(|item| append(item, echo)),
        _ => {}
    }
}
