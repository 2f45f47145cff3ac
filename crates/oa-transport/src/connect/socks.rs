//! Tunnels through a SOCKS proxy, by the connectors of hyper-util.

use std::{
    future::{Ready, ready},
    io,
    net::IpAddr,
    task::{Context, Poll},
};

use http::Uri;
use hyper_util::{
    client::legacy::connect::proxy::{SocksV4, SocksV5},
    rt::TokioIo,
};
use tower_service::Service;

use super::stream::Stream;
use crate::proxy::{Proxy, ProxyScheme};

/// Why there is no tunnel.
pub(crate) enum SocksError {
    /// The host's name, which is resolved here for this kind of proxy, has no usable address.
    Dns(io::Error),
    /// The proxy refused, or does not speak SOCKS: in words.
    Refused(String),
}

/// Asks `proxy`, to which `stream` leads, for a tunnel to `host`.
pub(crate) async fn open(stream: Stream, proxy: &Proxy, host: &str, port: u16) -> Result<Stream, SocksError> {
    let target = target(proxy.scheme(), host, port).await?;
    let address = Uri::from_static("socks://proxy");
    let connected = Connected(Some(stream));
    let opened = if matches!(proxy.scheme(), ProxyScheme::Socks4 | ProxyScheme::Socks4a) {
        SocksV4::new(address, connected).call(target).await
    } else {
        let mut socks = SocksV5::new(address, connected);
        if let Some((user, password)) = proxy.user_and_password() {
            socks = socks.with_auth(user.to_owned(), password.to_owned());
        }
        socks.call(target).await
    };
    match opened {
        Ok(stream) => Ok(stream.into_inner()),
        Err(error) => Err(SocksError::Refused(error.to_string())),
    }
}

/// Where the tunnel leads: the host, or its address where the proxy does not resolve names.
async fn target(scheme: ProxyScheme, host: &str, port: u16) -> Result<Uri, SocksError> {
    let is_v4 = scheme == ProxyScheme::Socks4;
    let resolves_here = is_v4 || scheme == ProxyScheme::Socks5;
    let host = if resolves_here && host.parse::<IpAddr>().is_err() {
        let mut found = tokio::net::lookup_host((host, port)).await.map_err(SocksError::Dns)?;
        let address = found.find(|address| address.is_ipv4() || !is_v4).ok_or_else(|| {
            SocksError::Dns(io::Error::new(io::ErrorKind::NotFound, "the name has no usable address"))
        })?;
        address.ip().to_string()
    } else {
        host.to_owned()
    };
    let authority = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let built = Uri::builder().scheme("socks").authority(authority).path_and_query("/").build();
    built.map_err(|_| SocksError::Refused("the host's name cannot be sent to the proxy".to_owned()))
}

/// The connector that hyper-util wants: it gives the connection that is there.
struct Connected(Option<Stream>);

impl Service<Uri> for Connected {
    type Response = TokioIo<Stream>;
    type Error = io::Error;
    type Future = Ready<io::Result<Self::Response>>;

    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<io::Result<()>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, _: Uri) -> Self::Future {
        ready(self.0.take().map(TokioIo::new).ok_or_else(|| io::ErrorKind::NotConnected.into()))
    }
}
