//! The verifier of servers' certificates. It names the issuer that is not trusted, which is what its owner
//! needs in order to add the authority, and takes a root that was given in code for a server's certificate
//! too.

use std::{fmt, sync::Arc};

use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, RootCertStore,
    SignatureScheme,
    client::{
        danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier},
        verify_server_name,
    },
    pki_types::{CertificateDer, ServerName, TrustAnchor, UnixTime},
    server::ParsedCertificate,
};

use super::roots::Trust;

/// Verifies as `inner` does, and says more.
#[derive(Debug)]
pub(super) struct Verifier {
    inner: Arc<dyn ServerCertVerifier>,
    given: Vec<TrustAnchor<'static>>,
}

/// The issuer of a certificate, not trusted here.
#[derive(Debug, PartialEq, Eq)]
pub(super) struct UntrustedIssuer {
    /// The common name, or else the organization; without control characters, at most 100 characters.
    pub(super) name: String,
    pub(super) chain: Chain,
}

/// How far the chain of certificates goes that the server sent.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Chain {
    /// The server's certificate is its own issuer.
    SelfSigned,
    /// The last one is its own issuer, an authority.
    Whole,
    /// The last one was issued by somebody whose certificate was not sent.
    Open,
}

/// The server's certificate is an authority's (CA:TRUE), and not one of the roots that were given in code.
#[derive(Debug)]
pub(super) struct CaAsServer;

impl Verifier {
    pub(super) fn new(trust: Trust) -> Self {
        Self { inner: trust.verifier, given: trust.given }
    }

    /// Whether the certificate is itself a root that was given in code. `SSL_CERT_FILE` stands for the
    /// platform's roots, whose authorities are no servers.
    ///
    /// Whoever has the key of a root can issue a certificate for any name, so that nothing is gained by
    /// refusing the root itself. `openssl req -x509` makes such certificates, and who gives one trusts it on
    /// purpose. Its validity was checked before; that the server has its key is checked by the handshake.
    fn is_given(&self, certificate: &CertificateDer<'_>) -> bool {
        let mut store = RootCertStore::empty();
        store.add(certificate.clone().into_owned()).is_ok()
            && store.roots.iter().all(|root| self.given.contains(root))
    }
}

impl ServerCertVerifier for Verifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        match self.inner.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now) {
            // Of an own issuer whose name a trusted authority has too.
            Err(Error::InvalidCertificate(CertificateError::BadSignature)) => {
                Err(match UntrustedIssuer::of(end_entity, intermediates) {
                    Some(issuer) if issuer.chain == Chain::SelfSigned => {
                        CertificateError::Other(OtherError(Arc::new(issuer))).into()
                    }
                    _ => CertificateError::BadSignature.into(),
                })
            }
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                // What is missing is whoever issued the last certificate that the server sent.
                Err(match UntrustedIssuer::of(end_entity, intermediates) {
                    Some(issuer) => CertificateError::Other(OtherError(Arc::new(issuer))).into(),
                    None => CertificateError::UnknownIssuer.into(),
                })
            }
            Err(Error::InvalidCertificate(CertificateError::Other(OtherError(inner))))
                if inner.downcast_ref() == Some(&webpki::Error::CaUsedAsEndEntity) =>
            {
                if !self.is_given(end_entity) {
                    return Err(CertificateError::Other(OtherError(Arc::new(CaAsServer))).into());
                }
                verify_server_name(&ParsedCertificate::try_from(end_entity)?, server_name)?;
                Ok(ServerCertVerified::assertion())
            }
            result => result,
        }
    }

    fn verify_tls12_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.inner.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.inner.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.inner.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.inner.root_hint_subjects()
    }
}

impl UntrustedIssuer {
    /// The issuer of the last certificate that the server sent.
    fn of(end_entity: &[u8], intermediates: &[CertificateDer<'_>]) -> Option<Self> {
        let (name, is_own_issuer) = issuer(intermediates.last().map_or(end_entity, |last| last))?;
        let chain = match intermediates {
            _ if !is_own_issuer => Chain::Open,
            [] => Chain::SelfSigned,
            _ => Chain::Whole,
        };
        Some(Self { name, chain })
    }
}

/// The name of the issuer of an X.509 certificate in DER (RFC 5280, section 4.1), and whether the certificate
/// is its own issuer.
fn issuer(certificate: &[u8]) -> Option<(String, bool)> {
    let mut certificate = Der(Der(certificate).expect(SEQUENCE)?);
    let mut fields = Der(certificate.expect(SEQUENCE)?);
    if fields.0.first() == Some(&EXPLICIT_VERSION) {
        fields.next()?;
    }
    fields.expect(INTEGER)?; // serial number
    fields.expect(SEQUENCE)?; // signature algorithm
    let issuer = fields.expect(SEQUENCE)?;
    fields.expect(SEQUENCE)?; // validity
    let subject = fields.expect(SEQUENCE)?;
    let name = attribute(issuer, COMMON_NAME).or_else(|| attribute(issuer, ORGANIZATION))?;
    Some((name, issuer == subject))
}

/// The text of an attribute of a distinguished name, by the last byte of its object identifier 2.5.4.x.
fn attribute(name: &[u8], wanted: u8) -> Option<String> {
    let mut sets = Der(name);
    while let Some((SET, set)) = sets.next() {
        let mut pair = Der(Der(set).expect(SEQUENCE)?);
        if pair.expect(OBJECT_IDENTIFIER)? == [0x55, 0x04, wanted] {
            let (_, text) = pair.next()?;
            let text = String::from_utf8_lossy(text);
            return Some(text.chars().filter(|c| !c.is_control()).take(100).collect());
        }
    }
    None
}

const INTEGER: u8 = 0x02;
const OBJECT_IDENTIFIER: u8 = 0x06;
const SEQUENCE: u8 = 0x30;
const SET: u8 = 0x31;
const EXPLICIT_VERSION: u8 = 0xa0;
const COMMON_NAME: u8 = 3;
const ORGANIZATION: u8 = 10;

/// DER values one after another.
struct Der<'a>(&'a [u8]);

impl<'a> Der<'a> {
    /// The next value: its tag and its contents.
    fn next(&mut self) -> Option<(u8, &'a [u8])> {
        let (&[tag, first], rest) = self.0.split_first_chunk::<2>()?;
        let (length, rest) = match first {
            0..=0x7f => (usize::from(first), rest),
            0x81..=0x83 => {
                let (length, rest) = rest.split_at_checked(usize::from(first & 0x7f))?;
                (length.iter().fold(0, |sum, byte| sum << 8 | usize::from(*byte)), rest)
            }
            _ => return None,
        };
        let (value, rest) = rest.split_at_checked(length)?;
        self.0 = rest;
        Some((tag, value))
    }

    fn expect(&mut self, tag: u8) -> Option<&'a [u8]> {
        self.next().filter(|(found, _)| *found == tag).map(|(_, value)| value)
    }
}

impl fmt::Display for UntrustedIssuer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "unknown issuer {:?}", self.name)
    }
}

impl std::error::Error for UntrustedIssuer {}

impl fmt::Display for CaAsServer {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("CA certificate used as an end entity")
    }
}

impl std::error::Error for CaAsServer {}

#[cfg(test)]
mod tests {
    use super::*;
    use rcgen::{CertificateParams, DnType, KeyPair};

    fn certificate(kind: DnType, name: &str) -> Vec<u8> {
        let mut params = CertificateParams::new(vec!["localhost".to_owned()]).unwrap();
        params.distinguished_name = rcgen::DistinguishedName::new();
        params.distinguished_name.push(kind, name);
        params.self_signed(&KeyPair::generate().unwrap()).unwrap().der().to_vec()
    }

    #[test]
    fn the_common_name_or_the_organization_is_the_name() {
        for kind in [DnType::CommonName, DnType::OrganizationName] {
            let issuer = UntrustedIssuer::of(&certificate(kind, "Büro \n7"), &[]).unwrap();
            assert_eq!(issuer, UntrustedIssuer { name: "Büro 7".to_owned(), chain: Chain::SelfSigned });
        }
    }

    #[test]
    fn a_name_of_any_length_is_cut() {
        let (name, _) = issuer(&certificate(DnType::CommonName, &"x".repeat(70_000))).unwrap();
        assert_eq!(name.len(), 100);
    }

    #[test]
    fn broken_certificates_are_no_reason_to_panic() {
        let good = certificate(DnType::CommonName, "x");
        for cut in 0..good.len() {
            assert_eq!(issuer(&good[..cut]), None, "the outermost length does not fit");
        }
        let mut read = 0;
        for at in 0..good.len() {
            for byte in [0, 0x7f, 0x80, 0x83, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                read += usize::from(issuer(&bad).is_some());
            }
        }
        assert!(read > 0, "what comes after the names does not matter");
    }
}
