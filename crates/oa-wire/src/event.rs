//! The events of a streamed answer: deltas as they are received, and the finished response at the end.

use crate::{AssistantContent, Response, ToolCall, Usage};
use serde::{Serialize, Serializer};
use smol_str::SmolStr;
use std::{collections::VecDeque, fmt, ops::Deref};

/// One step of a streamed answer. Small, because it is moved for every token: rare and large payloads are
/// boxed.
///
/// Its serde form is tagged by `type`, for a relay to a browser:
///
/// ```
/// use oa_wire::{Event, TextDelta};
///
/// let event = Event::Content(TextDelta::from("Hi"));
/// assert_eq!(serde_json::to_string(&event).unwrap(), r#"{"type":"content","text":"Hi"}"#);
/// ```
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum Event {
    /// A piece of the text.
    Content(TextDelta),
    /// A piece of the reasoning.
    Reasoning(TextDelta),
    /// A piece of a tool call.
    ToolCallDelta(Box<ToolCallDelta>),
    /// A tool call that is complete, in the order of the message. Its arguments are parsed but not yet
    /// checked against the tool's schema: the response is.
    ToolCall(Box<ToolCall>),
    /// A piece of another choice than the answer, where several were requested.
    Choice(Box<ChoiceEvent>),
    /// The tokens so far, or in all.
    Usage(Box<Usage>),
    /// The end: the response that the non-streaming call would have given. Nothing follows.
    Done(Box<Response>),
}

impl Event {
    /// A whole response as the events of a stream, the last of them [`Done`](Self::Done).
    pub(crate) fn of_response(response: Response) -> VecDeque<Self> {
        let mut events = VecDeque::new();
        if let Some(reasoning) = response.message.reasoning() {
            events.push_back(Self::Reasoning(reasoning.into()));
        }
        match &response.message.content {
            AssistantContent::Text(text) if text.is_empty() => {}
            _ => events.extend(response.message.text_parts().map(|text| Self::Content(text.into()))),
        }
        events.push_back(Self::Usage(Box::new(response.usage)));
        events.extend(response.message.tool_calls.iter().map(|call| Self::ToolCall(Box::new(call.clone()))));
        events.push_back(Self::Done(Box::new(response)));
        events
    }
}

impl Serialize for Event {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        #[derive(Serialize)]
        #[serde(tag = "type", rename_all = "snake_case")]
        enum Form<'a> {
            Content { text: &'a str },
            Reasoning { text: &'a str },
            ToolCallDelta(&'a ToolCallDelta),
            ToolCall { tool_call: &'a ToolCall },
            Choice(&'a ChoiceEvent),
            Usage { usage: &'a Usage },
            Done { response: &'a Response },
        }
        match self {
            Self::Content(text) => Form::Content { text },
            Self::Reasoning(text) => Form::Reasoning { text },
            Self::ToolCallDelta(delta) => Form::ToolCallDelta(delta),
            Self::ToolCall(tool_call) => Form::ToolCall { tool_call },
            Self::Choice(choice) => Form::Choice(choice),
            Self::Usage(usage) => Form::Usage { usage },
            Self::Done(response) => Form::Done { response },
        }
        .serialize(out)
    }
}

/// A piece of another choice than the answer.
#[derive(Clone, Debug, PartialEq, Serialize)]
#[non_exhaustive]
pub struct ChoiceEvent {
    /// The number of the choice.
    pub index: i64,
    /// The piece: [`Content`](Event::Content), [`Reasoning`](Event::Reasoning) or
    /// [`ToolCallDelta`](Event::ToolCallDelta), whose position is that in the choice's message.
    pub event: Event,
}

impl ChoiceEvent {
    /// A piece of the choice of this number.
    pub fn new(index: i64, event: Event) -> Self {
        Self { index, event }
    }
}

/// A piece of a tool call as it is being written.
#[derive(Clone, Debug, PartialEq, Eq, Serialize)]
#[non_exhaustive]
pub struct ToolCallDelta {
    /// The place of the call in the message, from 0: fragments of one call share it.
    pub position: usize,
    /// The call's id, in its first fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<TextDelta>,
    /// The tool's name, in its first fragment.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub name: Option<TextDelta>,
    /// The next piece of the arguments' text; may be empty.
    pub arguments: TextDelta,
    /// True in a piece that says that the tool is a custom one, whose input is a text.
    #[serde(skip_serializing_if = "std::ops::Not::not")]
    pub is_custom: bool,
}

impl ToolCallDelta {
    /// A piece of the call at this position.
    pub fn new(
        position: usize,
        id: Option<TextDelta>,
        name: Option<TextDelta>,
        arguments: TextDelta,
    ) -> Self {
        Self { position, id, name, arguments, is_custom: false }
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

impl Serialize for TextDelta {
    fn serialize<S: Serializer>(&self, out: S) -> Result<S::Ok, S::Error> {
        out.serialize_str(self)
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
