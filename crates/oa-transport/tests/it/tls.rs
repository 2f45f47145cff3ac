//! TLS against real servers with certificates made here, good and bad.

use std::sync::Arc;

use oa_transport::{HyperTransport, Remedy, Stage, TransportErrorKind};
use rcgen::{BasicConstraints, CertificateParams, CertifiedIssuer, DnType, IsCa, KeyPair, date_time_ymd};
use rustls::pki_types::PrivateKeyDer;
use rustls::server::WebPkiClientVerifier;
use rustls::{RootCertStore, ServerConfig};
use tokio_rustls::TlsAcceptor;

use crate::support::*;

/// An authority and a certificate that it issued.
pub(crate) struct Made {
    pub(crate) authority: String,
    pub(crate) config: ServerConfig,
}

fn issuer() -> CertifiedIssuer<'static, KeyPair> {
    issuer_named("Test Authority")
}

fn issuer_named(name: &str) -> CertifiedIssuer<'static, KeyPair> {
    let mut params = CertificateParams::new(Vec::new()).unwrap();
    params.is_ca = IsCa::Ca(BasicConstraints::Unconstrained);
    params.distinguished_name.push(DnType::CommonName, name);
    CertifiedIssuer::self_signed(params, KeyPair::generate().unwrap()).unwrap()
}

fn provider() -> Arc<rustls::crypto::CryptoProvider> {
    Arc::new(rustls::crypto::ring::default_provider())
}

pub(crate) fn make(name: &str, change: impl FnOnce(&mut CertificateParams)) -> Made {
    make_with(name, change, false)
}

/// A server for `name`; if `mutual`, one that wants a client certificate of the same authority.
fn make_with(name: &str, change: impl FnOnce(&mut CertificateParams), mutual: bool) -> Made {
    let issuer = issuer();
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    change(&mut params);
    let key = KeyPair::generate().unwrap();
    let certificate = params.signed_by(&key, &issuer).unwrap();
    let builder =
        ServerConfig::builder_with_provider(provider()).with_safe_default_protocol_versions().unwrap();
    let builder = if mutual {
        let mut roots = RootCertStore::empty();
        roots.add(issuer.der().clone()).unwrap();
        let verifier =
            WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
        builder.with_client_cert_verifier(verifier)
    } else {
        builder.with_no_client_auth()
    };
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = builder.with_single_cert(vec![certificate.der().clone()], key).unwrap();
    Made { authority: issuer.pem(), config }
}

/// Serves every connection with TLS, and keeps one that failed open until the client has read why.
async fn serve(config: ServerConfig) -> Server {
    let acceptor = TlsAcceptor::from(Arc::new(config));
    Server::start(move |_, peer| {
        let acceptor = acceptor.clone();
        async move {
            match acceptor.accept(peer.stream).into_fallible().await {
                Ok(stream) => {
                    let mut peer = Peer::new(stream);
                    while peer.request().await.is_some() {
                        peer.send(ok("fine")).await;
                    }
                }
                Err((_, stream)) => drop(Peer::new(stream).rest().await),
            }
        }
    })
    .await
}

fn url(server: &Server) -> String {
    format!("https://localhost:{}/v1/chat/completions", server.addr.port())
}

fn trusting(authority: &str) -> HyperTransport {
    HyperTransport::builder().no_proxy().without_platform_roots().add_root_pem(authority).build().unwrap()
}

#[tokio::test]
async fn a_trusted_server() {
    let made = make("localhost", |_| {});
    let server = serve(made.config).await;
    let transport = trusting(&made.authority);
    for _ in 0..2 {
        assert_eq!(text(&transport, &url(&server)).await.unwrap(), "fine");
        settle().await;
    }
    assert_eq!(server.accepted(), 1);
}

#[tokio::test]
async fn an_expired_certificate() {
    let made = make("localhost", |params| {
        params.not_before = date_time_ymd(2019, 1, 1);
        params.not_after = date_time_ymd(2020, 2, 29);
    });
    let server = serve(made.config).await;
    let error = failure(&trusting(&made.authority), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate expired on 2020-02-29"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateExpired));
}

#[tokio::test]
async fn a_certificate_of_the_future() {
    let made = make("localhost", |params| params.not_before = date_time_ymd(4000, 1, 1));
    let server = serve(made.config).await;
    let error = failure(&trusting(&made.authority), &url(&server)).await;
    let line = line(&error, server.addr);
    let start = "could not connect to https://localhost:PORT: the server's certificate is not valid before \
                 4000-01-01, and \
                 this machine's clock says 2";
    assert!(line.starts_with(start), "{line}");
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateNotYetValid));
}

#[tokio::test]
async fn an_unknown_issuer() {
    let made = make("localhost", |_| {});
    let server = serve(made.config).await;
    let error = failure(&trusting(&issuer_named("Other Authority").pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate was issued by \"Test \
         Authority\", which is not trusted here: a private authority, or an intermediate whose \
         certificate the server does not send"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateUnknownIssuer));
    assert_eq!(
        error.hint(),
        Some(
            "add the certificate of the server's authority with add_root_pem of the transport's builder, \
             or to the file that SSL_CERT_FILE names"
        )
    );
}

/// A certificate that is its own issuer, in PEM, and a server's configuration with it.
fn self_signed(name: &str, is_ca: IsCa) -> (String, ServerConfig) {
    let mut params = CertificateParams::new(vec![name.to_owned()]).unwrap();
    params.is_ca = is_ca;
    let key = KeyPair::generate().unwrap();
    let certificate = params.self_signed(&key).unwrap();
    let key = PrivateKeyDer::try_from(key.serialize_der()).unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_no_client_auth()
        .with_single_cert(vec![certificate.der().clone()], key)
        .unwrap();
    (certificate.pem(), config)
}

#[tokio::test]
async fn a_self_signed_certificate() {
    let server = serve(self_signed("localhost", IsCa::NoCa).1).await;
    let error = failure(&trusting(&issuer().pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate is self-signed and not \
         trusted here"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateUnknownIssuer));
}

/// One that was made anew, where the old one is still trusted: both have the same name.
#[tokio::test]
async fn a_self_signed_certificate_of_the_name_of_one_that_is_trusted() {
    let server = serve(self_signed("localhost", IsCa::NoCa).1).await;
    let (old, _) = self_signed("localhost", IsCa::NoCa);
    let error = failure(&trusting(&old), &url(&server)).await;
    assert_eq!(error.kind(), TransportErrorKind::CertificateUnknownIssuer, "{error}");
    assert!(error.to_string().contains("is self-signed and not trusted here"), "{error}");
    let causes = format!("{error:#}");
    assert!(!causes.contains("OtherError"), "{causes}");
}

/// A common name alone, as of old.
#[tokio::test]
async fn a_certificate_that_names_no_host() {
    let made = make("localhost", |params| params.subject_alt_names.clear());
    let server = serve(made.config).await;
    let error = failure(&trusting(&made.authority), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate names no host: it has no \
         subjectAltName, and its common name is not read"
    );
    assert_eq!(error.kind(), TransportErrorKind::CertificateWithoutNames);
}

#[tokio::test]
async fn a_certificate_for_clients_alone() {
    let made = make("localhost", |params| {
        params.extended_key_usages = vec![rcgen::ExtendedKeyUsagePurpose::ClientAuth];
    });
    let server = serve(made.config).await;
    let error = failure(&trusting(&made.authority), &url(&server)).await;
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateUnusable));
}

/// What `openssl req -x509` makes.
#[tokio::test]
async fn an_authoritys_certificate_in_place_of_a_servers() {
    let server = serve(self_signed("localhost", IsCa::Ca(BasicConstraints::Unconstrained)).1).await;
    let error = failure(&trusting(&issuer().pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate is an authority's \
         (CA:TRUE), where a server needs one that is not"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateIsAuthority));
    assert_eq!(error.remedy(), Some(Remedy::AddRootOrReissue));
}

/// Who gives that very certificate trusts it, for the names that it has.
#[tokio::test]
async fn an_authoritys_certificate_that_was_given_itself() {
    let ca = || IsCa::Ca(BasicConstraints::Unconstrained);
    let (pem, config) = self_signed("localhost", ca());
    let server = serve(config).await;
    assert_eq!(text(&trusting(&pem), &url(&server)).await.unwrap(), "fine");

    let (pem, config) = self_signed("llm.example", ca());
    let server = serve(config).await;
    let error = failure(&trusting(&pem), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate is for llm.example, not \
         for localhost"
    );
}

#[tokio::test]
async fn no_roots_at_all() {
    let server = serve(make("localhost", |_| {}).config).await;
    let transport = HyperTransport::builder().no_proxy().without_platform_roots().build().unwrap();
    let error = failure(&transport, &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: no root certificate was given, and those of the \
         platform were switched off"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::NoRoots));
    assert_eq!((error.variable(), error.remedy()), (None, Some(Remedy::LoadRoots)));
    assert!(error.kind().is_permanent());
}

/// As llama.cpp's plain port does: it waits for the end of what it takes for a line.
#[tokio::test(start_paused = true)]
async fn a_server_that_is_silent_when_it_is_greeted() {
    let server = Server::start(|_, mut peer| async move { drop(peer.rest().await) }).await;
    let error = failure(&trusting(&issuer().pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: no TLS within 10s (the connect timeout): the \
         connection was accepted and not one byte came back"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::TimedOut));
    assert_eq!(error.remedy(), Some(Remedy::TryHttp));
}

#[tokio::test]
async fn a_server_that_speaks_http2_alone() {
    let server = Server::start(|_, mut peer| async move {
        tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0; 1024]).await.unwrap();
        peer.send(b"\0\0\x12\x04\0\0\0\0\0\0\x03\0\0\0\x80\0\x04\0\x01\0\0\0\x05\0\xff\xff\xff").await;
        peer.rest().await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: the server speaks HTTP/2 on this port, not HTTP/1.1"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::Http2));
}

/// An authority that was made anew under its old name.
#[tokio::test]
async fn an_issuer_of_the_right_name_and_the_wrong_key() {
    let made = make("localhost", |_| {});
    let server = serve(made.config).await;
    let error = failure(&trusting(&issuer().pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate was not signed by the \
         authority of that name that is trusted here"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateUnknownIssuer));
}

#[tokio::test]
async fn a_wrong_name() {
    let made = make("llm.example", |_| {});
    let server = serve(made.config).await;
    let error = failure(&trusting(&made.authority), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server's certificate is for llm.example, not \
         for localhost"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::CertificateWrongName));
}

#[tokio::test]
async fn plain_http_on_the_tls_port() {
    let server = Server::start(|_, mut peer| async move {
        tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0; 1024]).await.unwrap();
        peer.send("HTTP/1.1 400 Bad Request\r\ncontent-length: 0\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let error = failure(&trusting(&issuer().pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server speaks plain HTTP on this port, not TLS"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::PlainHttpOnTls));
    assert_eq!(error.hint(), Some("use http:// in the URL, not https://"));
}

#[tokio::test]
async fn tls_on_the_plain_port() {
    let server = serve(make("localhost", |_| {}).config).await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: the server speaks TLS on this port, not plain HTTP"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::TlsOnPlain));
    assert_eq!(error.hint(), Some("use https:// in the URL, not http://"));
}

#[tokio::test]
async fn closed_in_the_handshake() {
    let server = Server::start(|_, mut peer| async move {
        tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0; 4096]).await.unwrap();
    })
    .await;
    let error = failure(&trusting(&issuer().pem()), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server closed the connection during the TLS \
         handshake"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::ClosedBeforeResponse));
}

#[tokio::test]
async fn a_missing_client_certificate() {
    let made = make_with("localhost", |_| {}, true);
    let server = serve(made.config).await;
    let error = failure(&trusting(&made.authority), &url(&server)).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to https://localhost:PORT: the server refused TLS with the alert \
         certificate_required"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Tls, TransportErrorKind::TlsAlert(116)));
}

#[tokio::test]
async fn a_client_certificate() {
    let issuer = issuer();
    let key = KeyPair::generate().unwrap();
    let leaf =
        CertificateParams::new(vec!["localhost".to_owned()]).unwrap().signed_by(&key, &issuer).unwrap();
    let mut roots = RootCertStore::empty();
    roots.add(issuer.der().clone()).unwrap();
    let verifier = WebPkiClientVerifier::builder_with_provider(Arc::new(roots), provider()).build().unwrap();
    let config = ServerConfig::builder_with_provider(provider())
        .with_safe_default_protocol_versions()
        .unwrap()
        .with_client_cert_verifier(verifier)
        .with_single_cert(vec![leaf.der().clone()], PrivateKeyDer::try_from(key.serialize_der()).unwrap())
        .unwrap();
    let server = serve(config).await;
    let transport = HyperTransport::builder()
        .no_proxy()
        .without_platform_roots()
        .add_root_der(issuer.der().to_vec())
        .client_certificate_pem(leaf.pem(), key.serialize_pem())
        .build()
        .unwrap();
    assert_eq!(text(&transport, &url(&server)).await.unwrap(), "fine");
}

/// What a proxy does with `CONNECT`, in the test.
#[tokio::test]
async fn https_goes_through_a_tunnel() {
    let made = make("llm.example", |_| {});
    let acceptor = TlsAcceptor::from(Arc::new(made.config));
    let proxy = Server::start(move |_, mut peer| {
        let acceptor = acceptor.clone();
        async move {
            let (head, _) = peer.request().await.unwrap();
            assert!(head.starts_with("CONNECT llm.example:8443 HTTP/1.1\r\n"), "{head}");
            peer.send("HTTP/1.1 200 Connection established\r\n\r\n").await;
            let mut inner = Peer::new(acceptor.accept(peer.stream).await.unwrap());
            let (head, _) = inner.request().await.unwrap();
            assert!(head.starts_with("POST /v1/models HTTP/1.1\r\n"), "{head}");
            assert!(!head.contains("proxy-authorization"), "{head}");
            inner.send(ok("fine")).await;
        }
    })
    .await;
    let transport = HyperTransport::builder()
        .proxy(&format!("http://me:pass-canary@{}", proxy.addr))
        .without_platform_roots()
        .add_root_pem(made.authority)
        .build()
        .unwrap();
    assert_eq!(text(&transport, "https://llm.example:8443/v1/models").await.unwrap(), "fine");
}

#[test]
fn what_is_no_certificate_is_refused_when_the_transport_is_built() {
    let wrong = |builder: oa_transport::HyperTransportBuilder| builder.build().unwrap_err().to_string();
    let builder = HyperTransport::builder;
    assert_eq!(wrong(builder().add_root_pem("hello")), "add_root_pem: no certificate in the PEM text");
    let error = wrong(builder().add_root_der(*b"hello"));
    assert!(error.starts_with("add_root_der: not usable as a root: "), "{error}");
    let pem = issuer().pem();
    let error = wrong(builder().client_certificate_pem(&pem, "hello"));
    assert_eq!(error, "client_certificate_pem: no private key in the PEM text");
    let other = KeyPair::generate().unwrap().serialize_pem();
    let error = wrong(builder().client_certificate_pem(&pem, other));
    assert!(error.starts_with("client_certificate_pem: not usable: "), "{error}");
}
