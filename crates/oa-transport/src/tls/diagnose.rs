//! The errors of rustls, in terms of the server that could not be reached.

use std::{borrow::Cow, io, sync::Arc};

use rustls::{AlertDescription, CertificateError, OtherError, PeerIncompatible};

use super::{
    date::date,
    issuer::{CaAsServer, Chain, UntrustedIssuer},
    roots::NoRoots,
};
use crate::error::TransportErrorKind as Kind;

type Message = Cow<'static, str>;

/// The kind of an error of rustls, and what it says.
pub(crate) fn diagnose(error: &rustls::Error) -> (Kind, Message) {
    match error {
        rustls::Error::InvalidCertificate(certificate) => of_certificate(certificate),
        rustls::Error::AlertReceived(AlertDescription::ProtocolVersion) => {
            let message = "the server refused TLS with the alert protocol_version: it speaks neither \
                 TLS 1.2 nor 1.3, the versions spoken here";
            (Kind::TlsVersion, message.into())
        }
        rustls::Error::AlertReceived(alert) => {
            let message = format!("the server refused TLS with the alert {}", alert_name(*alert));
            (Kind::TlsAlert(u8::from(*alert)), message.into())
        }
        rustls::Error::PeerIncompatible(
            PeerIncompatible::ServerDoesNotSupportTls12Or13
            | PeerIncompatible::ServerTlsVersionIsDisabledByOurConfig,
        ) => {
            let message = "the server speaks neither TLS 1.2 nor 1.3, the versions spoken here";
            (Kind::TlsVersion, message.into())
        }
        rustls::Error::Other(OtherError(inner)) if inner.is::<NoRoots>() => {
            (Kind::NoRoots, inner.to_string().into())
        }
        other => (Kind::Tls, format!("TLS failed ({other})").into()),
    }
}

/// The cause to keep: that of rustls, or what it only wraps.
pub(crate) fn cause(error: io::Error) -> Arc<dyn std::error::Error + Send + Sync> {
    match error.get_ref().and_then(|inner| inner.downcast_ref()) {
        Some(
            rustls::Error::InvalidCertificate(CertificateError::Other(OtherError(inner)))
            | rustls::Error::Other(OtherError(inner)),
        ) => inner.clone(),
        _ => Arc::new(error),
    }
}

/// The environment variable that is to be corrected, if the failure is about one.
pub(crate) fn variable(error: &io::Error) -> Option<&'static str> {
    match error.get_ref()?.downcast_ref()? {
        rustls::Error::Other(OtherError(inner)) => inner.downcast_ref::<NoRoots>()?.variable,
        _ => None,
    }
}

fn of_certificate(error: &CertificateError) -> (Kind, Message) {
    match error {
        CertificateError::Expired => {
            (Kind::CertificateExpired, "the server's certificate has expired".into())
        }
        CertificateError::ExpiredContext { not_after, .. } => {
            let message = format!("the server's certificate expired on {}", date(not_after.as_secs()));
            (Kind::CertificateExpired, message.into())
        }
        CertificateError::NotValidYet => {
            (Kind::CertificateNotYetValid, "the server's certificate is not valid yet".into())
        }
        CertificateError::NotValidYetContext { time, not_before } => {
            let message = format!(
                "the server's certificate is not valid before {}, and this machine's clock says {}",
                date(not_before.as_secs()),
                date(time.as_secs())
            );
            (Kind::CertificateNotYetValid, message.into())
        }
        CertificateError::UnknownIssuer => {
            let message = "the server's certificate was issued by an authority that is not trusted here";
            (Kind::CertificateUnknownIssuer, message.into())
        }
        // Its issuer has the name of a trusted authority, but not its key.
        CertificateError::BadSignature => {
            let message = "the server's certificate was not signed by the authority of that name that is \
                trusted here";
            (Kind::CertificateUnknownIssuer, message.into())
        }
        CertificateError::NotValidForName => {
            (Kind::CertificateWrongName, "the server's certificate is for another name".into())
        }
        CertificateError::NotValidForNameContext { presented, .. } if presented.is_empty() => {
            let message = "the server's certificate names no host: it has no subjectAltName, and its common \
                name is not read";
            (Kind::CertificateWithoutNames, message.into())
        }
        CertificateError::NotValidForNameContext { expected, presented } => {
            let names = names(presented);
            let message = format!("the server's certificate is for {names}, not for {}", expected.to_str());
            (Kind::CertificateWrongName, message.into())
        }
        CertificateError::Other(OtherError(inner)) => {
            if let Some(issuer) = inner.downcast_ref() {
                return of_issuer(issuer);
            }
            if inner.is::<CaAsServer>() {
                let message = "the server's certificate is an authority's (CA:TRUE), where a server needs \
                     one that is not";
                return (Kind::CertificateIsAuthority, message.into());
            }
            (
                Kind::CertificateUnusable,
                format!("the server's certificate cannot be accepted ({inner})").into(),
            )
        }
        other => (
            Kind::CertificateUnusable,
            format!("the server's certificate cannot be accepted ({other})").into(),
        ),
    }
}

fn of_issuer(issuer: &UntrustedIssuer) -> (Kind, Message) {
    let name = &issuer.name;
    let message = match issuer.chain {
        Chain::SelfSigned => "the server's certificate is self-signed and not trusted here".into(),
        Chain::Whole => format!(
            "the server's certificate was issued by the private authority \"{name}\", which is not \
             trusted here"
        )
        .into(),
        Chain::Open => format!(
            "the server's certificate was issued by \"{name}\", which is not trusted here: a private \
             authority, or an intermediate whose certificate the server does not send"
        )
        .into(),
    };
    (Kind::CertificateUnknownIssuer, message)
}

/// The first few of the names that a certificate is for.
fn names(presented: &[String]) -> String {
    const SHOWN: usize = 5;
    let shown = presented.iter().take(SHOWN).map(|name| bare_name(name)).collect::<Vec<_>>().join(", ");
    match presented.len() {
        n if n > SHOWN => format!("{shown} and {} more", n - SHOWN),
        _ => shown,
    }
}

/// rustls writes names as `DnsName("example.org")`.
fn bare_name(presented: &str) -> &str {
    presented.split('"').nth(1).unwrap_or(presented)
}

/// The name of an alert as the standards write it (RFC 8446, section 6, and the IANA's list).
fn alert_name(alert: AlertDescription) -> Cow<'static, str> {
    let number = u8::from(alert);
    let name = match number {
        0 => "close_notify",
        10 => "unexpected_message",
        20 => "bad_record_mac",
        21 => "decryption_failed",
        22 => "record_overflow",
        30 => "decompression_failure",
        40 => "handshake_failure",
        41 => "no_certificate",
        42 => "bad_certificate",
        43 => "unsupported_certificate",
        44 => "certificate_revoked",
        45 => "certificate_expired",
        46 => "certificate_unknown",
        47 => "illegal_parameter",
        48 => "unknown_ca",
        49 => "access_denied",
        50 => "decode_error",
        51 => "decrypt_error",
        60 => "export_restriction",
        70 => "protocol_version",
        71 => "insufficient_security",
        80 => "internal_error",
        86 => "inappropriate_fallback",
        90 => "user_canceled",
        100 => "no_renegotiation",
        109 => "missing_extension",
        110 => "unsupported_extension",
        111 => "certificate_unobtainable",
        112 => "unrecognized_name",
        113 => "bad_certificate_status_response",
        114 => "bad_certificate_hash_value",
        115 => "unknown_psk_identity",
        116 => "certificate_required",
        120 => "no_application_protocol",
        121 => "ech_required",
        _ => return number.to_string().into(),
    };
    name.into()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn many_names_are_not_all_shown() {
        let presented: Vec<_> = (0..7).map(|n| format!("DnsName(\"{n}.example\")")).collect();
        assert_eq!(names(&presented), "0.example, 1.example, 2.example, 3.example, 4.example and 2 more");
        assert_eq!(names(&presented[..1]), "0.example");
    }

    #[test]
    fn alerts_are_named_as_in_the_standard() {
        assert_eq!(alert_name(AlertDescription::HandshakeFailure), "handshake_failure");
        assert_eq!(alert_name(AlertDescription::UnknownCA), "unknown_ca");
        assert_eq!(alert_name(AlertDescription::BadCertificateHashValue), "bad_certificate_hash_value");
        assert_eq!(alert_name(AlertDescription::Unknown(200)), "200");
    }

    #[test]
    fn a_server_of_old_versions_is_named_so() {
        for error in [
            rustls::Error::AlertReceived(AlertDescription::ProtocolVersion),
            rustls::Error::PeerIncompatible(PeerIncompatible::ServerDoesNotSupportTls12Or13),
        ] {
            let (kind, message) = diagnose(&error);
            assert_eq!(kind, Kind::TlsVersion);
            assert!(message.contains("neither TLS 1.2 nor 1.3"), "{message}");
        }
    }
}
