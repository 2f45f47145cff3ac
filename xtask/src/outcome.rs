//! The outcome of a task or a step.

/// A task's outcome; the text says what failed and needs no prefix.
pub(crate) type Outcome<T = ()> = Result<T, String>;

/// A step that did not fail.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Verdict {
    Passed,
    /// It could not be run here; the text says what is missing.
    Skipped(String),
}

/// For steps that cannot be skipped.
impl From<()> for Verdict {
    fn from((): ()) -> Self {
        Self::Passed
    }
}
