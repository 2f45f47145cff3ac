//! The step `proxy`: whether one stands between, which variable names it, and whether it answers.

use crate::{
    client::{Client, Page},
    connection::Hello,
    environment::{Target, Variables},
    finding::Finding,
    text,
};
use oa_transport::{Proxies, Proxy, ProxyRoute, Stage, TransportErrorKind};
use oa_wire::Category;

/// The proxies that these variables name, by the transport's own rules.
pub(crate) fn of(variables: &Variables) -> Proxies {
    Proxies::from_lookup(|name| variables.get(name).map(str::to_owned))
}

/// The proxy, and the first exchange where one stands between.
pub(crate) async fn step(target: &Target, proxies: &Proxies, client: &Client) -> (Finding, Option<Hello>) {
    let uri = target.endpoint.chat_uri();
    let proxy = match proxies.for_uri(uri) {
        ProxyRoute::Through(proxy) => proxy,
        ProxyRoute::Local { variable } => {
            let observed = format!("{variable} is set, and is not for this machine itself");
            return (Finding::ok(observed), None);
        }
        ProxyRoute::Excepted { variable, by, entry } => {
            let observed = format!("{variable} is set, and {by} excepts the host by `{entry}`");
            return (Finding::ok(observed), None);
        }
        ProxyRoute::Invalid(invalid) => {
            let finding = Finding::failed(Category::InvalidRequest, invalid.to_string())
                .cause("nothing is sent until it can be read: going past it unasked may be forbidden");
            let next = invalid.variable().map(|variable| format!("export {variable}=http://HOST:PORT"));
            return (Finding { next, ..finding }, None);
        }
        _ => return (Finding::ok("none is set"), None),
    };
    let hello = client.get("/").await;
    let finding = match &hello {
        Err(error) if error.stage() == Stage::Proxy => {
            let failed = Finding::failed(Category::Unavailable, error.to_string());
            if error.kind() == TransportErrorKind::ProxyAuthentication {
                wants_password(failed, proxy)
            } else {
                let cause = format!("{} is down, refuses this server, or is not meant for it", named(proxy));
                failed.cause(cause).next(past(target, proxy))
            }
        }
        Ok(page) if page.status.as_u16() == 407 => {
            let observed = format!("{} answers 407: it asks for a password", named(proxy));
            wants_password(Finding::failed(Category::Unavailable, observed), proxy)
        }
        Ok(page) if is_own_answer(page) => {
            let observed = format!("through {}, which answers {} itself", named(proxy), page.status.as_u16());
            Finding::warning(observed)
                .cause("the proxy refuses this server, or is not meant for it")
                .next(past(target, proxy))
        }
        _ => Finding::ok(format!("through {}", named(proxy))),
    };
    let finding = match proxies.near_miss(uri) {
        Some(near_miss) => {
            let finding = if finding.category.is_none() { finding.only_a_warning() } else { finding };
            finding.cause(near_miss.to_string()).next(target.except_from_proxy(near_miss.correction()))
        }
        None => finding,
    };
    (finding, Some(hello))
}

/// The examination without this proxy.
fn past(target: &Target, proxy: &Proxy) -> String {
    if proxy.variable().is_some() { target.without_proxy() } else { target.again() }
}

/// `the proxy http://host:3128 (HTTP_PROXY)`.
fn named(proxy: &Proxy) -> String {
    match proxy.variable() {
        Some(variable) => format!("the proxy {} ({variable})", proxy.url()),
        None => format!("the proxy {}", proxy.url()),
    }
}

fn wants_password(finding: Finding, proxy: &Proxy) -> Finding {
    let variable = proxy.variable().unwrap_or("--proxy");
    let has = if proxy.has_credentials() {
        "the user name or password in it is wrong, or is not percent-encoded"
    } else {
        "it holds no user name and password"
    };
    let host = text::word(&format!("{}:{}", proxy.host(), proxy.port()));
    finding.cause(format!("the proxy wants a password; {has} ({variable})")).next(
        if variable.starts_with('-') {
            format!("oa doctor --proxy {}://USER:PASSWORD@{host}", proxy.scheme())
        } else {
            format!("export {variable}={}://USER:PASSWORD@{host}", proxy.scheme())
        },
    )
}

/// Whether a forward proxy wrote the page itself, as its headers tell.
fn is_own_answer(page: &Page) -> bool {
    let refuses = matches!(page.status.as_u16(), 403 | 502 | 503 | 504);
    refuses
        && (page.header("x-squid-error").is_some() || page.header("proxy-status").is_some() || page.is_html())
}
