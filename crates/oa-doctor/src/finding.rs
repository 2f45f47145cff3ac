//! The finding of one step, before it is timed and redacted.

use crate::report::Status;
use oa_wire::Category;

#[derive(Debug)]
pub(crate) struct Finding {
    pub(crate) status: Status,
    pub(crate) category: Option<Category>,
    pub(crate) observed: String,
    pub(crate) cause: Option<String>,
    pub(crate) next: Option<String>,
}

impl Finding {
    pub(crate) fn ok(observed: impl Into<String>) -> Self {
        Self::new(Status::Ok, None, observed)
    }

    pub(crate) fn warning(observed: impl Into<String>) -> Self {
        Self::new(Status::Warning, None, observed)
    }

    pub(crate) fn failed(category: Category, observed: impl Into<String>) -> Self {
        Self::new(Status::Failed, Some(category), observed)
    }

    pub(crate) fn skipped(why: impl Into<String>) -> Self {
        Self::new(Status::Skipped, None, why)
    }

    pub(crate) fn cause(mut self, cause: impl Into<String>) -> Self {
        self.cause = Some(cause.into());
        self
    }

    pub(crate) fn next(mut self, next: impl Into<String>) -> Self {
        self.next = Some(next.into());
        self
    }

    /// Less than a failure: an application may not need it.
    pub(crate) fn only_a_warning(mut self) -> Self {
        self.status = Status::Warning;
        self.category = None;
        self
    }

    fn new(status: Status, category: Option<Category>, observed: impl Into<String>) -> Self {
        Self { status, category, observed: observed.into(), cause: None, next: None }
    }
}
