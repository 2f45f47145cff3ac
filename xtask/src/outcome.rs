//! How a task ends.

/// A task's outcome; the text says what failed and needs no prefix.
pub(crate) type Outcome<T = ()> = Result<T, String>;
