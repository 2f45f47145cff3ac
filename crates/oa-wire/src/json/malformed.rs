//! The error of a text that is not JSON.

/// A text that is not JSON.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) struct Malformed {
    /// The offset of the byte that does not fit.
    pub(crate) at: usize,
    /// What should have stood there.
    pub(crate) expected: &'static str,
}

pub(super) type Read<T> = Result<T, Malformed>;
