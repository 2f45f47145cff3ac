//! The doctor against simulated servers: what it finds, what it asks, what it never does.
#![allow(
    clippy::unwrap_used,
    reason = "clippy knows the functions of a test by their attribute alone, not their helpers"
)]

mod advice;
mod behaviour;
mod bounds;
mod findings;
mod gateways;
mod identities;
mod judged;
mod namespace;
mod support;
