//! Reads JSON by asking for what is wanted and skipping the rest, without building a tree.

mod numbers;

use super::{
    escapes::{scan_text, unescape_into},
    malformed::{Malformed, Missing, Read},
    special::special_soon,
};
use serde_json::{Map, Value};
use std::borrow::Cow;

/// Nested deeper than this, a text is refused, as `serde_json` refuses it.
const MAX_DEPTH: u32 = 127;

/// The kind of the value that comes next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Kind {
    Object,
    Array,
    Text,
    Number,
    Bool,
    Null,
}

/// A text, and how it is written.
#[derive(Clone, Debug)]
pub(crate) struct Piece<'a> {
    pub(crate) text: Cow<'a, str>,
    /// What stands between its quotes, escapes and all; of another scalar, its literal.
    pub(crate) written: &'a str,
    /// The offset of `written`, of a text in quotes.
    pub(crate) at: Option<usize>,
}

impl<'a> Piece<'a> {
    /// A text without escapes, from anywhere.
    pub(crate) fn plain(text: &'a str) -> Self {
        Self { text: Cow::Borrowed(text), written: text, at: None }
    }

    /// Where the text stands between its quotes.
    pub(crate) fn range(&self) -> Option<std::ops::Range<usize>> {
        self.at.map(|at| at..at + self.written.len())
    }
}

/// The number of an element in a list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(crate) enum Index {
    #[default]
    Absent,
    Number(i64),
    /// Something that is no integer.
    Unreadable,
}

/// A place in a JSON text. Every method reads one value from there, and leaves the place behind it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Reader<'a> {
    text: &'a str,
    at: usize,
    depth: u32,
}

impl<'a> Reader<'a> {
    pub(crate) fn new(text: &'a str) -> Self {
        Self { text, at: 0, depth: 0 }
    }

    /// A reader of its own at the same place, to look ahead.
    pub(crate) fn ahead(&self) -> Self {
        Self { ..*self }
    }

    /// A reader at the value of this member of the object that comes next, which is not read. None when it is
    /// no object, or has no such member.
    pub(crate) fn lookup(&self, wanted: &str) -> Read<Option<Self>> {
        let mut reader = self.ahead();
        if reader.next_byte() != Some(b'{') {
            return Ok(None);
        }
        reader.enter()?;
        if reader.eat(b'}') {
            return Ok(None);
        }
        let mut escaped = String::new();
        loop {
            if reader.key(&mut escaped)? == wanted {
                return Ok(Some(reader));
            }
            reader.skip()?;
            if !reader.more(b'}')? {
                return Ok(None);
            }
        }
    }

    /// True when another element of the array follows the value that was just read.
    pub(crate) fn has_next(&mut self) -> bool {
        self.next_byte() == Some(b',')
    }

    /// True when nothing but white space follows.
    pub(crate) fn is_at_end(&mut self) -> bool {
        self.next_byte().is_none()
    }

    /// The offset of the next value.
    pub(crate) fn offset(&mut self) -> usize {
        self.next_byte();
        self.at
    }

    /// The kind of the next value, which is not read.
    #[inline]
    pub(crate) fn kind(&mut self) -> Read<Kind> {
        match self.next_byte() {
            Some(b'{') => Ok(Kind::Object),
            Some(b'[') => Ok(Kind::Array),
            Some(b'"') => Ok(Kind::Text),
            Some(b'-' | b'0'..=b'9') => Ok(Kind::Number),
            Some(b't' | b'f') => Ok(Kind::Bool),
            Some(b'n') => Ok(Kind::Null),
            _ => Err(self.malformed(Missing::Value)),
        }
    }

    /// Reads an object: `member` is called with each key, and must read the value. False, and the value
    /// skipped, when it is no object.
    #[inline]
    pub(crate) fn object(&mut self, mut member: impl FnMut(&mut Self, &str) -> Read<()>) -> Read<bool> {
        if self.next_byte() != Some(b'{') {
            self.skip()?;
            return Ok(false);
        }
        self.enter()?;
        if !self.eat(b'}') {
            let mut escaped = String::new();
            loop {
                let key = self.key(&mut escaped)?;
                member(self, key)?;
                if !self.more(b'}')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    /// Reads an array: `element` is called for each, with its place, and must read it. False, and the value
    /// skipped, when it is no array.
    #[inline]
    pub(crate) fn array(&mut self, mut element: impl FnMut(&mut Self, usize) -> Read<()>) -> Read<bool> {
        if self.next_byte() != Some(b'[') {
            self.skip()?;
            return Ok(false);
        }
        self.enter()?;
        if !self.eat(b']') {
            for at in 0.. {
                element(self, at)?;
                if !self.more(b']')? {
                    break;
                }
            }
        }
        self.depth -= 1;
        Ok(true)
    }

    /// Reads a text; none, and the value skipped, when it is something else.
    #[inline]
    pub(crate) fn text(&mut self) -> Read<Option<Cow<'a, str>>> {
        if self.next_byte() != Some(b'"') {
            self.skip()?;
            return Ok(None);
        }
        self.quoted().map(Some)
    }

    /// Reads a text, or the literal of a number or boolean, and where it stands; none, and the value skipped,
    /// when it is something else.
    #[inline]
    pub(crate) fn piece(&mut self) -> Read<Option<Piece<'a>>> {
        match self.next_byte() {
            Some(b'"') => {
                let from = self.at + 1;
                let text = self.quoted()?;
                let written = &self.text[from..self.at - 1];
                Ok(Some(Piece { text, written, at: Some(from) }))
            }
            Some(b'[' | b'{' | b'n') => self.skip().map(|()| None),
            _ => {
                let written = self.raw()?;
                Ok(Some(Piece { text: Cow::Borrowed(written), written, at: None }))
            }
        }
    }

    /// Reads a non-negative integer; none, and the value skipped, when it is something else.
    pub(crate) fn counter(&mut self) -> Read<Option<u64>> {
        self.next_byte();
        if let Some((number, length, b',' | b'}')) = self.leading_integer() {
            self.at += length;
            return Ok(Some(number.into()));
        }
        Ok(self.raw()?.parse().ok())
    }

    /// Reads the number of an element: an integer, also one that is written as a text or as a float.
    pub(crate) fn index(&mut self) -> Read<Index> {
        let raw = self.raw()?;
        if let Ok(number) = raw.parse() {
            return Ok(Index::Number(number));
        }
        let digits = raw.trim_matches('"').trim();
        Ok(match digits.parse::<f64>() {
            _ if raw == "null" || digits.is_empty() => Index::Absent,
            Ok(number) if number.fract() == 0.0 && number.abs() < 1e15 => Index::Number(number as i64),
            _ => Index::Unreadable,
        })
    }

    /// Reads any value as it is written.
    #[inline]
    pub(crate) fn raw(&mut self) -> Read<&'a str> {
        self.next_byte();
        let from = self.at;
        self.skip()?;
        Ok(&self.text[from..self.at])
    }

    /// Reads any value into a tree.
    pub(crate) fn value(&mut self) -> Read<Value> {
        Ok(match self.kind()? {
            Kind::Object => {
                let mut object = Map::new();
                self.object(|reader, key| {
                    let value = reader.value()?;
                    object.insert(key.to_owned(), value);
                    Ok(())
                })?;
                Value::Object(object)
            }
            Kind::Array => {
                let mut array = Vec::new();
                self.array(|reader, _| {
                    array.push(reader.value()?);
                    Ok(())
                })?;
                Value::Array(array)
            }
            Kind::Text => Value::String(self.quoted()?.into_owned()),
            Kind::Number | Kind::Bool | Kind::Null => {
                let raw = self.raw()?;
                // A number beyond every range is kept as its text: nothing is lost.
                serde_json::from_str(raw).unwrap_or_else(|_| Value::String(raw.to_owned()))
            }
        })
    }

    /// Skips any value.
    pub(crate) fn skip(&mut self) -> Read<()> {
        match self.kind()? {
            Kind::Text => {
                self.at += 1;
                self.skip_text()
            }
            Kind::Number => self.number(),
            Kind::Bool if self.literal("true") || self.literal("false") => Ok(()),
            Kind::Null if self.literal("null") => Ok(()),
            Kind::Bool | Kind::Null => Err(self.malformed(Missing::Value)),
            Kind::Array => {
                self.enter()?;
                if !self.eat(b']') {
                    loop {
                        // The numbers of tokens, and their bytes.
                        if let Some((_, behind)) = self.plain_integer() {
                            if behind == b']' {
                                break;
                            }
                            continue;
                        }
                        self.skip()?;
                        if !self.more(b']')? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
                Ok(())
            }
            Kind::Object => {
                self.enter()?;
                if !self.eat(b'}') {
                    loop {
                        if !self.eat(b'"') {
                            return Err(self.malformed(Missing::Key));
                        }
                        self.skip_text()?;
                        self.colon()?;
                        self.skip()?;
                        if !self.more(b'}')? {
                            break;
                        }
                    }
                }
                self.depth -= 1;
                Ok(())
            }
        }
    }

    /// Checks that nothing but white space follows.
    pub(crate) fn end(&mut self) -> Read<()> {
        match self.next_byte() {
            None => Ok(()),
            Some(_) => Err(self.malformed(Missing::End)),
        }
    }

    /// Reads a key and its colon. One that has escapes is kept in `escaped`.
    #[inline]
    fn key<'s>(&mut self, escaped: &'s mut String) -> Read<&'s str>
    where
        'a: 's,
    {
        if self.next_byte() != Some(b'"') {
            return Err(self.malformed(Missing::Key));
        }
        let key = match self.plain_text() {
            Ok(key) => key,
            Err(first) => {
                *escaped = self.escaped_text(first)?;
                escaped
            }
        };
        self.colon()?;
        Ok(key)
    }

    #[inline]
    fn colon(&mut self) -> Read<()> {
        if self.eat(b':') { Ok(()) } else { Err(self.malformed(Missing::Colon)) }
    }

    /// Reads the text whose opening quote is next.
    #[inline]
    fn quoted(&mut self) -> Read<Cow<'a, str>> {
        match self.plain_text() {
            Ok(text) => Ok(Cow::Borrowed(text)),
            Err(first) => self.escaped_text(first).map(Cow::Owned),
        }
    }

    /// Reads the text whose opening quote is next, where it has no escapes; else nothing, and gives the
    /// offset of its first special byte.
    #[inline(always)]
    #[expect(clippy::inline_always, reason = "most keys and texts are short: a call costs as much")]
    fn plain_text(&mut self) -> Result<&'a str, usize> {
        let from = self.at + 1;
        let end = special_soon(self.text.as_bytes(), from);
        if self.text.as_bytes().get(end) != Some(&b'"') {
            return Err(end);
        }
        self.at = end + 1;
        Ok(&self.text[from..end])
    }

    /// Reads the text whose opening quote is next and whose first special byte stands there.
    fn escaped_text(&mut self, first: usize) -> Read<String> {
        let mut out = String::new();
        self.at = unescape_into(&mut out, self.text, self.at + 1, first)? + 1;
        Ok(out)
    }

    /// Skips a text whose opening quote is behind, and its closing quote.
    #[inline]
    fn skip_text(&mut self) -> Read<()> {
        // Most are short and have no escapes: a call costs more than they.
        let end = special_soon(self.text.as_bytes(), self.at);
        if self.text.as_bytes().get(end) == Some(&b'"') {
            self.at = end + 1;
            return Ok(());
        }
        self.skip_quoted().map(drop)
    }

    /// Skips a text whose opening quote is behind, and its closing quote; true when it has escapes.
    #[inline]
    fn skip_quoted(&mut self) -> Read<bool> {
        let (end, escaped) = scan_text(self.text.as_bytes(), self.at)?;
        self.at = end + 1;
        Ok(escaped)
    }

    fn literal(&mut self, word: &str) -> bool {
        let found = self.text.as_bytes()[self.at..].starts_with(word.as_bytes());
        if found {
            self.at += word.len();
        }
        found
    }

    /// Between two members: true after a comma, false after `close`.
    #[inline]
    fn more(&mut self, close: u8) -> Read<bool> {
        match self.next_byte() {
            Some(b',') => {
                self.at += 1;
                Ok(true)
            }
            Some(byte) if byte == close => {
                self.at += 1;
                Ok(false)
            }
            _ if close == b'}' => Err(self.malformed(Missing::NextMember)),
            _ => Err(self.malformed(Missing::NextElement)),
        }
    }

    /// Steps into an object or array.
    #[inline]
    fn enter(&mut self) -> Read<()> {
        if self.depth == MAX_DEPTH {
            return Err(self.malformed(Missing::LessNesting));
        }
        self.depth += 1;
        self.at += 1;
        Ok(())
    }

    #[inline]
    fn eat(&mut self, byte: u8) -> bool {
        let found = self.next_byte() == Some(byte);
        self.at += usize::from(found);
        found
    }

    /// The next byte that is no white space, which is not read.
    #[inline]
    fn next_byte(&mut self) -> Option<u8> {
        let bytes = self.text.as_bytes();
        while let Some(&byte) = bytes.get(self.at) {
            // One comparison for what mostly stands there.
            if byte > b' ' || !matches!(byte, b' ' | b'\n' | b'\r' | b'\t') {
                return Some(byte);
            }
            self.at += 1;
        }
        None
    }

    /// The error that something else should stand here.
    #[cold]
    pub(crate) fn malformed(&self, missing: Missing) -> Malformed {
        Malformed::new(self.at, missing)
    }
}

/// Reads a value: true when it is more than null, false, 0, and empty texts, lists and objects of these.
pub(crate) fn reads_meaningful(reader: &mut Reader<'_>) -> Read<bool> {
    let mut found = false;
    match reader.kind()? {
        Kind::Null => reader.skip()?,
        Kind::Bool | Kind::Number => found = !matches!(reader.raw()?, "false" | "0"),
        Kind::Text => found = reader.text()?.is_some_and(|text| !text.trim_ascii().is_empty()),
        Kind::Array => {
            reader.array(|reader, _| {
                found |= reads_meaningful(reader)?;
                Ok(())
            })?;
        }
        Kind::Object => {
            reader.object(|reader, _| {
                found |= reads_meaningful(reader)?;
                Ok(())
            })?;
        }
    }
    Ok(found)
}

/// A text of the server's, where it is one and not empty.
pub(crate) fn owned(text: Option<Cow<'_, str>>) -> Option<String> {
    text.filter(|text| !text.is_empty()).map(Cow::into_owned)
}

#[cfg(test)]
mod tests;
