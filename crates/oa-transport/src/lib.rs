//! HTTP/1.1 over hyper and rustls: one request in, one response out, with diagnosed errors.
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
//! - `http2`: HTTP/2 where the builder asks for it.

#![cfg_attr(docsrs, feature(doc_cfg))]

mod body;
mod builder;
mod client;
mod connect;
mod error;
mod http1;
#[cfg(feature = "http2")]
mod http2;
mod origin;
mod pool;
mod proxy;
#[cfg(feature = "tls")]
mod tls;
mod transport;
mod waker;

pub use body::Body;
pub use builder::{BuildError, HyperTransportBuilder};
pub use client::{HyperTransport, ResponseFuture};
pub use connect::unix::unix_authority;
pub use error::{ConnectAttempt, Remedy, Stage, TransportError, TransportErrorKind};
#[cfg(feature = "http2")]
pub use http2::Http2;
pub use proxy::{InvalidProxy, NearMiss, Proxies, Proxy, ProxyRoute, ProxyScheme};
pub use transport::{BoxError, Transport};

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
