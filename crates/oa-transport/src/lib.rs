//! HTTP/1.1 over hyper and rustls: one request in, one response out, and the truth about what failed.
//!
//! - [`Transport`] is the shape of whatever carries a request: any tower service over `http::Request<Bytes>`.
//! - [`HyperTransport`] is the one that is made here: a pool of HTTP/1.1 connections, TLS, proxies, Unix
//!   sockets.
//! - [`TransportError`] says how far an exchange came, which addresses were tried, what it means and what
//!   helps.
//!
//! This crate knows connections and nothing of completions.
//!
//! # Features
//!
//! - `tls` (default): `https`. Without it a request to `https` is an error that says so.

mod body;
mod builder;
mod client;
mod conn;
mod connect;
mod diagnose;
mod error;
#[cfg(feature = "tls")]
mod issuer;
mod origin;
mod proxy;
mod stream;
mod tcp;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod tunnel;
mod unix;

pub use body::Body;
pub use builder::{BuildError, Builder};
pub use client::{HyperTransport, ResponseFuture};
pub use error::{Attempt, Diagnosis, Stage, TransportError};
pub use transport::{BoxError, Transport};
pub use unix::unix_authority;
