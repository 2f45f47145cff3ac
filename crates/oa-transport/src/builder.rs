//! The settings of a transport, their defaults, and the reasons for them.

use std::{fmt, sync::Arc, time::Duration};

use crate::{
    client::{HyperTransport, Inner},
    connect::Settings,
    pool::{Pool, PoolLimits},
    proxy::Proxies,
};

/// Settings for a [`HyperTransport`].
///
/// ```
/// use std::time::Duration;
///
/// let transport = oa_transport::HyperTransport::builder()
///     .connect_timeout(Duration::from_secs(3))
///     .no_proxy()
///     .build()?;
/// # Ok::<(), oa_transport::BuildError>(())
/// ```
#[must_use = "a builder does nothing until it is built"]
pub struct HyperTransportBuilder {
    connect_timeout: Duration,
    pool_idle_timeout: Duration,
    max_idle_per_host: usize,
    tcp_keepalive: Option<Duration>,
    response_limit: u64,
    #[cfg(feature = "http2")]
    http2: crate::http2::Http2Settings,
    proxies: Option<Proxies>,
    #[cfg(feature = "tls")]
    tls: crate::tls::TlsConfig,
    error: Option<BuildError>,
}

/// A setting that cannot be used: which one, and why. Never shows the setting's value.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BuildError(String);

impl Default for HyperTransportBuilder {
    fn default() -> Self {
        Self {
            connect_timeout: Duration::from_secs(10),
            pool_idle_timeout: Duration::from_secs(3),
            max_idle_per_host: 256,
            tcp_keepalive: Some(Duration::from_secs(30)),
            response_limit: 256 * 1024 * 1024,
            #[cfg(feature = "http2")]
            http2: crate::http2::Http2Settings::default(),
            proxies: None,
            #[cfg(feature = "tls")]
            tls: crate::tls::TlsConfig::new(),
            error: None,
        }
    }
}

impl HyperTransportBuilder {
    /// How long opening a connection may take: name lookup, TCP, proxy and TLS together. Default: 10 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// How long an unused connection is kept. Default: 3 s.
    ///
    /// Keep it shorter than the server does: uvicorn (vLLM, SGLang, LiteLLM) and cpp-httplib (llama.cpp)
    /// close after 5 s.
    pub fn pool_idle_timeout(mut self, limit: Duration) -> Self {
        self.pool_idle_timeout = limit;
        self
    }

    /// How many unused connections are kept for each host. Default: 256. Zero keeps none.
    pub fn max_idle_per_host(mut self, limit: usize) -> Self {
        self.max_idle_per_host = limit;
        self
    }

    /// After how much silence the operating system asks whether the server is still there, which also
    /// keeps the connection known to firewalls while a long prompt is read. Default: 30 s; `None` never asks.
    pub fn tcp_keepalive(mut self, after: Option<Duration>) -> Self {
        self.tcp_keepalive = after;
        self
    }

    /// How many bytes a response's body may have. Default: 256 MiB. A larger one is an error at
    /// [`Stage::Body`](crate::Stage::Body), at once where the server announces its length.
    pub fn response_limit(mut self, bytes: u64) -> Self {
        self.response_limit = bytes;
        self
    }

    /// Whether HTTP/2 is spoken. Default: [`Http2::Off`](crate::Http2::Off).
    #[cfg(feature = "http2")]
    pub fn http2(mut self, http2: crate::Http2) -> Self {
        self.http2.mode = http2;
        self
    }

    /// After how much silence a connection of HTTP/2 that has streams is pinged. If the server does not
    /// answer within 20 s, the connection is closed. Default: 20 s; `None` never pings.
    #[cfg(feature = "http2")]
    pub fn http2_keep_alive(mut self, after: Option<Duration>) -> Self {
        self.http2.keep_alive = after;
        self
    }

    /// Sends everything through this proxy, to this machine too, and ignores the environment's proxies.
    ///
    /// A URL of the scheme `http`, `https`, `socks5h`, `socks5`, `socks4a` or `socks4`. `user:password@` in
    /// it is sent as basic authentication, or as that of SOCKS 5.
    pub fn proxy(mut self, url: &str) -> Self {
        match Proxies::all(url) {
            Ok(proxies) => self.proxies = Some(proxies),
            Err(error) => self.refuse(format!("proxy: {error}")),
        }
        self
    }

    /// Uses these proxies in place of the process's environment's.
    pub fn proxies(mut self, proxies: Proxies) -> Self {
        self.proxies = Some(proxies);
        self
    }

    /// Uses no proxy, whatever the environment says.
    ///
    /// By default `HTTP_PROXY`, `HTTPS_PROXY`, `ALL_PROXY` and `NO_PROXY` (in either case) are read when
    /// the transport is built: see [`Proxies`].
    pub fn no_proxy(self) -> Self {
        self.proxies(Proxies::none())
    }

    /// Trusts these authorities too: certificates in PEM, one or more.
    ///
    /// By default those are trusted that the platform trusts; on Linux and the BSDs the variables
    /// `SSL_CERT_FILE` and `SSL_CERT_DIR` name others in their place.
    #[cfg(feature = "tls")]
    pub fn add_root_pem(mut self, pem: impl AsRef<[u8]>) -> Self {
        if let Err(problem) = self.tls.add_roots_pem(pem.as_ref()) {
            self.refuse(format!("add_root_pem: {problem}"));
        }
        self
    }

    /// Trusts this authority too: one certificate in DER.
    #[cfg(feature = "tls")]
    pub fn add_root_der(mut self, der: impl Into<Vec<u8>>) -> Self {
        if let Err(problem) = self.tls.add_root_der(der.into()) {
            self.refuse(format!("add_root_der: {problem}"));
        }
        self
    }

    /// Trusts only the authorities that were added here, not those of the platform.
    #[cfg(feature = "tls")]
    pub fn without_platform_roots(mut self) -> Self {
        self.tls.without_platform_roots();
        self
    }

    /// Shows this certificate to servers that ask for one (mutual TLS): its chain in PEM, leaf first, and
    /// its private key in PEM.
    #[cfg(feature = "tls")]
    pub fn client_certificate_pem(mut self, chain: impl AsRef<[u8]>, key: impl AsRef<[u8]>) -> Self {
        if let Err(problem) = self.tls.set_identity_pem(chain.as_ref(), key.as_ref()) {
            self.refuse(format!("client_certificate_pem: {problem}"));
        }
        self
    }

    /// Builds the transport. Opens no connection.
    ///
    /// # Errors
    ///
    /// The first setting that could not be used.
    pub fn build(mut self) -> Result<HyperTransport, BuildError> {
        match self.error.take() {
            Some(error) => Err(error),
            None => Ok(self.assemble()),
        }
    }

    pub(crate) fn assemble(self) -> HyperTransport {
        let proxies = self.proxies.unwrap_or_else(Proxies::from_env);
        let settings = Arc::new(Settings {
            #[cfg(feature = "http2")]
            http2: self.http2,
            connect_timeout: self.connect_timeout,
            tcp_keepalive: self.tcp_keepalive,
            proxies,
            #[cfg(feature = "tls")]
            tls: self.tls,
        });
        let limits =
            PoolLimits { idle_timeout: self.pool_idle_timeout, max_idle_per_host: self.max_idle_per_host };
        HyperTransport::from_inner(Inner {
            pool: Pool::new(limits),
            settings,
            response_limit: self.response_limit,
        })
    }

    fn refuse(&mut self, problem: impl Into<String>) {
        self.error.get_or_insert(BuildError(problem.into()));
    }
}

impl fmt::Debug for HyperTransportBuilder {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HyperTransportBuilder").finish_non_exhaustive()
    }
}

impl fmt::Display for BuildError {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.0)
    }
}

impl std::error::Error for BuildError {}
