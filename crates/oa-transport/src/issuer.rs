//! Who issued a certificate that nobody here trusts? The name is what its owner needs in order to add the
//! authority.

use std::fmt;
use std::sync::Arc;

use rustls::client::danger::{HandshakeSignatureValid, ServerCertVerified, ServerCertVerifier};
use rustls::pki_types::{CertificateDer, ServerName, UnixTime};
use rustls::{
    CertificateError, DigitallySignedStruct, DistinguishedName, Error, OtherError, SignatureScheme,
};

/// A verifier that says who issued the certificate when the issuer is unknown.
#[derive(Debug)]
pub(crate) struct NamingVerifier(pub(crate) Arc<dyn ServerCertVerifier>);

/// The issuer of a certificate, not trusted here.
#[derive(Debug, PartialEq, Eq)]
pub(crate) struct UntrustedIssuer {
    /// The common name, or else the organisation; without control characters, at most 100 characters.
    pub(crate) name: String,
    /// The certificate names itself as its issuer.
    pub(crate) is_self: bool,
}

impl ServerCertVerifier for NamingVerifier {
    fn verify_server_cert(
        &self,
        end_entity: &CertificateDer<'_>,
        intermediates: &[CertificateDer<'_>],
        server_name: &ServerName<'_>,
        ocsp_response: &[u8],
        now: UnixTime,
    ) -> Result<ServerCertVerified, Error> {
        let result = self.0.verify_server_cert(end_entity, intermediates, server_name, ocsp_response, now);
        match result {
            Err(Error::InvalidCertificate(CertificateError::UnknownIssuer)) => {
                // What is missing is whoever issued the last certificate that the server sent.
                Err(match UntrustedIssuer::of(intermediates.last().unwrap_or(end_entity)) {
                    Some(issuer) => CertificateError::Other(OtherError(Arc::new(issuer))).into(),
                    None => CertificateError::UnknownIssuer.into(),
                })
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
        self.0.verify_tls12_signature(message, certificate, signature)
    }

    fn verify_tls13_signature(
        &self,
        message: &[u8],
        certificate: &CertificateDer<'_>,
        signature: &DigitallySignedStruct,
    ) -> Result<HandshakeSignatureValid, Error> {
        self.0.verify_tls13_signature(message, certificate, signature)
    }

    fn supported_verify_schemes(&self) -> Vec<SignatureScheme> {
        self.0.supported_verify_schemes()
    }

    fn requires_raw_public_keys(&self) -> bool {
        self.0.requires_raw_public_keys()
    }

    fn root_hint_subjects(&self) -> Option<&[DistinguishedName]> {
        self.0.root_hint_subjects()
    }
}

impl UntrustedIssuer {
    /// Reads the names of an X.509 certificate in DER (RFC 5280, section 4.1).
    fn of(certificate: &[u8]) -> Option<Self> {
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
        let name = attribute(issuer, COMMON_NAME).or_else(|| attribute(issuer, ORGANISATION))?;
        Some(Self { name, is_self: issuer == subject })
    }
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
const ORGANISATION: u8 = 10;

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
    fn the_common_name_or_the_organisation_is_the_name() {
        for kind in [DnType::CommonName, DnType::OrganizationName] {
            let issuer = UntrustedIssuer::of(&certificate(kind, "Büro \n7")).unwrap();
            assert_eq!(issuer, UntrustedIssuer { name: "Büro 7".to_owned(), is_self: true });
        }
    }

    #[test]
    fn a_name_of_any_length_is_cut() {
        let issuer = UntrustedIssuer::of(&certificate(DnType::CommonName, &"x".repeat(70_000))).unwrap();
        assert_eq!(issuer.name.len(), 100);
    }

    #[test]
    fn broken_certificates_are_no_reason_to_panic() {
        let good = certificate(DnType::CommonName, "x");
        for cut in 0..good.len() {
            assert_eq!(UntrustedIssuer::of(&good[..cut]), None, "the outermost length does not fit");
        }
        let mut read = 0;
        for at in 0..good.len() {
            for byte in [0, 0x7f, 0x80, 0x83, 0xff] {
                let mut bad = good.clone();
                bad[at] = byte;
                read += usize::from(UntrustedIssuer::of(&bad).is_some());
            }
        }
        assert!(read > 0, "what comes after the names does not matter");
    }
}
