//! The `oa` command as a process: each test runs the binary, mostly against a simulator.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows the functions of a test by their attribute alone, not their helpers"
)]

mod chat;
mod doctor;
mod events;
mod failures;
mod models;
mod ready;
mod server;
#[cfg(unix)]
mod stops;
mod support;
