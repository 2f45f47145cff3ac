//! The members of an object that was received in several pieces, as they were written.

use crate::json::push_text;

/// More members of different names than this are not kept: no server has them, and finding one among them
/// takes time.
const MOST: usize = 256;

/// Members with their last values: null, which stands for no value, replaces nothing.
#[derive(Clone, Debug, Default)]
pub(super) struct Members(Vec<(String, String)>);

impl Members {
    pub(super) fn set(&mut self, key: &str, raw: &str) {
        match self.0.iter().position(|(known, _)| known == key) {
            Some(at) if raw != "null" => raw.clone_into(&mut self.0[at].1),
            None if self.0.len() < MOST => self.0.push((key.to_owned(), raw.to_owned())),
            Some(_) | None => {}
        }
    }

    pub(super) fn get(&self, key: &str) -> Option<&str> {
        self.0.iter().find(|(known, _)| known == key).map(|(_, value)| value.as_str())
    }

    pub(super) fn is_empty(&self) -> bool {
        self.0.is_empty()
    }

    /// The object, each value as `value` writes it: as it came, unless it gives another.
    pub(super) fn render(&self, value: impl Fn(&str) -> Option<String>) -> String {
        let mut out = Vec::from(b"{");
        for (key, raw) in &self.0 {
            if out.len() > 1 {
                out.push(b',');
            }
            push_text(&mut out, key);
            out.push(b':');
            match value(key) {
                Some(other) => out.extend_from_slice(other.as_bytes()),
                None => out.extend_from_slice(raw.as_bytes()),
            }
        }
        out.push(b'}');
        // Only texts were written.
        String::from_utf8_lossy(&out).into_owned()
    }
}
