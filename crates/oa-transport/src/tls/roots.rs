//! The certificates that are trusted: those given in code, and those of the platform.

use std::{fmt, sync::Arc};
#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
use std::{io, path::Path};

use rustls::{
    RootCertStore,
    client::{WebPkiServerVerifier, danger::ServerCertVerifier},
    crypto::CryptoProvider,
    pki_types::{CertificateDer, TrustAnchor},
};

#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
use crate::error::os;

/// What verifies a server's certificate, and the roots that were given in code.
pub(super) struct Trust {
    pub(super) verifier: Arc<dyn ServerCertVerifier>,
    pub(super) given: Vec<TrustAnchor<'static>>,
}

/// There is no root certificate, so that no server can be trusted.
#[derive(Clone, Debug)]
pub(crate) struct NoRoots {
    /// The variable that should name some.
    pub(crate) variable: Option<&'static str>,
    message: String,
}

/// Trusts the given roots alone.
pub(super) fn given(
    roots: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Trust, rustls::Error> {
    let store = store(roots);
    if store.is_empty() {
        return Err(NoRoots {
            variable: None,
            message: "no root certificate was given, and those of the platform were switched off".to_owned(),
        }
        .into());
    }
    Ok(Trust { given: store.roots.clone(), verifier: verifier(store, provider)? })
}

/// Trusts the platform's roots and the given ones. Those of the platform are read from its files, or from
/// those that `SSL_CERT_FILE` and `SSL_CERT_DIR` name in their place.
#[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
pub(super) fn with_platform(
    roots: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Trust, rustls::Error> {
    let loaded = rustls_native_certs::load_native_certs();
    let mut store = store(roots);
    let given = store.roots.clone();
    store.add_parsable_certificates(loaded.certs);
    if store.is_empty() {
        let variables = ["SSL_CERT_FILE", "SSL_CERT_DIR"];
        let set = variables.into_iter().find_map(|name| Some((name, std::env::var_os(name)?)));
        return Err(match set {
            Some((variable, path)) => NoRoots::of_path(variable, Path::new(&path), &loaded.errors),
            None => NoRoots::of_platform(),
        }
        .into());
    }
    Ok(Trust { given, verifier: verifier(store, provider)? })
}

/// Trusts what the platform trusts, by the platform's own verifier, and the given roots.
#[cfg(not(all(unix, not(target_vendor = "apple"), not(target_os = "android"))))]
pub(super) fn with_platform(
    roots: &[CertificateDer<'static>],
    provider: Arc<CryptoProvider>,
) -> Result<Trust, rustls::Error> {
    let verifier = rustls_platform_verifier::Verifier::new_with_extra_roots(roots.iter().cloned(), provider)?;
    Ok(Trust { given: store(roots).roots, verifier: Arc::new(verifier) })
}

fn store(roots: &[CertificateDer<'static>]) -> RootCertStore {
    let mut store = RootCertStore::empty();
    store.add_parsable_certificates(roots.iter().cloned());
    store
}

fn verifier(
    store: RootCertStore,
    provider: Arc<CryptoProvider>,
) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
    match WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build() {
        Ok(verifier) => Ok(verifier),
        Err(error) => Err(rustls::Error::General(error.to_string())),
    }
}

impl NoRoots {
    #[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
    fn of_path(variable: &'static str, path: &Path, errors: &[rustls_native_certs::Error]) -> Self {
        let io = errors.iter().find_map(|error| match &error.kind {
            rustls_native_certs::ErrorKind::Io { inner, .. } => Some(inner),
            _ => None,
        });
        let problem = match io {
            Some(error) if error.kind() == io::ErrorKind::NotFound => "which is not there".to_owned(),
            Some(error) => format!("which cannot be read ({})", os::words(error)),
            None => "which holds no certificate in PEM".to_owned(),
        };
        let path = path.display();
        let message = format!("no root certificate could be loaded: {variable} names {path}, {problem}");
        Self { variable: Some(variable), message }
    }

    #[cfg(all(unix, not(target_vendor = "apple"), not(target_os = "android")))]
    fn of_platform() -> Self {
        let message = "no root certificate could be loaded: this system has none (its package is mostly \
             called ca-certificates), and SSL_CERT_FILE is not set";
        Self { variable: Some("SSL_CERT_FILE"), message: message.to_owned() }
    }
}

impl From<NoRoots> for rustls::Error {
    fn from(error: NoRoots) -> Self {
        Self::Other(rustls::OtherError(Arc::new(error)))
    }
}

impl fmt::Display for NoRoots {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(&self.message)
    }
}

impl std::error::Error for NoRoots {}

#[cfg(all(test, unix, not(target_vendor = "apple"), not(target_os = "android")))]
mod tests {
    use super::*;

    fn of_path(path: &Path) -> String {
        let loaded = rustls_native_certs::load_certs_from_paths(Some(path), None);
        assert!(loaded.certs.is_empty());
        NoRoots::of_path("SSL_CERT_FILE", path, &loaded.errors).to_string()
    }

    #[test]
    fn the_variable_the_file_and_what_is_wrong_with_it_are_named() {
        assert_eq!(
            of_path(Path::new("/no/such/ca.pem")),
            "no root certificate could be loaded: SSL_CERT_FILE names /no/such/ca.pem, which is not there"
        );
        assert_eq!(
            of_path(Path::new("/dev/null")),
            "no root certificate could be loaded: SSL_CERT_FILE names /dev/null, which holds no \
             certificate in PEM"
        );
        let folder = of_path(Path::new("/"));
        assert!(folder.contains("which cannot be read (is a directory)"), "{folder}");
    }
}
