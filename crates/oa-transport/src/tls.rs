//! TLS by rustls: whom to trust, who we are, the handshake, and what its failures mean.

use std::borrow::Cow;
use std::io;
use std::pin::Pin;
use std::sync::{Arc, OnceLock};
use std::task::{Context, Poll, ready};

use rustls::client::danger::ServerCertVerifier;
use rustls::client::{ResolvesClientCert, WebPkiServerVerifier};
use rustls::crypto::CryptoProvider;
use rustls::pki_types::pem::PemObject;
use rustls::pki_types::{CertificateDer, PrivateKeyDer, ServerName};
use rustls::sign::{CertifiedKey, SingleCertAndKey};
use rustls::{AlertDescription, CertificateError, ClientConfig, InvalidMessage, RootCertStore};
use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};
use tokio_rustls::TlsConnector;

use crate::error::Diagnosis;
use crate::issuer::{NamingVerifier, UntrustedIssuer};
use crate::stream::Stream;

/// The settings of TLS, and the configuration made from them when `https` is used for the first time:
/// reading the platform's certificates takes milliseconds that a user of plain HTTP need not spend.
pub(crate) struct Tls {
    provider: Arc<CryptoProvider>,
    roots: Vec<CertificateDer<'static>>,
    platform: bool,
    identity: Option<Arc<dyn ResolvesClientCert>>,
    config: OnceLock<Result<Arc<ClientConfig>, rustls::Error>>,
}

/// A handshake that failed.
pub(crate) struct Failure {
    pub(crate) kind: Diagnosis,
    pub(crate) why: Cow<'static, str>,
    pub(crate) cause: io::Error,
}

impl Tls {
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

    /// Agrees on TLS with the other end of `stream`.
    pub(crate) async fn handshake(&self, stream: Stream, host: &str) -> Result<Stream, Failure> {
        let config = match self.config.get_or_init(|| self.configure().map(Arc::new)) {
            Ok(config) => Arc::clone(config),
            Err(error) => return Err(Failure::new(error.clone())),
        };
        let name = ServerName::try_from(host.to_owned()).map_err(|_| {
            Failure::new(rustls::Error::General(format!("{host} is not a valid name for TLS")))
        })?;
        let sniff = Sniff { stream, head: [0; 5], seen: 0 };
        match TlsConnector::from(config).connect(name, sniff).into_fallible().await {
            Ok(tls) => Ok(Stream::Tls(Box::new(tls))),
            Err((cause, sniff)) => Err(sniff.explain(cause)),
        }
    }

    fn configure(&self) -> Result<ClientConfig, rustls::Error> {
        let provider = Arc::clone(&self.provider);
        let builder = ClientConfig::builder_with_provider(provider)
            .with_safe_default_protocol_versions()?
            .dangerous()
            .with_custom_certificate_verifier(Arc::new(NamingVerifier(self.verifier()?)));
        let mut config = match &self.identity {
            Some(identity) => builder.with_client_cert_resolver(Arc::clone(identity)),
            None => builder.with_no_client_auth(),
        };
        config.alpn_protocols = vec![b"http/1.1".to_vec()];
        Ok(config)
    }

    fn verifier(&self) -> Result<Arc<dyn ServerCertVerifier>, rustls::Error> {
        let provider = Arc::clone(&self.provider);
        let roots = self.roots.iter().cloned();
        if self.platform {
            return Ok(Arc::new(rustls_platform_verifier::Verifier::new_with_extra_roots(roots, provider)?));
        }
        let mut store = RootCertStore::empty();
        store.add_parsable_certificates(roots);
        match WebPkiServerVerifier::builder_with_provider(Arc::new(store), provider).build() {
            Ok(verifier) => Ok(verifier),
            Err(error) => Err(rustls::Error::General(error.to_string())),
        }
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

impl Failure {
    fn new(error: rustls::Error) -> Self {
        let (kind, why) = diagnose(&error);
        Self { kind, why, cause: io::Error::new(io::ErrorKind::InvalidData, error) }
    }
}

/// What an error of rustls means to somebody who wants to reach a server.
pub(crate) fn diagnose(error: &rustls::Error) -> (Diagnosis, Cow<'static, str>) {
    use CertificateError as Certificate;
    match error {
        rustls::Error::InvalidCertificate(certificate) => match certificate {
            Certificate::Expired => {
                (Diagnosis::CertificateExpired, "the server's certificate has expired".into())
            }
            Certificate::ExpiredContext { not_after, .. } => {
                let why = format!("the server's certificate expired on {}", date(not_after.as_secs()));
                (Diagnosis::CertificateExpired, why.into())
            }
            Certificate::NotValidYet => {
                (Diagnosis::CertificateNotYetValid, "the server's certificate is not valid yet".into())
            }
            Certificate::NotValidYetContext { time, not_before } => {
                let why = format!(
                    "the server's certificate is not valid before {}, and this machine's clock says {}",
                    date(not_before.as_secs()),
                    date(time.as_secs())
                );
                (Diagnosis::CertificateNotYetValid, why.into())
            }
            Certificate::UnknownIssuer => {
                let why = "the server's certificate was issued by an authority that is not trusted here";
                (Diagnosis::CertificateUnknownIssuer, why.into())
            }
            // Its issuer has the name of a trusted authority, but not its key.
            Certificate::BadSignature => {
                let why = "the server's certificate was not signed by the authority of that name that is \
                trusted here";
                (Diagnosis::CertificateUnknownIssuer, why.into())
            }
            Certificate::NotValidForName => {
                (Diagnosis::CertificateWrongName, "the server's certificate is for another name".into())
            }
            Certificate::NotValidForNameContext { expected, presented } => {
                let names = names(presented);
                let why = format!("the server's certificate is for {names}, not for {}", expected.to_str());
                (Diagnosis::CertificateWrongName, why.into())
            }
            other => unusual(other),
        },
        rustls::Error::AlertReceived(alert) => {
            let why = format!("the server refused TLS with the alert {}", alert_name(*alert));
            (Diagnosis::TlsAlert(u8::from(*alert)), why.into())
        }
        other => (Diagnosis::Tls, format!("TLS failed ({other})").into()),
    }
}

/// What is known of a refused certificate only by the error behind it.
fn unusual(error: &CertificateError) -> (Diagnosis, Cow<'static, str>) {
    let inner = match error {
        CertificateError::Other(inner) => &*inner.0,
        other => {
            return (Diagnosis::Tls, format!("the server's certificate cannot be accepted ({other})").into());
        }
    };
    match inner.downcast_ref::<UntrustedIssuer>() {
        Some(UntrustedIssuer { is_self: true, .. }) => {
            let why = "the server's certificate is self-signed and not trusted here";
            (Diagnosis::CertificateUnknownIssuer, why.into())
        }
        Some(UntrustedIssuer { name, .. }) => {
            let why = format!("the server's certificate was issued by \"{name}\", which is not trusted here");
            (Diagnosis::CertificateUnknownIssuer, why.into())
        }
        None if format!("{inner:?}") == "CaUsedAsEndEntity" => {
            let why =
                "the server's certificate is an authority's (CA:TRUE), where a server needs one that is not";
            (Diagnosis::Tls, why.into())
        }
        None => (Diagnosis::Tls, format!("the server's certificate cannot be accepted ({inner})").into()),
    }
}

/// The first few of the names that a certificate is for.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = presented.iter().take(SHOWN).map(|name| bare_name(name)).collect::<Vec<_>>().join(", ");
    match presented.len() {
        0 => "no name".to_owned(),
        n if n > SHOWN => format!("{shown} and {} more", n - SHOWN),
        _ => shown,
    }
}

/// rustls writes names as `DnsName("example.org")`.
fn bare_name(presented: &str) -> &str {
    presented.split('"').nth(1).unwrap_or(presented)
}

/// `HandshakeFailure` as the standard writes it: `handshake_failure`.
fn alert_name(alert: AlertDescription) -> String {
    let mut name = String::new();
    for c in format!("{alert:?}").chars() {
        if c.is_ascii_uppercase() && !name.is_empty() {
            name.push('_');
        }
        name.push(c.to_ascii_lowercase());
    }
    name
}

/// The UTC date of a Unix time, as in 2026-01-31.
fn date(unix_seconds: u64) -> String {
    // Days are counted from 0000-03-01, so that the leap day is the last of its year.
    let days = unix_seconds / 86_400 + 719_468;
    let (era, day_of_era) = (days / 146_097, days % 146_097);
    let year_of_era = (day_of_era - day_of_era / 1_460 + day_of_era / 36_524 - day_of_era / 146_096) / 365;
    let day_of_year = day_of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let shifted_month = (5 * day_of_year + 2) / 153;
    let day = day_of_year - (153 * shifted_month + 2) / 5 + 1;
    let month = if shifted_month < 10 { shifted_month + 3 } else { shifted_month - 9 };
    let year = era * 400 + year_of_era + u64::from(month <= 2);
    format!("{year:04}-{month:02}-{day:02}")
}

/// A stream that remembers the first bytes it received, which tell a plain HTTP server from a TLS server.
pub(crate) struct Sniff {
    stream: Stream,
    head: [u8; 5],
    seen: u8,
}

impl Sniff {
    fn explain(&self, cause: io::Error) -> Failure {
        let head = &self.head[..usize::from(self.seen)];
        let inner = cause.get_ref().and_then(|inner| inner.downcast_ref());
        let (kind, why) = match inner {
            Some(rustls::Error::InvalidMessage(InvalidMessage::InvalidContentType)) if head == b"HTTP/" => {
                (Diagnosis::PlainHttpOnTls, "the server speaks plain HTTP on this port, not TLS".into())
            }
            Some(rustls::Error::InvalidMessage(_)) if head.first() != Some(&0x16) => {
                (Diagnosis::Tls, "what the server speaks on this port is not TLS".into())
            }
            Some(error) => diagnose(error),
            None if cause.kind() == io::ErrorKind::UnexpectedEof => (
                Diagnosis::ClosedBeforeResponse,
                "the server closed the connection during the TLS handshake".into(),
            ),
            None => crate::diagnose::from_io(&cause),
        };
        Failure { kind, why, cause }
    }
}

impl AsyncRead for Sniff {
    fn poll_read(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        buf: &mut ReadBuf<'_>,
    ) -> Poll<io::Result<()>> {
        let before = buf.filled().len();
        ready!(Pin::new(&mut self.stream).poll_read(cx, buf))?;
        let seen = usize::from(self.seen);
        if seen < self.head.len() {
            let got = &buf.filled()[before..];
            let take = got.len().min(self.head.len() - seen);
            self.head[seen..seen + take].copy_from_slice(&got[..take]);
            self.seen += take as u8;
        }
        Poll::Ready(Ok(()))
    }
}

impl AsyncWrite for Sniff {
    fn poll_write(mut self: Pin<&mut Self>, cx: &mut Context<'_>, buf: &[u8]) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write(cx, buf)
    }

    fn poll_write_vectored(
        mut self: Pin<&mut Self>,
        cx: &mut Context<'_>,
        bufs: &[io::IoSlice<'_>],
    ) -> Poll<io::Result<usize>> {
        Pin::new(&mut self.stream).poll_write_vectored(cx, bufs)
    }

    fn is_write_vectored(&self) -> bool {
        self.stream.is_write_vectored()
    }

    fn poll_flush(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_flush(cx)
    }

    fn poll_shutdown(mut self: Pin<&mut Self>, cx: &mut Context<'_>) -> Poll<io::Result<()>> {
        Pin::new(&mut self.stream).poll_shutdown(cx)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn dates_are_those_of_the_calendar() {
        for (seconds, expected) in [
            (0, "1970-01-01"),
            (951_782_400, "2000-02-29"),
            (951_868_800, "2000-03-01"),
            (1_767_225_599, "2025-12-31"),
            (4_107_542_400, "2100-03-01"),
        ] {
            assert_eq!(date(seconds), expected);
        }
    }

    #[test]
    fn many_names_are_not_all_shown() {
        let presented: Vec<_> = (0..7).map(|n| format!("DnsName(\"{n}.example\")")).collect();
        assert_eq!(names(&presented), "0.example, 1.example, 2.example, 3.example, 4.example and 2 more");
        assert_eq!(names(&presented[..1]), "0.example");
        assert_eq!(names(&[]), "no name");
    }

    #[test]
    fn alerts_are_named_as_in_the_standard() {
        assert_eq!(alert_name(AlertDescription::HandshakeFailure), "handshake_failure");
        assert_eq!(alert_name(AlertDescription::UnknownCA), "unknown_c_a");
    }
}
