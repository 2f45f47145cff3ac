//! The layers from outside: around the real provider, and with OpenTelemetry.

#[cfg(feature = "otel")]
mod otel;
mod provider;
