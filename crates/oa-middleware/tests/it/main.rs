//! The layers from outside: around the real provider, and with OpenTelemetry.

mod dropped;
#[cfg(feature = "otel")]
mod otel;
mod provider;
