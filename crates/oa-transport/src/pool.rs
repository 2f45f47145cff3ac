//! The connections that wait for their next request, host by host.
//!
//! Nobody polls a connection that waits: whether it still stands is seen when it is used. A task of its own
//! closes those that have waited too long, and ends when none is left.

mod host;
mod limits;
#[cfg(feature = "http2")]
mod shared;

pub(crate) use host::{Checkout, Connection, Host};
pub(crate) use limits::PoolLimits;

use std::sync::{Arc, Mutex, PoisonError};

use http::Uri;

use crate::{connect::Settings, error::TransportError};

pub(crate) struct Pool {
    hosts: Mutex<Vec<Arc<Host>>>,
    limits: PoolLimits,
}

/// With more hosts than this, those that have no connection are forgotten.
const MANY_HOSTS: usize = 64;

impl Pool {
    pub(crate) fn new(limits: PoolLimits) -> Self {
        Self { hosts: Mutex::new(Vec::new()), limits }
    }

    /// The host that a URI names. Transports talk to few hosts, so that they are looked through one by one.
    ///
    /// # Errors
    ///
    /// A URI that cannot be sent to.
    pub(crate) fn host(&self, uri: &Uri, settings: &Settings) -> Result<Arc<Host>, TransportError> {
        let mut hosts = self.hosts.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(host) = hosts.iter().find(|host| host.is_of(uri)) {
            return Ok(Arc::clone(host));
        }
        let host = Arc::new(Host::new(uri, settings, self.limits)?);
        if hosts.len() >= MANY_HOSTS {
            hosts.retain(|host| host.is_in_use());
        }
        hosts.push(Arc::clone(&host));
        Ok(host)
    }
}
