//! The common part of the programs that call running servers: `oa-live-frozen`, `oa-live-soak` and others.

pub mod args;
pub mod owner;
pub mod replicas;
