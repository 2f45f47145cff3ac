//! The one error type, for construction, sending, receiving and reading.

mod category;
mod details;
mod format;
mod origin;
mod record;
mod report;
mod retry_after;
mod source;
mod structured;

pub use category::Category;
pub use details::{ConnectionFailure, ErrorKind, ServerErrorDetails};
pub use origin::{Challenge, Origin};
pub use record::{Attempt, BODY_LIMIT, Error};
pub use report::{AttemptReport, ErrorReport};
pub use retry_after::{RetryAfter, RetryAfterSource};
pub use structured::StructuredOutputFailure;
