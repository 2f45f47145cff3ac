//! Whether the server can be reached: proxy, names, addresses, TLS.

use crate::{
    client::{Client, Page, from_transport},
    environment::Subject,
    finding::Finding,
    ports::{self, Answering},
    proxy::Way,
    text,
};
use oa_transport::{Stage, TransportError, TransportErrorKind};
use oa_wire::{Category, Error};
use std::{io, net::SocketAddr, time::Duration};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

/// How long one address may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The first exchange, once it was made.
pub(crate) type Hello = Result<Page, TransportError>;

/// The proxy, and the first exchange where one stands between.
pub(crate) async fn proxy(subject: &Subject, way: &Way, client: &Client) -> (Finding, Option<Hello>) {
    let (variable, shown, host) = match way {
        Way::NoneSet => return (Finding::ok("none is set"), None),
        Way::NotForLocal(variable) => {
            let saw = format!("{variable} is set, and is not for this machine itself");
            return (Finding::ok(saw), None);
        }
        Way::Excepted(variable) => {
            return (Finding::ok(format!("{variable} is set, and NO_PROXY excepts the host")), None);
        }
        Way::Socks { variable, shown } => {
            let saw = format!("{shown} ({variable}) is a SOCKS proxy, which is not supported");
            let finding = Finding::failed(Category::Unavailable, saw).next(bypass(subject));
            return (finding.cause("only http and https proxies are"), None);
        }
        Way::Through { variable, shown, host, .. } => (variable, shown, host),
    };
    let hello = client.get("/").await;
    let through = format!("{shown} ({variable})");
    let finding = match &hello {
        Err(error) if error.stage() <= Stage::Proxy && error.stage() != Stage::Request => {
            Finding::failed(Category::Unavailable, error.to_string())
                .cause(format!("the proxy {through} is down, refuses this server, or is not meant for it"))
                .next(bypass(subject))
        }
        Ok(page) if page.status.as_u16() == 407 => {
            Finding::failed(Category::Unavailable, format!("{through} answers 407: it asks for a password"))
                .cause(format!("{variable} holds none, or a wrong one"))
                .next(format!("export {variable}=http://USER:PASSWORD@{}", text::word(host)))
        }
        _ => Finding::ok(format!("through {through}")),
    };
    (finding, Some(hello))
}

/// The same without the proxy.
fn bypass(subject: &Subject) -> String {
    format!("NO_PROXY={} {}", text::word(subject.host().unwrap_or("*")), subject.again())
}

/// The addresses of the host.
pub(crate) async fn dns(subject: &Subject, host: &str) -> (Finding, Option<Vec<SocketAddr>>) {
    let found: Result<Vec<SocketAddr>, io::Error> =
        lookup_host((host, subject.port())).await.map(Iterator::collect);
    let why = match found {
        Ok(addresses) if !addresses.is_empty() => {
            let ips = addresses.iter().map(|address| address.ip().to_string());
            return (Finding::ok(format!("{host} is {}", text::list(ips, 8))), Some(addresses));
        }
        Ok(_) => "it has no addresses".to_owned(),
        Err(error) => error.to_string(),
    };
    let saw = format!("the host name {host} could not be resolved: {why}");
    let cause = "it is misspelt, or known only elsewhere: a container's or service's name outside of its network, a \
                 name behind a VPN";
    let next = format!("getent hosts {}", text::word(host));
    (Finding::failed(Category::Unavailable, saw).cause(cause).next(next), None)
}

/// Each address, tried by itself. True if one took the connection.
pub(crate) async fn tcp(
    subject: &Subject,
    host: &str,
    addresses: Vec<SocketAddr>,
    well_known: &[(u16, String)],
    client: &Client,
) -> (Finding, bool) {
    let mut attempts = JoinSet::new();
    for (at, address) in addresses.into_iter().enumerate() {
        attempts.spawn(async move {
            let connected = timeout(CONNECT, TcpStream::connect(address)).await;
            let result = connected.unwrap_or_else(|_| Err(io::ErrorKind::TimedOut.into()));
            (at, address, result.map(drop))
        });
    }
    let mut tried = Vec::new();
    while let Some(one) = attempts.join_next().await {
        tried.extend(one);
    }
    tried.sort_by_key(|(at, ..)| *at);
    let saw =
        text::list(tried.iter().map(|(_, address, result)| format!("{address} {}", outcome(result))), 8);
    let kind =
        |kind| tried.iter().any(|(.., result)| result.as_ref().is_err_and(|error| error.kind() == kind));
    if tried.iter().any(|(.., result)| result.is_ok()) {
        let finding = if kind(io::ErrorKind::TimedOut) {
            let cause =
                "clients that try this address first are slow: it is wrong, or a firewall drops what is sent";
            Finding::warning(saw).cause(cause).next(format!("getent ahosts {}", text::word(host)))
        } else {
            Finding::ok(saw)
        };
        return (finding, true);
    }
    let finding = Finding::failed(Category::Unavailable, saw);
    let elsewhere = ports::look(host, &other_ports(subject, well_known)).await;
    if let Some(first) = elsewhere.first() {
        let finding = finding.cause(format!(
            "nobody takes connections on port {}, but {}",
            subject.port(),
            told(&elsewhere)
        ));
        return (finding.next(format!("oa doctor {}", text::word(&first.url))), false);
    }
    let finding = if kind(io::ErrorKind::ConnectionRefused) {
        // Asked the usual way too, for what the transport knows of such a refusal.
        let hint = client.get("/").await.err().and_then(|error| error.hint());
        let hint = hint.map(|hint| format!("; {hint}")).unwrap_or_default();
        finding
            .cause(format!(
                "nobody listens on port {}: the server is not up, still loads (vLLM, SGLang and LiteLLM listen only \
                 after that), or listens on another port or interface{}{hint}",
                subject.port(),
                looked_at(well_known),
            ))
            .next(subject.oa("ready --wait 5m"))
    } else if kind(io::ErrorKind::TimedOut) {
        finding
            .cause(
                "nothing comes back: a firewall drops what is sent, the host is off, or the address is wrong",
            )
            .next(format!("curl -v --max-time 10 {}", text::word(&subject.models_url())))
    } else {
        finding
            .cause("there is no way to the host: another network, or a VPN that is off")
            .next(format!("getent ahosts {}", text::word(host)))
    };
    (finding, false)
}

/// The ports worth a look: those that variables name, and the well-known ones.
pub(crate) fn other_ports(subject: &Subject, well_known: &[(u16, String)]) -> Vec<(u16, String)> {
    let mut ports: Vec<(u16, String)> = Vec::new();
    for (port, whose) in subject.ports.iter().chain(well_known) {
        if *port != subject.port() && !ports.iter().any(|(known, _)| known == port) {
            ports.push((*port, whose.clone()));
        }
    }
    ports
}

/// What answers, in words.
pub(crate) fn told(elsewhere: &[Answering]) -> String {
    elsewhere.iter().map(|answering| answering.what.as_str()).collect::<Vec<_>>().join("; ")
}

fn looked_at(well_known: &[(u16, String)]) -> String {
    match well_known {
        [] => String::new(),
        ports => {
            let ports = ports.iter().map(|(port, whose)| format!("{port} ({whose})"));
            format!("; nobody answers on {} either", text::list(ports, 12))
        }
    }
}

fn outcome(result: &io::Result<()>) -> String {
    match result {
        Ok(()) => "connected".to_owned(),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "refused".to_owned(),
            io::ErrorKind::TimedOut => "timed out".to_owned(),
            io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
            io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Over a Unix socket there is neither name nor port: the first exchange tells.
pub(crate) async fn unix(subject: &Subject, client: &Client) -> (Finding, Option<Hello>) {
    let hello = client.get("/").await;
    let finding = match &hello {
        Err(error) if error.stage() <= Stage::Connect => {
            let path = text::word(subject.url().trim_start_matches("unix://"));
            Finding::failed(Category::Unavailable, error.to_string())
                .cause("the server is not up, uses another path, or its socket is not open to this user")
                .next(format!("ls -l {path}"))
        }
        _ => Finding::ok(format!("{} connected", subject.url())),
    };
    (finding, Some(hello))
}

/// What the first exchange tells of TLS. None when there is none to tell of.
pub(crate) async fn tls(subject: &Subject, hello: Option<&Hello>) -> Option<Finding> {
    let is_https = subject.endpoint.chat_uri().scheme_str() == Some("https");
    let error = match hello {
        Some(Err(error)) if error.stage() == Stage::Tls || error.kind() == TransportErrorKind::TlsOnPlain => {
            error
        }
        Some(Ok(_)) if is_https => return Some(Finding::ok("agreed, and the certificate is trusted")),
        _ if is_https => return Some(Finding::ok("agreed")),
        _ => return None,
    };
    let finding = Finding::failed(Category::Unavailable, error.to_string());
    let other_scheme = |scheme: &str| {
        let rest = subject.url().split_once("://").map_or("", |(_, rest)| rest);
        format!("oa doctor {}", text::word(&format!("{scheme}://{rest}")))
    };
    Some(match error.kind() {
        TransportErrorKind::TlsOnPlain => {
            finding.cause("the server speaks TLS on this port").next(other_scheme("https"))
        }
        TransportErrorKind::PlainHttpOnTls => {
            finding.cause("the server speaks plain HTTP on this port").next(other_scheme("http"))
        }
        // Some servers wait for more when they are greeted in TLS, or hang up.
        TransportErrorKind::TimedOut
        | TransportErrorKind::Reset
        | TransportErrorKind::ClosedBeforeResponse
            if speaks_http(subject).await =>
        {
            finding.cause("the server speaks plain HTTP on this port").next(other_scheme("http"))
        }
        TransportErrorKind::CertificateUnknownIssuer => {
            let finding = finding.cause(
                "its authority is private: give its certificate to the transport (add_root_pem), or name it by \
                 SSL_CERT_FILE",
            );
            finding.next(format!("SSL_CERT_FILE=/path/of/the/authority.pem {}", subject.again()))
        }
        kind => {
            let cause =
                cause_of_tls(kind).or(error.hint()).unwrap_or("server and client do not agree on TLS");
            let host = subject.host().unwrap_or_default();
            let at = text::word(&format!("{host}:{}", subject.port()));
            let next = format!("openssl s_client -connect {at} -servername {} </dev/null", text::word(host));
            finding.cause(cause).next(next)
        }
    })
}

/// Whether plain HTTP is answered where TLS was asked for.
async fn speaks_http(subject: &Subject) -> bool {
    let Some(host) = subject.host() else { return false };
    !ports::look(host, &[(subject.port(), String::new())]).await.is_empty()
}

fn cause_of_tls(kind: TransportErrorKind) -> Option<&'static str> {
    Some(match kind {
        TransportErrorKind::CertificateExpired => {
            "the certificate was not renewed, or this machine's clock is wrong"
        }
        TransportErrorKind::CertificateNotYetValid => "this machine's clock is wrong, or the server's was",
        TransportErrorKind::CertificateWrongName => {
            "the URL names the server otherwise than its certificate does: an address, an alias, or another server"
        }
        TransportErrorKind::TimedOut => "nothing came back: a firewall, or something that is no TLS server",
        _ => return None,
    })
}

/// The first exchange failed for another reason than those above.
pub(crate) fn no_answer(subject: &Subject, error: &TransportError) -> Finding {
    let cause = match error.kind() {
        TransportErrorKind::NotHttp => "something else than an HTTP server listens on this port",
        TransportErrorKind::Reset | TransportErrorKind::ClosedBeforeResponse => {
            "the server ended just now, something else than an HTTP server listens here, or a forwarded port leads \
             nowhere"
        }
        _ => "the server, or something on the way, broke the connection",
    };
    let error: Error = from_transport(error.clone());
    let finding = Finding::failed(Category::Unavailable, error.message().to_owned());
    let cause = error.hint().map_or(cause.to_owned(), |hint| format!("{cause}; {hint}"));
    finding.cause(cause).next(format!("curl -v --max-time 10 {}", text::word(&subject.models_url())))
}
