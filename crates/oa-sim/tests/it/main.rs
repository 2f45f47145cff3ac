//! The simulator from outside, over a client that shares no code with it.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows the functions of a test by their attribute alone, not their helpers"
)]

mod catalogue;
mod client;
mod completion;
#[cfg(feature = "generate")]
mod generate;
mod robust;
#[cfg(feature = "generate")]
mod schema;
mod script;
mod stream;
mod wire;
