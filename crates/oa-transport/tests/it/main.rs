//! The transport against real sockets on loopback.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows the functions of a test by their attribute alone, not their helpers"
)]

mod diagnoses;
mod early;
#[cfg(feature = "http2")]
mod http2;
mod pool;
mod proxies;
mod replay;
mod reuse;
mod soak;
mod support;
#[cfg(feature = "tls")]
mod tls;
#[cfg(unix)]
mod unix;
