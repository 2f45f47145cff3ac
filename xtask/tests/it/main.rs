//! The repository's own rules, held by tests: which crates and files know each other, and how files are
//! written.

mod arrows;
mod imports;
mod packages;
mod sources;
mod style;
mod tokens;
