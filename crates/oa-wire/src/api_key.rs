//! A server's API key.

use crate::{Error, Setting};
use http::HeaderValue;
use std::fmt;

/// A key that a header can hold. Its `Debug` form never shows it.
#[derive(Clone)]
pub struct ApiKey(HeaderValue);

impl ApiKey {
    /// A key. White space around it is cut off, because a file or a shell may have added it.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](crate::Category::InvalidRequest) when it is visibly no key (see
    /// [`Setting::check`]), or holds what no header can hold: a line break, a control character, a character
    /// outside ASCII.
    pub fn new(key: &str) -> Result<Self, Error> {
        let key = key.trim();
        Setting::ApiKey.check(key).map_err(|flaw| Error::invalid_request(format!("the API key {flaw}")))?;
        let is_visible = key.bytes().all(|byte| (0x21..0x7f).contains(&byte) || byte == b' ');
        let value = is_visible.then(|| HeaderValue::from_str(key).ok()).flatten();
        let mut value = value.ok_or_else(|| {
            Error::invalid_request(
                "the API key cannot be sent: it holds a line break, a control character or a character \
                 outside ASCII",
            )
        })?;
        value.set_sensitive(true);
        Ok(Self(value))
    }

    /// The key alone, as the header `x-api-key` has it.
    pub(crate) fn plain(&self) -> HeaderValue {
        self.0.clone()
    }

    /// `Bearer KEY`, as the header `Authorization` has it.
    pub(crate) fn bearer(&self) -> HeaderValue {
        let mut bytes = b"Bearer ".to_vec();
        bytes.extend_from_slice(self.0.as_bytes());
        // Every byte of the key is a header's, and so is the prefix.
        let mut value =
            HeaderValue::from_bytes(&bytes).expect("a checked key after ASCII letters is a header value");
        value.set_sensitive(true);
        value
    }
}

impl fmt::Debug for ApiKey {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("ApiKey(***)")
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_key_is_checked_and_never_shown() {
        for key in ["", "  ", "\n"] {
            assert!(ApiKey::new(key).unwrap_err().message().contains("blank"), "{key:?}");
        }
        for key in ["a\nb", "sch\u{f6}n", "a\u{0}b"] {
            let error = ApiKey::new(key).unwrap_err();
            assert!(!error.message().contains(key), "{error}");
        }
        let key = ApiKey::new(" sk-canary\n").unwrap();
        assert_eq!(key.bearer(), "Bearer sk-canary");
        assert!(!format!("{key:?} {:?}", key.bearer()).contains("canary"));
    }
}
