//! TLS by rustls: settings, roots, the handshake, and what its failures mean.

mod config;
mod date;
mod diagnose;
mod handshake;
mod issuer;
mod peek;
mod roots;

pub(crate) use config::TlsConfig;
pub(crate) use diagnose::{cause, diagnose, variable};
pub(crate) use handshake::TlsFailure;
pub(crate) use peek::PeekedStream;
