//! An incremental JSON reader: the value that the start of a text stands for.

use serde_json::{Map, Value};

/// The deepest nesting that is read; `serde_json` reads no deeper either.
const MAX_DEPTH: usize = 127;
/// The longest number that is read, in bytes.
const MAX_NUMBER: usize = 1024;

/// Reads a JSON text that is still being written.
///
/// After each [`push`](Self::push), [`value`](Self::value) is what the text stands for so far: a string shows
/// the part that has come, an array its elements, an object its members. A number or a literal appears when
/// it is complete, since `1` is not the beginning of the number 12; a member appears with its value.
///
/// Reading never fails. Control characters in strings, unknown escapes and trailing commas are accepted. At
/// anything else that cannot be JSON the reader stops and keeps what it has: [`is_broken`](Self::is_broken).
/// Each byte is read once, whatever the split, so the cost is proportional to the length of the text. Nesting
/// is read to the same depth as by `serde_json`.
///
/// ```
/// use oa_tools::PartialJson;
/// use serde_json::json;
///
/// let mut reader = PartialJson::new();
/// reader.push(r#"{"name": "Tok"#);
/// assert_eq!(reader.value(), Some(&json!({"name": "Tok"})));
/// reader.push(r#"yo", "inhabitants": 14"#);
/// assert_eq!(reader.value(), Some(&json!({"name": "Tokyo"})));
/// reader.push("000000}");
/// assert_eq!(reader.value(), Some(&json!({"name": "Tokyo", "inhabitants": 14_000_000})));
/// assert!(reader.is_complete());
/// ```
#[derive(Clone, Debug, Default)]
pub struct PartialJson {
    root: Option<Value>,
    /// The containers that are open, outermost first.
    open: Vec<Frame>,
    state: State,
    /// A key, a number or a literal that is not complete.
    scratch: String,
    /// The first half of a surrogate pair.
    high: Option<u16>,
}

/// A container that is open; for an object, with the key of the member that is being read.
#[derive(Clone, Debug)]
enum Frame {
    Array,
    Object(String),
}

#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
enum State {
    /// A value begins here.
    #[default]
    Value,
    /// An element begins here, or the array ends.
    Element,
    /// A key begins here, or the object ends.
    Key,
    /// The colon after a key.
    Colon,
    /// A comma, or the end of the container.
    Next,
    /// Inside of a string.
    Text { key: bool },
    /// After a backslash.
    Escape { key: bool },
    /// Inside of `\uXXXX`: the number of digits so far, and their value.
    Unicode { key: bool, digits: u8, code: u16 },
    /// Inside of a number or a literal.
    Scalar,
    /// The value is complete.
    Complete,
    /// The text is not JSON.
    Broken,
}

impl PartialJson {
    /// A reader of an empty text.
    pub const fn new() -> Self {
        Self { root: None, open: Vec::new(), state: State::Value, scratch: String::new(), high: None }
    }

    /// Reads the next piece of the text.
    pub fn push(&mut self, piece: &str) {
        let mut rest = piece;
        while !rest.is_empty() && self.state != State::Broken {
            rest = &rest[self.step(rest)..];
        }
    }

    /// What the text stands for so far; none before its first value begins.
    pub fn value(&self) -> Option<&Value> {
        self.root.as_ref()
    }

    /// [`value`](Self::value) without a copy, ending the reading.
    pub fn into_value(self) -> Option<Value> {
        self.root
    }

    /// Whether the text is a whole value.
    pub fn is_complete(&self) -> bool {
        self.state == State::Complete
    }

    /// Whether the text is not JSON. The value that was read before stays.
    pub fn is_broken(&self) -> bool {
        self.state == State::Broken
    }

    /// Reads on, at least one byte or into another state, and returns how many bytes were read.
    fn step(&mut self, rest: &str) -> usize {
        let first = rest.as_bytes()[0];
        match self.state {
            State::Text { key } => return self.text(rest, key),
            State::Escape { key } => return self.escape(first, key),
            State::Unicode { key, digits, code } => self.unicode(first, key, digits, code),
            State::Scalar => return self.scalar(rest),
            State::Broken => {}
            _ if matches!(first, b' ' | b'\t' | b'\n' | b'\r') => {}
            State::Value | State::Element => return self.begin(first),
            State::Key => match first {
                b'"' => {
                    self.scratch.clear();
                    self.state = State::Text { key: true };
                }
                b'}' => self.close(),
                _ => self.state = State::Broken,
            },
            State::Colon => self.state = if first == b':' { State::Value } else { State::Broken },
            State::Next => match (first, self.open.last()) {
                (b',', Some(Frame::Array)) => self.state = State::Element,
                (b',', Some(Frame::Object(_))) => self.state = State::Key,
                (b']', Some(Frame::Array)) | (b'}', Some(Frame::Object(_))) => self.close(),
                _ => self.state = State::Broken,
            },
            State::Complete => self.state = State::Broken,
        }
        1
    }

    /// The first byte of a value.
    fn begin(&mut self, first: u8) -> usize {
        match first {
            b'{' | b'[' if self.open.len() >= MAX_DEPTH => self.state = State::Broken,
            b'{' => {
                self.put(Value::Object(Map::new()));
                self.open.push(Frame::Object(String::new()));
                self.state = State::Key;
            }
            b'[' => {
                self.put(Value::Array(Vec::new()));
                self.open.push(Frame::Array);
                self.state = State::Element;
            }
            b'"' => {
                self.put(Value::String(String::new()));
                self.state = State::Text { key: false };
            }
            b']' if self.state == State::Element => self.close(),
            b'-' | b'0'..=b'9' | b't' | b'f' | b'n' => {
                self.scratch.clear();
                self.state = State::Scalar;
                return 0;
            }
            _ => self.state = State::Broken,
        }
        1
    }

    fn scalar(&mut self, rest: &str) -> usize {
        let is_part = |byte: &u8| byte.is_ascii_alphanumeric() || matches!(byte, b'+' | b'-' | b'.');
        let length = rest.as_bytes().iter().take_while(|byte| is_part(byte)).count();
        if self.scratch.len() + length > MAX_NUMBER {
            self.state = State::Broken;
            return 0;
        }
        self.scratch.push_str(&rest[..length]);
        if length < rest.len() || matches!(self.scratch.as_str(), "true" | "false" | "null") {
            match serde_json::from_str(&self.scratch) {
                Ok(value) => {
                    self.put(value);
                    self.end_value();
                }
                Err(_) => self.state = State::Broken,
            }
        }
        length
    }

    /// A run of plain characters, or what ends it.
    fn text(&mut self, rest: &str, key: bool) -> usize {
        let bytes = rest.as_bytes();
        if bytes[0] == b'\\' {
            self.state = State::Escape { key };
            return 1;
        }
        self.end_pair(key);
        if bytes[0] != b'"' {
            let end = bytes.iter().position(|byte| matches!(byte, b'"' | b'\\')).unwrap_or(bytes.len());
            self.append(key, &rest[..end]);
            return end;
        }
        if key {
            let name = std::mem::take(&mut self.scratch);
            self.open.pop();
            self.open.push(Frame::Object(name));
            self.state = State::Colon;
        } else {
            self.end_value();
        }
        1
    }

    fn escape(&mut self, byte: u8, key: bool) -> usize {
        if byte == b'u' {
            self.state = State::Unicode { key, digits: 0, code: 0 };
            return 1;
        }
        self.end_pair(key);
        self.state = State::Text { key };
        let text = match byte {
            b'n' => "\n",
            b't' => "\t",
            b'r' => "\r",
            b'b' => "\u{8}",
            b'f' => "\u{c}",
            b'"' => "\"",
            b'\\' => "\\",
            // Any other character stands for itself, and is read as such.
            _ => return 0,
        };
        self.append(key, text);
        1
    }

    fn unicode(&mut self, byte: u8, key: bool, digits: u8, code: u16) {
        let Some(digit) = char::from(byte).to_digit(16) else {
            self.state = State::Broken;
            return;
        };
        let code = code << 4 | digit as u16;
        if digits < 3 {
            self.state = State::Unicode { key, digits: digits + 1, code };
            return;
        }
        self.state = State::Text { key };
        if let (Some(high), 0xdc00..=0xdfff) = (self.high, code) {
            self.high = None;
            let pair = 0x10000 + (u32::from(high & 0x3ff) << 10) + u32::from(code & 0x3ff);
            return self.append_char(key, pair);
        }
        self.end_pair(key);
        if matches!(code, 0xd800..=0xdbff) {
            self.high = Some(code);
        } else {
            self.append_char(key, u32::from(code));
        }
    }

    /// The first half of a pair that has no second half.
    fn end_pair(&mut self, key: bool) {
        if self.high.take().is_some() {
            self.append(key, "\u{fffd}");
        }
    }

    fn append_char(&mut self, key: bool, code: u32) {
        let char = char::from_u32(code).unwrap_or(char::REPLACEMENT_CHARACTER);
        self.append(key, char.encode_utf8(&mut [0; 4]));
    }

    fn append(&mut self, key: bool, text: &str) {
        if key {
            self.scratch.push_str(text);
        } else if let Some(Value::String(value)) = self.current(self.open.len()) {
            value.push_str(text);
        }
    }

    fn end_value(&mut self) {
        self.state = if self.open.is_empty() { State::Complete } else { State::Next };
    }

    fn close(&mut self) {
        self.open.pop();
        self.end_value();
    }

    /// Puts a value where one is expected. A key that comes twice has its last value.
    fn put(&mut self, value: Value) {
        let Some(depth) = self.open.len().checked_sub(1) else {
            self.root = Some(value);
            return;
        };
        let key = match &mut self.open[depth] {
            Frame::Object(key) => key.clone(),
            Frame::Array => String::new(),
        };
        match self.current(depth) {
            Some(Value::Array(array)) => array.push(value),
            Some(Value::Object(object)) => {
                object.insert(key, value);
            }
            _ => {}
        }
    }

    /// The value that is being read below this many containers.
    fn current(&mut self, depth: usize) -> Option<&mut Value> {
        let mut at = self.root.as_mut()?;
        for frame in &self.open[..depth] {
            at = match (frame, at) {
                (Frame::Array, Value::Array(array)) => array.last_mut()?,
                (Frame::Object(key), Value::Object(object)) => object.get_mut(key)?,
                _ => return None,
            };
        }
        Some(at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use serde_json::json;

    fn read(pieces: &[&str]) -> PartialJson {
        let mut reader = PartialJson::new();
        for piece in pieces {
            reader.push(piece);
        }
        reader
    }

    const TEXT: &str = concat!(
        r#" {"a": "x\n\u00e9\ud83d\ude00 \"", "b": [1, -2.5e3, true, null, [], {}], "c": {"d": {"e": "f"}},"#,
        r#" "": ""} "#,
    );

    #[test]
    fn a_whole_text_is_its_value_at_every_split() {
        let want: Value = serde_json::from_str(TEXT).unwrap();
        for at in 0..=TEXT.len() {
            let reader = read(&[&TEXT[..at], &TEXT[at..]]);
            assert_eq!(reader.value(), Some(&want), "split at {at}");
            assert!(reader.is_complete());
        }
        let one_by_one: Vec<&str> = TEXT.split_inclusive(|_| true).collect();
        assert_eq!(read(&one_by_one).into_value(), Some(want));
    }

    #[test]
    fn a_prefix_shows_what_has_come() {
        let cases = [
            ("", None),
            ("  ", None),
            ("{", Some(json!({}))),
            (r#"{"a"#, Some(json!({}))),
            (r#"{"a":"#, Some(json!({}))),
            (r#"{"a":""#, Some(json!({"a": ""}))),
            (r#"{"a":"x\"#, Some(json!({"a": "x"}))),
            (r#"{"a":"x\u00e"#, Some(json!({"a": "x"}))),
            (r#"{"a":"x\ud83d"#, Some(json!({"a": "x"}))),
            (r#"{"a":"x\ud83d!"#, Some(json!({"a": "x\u{fffd}!"}))),
            (r#"{"a":[1"#, Some(json!({"a": []}))),
            (r#"{"a":[1,2"#, Some(json!({"a": [1]}))),
            (r#"{"a":[1,true"#, Some(json!({"a": [1, true]}))),
            (r#"{"a":[1,tru"#, Some(json!({"a": [1]}))),
            (r#"[[[{"b":[{"#, Some(json!([[[{"b": [{}]}]]]))),
            ("12", None),
            ("12 ", Some(json!(12))),
        ];
        for (text, want) in cases {
            let reader = read(&[text]);
            assert_eq!(reader.into_value(), want, "{text}");
        }
    }

    #[test]
    fn small_faults_are_read_over_and_others_stop_the_reading() {
        assert_eq!(read(&["[1,2,]"]).into_value(), Some(json!([1, 2])));
        assert_eq!(read(&[r#"{"a":1,}"#]).into_value(), Some(json!({"a": 1})));
        assert_eq!(read(&["[\"a\nb\\qé\\é\"]"]).into_value(), Some(json!(["a\nbqéé"])));
        assert_eq!(read(&[r#"{"a":1,"a":2}"#]).into_value(), Some(json!({"a": 2})));
        for (text, kept) in [
            ("```json\n{}", None),
            ("Sure! {}", None),
            ("{} and more", Some(json!({}))),
            (r#"{"a":1]"#, Some(json!({"a": 1}))),
            (r#"{"a" 1}"#, Some(json!({}))),
            ("[1.2.3,4]", Some(json!([]))),
            ("[tr,4]", Some(json!([]))),
            (r#"["a\u00zz"]"#, Some(json!(["a"]))),
        ] {
            let reader = read(&[text]);
            assert!(reader.is_broken() && !reader.is_complete(), "{text}");
            assert_eq!(reader.into_value(), kept, "{text}");
        }
    }

    #[test]
    fn depth_and_numbers_are_bounded() {
        let deep = read(&["[".repeat(100_000).as_str()]);
        assert!(deep.is_broken());
        let nested = format!("{}{}", "[".repeat(MAX_DEPTH), "]".repeat(MAX_DEPTH));
        assert!(serde_json::from_str::<Value>(&nested).is_ok() && read(&[&nested]).is_complete());
        let deeper = format!("[{nested}]");
        assert!(serde_json::from_str::<Value>(&deeper).is_err() && read(&[&deeper]).is_broken());
        assert!(read(&["1".repeat(10_000).as_str(), " "]).is_broken());
    }
}
