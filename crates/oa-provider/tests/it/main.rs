//! The provider from outside: over real sockets on loopback, and over transports that the tests make.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows the functions of a test by their attribute alone, not their helpers"
)]

mod anthropic;
mod complete;
mod composition;
mod concurrency;
mod construction;
mod deviations;
mod foreign;
mod front_door;
mod keep_alive;
mod layers;
mod negotiation;
mod partial;
mod reach;
mod readiness;
mod secrets;
mod streams;
mod support;
mod token_count;
mod waiting;
