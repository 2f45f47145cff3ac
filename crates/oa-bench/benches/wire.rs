//! Micro benches of encode and decode, without a socket: `cargo bench -p oa-bench`.
fn main() {}
