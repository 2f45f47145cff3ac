//! The way to the server: proxy, names, addresses, TLS.

use crate::{
    advice, causes,
    client::{Client, Page},
    environment::Target,
    finding::Finding,
    ports::{self, Answering},
    text,
};
use http::StatusCode;
use oa_transport::{HyperTransport, Stage, TransportError, TransportErrorKind};
use oa_wire::{Category, openai::Endpoint};
use std::{
    io,
    net::{IpAddr, Ipv4Addr, Ipv6Addr, SocketAddr},
    time::Duration,
};
use tokio::{
    net::{TcpStream, lookup_host},
    task::JoinSet,
    time::timeout,
};

/// How long one address may take.
const CONNECT: Duration = Duration::from_secs(3);

/// The first exchange, once it was made.
pub(crate) type Hello = Result<Page, TransportError>;

/// The addresses of the host.
pub(crate) async fn dns(target: &Target, host: &str) -> (Finding, Option<Vec<SocketAddr>>) {
    let found: Result<Vec<SocketAddr>, io::Error> =
        lookup_host((host, target.port())).await.map(Iterator::collect);
    let why = match found {
        Ok(addresses) if !addresses.is_empty() => {
            let ips = addresses.iter().map(|address| address.ip().to_string());
            return (Finding::ok(format!("{host} is {}", text::list(ips, 8))), Some(addresses));
        }
        Ok(_) => "it has no addresses".to_owned(),
        Err(error) => error.to_string(),
    };
    let observed = format!("the host name {host} could not be resolved: {why}");
    let cause = "it is misspelt, or known only elsewhere: a container's or service's name outside of its \
                 network, a name behind a \
                 VPN";
    let next = format!("getent hosts {}", text::word(host));
    (Finding::failed(Category::Unavailable, observed).cause(cause).next(next), None)
}

/// Each address, tried by itself. True if one took the connection.
pub(crate) async fn tcp(
    target: &Target,
    host: &str,
    addresses: Vec<SocketAddr>,
    well_known: &[(u16, String)],
    client: &Client,
) -> (Finding, bool) {
    let tried = connect_all(addresses).await;
    let observed =
        text::list(tried.iter().map(|(address, result)| format!("{address} {}", outcome(result))), 8);
    let failed_as =
        |kind| tried.iter().any(|(_, result)| result.as_ref().is_err_and(|error| error.kind() == kind));
    let accepting: Vec<SocketAddr> =
        tried.iter().filter(|(_, result)| result.is_ok()).map(|(address, _)| *address).collect();
    if !accepting.is_empty() {
        return (reached(target, host, observed, &accepting, failed_as(io::ErrorKind::TimedOut)).await, true);
    }
    let finding = Finding::failed(Category::Unavailable, observed);
    let is_here = tried.iter().any(|(address, _)| address.ip().is_loopback());
    if is_here {
        if let Some(other) = other_loopback(&tried, target.port()).await {
            let (ip, there) = (other.ip(), ports::url(&other.ip().to_string(), other.port()));
            let cause = format!(
                "the server listens on {ip} alone, which {host} does not name here: use that address, or \
                 start the server with a --host that covers \
                 both"
            );
            return (finding.cause(cause).next(format!("oa doctor {}", text::word(&there))), false);
        }
    }
    let elsewhere = ports::look(host, &other_ports(target, well_known)).await;
    if let Some(first) = elsewhere.first() {
        let finding = finding.cause(format!(
            "nobody takes connections on port {}, but {}",
            target.port(),
            described(&elsewhere)
        ));
        return (finding.next(format!("oa doctor {}", text::word(&first.url))), false);
    }
    let finding = if failed_as(io::ErrorKind::PermissionDenied) {
        finding
            .cause(
                "a policy of this machine forbids the connection: SELinux (`ausearch -m avc -ts recent` \
                 shows what it denied), seccomp, or a firewall's rule for outgoing \
                 connections",
            )
            .next("sudo ausearch -m avc -ts recent")
    } else if failed_as(io::ErrorKind::ConnectionRefused) {
        // Asked the usual way too, for what the transport knows of such a refusal.
        let error = client.get("/").await.err();
        let hint = error.and_then(|error| error.remedy()).map(advice::remedy);
        refused(target, finding, is_here, well_known, hint)
    } else if failed_as(io::ErrorKind::TimedOut) {
        finding
            .cause(
                "nothing comes back: a firewall drops what is sent, the host is off, or the address is wrong",
            )
            .next(format!("curl -v --max-time 10 {}", text::word(&target.models_url())))
    } else {
        finding
            .cause(
                "there is no way to the host: another network, a VPN that is off, or a firewall that rejects \
                 what is \
                 sent",
            )
            .next(format!("getent ahosts {}", text::word(host)))
    };
    (finding, false)
}

type Tried = (SocketAddr, io::Result<()>);

/// Connects to each, all at once, in their order.
async fn connect_all(addresses: Vec<SocketAddr>) -> Vec<Tried> {
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
    tried.into_iter().map(|(_, address, result)| (address, result)).collect()
}

/// At least one address took the connection.
async fn reached(
    target: &Target,
    host: &str,
    observed: String,
    accepting: &[SocketAddr],
    some_timed_out: bool,
) -> Finding {
    if some_timed_out {
        let cause =
            "clients that try this address first are slow: it is wrong, or a firewall drops what is sent";
        return Finding::warning(observed).cause(cause).next(format!("getent ahosts {}", text::word(host)));
    }
    // A name of this machine may be two addresses, and two programs may have the same port of them.
    if let [first, second, ..] = accepting {
        if first.ip().is_loopback() && second.ip().is_loopback() {
            let (one, other) = tokio::join!(ports::what_answers(*first), ports::what_answers(*second));
            if one != other {
                let say = |what: Option<String>| what.unwrap_or_else(|| "no HTTP".to_owned());
                let cause = format!(
                    "two programs have port {} of this machine: {first} gives {}, {second} gives {}",
                    target.port(),
                    say(one),
                    say(other)
                );
                return Finding::warning(observed).cause(cause).next(listeners(target.port()));
            }
        }
    }
    Finding::ok(observed)
}

/// The other loopback address, if it takes a connection on this port.
async fn other_loopback(tried: &[Tried], port: u16) -> Option<SocketAddr> {
    let all = [IpAddr::from(Ipv4Addr::LOCALHOST), IpAddr::from(Ipv6Addr::LOCALHOST)];
    let others = all.map(|ip| SocketAddr::new(ip, port)).into_iter();
    let others = others.filter(|other| !tried.iter().any(|(address, _)| address == other)).collect();
    connect_all(others).await.into_iter().find(|(_, result)| result.is_ok()).map(|(address, _)| address)
}

/// Nobody listens, here or there.
fn refused(
    target: &Target,
    finding: Finding,
    is_here: bool,
    well_known: &[(u16, String)],
    hint: Option<&str>,
) -> Finding {
    let port = target.port();
    let mut causes = vec![format!(
        "nobody listens on port {port}: the server is not up, still loads (vLLM, SGLang and LiteLLM listen \
         only after that), or listens on another port or \
         interface"
    )];
    if port == LITELLM {
        causes.push("LiteLLM takes a random port where 4000 is taken, which its first lines tell".to_owned());
    }
    causes.push(if is_here {
        let listeners = listeners(port);
        format!("`{listeners}` shows who listens here, `docker ps` which ports containers publish")
    } else {
        "a server that was started for 127.0.0.1 takes no connection from another machine or container \
         (start it with --host 0.0.0.0), and a firewall may refuse like this \
         too"
        .to_owned()
    });
    causes.extend(hint.map(str::to_owned));
    causes.extend(checked(port, well_known));
    let cause = causes.join("; ");
    finding.cause(cause).next(target.oa("ready --wait 5m"))
}

/// LiteLLM's default port.
const LITELLM: u16 = 4000;

/// The command that shows who listens on a port of this machine.
fn listeners(port: u16) -> String {
    format!("ss -ltnp 'sport = :{port}'")
}

/// The ports worth a look: those that variables name, and the well-known ones.
pub(crate) fn other_ports(target: &Target, well_known: &[(u16, String)]) -> Vec<(u16, String)> {
    let mut ports: Vec<(u16, String)> = Vec::new();
    for (port, whose) in target.ports.iter().chain(well_known) {
        if *port != target.port() && !ports.iter().any(|(known, _)| known == port) {
            ports.push((*port, whose.clone()));
        }
    }
    ports
}

/// What answers, in words.
pub(crate) fn described(elsewhere: &[Answering]) -> String {
    elsewhere.iter().map(|answering| answering.what.as_str()).collect::<Vec<_>>().join("; ")
}

/// The other ports that were tried in vain.
fn checked(port: u16, well_known: &[(u16, String)]) -> Option<String> {
    let others: Vec<String> = well_known
        .iter()
        .filter(|(other, _)| *other != port)
        .map(|(other, whose)| format!("{other} ({whose})"))
        .collect();
    (!others.is_empty()).then(|| format!("nobody answers on {} either", text::list(others, 12)))
}

fn outcome(result: &io::Result<()>) -> String {
    match result {
        Ok(()) => "connected".to_owned(),
        Err(error) => match error.kind() {
            io::ErrorKind::ConnectionRefused => "refused".to_owned(),
            io::ErrorKind::TimedOut => "timed out".to_owned(),
            io::ErrorKind::HostUnreachable => "no route to the host".to_owned(),
            io::ErrorKind::NetworkUnreachable => "network unreachable".to_owned(),
            io::ErrorKind::PermissionDenied => "not permitted".to_owned(),
            _ => error.to_string(),
        },
    }
}

/// Over a Unix socket there is neither name nor port: the first exchange tells.
pub(crate) async fn unix(target: &Target, client: &Client) -> (Finding, Option<Hello>) {
    let hello = client.get("/").await;
    let finding = match &hello {
        Err(error) if error.stage() <= Stage::Connect => {
            let path = text::word(target.url().trim_start_matches("unix://"));
            Finding::failed(Category::Unavailable, error.to_string())
                .cause("the server is not up, uses another path, or its socket is not open to this user")
                .next(format!("ls -l {path}"))
        }
        _ => Finding::ok(format!("{} connected", target.url())),
    };
    (finding, Some(hello))
}

/// What the first exchange tells of TLS. None when there is none to tell of.
pub(crate) async fn tls(target: &Target, hello: Option<&Hello>) -> Option<Finding> {
    use TransportErrorKind as Kind;
    let is_https = target.endpoint.chat_uri().scheme_str() == Some("https");
    let error = match hello {
        Some(Err(error)) if error.stage() == Stage::Tls || error.kind() == Kind::TlsOnPlain => error,
        Some(Err(error)) if error.kind() == Kind::NoRoots => error,
        // nginx and Go's servers answer 400 to plain HTTP on such a port, others hang up.
        Some(Ok(page)) if !is_https && page.status == StatusCode::BAD_REQUEST && !page.is_json() => {
            return speaks_tls(target).await.then(|| {
                let observed = "plain HTTP is answered with 400 Bad Request";
                tls_instead(target, Finding::failed(Category::InvalidRequest, observed))
            });
        }
        Some(Err(error)) if !is_https && matches!(error.kind(), Kind::ClosedBeforeResponse | Kind::Reset) => {
            let finding = Finding::failed(Category::Unavailable, error.to_string());
            return speaks_tls(target).await.then(|| tls_instead(target, finding));
        }
        Some(Ok(_)) if is_https => return Some(Finding::ok("agreed, and the certificate is trusted")),
        _ if is_https => return Some(Finding::ok("agreed")),
        _ => return None,
    };
    let finding = Finding::failed(Category::Unavailable, error.to_string());
    let remedy = error.remedy().map(advice::remedy);
    Some(match error.kind() {
        Kind::TlsOnPlain => tls_instead(target, finding),
        Kind::PlainHttpOnTls => http_instead(target, finding),
        // Some servers wait for more when they are greeted in TLS, or hang up.
        Kind::TimedOut | Kind::Reset | Kind::ClosedBeforeResponse if speaks_http(target).await => {
            http_instead(target, finding)
        }
        Kind::NoRoots => {
            let local = "this machine has no root certificates, so that no server can be trusted: the \
                         fault is not the server's";
            let (cause, next) = match error.variable() {
                Some(variable) => (
                    format!("{variable} names no file of certificates, or {local}"),
                    format!("ls -l \"${variable}\""),
                ),
                None => (local.to_owned(), "ls -l /etc/ssl/certs".to_owned()),
            };
            finding.cause(joined(&cause, remedy)).next(next)
        }
        Kind::CertificateIsAuthority => finding
            .cause(joined(
                "the server shows the certificate of an authority (CA:TRUE), as plain `openssl req -x509` \
                 makes it: a server needs one that the authority has signed, or its own with CA:FALSE",
                remedy,
            ))
            .next(reissue(target)),
        Kind::CertificateWithoutNames => {
            finding.cause("the certificate must be made anew, with the host in it").next(reissue(target))
        }
        Kind::CertificateUnknownIssuer => {
            let cause = "its authority is private, or the server leaves out an intermediate certificate";
            match &target.other_roots {
                Some(name) => finding
                    .cause(joined(&format!("{cause}; {name} is set, and is not read here"), remedy))
                    .next(format!("{} --ca-file \"${name}\"", target.again())),
                None => finding
                    .cause(joined(cause, remedy))
                    .next(format!("{} --ca-file /path/of/the/authority.pem", target.again())),
            }
        }
        kind => {
            let cause = cause_of_tls(kind).unwrap_or("server and client do not agree on TLS");
            let host = target.host().unwrap_or_default();
            let at = text::word(&format!("{host}:{}", target.port()));
            let next = format!("openssl s_client -connect {at} -servername {} </dev/null", text::word(host));
            finding.cause(joined(cause, remedy)).next(next)
        }
    })
}

/// The command that makes a certificate which clients take for the host in the URL.
fn reissue(target: &Target) -> String {
    let host = target.host().unwrap_or_default();
    let kind = if host.parse::<IpAddr>().is_ok() { "IP" } else { "DNS" };
    let host = text::word(host);
    format!(
        "openssl req -x509 -newkey rsa:2048 -nodes -keyout key.pem -out cert.pem -days 365 -subj /CN={host} \
         -addext subjectAltName={kind}:{host} -addext basicConstraints=critical,CA:FALSE"
    )
}

fn tls_instead(target: &Target, finding: Finding) -> Finding {
    finding.cause("the server speaks TLS on this port").next(other_scheme(target, "https"))
}

fn http_instead(target: &Target, finding: Finding) -> Finding {
    finding.cause("the server speaks plain HTTP on this port").next(other_scheme(target, "http"))
}

/// The doctor for the same address by the other scheme.
fn other_scheme(target: &Target, scheme: &str) -> String {
    let rest = target.url().split_once("://").map_or("", |(_, rest)| rest);
    format!("oa doctor {}", text::word(&format!("{scheme}://{rest}")))
}

fn joined(cause: &str, remedy: Option<&str>) -> String {
    remedy.map_or(cause.to_owned(), |remedy| format!("{cause}; {remedy}"))
}

/// Whether plain HTTP is answered where TLS was asked for.
async fn speaks_http(target: &Target) -> bool {
    let Some(host) = target.host() else { return false };
    !ports::look(host, &[(target.port(), String::new())]).await.is_empty()
}

/// Whether TLS is spoken where plain HTTP was asked for, whatever the certificate.
async fn speaks_tls(target: &Target) -> bool {
    let url = target.url().replacen("http://", "https://", 1);
    let transport = HyperTransport::builder().no_proxy().connect_timeout(CONNECT).build();
    let (Ok(transport), Ok(endpoint)) = (transport, Endpoint::new(&url, None)) else { return false };
    let asked = timeout(CONNECT, Client::new(transport, endpoint).get("/")).await;
    asked.is_ok_and(|answer| match answer {
        Ok(_) => true,
        Err(error) => {
            use TransportErrorKind as Kind;
            let about_certificate = matches!(
                error.kind(),
                Kind::CertificateExpired
                    | Kind::CertificateNotYetValid
                    | Kind::CertificateUnknownIssuer
                    | Kind::CertificateWrongName
                    | Kind::CertificateWithoutNames
                    | Kind::CertificateIsAuthority
                    | Kind::CertificateUnusable
                    | Kind::TlsVersion
                    | Kind::TlsAlert(_)
            );
            about_certificate || error.stage() > Stage::Tls
        }
    })
}

fn cause_of_tls(kind: TransportErrorKind) -> Option<&'static str> {
    use TransportErrorKind as Kind;
    Some(match kind {
        Kind::CertificateExpired => "the certificate was not renewed, or this machine's clock is wrong",
        Kind::CertificateNotYetValid => "this machine's clock is wrong, or the server's was",
        Kind::CertificateWrongName => {
            "the URL names the server otherwise than its certificate does: an address, an alias, or another \
             server"
        }
        Kind::CertificateUnusable => {
            "the certificate must be made anew: it is for another purpose than a server's, or of algorithms \
             or a form that are no longer taken"
        }
        Kind::NotTls => "something else than a TLS server listens on this port",
        Kind::TlsVersion => {
            "the server speaks only versions of TLS that are too old: 1.2 is the oldest that is taken"
        }
        Kind::TlsAlert(116) => "the server wants a client certificate",
        // internal_error (Caddy and Go's servers), unrecognized_name
        Kind::TlsAlert(80 | 112) => {
            "the server has no certificate for the name or address in the URL: use the host name that it is \
             set up for"
        }
        Kind::TimedOut => "nothing came back: a firewall, or something that is no TLS server",
        _ => return None,
    })
}

/// The first exchange failed for another reason than those above.
pub(crate) fn no_answer(target: &Target, error: &TransportError) -> Finding {
    let cause = causes::of_exchange(error);
    Finding::failed(Category::Unavailable, error.to_string())
        .cause(joined(cause, error.remedy().map(advice::remedy)))
        .next(format!("curl -v --max-time 10 {}", text::word(&target.models_url())))
}
