//! The error that a router quotes inside the text of its own message.

use super::envelope::{self, Said};
use serde_json::Value;

/// How many errors may quote each other.
const DEPTH: usize = 6;
/// How many places of a text are looked at, and how much of the text.
const PLACES: usize = 16;
const READ: usize = 64 * 1024;

/// The innermost error in this text, or none if it quotes none.
///
/// Routers quote what their upstream said as text (LiteLLM: `litellm.X: XException - ...`), as JSON, or as
/// Python prints a dictionary (`Error code: 400 - {'error': {...}}`).
pub(super) fn find(text: &str) -> Option<Said> {
    find_at(super::sound::start(text, READ), 0)
}

fn find_at(text: &str, depth: usize) -> Option<Said> {
    if depth > DEPTH {
        return None;
    }
    let quoted = quoted_by_litellm(text);
    if let Some(mut said) = object_in(quoted.unwrap_or(text)) {
        if said.upstream_message.is_none() {
            if let Some(inner) = find_at(&said.message, depth + 1) {
                return Some(inner_of(said, inner));
            }
        }
        said.message = said.upstream_message.take().unwrap_or(said.message);
        said.code = said.upstream_code.take().or(said.code);
        said.r#type = said.upstream_type.take().or(said.r#type);
        return Some(said);
    }
    let quoted = quoted?;
    find_at(quoted, depth + 1).or_else(|| Some(Said { message: quoted.to_owned(), ..Said::default() }))
}

/// The inner error; what it does not say of itself, the one around it does.
fn inner_of(outer: Said, mut inner: Said) -> Said {
    inner.code = inner.code.or(outer.code);
    inner.r#type = inner.r#type.or(outer.r#type);
    inner
}

/// What stands after `XException - `, without what LiteLLM adds.
fn quoted_by_litellm(text: &str) -> Option<&str> {
    const QUOTES: &str = "Exception - ";
    const ADDS: [&str; 5] =
        ["\n\nLiteLLM: ", "\nmodel=", "\nReceived Model Group=", "\n\nDeployment Info:", " LiteLLM Retried:"];
    let from = text.find(QUOTES)? + QUOTES.len();
    let quoted = &text[from..];
    let to = ADDS.iter().filter_map(|adds| quoted.find(adds)).min().unwrap_or(quoted.len());
    Some(quoted[..to].trim()).filter(|quoted| !quoted.is_empty())
}

/// The first object in the text that is an error.
fn object_in(text: &str) -> Option<Said> {
    let mut at = 0;
    for _ in 0..PLACES {
        at += text.get(at..)?.find('{')?;
        match object_at(&text[at..]) {
            Some((value, length)) => {
                if is_error(&value) {
                    let said = envelope::of_value(&value, 0);
                    return said.filter(|said| !said.message.is_empty());
                }
                at += length;
            }
            None => at += 1,
        }
    }
    None
}

/// The object that this text starts with, and its length: as JSON, as JSON inside a JSON string, as Python's.
fn object_at(text: &str) -> Option<(Value, usize)> {
    let mut values = serde_json::Deserializer::from_str(text).into_iter::<Value>();
    if let Some(Ok(value)) = values.next() {
        return Some((value, values.byte_offset()));
    }
    if text.starts_with("{\\\"") {
        let unescaped = text.replace("\\\"", "\"").replace("\\\\", "\\");
        let mut values = serde_json::Deserializer::from_str(&unescaped).into_iter::<Value>();
        if let Some(Ok(value)) = values.next() {
            return Some((value, text.len()));
        }
    }
    let (json, length) = json_of_python(text)?;
    Some((serde_json::from_str(&json).ok()?, length))
}

/// True for an object that is an error and not, say, a tool that the text is about.
fn is_error(value: &Value) -> bool {
    let has = |name: &str| value.get(name).is_some_and(envelope::says_something);
    let alone = value.as_object().is_some_and(|object| object.len() == 1);
    has("error")
        || has("detail") && alone
        || has("errors")
        || has("message") && ["code", "type", "status", "object"].into_iter().any(has)
}

/// A Python literal as JSON, and its length, or none if it is not one.
fn json_of_python(text: &str) -> Option<(String, usize)> {
    let mut out = String::with_capacity(text.len());
    let mut open = 0_usize;
    let mut rest = text.char_indices();
    while let Some((at, c)) = rest.next() {
        match c {
            '{' | '[' | '(' => {
                open += 1;
                out.push(if c == '{' { c } else { '[' });
            }
            '}' | ']' | ')' => {
                // A tuple of one ends in a comma.
                let kept = out.trim_end().trim_end_matches(',').len();
                out.truncate(kept);
                out.push(if c == '}' { c } else { ']' });
                open = open.checked_sub(1)?;
                if open == 0 {
                    return Some((out, at + 1));
                }
            }
            '\'' | '"' => {
                let string = python_string(&mut rest, c)?;
                out.push_str(&serde_json::to_string(&string).ok()?);
            }
            ',' | ':' | ' ' | '\n' | '\t' | '\r' | '0'..='9' | '-' | '+' | '.' => out.push(c),
            'a'..='z' | 'A'..='Z' => {
                let mut name = String::from(c);
                while let Some((_, c)) = rest.clone().next().filter(|(_, c)| c.is_ascii_alphanumeric()) {
                    name.push(c);
                    rest.next();
                }
                out.push_str(match name.as_str() {
                    "True" => "true",
                    "False" => "false",
                    "None" => "null",
                    // The exponent of a number, which came with its digits.
                    _ if name.starts_with('e') && out.ends_with(|c: char| c.is_ascii_digit()) => &name,
                    _ => return None,
                });
            }
            _ => return None,
        }
    }
    None
}

/// The rest of a Python string whose opening quote was just read.
fn python_string(rest: &mut std::str::CharIndices<'_>, quote: char) -> Option<String> {
    let mut out = String::new();
    loop {
        let (_, c) = rest.next()?;
        if c == quote {
            return Some(out);
        }
        if c != '\\' {
            out.push(c);
            continue;
        }
        let (_, escape) = rest.next()?;
        let digits = match escape {
            'n' => {
                out.push('\n');
                continue;
            }
            't' => {
                out.push('\t');
                continue;
            }
            'r' => {
                out.push('\r');
                continue;
            }
            '\\' | '\'' | '"' => {
                out.push(escape);
                continue;
            }
            'x' => 2,
            'u' => 4,
            'U' => 8,
            other => {
                out.extend(['\\', other]);
                continue;
            }
        };
        let mut code = 0;
        for _ in 0..digits {
            code = code * 16 + rest.next()?.1.to_digit(16)?;
        }
        out.push(char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER));
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_innermost_error_is_found() {
        let no = None;
        for (text, want) in [
            (
                "litellm.X: X: OpenAIException - slow down\n\nLiteLLM: model group 'a'",
                Some(("slow down", no)),
            ),
            ("litellm.X: OpenAIException - too long\nmodel=a. b=None", Some(("too long", no))),
            (r#"litellm.X: Hosted_vllmException - {"error":"Unauthorized"}"#, Some(("Unauthorized", no))),
            (
                r#"litellm.X: AException - litellm.Y: BException - {"error":{"message":"deep","code":400}}"#,
                Some(("deep", Some("400"))),
            ),
            (
                "Error 401 - {'error': {'message': \"it's \\u00e9\", 'code': None, 'type': 'a', 'x': (1,)}}",
                Some(("it's é", no)),
            ),
            (
                "Error 400 - {'object': 'error', 'message': 'no', 'code': 400, 'ok': True, 'n': -1.5e2}",
                Some(("no", Some("400"))),
            ),
            (
                r#"said {\"error\":{\"message\":\"escaped\",\"code\":\"a\"}} twice"#,
                Some(("escaped", Some("a"))),
            ),
            (
                r#"{"error":{"message":"XException - {\"error\":{\"message\":\"in\",\"code\":1}}"}}"#,
                Some(("in", Some("1"))),
            ),
            (r#"first {"name":"x"} then {"message":"m","type":"t"}"#, Some(("m", no))),
            ("Failed to parse tools: {\"name\":\"x\"}; tools = [{\"description\": \"d\"}]", None),
            ("{'url': 'x', 'detail': 'auto'}", None),
            ("{'type': 'missing', 'ctx': {'error': 'Expecting value'}}", None),
            ("{'a': <object at 0x7f>, 'error': 'x'}", None),
            ("{{{{{{{{{{{{{{{{{{{{{{{{", None),
            ("XException - ", None),
            ("{'error': 'never ends", None),
            ("plain", None),
        ] {
            let found = find(text);
            let found = found.as_ref().map(|said| (said.message.as_str(), said.code.as_deref()));
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn quotes_within_quotes_come_to_an_end() {
        let text = "XException - ".repeat(10_000);
        let found = find(&text);
        assert!(found.is_none_or(|said| said.message.len() < text.len()));
        assert_eq!(find(&"{\"error\":".repeat(5_000)), None);
    }
}
