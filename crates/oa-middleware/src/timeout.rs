//! Time limits: of the first event, between events, and of the whole call.

mod deadline;
mod first_event;
mod idle;
mod limits;
mod source;

pub use deadline::{Deadline, DeadlineFuture, DeadlineLayer};
pub use first_event::{FirstEventTimeout, FirstEventTimeoutFuture, FirstEventTimeoutLayer};
pub use idle::{IdleTimeout, IdleTimeoutFuture, IdleTimeoutLayer};

pub use limits::Timeouts;
