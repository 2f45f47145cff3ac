//! Redacts what a server sent: no control characters, keys or prompts are shown.

use super::{
    page::{is_page, title},
    parse::ErrorBody,
};
use crate::{
    Error,
    text::{bounded, one_line, start},
};
use memchr::memmem;
use std::borrow::Cow;

/// The most characters of a code, type or param.
const WORD_LIMIT: usize = 200;
/// The most bytes of a text that are looked at.
const READ: usize = 16 * 1024;

/// The text without control characters other than line breaks, and without what is quoted of a request.
fn clean(text: &str) -> String {
    let text = start(text, READ).trim();
    let text: String = text
        .chars()
        .filter(|c| *c != char::REPLACEMENT_CHARACTER)
        .map(|c| if c.is_control() && c != '\n' && c != '\t' { ' ' } else { c })
        .collect();
    let text = without_echoes(&text);
    // A text that is JSON as a whole is the server's own answer, in words that are not known here.
    let text = if text.trim_start().starts_with(['{', '[']) { text } else { without_literals(&text) };
    text.trim().to_owned()
}

/// The start of what a server sent, on one line, without the texts of messages that it may echo.
pub(crate) fn excerpt(text: &str, limit: usize) -> String {
    if is_page(text) {
        return match title(text) {
            title if title.is_empty() => "a page without a title".to_owned(),
            title => format!("a page: {}", one_line(&title, limit)),
        };
    }
    one_line(&clean(text), limit)
}

/// The body with nothing in it that must not be shown.
pub(super) fn redact(body: ErrorBody, secrets: &Secrets<'_>) -> ErrorBody {
    let text = |text: String| secrets.redact(&clean(&text));
    let word = |word: Option<String>| {
        let word = word.map(|word| bounded(&secrets.redact(&clean(&word)), WORD_LIMIT));
        word.filter(|word| !word.trim().is_empty())
    };
    ErrorBody {
        message: text(body.message),
        code: word(body.code),
        r#type: word(body.r#type),
        param: word(body.param),
        upstream_message: body.upstream_message.map(text).filter(|message| !message.is_empty()),
        upstream_code: word(body.upstream_code),
        upstream_type: word(body.upstream_type),
        ..body
    }
}

/// An error that was made from what a server sent, without the key that was sent to it.
pub(crate) fn redact_error(error: Error, key: Option<&str>) -> Error {
    let secrets = Secrets { key };
    let message = secrets.redact_cut(error.message());
    let mut details = error.server().clone();
    let all = [
        &mut details.code,
        &mut details.r#type,
        &mut details.param,
        &mut details.upstream_message,
        &mut details.upstream_code,
    ];
    for word in all.into_iter().flatten() {
        *word = secrets.redact_cut(word);
    }
    let error = if details == *error.server() { error } else { error.with_server(details) };
    let error = match error.body().map(|body| secrets.redact_bytes(body).into_owned()) {
        Some(body) => error.with_body(&body),
        None => error,
    };
    if message == error.message() { error } else { error.with_message(message) }
}

/// What is redacted wherever it is echoed.
pub(super) struct Secrets<'a> {
    /// The key that was sent.
    pub(super) key: Option<&'a str>,
}

const REDACTED: &str = "***";
/// Shorter keys are placeholders for servers that check none, and may be parts of words.
const SHORTEST_KEY: usize = 6;
/// A shorter piece of a key gives nothing away, and may be a part of words.
const SHORTEST_PIECE: usize = 4;

impl Secrets<'_> {
    /// The text without the key, and without what looks like one.
    pub(super) fn redact(&self, text: &str) -> String {
        let text = match self.known() {
            Some(key) => Cow::Owned(text.replace(key, REDACTED)),
            None => Cow::Borrowed(text),
        };
        without_bearers(&without_keys(&text))
    }

    /// Like [`redact`](Self::redact), for a text that may have been cut (`…`) in the middle of the key.
    pub(super) fn redact_cut(&self, text: &str) -> String {
        let mut text = self.redact(text);
        let Some(key) = self.known() else { return text };
        let cuts: Vec<usize> = text.match_indices('…').map(|(at, _)| at).collect();
        for at in cuts.into_iter().rev() {
            let mut pieces = (SHORTEST_PIECE..key.len()).rev().filter_map(|length| key.get(..length));
            if let Some(piece) = pieces.find(|piece| text[..at].ends_with(piece)) {
                text.replace_range(at - piece.len()..at, REDACTED);
            }
        }
        text
    }

    /// The bytes without the key.
    pub(super) fn redact_bytes<'b>(&self, bytes: &'b [u8]) -> Cow<'b, [u8]> {
        let Some(key) = self.known() else {
            return Cow::Borrowed(bytes);
        };
        let mut out = Vec::new();
        let mut from = 0;
        for at in memmem::find_iter(bytes, key) {
            out.extend_from_slice(&bytes[from..at]);
            out.extend_from_slice(REDACTED.as_bytes());
            from = at + key.len();
        }
        if from == 0 {
            return Cow::Borrowed(bytes);
        }
        out.extend_from_slice(&bytes[from..]);
        Cow::Owned(out)
    }

    fn known(&self) -> Option<&str> {
        self.key.map(str::trim).filter(|key| key.len() >= SHORTEST_KEY)
    }
}

fn without_keys(text: &str) -> String {
    // How keys of the well-known services start, and how much must follow for it to be one.
    const KEYS: [(&str, usize); 6] =
        [("sk-", 8), ("gsk_", 16), ("hf_", 16), ("xai-", 16), ("nvapi-", 16), ("AIza", 16)];
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let mut at = 0;
    while at < text.len() {
        let inside_word = text[..at].ends_with(|c: char| c.is_ascii_alphanumeric());
        let key = KEYS.iter().filter(|_| !inside_word).find_map(|(prefix, least)| {
            let rest = text[at..].strip_prefix(prefix)?;
            let length = run(rest, |c| c.is_ascii_alphanumeric() || "-_.*".contains(c));
            let length = rest[..length].trim_end_matches(['.', '-']).len();
            (length >= *least).then_some((prefix.len(), length))
        });
        if let Some((prefix, length)) = key {
            out.push_str(&text[from..at + prefix]);
            out.push_str(REDACTED);
            at += prefix + length;
            from = at;
        } else {
            at += text[at..].chars().next().map_or(1, char::len_utf8);
        }
    }
    out.push_str(&text[from..]);
    out
}

/// Without the token after `Bearer`, unless it is a word (`Bearer authentication is required`).
fn without_bearers(text: &str) -> String {
    const SCHEME: &str = "bearer ";
    const SURELY: usize = 20;
    let lower = text.to_ascii_lowercase();
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    for at in memmem::find_iter(lower.as_bytes(), SCHEME) {
        let token = at + SCHEME.len();
        if token < from {
            continue;
        }
        let length = run(&text[token..], |c| c.is_ascii_alphanumeric() || "-_.~+/=*".contains(c));
        let is_token = length >= SURELY
            || length >= 8 && text[token..token + length].contains(|c: char| c.is_ascii_digit());
        if is_token {
            out.push_str(&text[from..token]);
            out.push_str(REDACTED);
            from = token + length;
        }
    }
    out.push_str(&text[from..]);
    out
}

/// The length of the run of such characters that the text starts with.
fn run(text: &str, is_in: impl Fn(char) -> bool) -> usize {
    text.find(|c| !is_in(c)).unwrap_or(text.len())
}

/// Without the values of the members that a request has: servers quote the request that they refuse, as JSON
/// or as Python prints it.
fn without_echoes(text: &str) -> String {
    const MEMBERS: [&str; 31] = [
        "messages",
        "content",
        "text",
        "prompt",
        "input",
        "inputs",
        "system",
        "instructions",
        "reasoning",
        "reasoning_content",
        "tools",
        "functions",
        "function",
        "tool_calls",
        "arguments",
        "parameters",
        "response_format",
        "json_schema",
        "schema",
        "stop",
        "image_url",
        "input_audio",
        "file",
        "metadata",
        "user",
        "headers",
        "authorization",
        "Authorization",
        "api_key",
        "request",
        "body",
    ];
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let mut at = 0;
    while let Some(step) = text[at..].find(['\'', '"']) {
        at += step;
        let value = MEMBERS.iter().find_map(|member| value_of(text, at, member));
        if let Some((start, end)) = value {
            out.push_str(&text[from..start]);
            out.push('…');
            from = end;
            at = end;
        } else {
            at += 1;
        }
    }
    out.push_str(&text[from..]);
    without_input_values(&out)
}

/// Without what pydantic's own text quotes: `[type=missing, input_value=.., input_type=dict]`.
fn without_input_values(text: &str) -> String {
    const VALUE: &str = "input_value=";
    let mut out = String::with_capacity(text.len());
    let mut rest = text;
    while let Some(at) = rest.find(VALUE) {
        let (before, value) = rest.split_at(at + VALUE.len());
        out.push_str(before);
        out.push('…');
        let line = value.find('\n').unwrap_or(value.len());
        rest = &value[value[..line].rfind(", input_type=").unwrap_or(line)..];
    }
    out.push_str(rest);
    out
}

/// Without the objects that a sentence quotes, as JSON or as Python prints them: `Missing tool type:
/// {"name":"x"}`. One that holds no text but its names stays.
fn without_literals(text: &str) -> String {
    let mut out = String::with_capacity(text.len());
    let mut from = 0;
    let mut at = 0;
    while let Some(step) = text[at..].find(['{', '[']) {
        at += step;
        let inside = &text[at + 1..];
        if !is_object(text[at..].trim_start_matches(['[', ' ', '\n', '\t'])) {
            at += 1;
            continue;
        }
        let escapes = inside.trim_start_matches(['[', '{', ' ', '\n', '\t']);
        let escapes = escapes.len() - escapes.trim_start_matches('\\').len();
        let end = at + 1 + length_of_list(inside, escapes);
        if holds_text(&text[at..end]) {
            out.push_str(&text[from..=at]);
            out.push('…');
            from = end;
        }
        at = end;
    }
    out.push_str(&text[from..]);
    out
}

/// True for a text that starts as an object with a member does.
fn is_object(text: &str) -> bool {
    const NAME: usize = 200;
    let Some(member) = text.strip_prefix('{') else { return false };
    let name = member.trim_start().trim_start_matches('\\');
    let Some(name) = name.strip_prefix(['"', '\'']) else { return false };
    let Some(end) = start(name, NAME).find(['"', '\'']) else { return true };
    name[end + 1..].trim_start().starts_with(':')
}

/// True when a member of the object has another object, a list, or a text other than a short name of a thing.
fn holds_text(object: &str) -> bool {
    const LONG: usize = 200;
    let parts: Vec<&str> = object.split(':').collect();
    let mut members = parts.windows(2).map(|pair| (pair[0].trim_end(), pair[1].trim_start()));
    object.len() > LONG
        || members.any(|(name, value)| match value.trim_start_matches('\\').chars().next() {
            Some('"' | '\'') => !is_name(name, value),
            Some('{' | '[') => true,
            _ => false,
        })
}

/// True for `"name": "get_time"` and the like: which thing it is about, not what is in it.
fn is_name(member: &str, value: &str) -> bool {
    const NAMES: [&str; 3] = ["name", "type", "role"];
    const LONGEST: usize = 64;
    let marks = |c: char| matches!(c, '"' | '\'' | '\\');
    let value = value.trim_start_matches(marks);
    let value = &value[..value.find(marks).unwrap_or(value.len())];
    let member = member.trim_end_matches(marks);
    NAMES.iter().any(|name| member.strip_suffix(name).is_some_and(|rest| rest.ends_with(marks)))
        && value.len() <= LONGEST
        && value.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_-.".contains(&byte))
}

/// The inside of the string, list or object that is the value of `member`, if the quote at `at` opens that
/// name.
fn value_of(text: &str, at: usize, member: &str) -> Option<(usize, usize)> {
    let quote = &text[at..=at];
    let escapes = text[..at].len() - text[..at].trim_end_matches('\\').len();
    let escapes = &text[at - escapes..at];
    let rest = text[at + 1..].strip_prefix(member)?.strip_prefix(escapes)?.strip_prefix(quote)?;
    let rest = rest.trim_start().strip_prefix(':')?.trim_start();
    if let Some(list) = rest.strip_prefix(['[', '{', '(']) {
        let start = text.len() - list.len();
        return Some((start, start + length_of_list(list, escapes.len())));
    }
    let value = rest.strip_prefix(escapes)?;
    let quote = value.chars().next().filter(|c| matches!(c, '\'' | '"'))?;
    let start = text.len() - value.len() + 1;
    Some((start, start + length_of_string(&text[start..], quote, escapes.len())))
}

/// The length up to the quote that ends a string, without the backslashes that belong to it, or to the end.
fn length_of_string(text: &str, quote: char, escapes: usize) -> usize {
    let mut before = 0;
    for (at, c) in text.char_indices() {
        if c == quote && before == escapes {
            return at - escapes;
        }
        before = if c == '\\' { before + 1 } else { 0 };
    }
    text.len()
}

/// The length up to the bracket that ends a list or an object, or to the end.
fn length_of_list(text: &str, escapes: usize) -> usize {
    let mut open = 1;
    let mut at = 0;
    while let Some(c) = text[at..].chars().next() {
        at += c.len_utf8();
        match c {
            '\'' | '"' => at += length_of_string(&text[at..], c, escapes) + escapes + 1,
            '[' | '{' | '(' => open += 1,
            ']' | '}' | ')' => open -= 1,
            _ => {}
        }
        if open == 0 {
            return at - 1;
        }
        if at >= text.len() {
            break;
        }
    }
    text.len()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_redacted_and_words_are_not() {
        let secrets = Secrets { key: Some(" my-local-key ") };
        for (text, want) in [
            ("key my-local-key refused", "key *** refused"),
            ("Incorrect API key provided: sk-abcdefghijkl.", "Incorrect API key provided: sk-***."),
            ("sk-proj-a_b-c*****wxyz. Find it at", "sk-***. Find it at"),
            ("sk-abc***", "sk-abc***"),
            ("risk-assessment of a task-force", "risk-assessment of a task-force"),
            ("ésk-abcdefghijkl", "ésk-***"),
            ("token gsk_0123456789abcdef", "token gsk_***"),
            ("pip install hf_transfer", "pip install hf_transfer"),
            ("got `Bearer abc12345`", "got `Bearer ***`"),
            ("BEARER eyJhbGciOiJIUzI1NiJ9.e30.c2ln, no", "BEARER ***, no"),
            ("Bearer authentication is required", "Bearer authentication is required"),
            ("Ensure Key has `Bearer ` prefix", "Ensure Key has `Bearer ` prefix"),
            ("Bearer Bearer abc12345", "Bearer Bearer ***"),
        ] {
            assert_eq!(secrets.redact(text), want);
        }
    }

    #[test]
    fn a_key_that_was_cut_is_redacted() {
        let secrets = Secrets { key: Some("my-local-key") };
        for (text, want) in [
            ("starts with `x my-local-k…`", "starts with `x ***…`"),
            ("my-local-k… (upstream: my-l…)", "***… (upstream: ***…)"),
            ("my-local-key…", "***…"),
            ("tummy…", "tummy…"),
            ("my-local-k", "my-local-k"),
        ] {
            assert_eq!(secrets.redact_cut(text), want);
        }
    }

    #[test]
    fn a_placeholder_is_no_key() {
        let secrets = Secrets { key: Some("EMPTY") };
        assert_eq!(secrets.redact("EMPTY body"), "EMPTY body");
        assert_eq!(Secrets { key: None }.redact_bytes(b"abc"), Cow::Borrowed(b"abc"));
        assert_eq!(
            &*Secrets { key: Some("secret") }.redact_bytes(b"a secret, the secret."),
            b"a ***, the ***."
        );
    }

    #[test]
    fn an_echoed_prompt_is_left_out() {
        for (text, want) in [
            (
                "'input': {'model': 'm', 'messages': [{'role': 'user', 'content': \"it's [me\"}], 'n': 1}",
                "'input': {…}",
            ),
            (r#"{"role":"user","content":"say \"hi\" now","n":1}"#, r#"{"role":"user","content":"…","n":1}"#),
            (r#"{\"content\": \"say \\\"hi\\\" now\", \"n\":1}"#, r#"{\"content\": \"…\", \"n\":1}"#),
            ("{'type': 'text', 'text': 'secret'}", "{'type': 'text', 'text': '…'}"),
            ("\"prompt\" : \"never ends", "\"prompt\" : \"…"),
            ("'messages': [['a', \"b]\"], 'c'", "'messages': […"),
            ("All messages must contain 'content'", "All messages must contain 'content'"),
            ("must be one of \"text\" or \"json\"", "must be one of \"text\" or \"json\""),
            ("'content': None, 'text': 5", "'content': None, 'text': 5"),
        ] {
            assert_eq!(without_echoes(text), want);
        }
    }

    #[test]
    fn an_object_in_a_sentence_is_left_out() {
        for (text, want) in [
            // llama.cpp
            (
                "Failed to parse tools: Missing tool type: {\"name\":\"x\"}; tools = [\n  \
                 {\n    \"name\": \"x\"\n  }\n]",
                "Failed to parse tools: Missing tool type: {\"name\":\"x\"}; tools = [\n  \
                 {\n    \"name\": \"x\"\n  }\n]",
            ),
            (
                "Missing tool type: {\"name\":\"x\",\"description\":\"d\"}; tools = [{\"name\": \"x y\"}]",
                "Missing tool type: {…}; tools = […]",
            ),
            ("got {\\\"role\\\":\\\"a]}\\\"} here", "got {…} here"),
            ("got {'a': 'x', \"b\": [\"}\"]} here", "got {…} here"),
            ("got {'a': ['never ends", "got {…"),
            // smg, transformers serve: numbers and names.
            (
                "range [{\"min\": Number(0.0), \"value\": Number(-5.0)}]",
                "range [{\"min\": Number(0.0), \"value\": Number(-5.0)}]",
            ),
            (
                "Unexpected fields in the request: {'prompt_logprobs'}",
                "Unexpected fields in the request: {'prompt_logprobs'}",
            ),
            ("one of ['text', 'json']", "one of ['text', 'json']"),
            ("{'input': 'x'}", "{'input': '…'}"),
            (
                "[type=missing, input_value={'a': 'secret'}, input_type=dict]\nx",
                "[type=missing, input_value=…, input_type=dict]\nx",
            ),
            ("input_value='secret", "input_value=…"),
        ] {
            assert_eq!(clean(text), want, "{text}");
        }
    }

    #[test]
    fn control_characters_go_and_lines_stay() {
        assert_eq!(clean("\u{fffd}\u{0} a\u{1b}[31mb\r\nc\td\u{85} "), "a [31mb \nc\td");
    }
}
