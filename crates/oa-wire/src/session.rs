//! Session, priority and trace of a request, which servers spell in different ways.

use crate::Error;
use http::HeaderValue;
use serde_json::Value;
use std::fmt;

/// The id of a conversation, so that a router or a cache keeps its turns together. Cloning costs a reference
/// count.
///
/// ```
/// use oa_wire::{CompletionRequest, SessionId};
///
/// let request = CompletionRequest::new("Hello!").with_session_id(SessionId::new("conversation-7")?);
/// assert_eq!(request.session_id.unwrap().as_str(), "conversation-7");
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, PartialEq, Eq)]
pub struct SessionId(HeaderValue);

impl SessionId {
    /// An id: visible ASCII characters.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for an empty id, or one that cannot stand in a
    /// header.
    pub fn new(id: impl AsRef<str>) -> Result<Self, Error> {
        header_text("session id", id.as_ref()).map(Self)
    }

    /// The id.
    pub fn as_str(&self) -> &str {
        self.0.to_str().unwrap_or_default()
    }

    pub(crate) fn header(&self) -> &HeaderValue {
        &self.0
    }
}

impl fmt::Debug for SessionId {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        self.as_str().fmt(f)
    }
}

/// How urgent a call is: a number where the server schedules by numbers, a name where it has classes.
///
/// What a number means is the server's: for vLLM a lower one goes first. A form that the server does not have
/// is not sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Priority {
    /// A number.
    Level(i64),
    /// A class of the server's: OpenAI's `service_tier`, the name of an inference objective.
    Class(String),
}

impl Priority {
    pub(crate) fn value(&self) -> Value {
        match self {
            Self::Level(level) => (*level).into(),
            Self::Class(name) => name.as_str().into(),
        }
    }

    pub(crate) fn header(&self) -> Result<HeaderValue, Error> {
        match self {
            Self::Level(level) => Ok((*level).into()),
            Self::Class(name) => header_text("priority", name),
        }
    }
}

impl From<i64> for Priority {
    fn from(level: i64) -> Self {
        Self::Level(level)
    }
}

impl From<&str> for Priority {
    fn from(class: &str) -> Self {
        Self::Class(class.to_owned())
    }
}

/// The trace that a call belongs to, in the form of W3C Trace Context. It is sent as the headers
/// `traceparent` and `tracestate`, whatever the server.
///
/// ```
/// use oa_wire::TraceContext;
///
/// let trace = TraceContext::new("00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01")?;
/// assert_eq!(trace.traceparent(), "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01");
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct TraceContext {
    parent: HeaderValue,
    state: Option<HeaderValue>,
}

impl TraceContext {
    /// A context of this `traceparent`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for what is none: a server would drop it.
    pub fn new(traceparent: &str) -> Result<Self, Error> {
        if !is_traceparent(traceparent) {
            return Err(Error::invalid_request(format!(
                "traceparent: `{}` is none: it has the form 00-<32 hex>-<16 hex>-<2 hex digits>",
                traceparent.escape_debug()
            )));
        }
        Ok(Self { parent: header_text("traceparent", traceparent)?, state: None })
    }

    /// Sets the `tracestate`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) for what cannot be a header.
    pub fn with_tracestate(mut self, state: &str) -> Result<Self, Error> {
        self.state = Some(header_text("tracestate", state)?);
        Ok(self)
    }

    /// The `traceparent`.
    pub fn traceparent(&self) -> &str {
        self.parent.to_str().unwrap_or_default()
    }

    /// The `tracestate`, if set.
    pub fn tracestate(&self) -> Option<&str> {
        self.state.as_ref().map(|state| state.to_str().unwrap_or_default())
    }

    pub(crate) fn headers(&self) -> impl Iterator<Item = (&'static str, &HeaderValue)> {
        let state = self.state.as_ref().map(|state| ("tracestate", state));
        std::iter::once(("traceparent", &self.parent)).chain(state)
    }
}

/// True for a version, a trace id, a span id and flags, in lower-case hex digits; the ids are not all zeros.
fn is_traceparent(text: &str) -> bool {
    let parts: Vec<&str> = text.split('-').collect();
    let [version, trace, span, flags, rest @ ..] = &parts[..] else { return false };
    let is_hex = |part: &str, length: usize| {
        part.len() == length && part.bytes().all(|byte| matches!(byte, b'0'..=b'9' | b'a'..=b'f'))
    };
    let is_id = |part: &str, length| is_hex(part, length) && part.bytes().any(|byte| byte != b'0');
    is_hex(version, 2)
        && *version != "ff"
        && (rest.is_empty() || *version != "00")
        && is_id(trace, 32)
        && is_id(span, 16)
        && is_hex(flags, 2)
}

fn header_text(what: &str, text: &str) -> Result<HeaderValue, Error> {
    if text.is_empty() {
        return Err(Error::invalid_request(format!("the {what} is empty")));
    }
    match HeaderValue::from_str(text) {
        Ok(value) if text.bytes().all(|byte| byte == b' ' || byte.is_ascii_graphic()) => Ok(value),
        _ => {
            let text = format!("the {what} `{}` cannot stand in a header", text.escape_debug());
            Err(Error::invalid_request(text))
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_cannot_be_sent_is_refused() {
        for id in ["", "a\nb", "ä", "a\u{7f}"] {
            assert!(SessionId::new(id).is_err(), "{id:?}");
        }
        let good = "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01";
        assert!(
            TraceContext::new(good).unwrap().with_tracestate("a=b").unwrap().with_tracestate("").is_err()
        );
        assert!(TraceContext::new(&good.replace("00-4", "01-4").replace("-01", "-01-more")).is_ok());
        for bad in [
            "",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7",
            "00-4BF92F3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "ff-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01",
            "00-00000000000000000000000000000000-00f067aa0ba902b7-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-0000000000000000-01",
            "00-4bf92f3577b34da6a3ce929d0e0e4736-00f067aa0ba902b7-01-more",
        ] {
            assert!(TraceContext::new(bad).is_err(), "{bad}");
        }
    }
}
