//! The crate's tests, from outside.
#![allow(clippy::unwrap_used)]

mod answers;
mod chunks;
mod common;
mod corpus;
mod fields;
mod forms;
mod history;
mod hostile;
mod messages;
mod raw;
mod relay;
mod requests;
mod returned;
mod scripts;
mod session;
