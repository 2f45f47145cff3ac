//! One runnable program per task: see the folder `examples`. Here only the README's code blocks, to be
//! compiled.

/// The README.
#[cfg(doctest)]
#[doc = include_str!("../../README.md")]
pub struct Readme;
