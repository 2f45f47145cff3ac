//! The version that answers carry.

/// The version of this crate, as in the response header `x-oa-simulator`.
pub const VERSION: &str = env!("CARGO_PKG_VERSION");
