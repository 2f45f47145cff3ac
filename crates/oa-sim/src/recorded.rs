//! A request as the simulator received it.

use bytes::Bytes;
use serde_json::Value;
use std::fmt;

/// A request that arrived whole.
#[derive(Clone)]
#[non_exhaustive]
pub struct Recorded {
    /// `POST`, `GET`, as sent.
    pub method: String,
    /// The path without its query, not decoded.
    pub path: String,
    /// The whole request target as sent, query included.
    pub target: String,
    /// The headers in their order and in their letter case on the wire.
    pub headers: Vec<(String, String)>,
    /// The body without its framing.
    pub body: Bytes,
    /// The connection that carried it: 0 is the first that was opened.
    pub connection: usize,
}

impl Recorded {
    /// The first header of that name, in any letter case.
    pub fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The body as JSON; [`Value::Null`] where it is none. The order of members is only in
    /// [`body`](Recorded::body).
    pub fn json(&self) -> Value {
        serde_json::from_slice(&self.body).unwrap_or_default()
    }

    /// The body as text, with replacement characters where it is not UTF-8.
    pub fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }
}

/// Shows the method, target and body; the values of `authorization`, `x-api-key` and `api-key` are left out,
/// since a test's output is often kept.
impl fmt::Debug for Recorded {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        let secret = |name: &str| {
            ["authorization", "x-api-key", "api-key"].iter().any(|known| name.eq_ignore_ascii_case(known))
        };
        let shown: Vec<(&str, &str)> = self
            .headers
            .iter()
            .map(|(name, value)| (name.as_str(), if secret(name) { "(hidden)" } else { value }))
            .collect();
        out.debug_struct("Recorded")
            .field("method", &self.method)
            .field("target", &self.target)
            .field("headers", &shown)
            .field("body", &String::from_utf8_lossy(&self.body))
            .field("connection", &self.connection)
            .finish_non_exhaustive()
    }
}
