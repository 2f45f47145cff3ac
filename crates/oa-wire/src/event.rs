//! What a streamed answer is made of: deltas as they come, and the finished response at the end.

use crate::{Response, ToolCall, Usage};
use smol_str::SmolStr;
use std::{fmt, ops::Deref};

/// One step of a streamed answer. Small, because it is moved for every token: what is seldom or large is boxed.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub enum Event {
    /// A piece of the text.
    Content(TextDelta),
    /// A piece of the reasoning.
    Reasoning(TextDelta),
    /// A piece of a tool call.
    ToolCallDelta(Box<ToolCallDelta>),
    /// A tool call that is complete, in the order of the message. Its arguments are parsed but not yet held
    /// against the tool's schema: that the response does.
    ToolCall(Box<ToolCall>),
    /// What it cost so far, or in all.
    Usage(Box<Usage>),
    /// The end: the response that the atomic call would have given. Nothing follows.
    Done(Box<Response>),
}

/// A piece of a tool call as it is being written.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// The place of the call in the message, from 0: fragments of one call share it.
    pub position: usize,
    /// The call's id, in its first fragment.
    pub id: Option<TextDelta>,
    /// The tool's name, in its first fragment.
    pub name: Option<TextDelta>,
    /// The next piece of the arguments' text; may be empty.
    pub arguments: TextDelta,
}

impl ToolCallDelta {
    pub(crate) fn new(
        position: usize,
        id: Option<TextDelta>,
        name: Option<TextDelta>,
        arguments: TextDelta,
    ) -> Self {
        Self { position, id, name, arguments }
    }
}

/// A piece of text. Dereferences to `str`; up to 23 bytes of it are held in place, without an allocation.
#[derive(Clone, Default, PartialEq, Eq, Hash)]
pub struct TextDelta(SmolStr);

impl TextDelta {
    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

impl Deref for TextDelta {
    type Target = str;

    fn deref(&self) -> &str {
        &self.0
    }
}

impl From<&str> for TextDelta {
    #[inline]
    fn from(text: &str) -> Self {
        Self(SmolStr::new(text))
    }
}

impl AsRef<str> for TextDelta {
    fn as_ref(&self) -> &str {
        &self.0
    }
}

impl PartialEq<str> for TextDelta {
    fn eq(&self, other: &str) -> bool {
        self.as_str() == other
    }
}

impl PartialEq<&str> for TextDelta {
    fn eq(&self, other: &&str) -> bool {
        self.as_str() == *other
    }
}

impl fmt::Display for TextDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl fmt::Debug for TextDelta {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        fmt::Debug::fmt(self.as_str(), f)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_event_is_small() {
        assert!(size_of::<Option<Result<Event, crate::Error>>>() <= 32);
    }
}
