//! Limits on the size of a response.

use crate::sse;

/// How much of a response is read. Beyond a limit the call fails with
/// [`ErrorKind::TooLarge`](crate::ErrorKind).
///
/// ```
/// use oa_wire::Limits;
///
/// let limits = Limits::new().with_body(1 << 20);
/// assert_eq!(limits.body, 1_048_576);
/// ```
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct Limits {
    /// The longest body that is not a stream, in bytes. 64 MiB by default.
    pub body: usize,
    /// The limits of an event stream.
    pub stream: sse::Limits,
}

impl Default for Limits {
    fn default() -> Self {
        Self { body: 64 << 20, stream: sse::Limits::default() }
    }
}

impl Limits {
    /// The defaults.
    pub fn new() -> Self {
        Self::default()
    }

    /// Sets the longest body that is not a stream, in bytes.
    #[must_use]
    pub const fn with_body(mut self, bytes: usize) -> Self {
        self.body = bytes;
        self
    }

    /// Sets the limits of an event stream.
    #[must_use]
    pub const fn with_stream(mut self, limits: sse::Limits) -> Self {
        self.stream = limits;
        self
    }
}
