//! The settings of TLS, and the configuration that is made from them.

use std::sync::{Arc, OnceLock};

use rustls::{
    ClientConfig, RootCertStore,
    client::ResolvesClientCert,
    crypto::CryptoProvider,
    pki_types::{CertificateDer, PrivateKeyDer, pem::PemObject},
    sign::{CertifiedKey, SingleCertAndKey},
};
use tokio::time::Instant;

use super::{
    handshake::{TlsFailure, handshake},
    issuer::Verifier,
    roots,
};
use crate::connect::stream::Stream;

/// The settings, and the configuration made from them when `https` is used for the first time: reading the
/// platform's certificates takes milliseconds that a user of plain HTTP need not spend.
pub(crate) struct TlsConfig {
    provider: Arc<CryptoProvider>,
    roots: Vec<CertificateDer<'static>>,
    platform: bool,
    identity: Option<Arc<dyn ResolvesClientCert>>,
    config: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

impl TlsConfig {
    pub(crate) fn new() -> Self {
        Self {
            provider: Arc::new(rustls::crypto::ring::default_provider()),
            roots: Vec::new(),
            platform: true,
            identity: None,
            config: OnceLock::new(),
        }
    }

    pub(crate) fn without_platform_roots(&mut self) {
        self.platform = false;
    }

    pub(crate) fn add_roots_pem(&mut self, pem: &[u8]) -> Result<(), String> {
        let roots = certificates(pem)?;
        roots.into_iter().try_for_each(|root| self.add_root(root))
    }

    pub(crate) fn add_root_der(&mut self, der: Vec<u8>) -> Result<(), String> {
        self.add_root(CertificateDer::from(der))
    }

    fn add_root(&mut self, root: CertificateDer<'static>) -> Result<(), String> {
        RootCertStore::empty().add(root.clone()).map_err(|error| format!("not usable as a root: {error}"))?;
        self.roots.push(root);
        Ok(())
    }

    pub(crate) fn set_identity_pem(&mut self, chain: &[u8], key: &[u8]) -> Result<(), String> {
        let chain = certificates(chain)?;
        let key =
            PrivateKeyDer::from_pem_slice(key).map_err(|_| "no private key in the PEM text".to_owned())?;
        let certified = CertifiedKey::from_der(chain, key, &self.provider)
            .map_err(|error| format!("not usable: {error}"))?;
        self.identity = Some(Arc::new(SingleCertAndKey::from(certified)));
        Ok(())
    }

    /// Agrees on TLS with the other end of `stream`, before `deadline`, and on one of the protocols `alpn`.
    pub(crate) async fn handshake(
        &self,
        stream: Stream,
        host: &str,
        deadline: Instant,
        alpn: &[&[u8]],
    ) -> Result<Stream, TlsFailure> {
        match self.config.get_or_init(|| self.configure().map(Arc::new)) {
            Ok(config) => {
                let mut config = Arc::clone(config);
                if config.alpn_protocols != alpn {
                    Arc::make_mut(&mut config).alpn_protocols =
                        alpn.iter().map(|name| name.to_vec()).collect();
                }
                handshake(config, stream, host, deadline).await
            }
            Err(error) => Err(TlsFailure::new(error.clone())),
        }
    }

    fn configure(&self) -> Result<ClientConfig, rustls::Error> {
        let trust = if self.platform {
            roots::with_platform(&self.roots, Arc::clone(&self.provider))?
        } else {
            roots::given(&self.roots, Arc::clone(&self.provider))?
        };
        let builder = ClientConfig::builder_with_provider(Arc::clone(&self.provider))
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(Verifier::new(trust)));
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::clone(identity)),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }
}

fn certificates(pem: &[u8]) -> Result<Vec<CertificateDer<'static>>, String> {
    let certificates: Vec<_> = CertificateDer::pem_slice_iter(pem)
        .collect::<Result<_, _>>()
        .map_err(|error| format!("not valid PEM: {error}"))?;
    if certificates.is_empty() {
        return Err("no certificate in the PEM text".to_owned());
    }
    Ok(certificates)
}
