//! Tests of the crate's public interface.

#![allow(clippy::unwrap_used, reason = "the functions that the tests share are tests too")]

mod compile_fail;
mod golden;
mod ladder;
mod restore;
mod spans;
mod support;
mod tool_loop;
mod tools;
mod typed;
mod types;
