//! The error of reading a name that is not one of a list.

use std::fmt;

/// A text that is not one of the names of a type, such as a [`Category`](crate::Category).
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct UnknownName {
    what: &'static str,
    name: String,
}

impl UnknownName {
    /// The most characters of the text that are shown.
    const SHOWN: usize = 60;

    pub(crate) fn new(what: &'static str, name: &str) -> Self {
        Self { what, name: name.chars().take(Self::SHOWN).collect() }
    }
}

impl fmt::Display for UnknownName {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:?} is not the name of a {}", self.name, self.what)
    }
}

impl std::error::Error for UnknownName {}
