//! The errors of input and output, those of TLS included, as failures of an exchange.

use std::{borrow::Cow, io};

use super::{kind::TransportErrorKind, os};

pub(crate) fn from_io(error: &io::Error) -> (TransportErrorKind, Cow<'static, str>) {
    from_tls(error).unwrap_or_else(|| (os::kind(error), os::words(error)))
}

#[cfg(feature = "tls")]
pub(super) fn from_tls(error: &io::Error) -> Option<(TransportErrorKind, Cow<'static, str>)> {
    error.get_ref().and_then(|inner| inner.downcast_ref()).map(crate::tls::diagnose)
}

#[cfg(not(feature = "tls"))]
pub(super) fn from_tls(_: &io::Error) -> Option<(TransportErrorKind, Cow<'static, str>)> {
    None
}
