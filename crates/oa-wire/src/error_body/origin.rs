//! Reads who answered, and what it asks for, from the headers of a response.

use super::target::redacted_url;
use crate::{Challenge, Origin, text::one_line};
use http::{HeaderMap, HeaderName, header};

/// The most characters of a header's value that are shown.
const SHOWN: usize = 80;

/// Who answered, with these headers.
pub(super) fn read(headers: &HeaderMap) -> Origin {
    let challenges = [header::WWW_AUTHENTICATE, header::PROXY_AUTHENTICATE]
        .iter()
        .flat_map(|name| headers.get_all(name))
        .take(8)
        .flat_map(|value| challenges(&String::from_utf8_lossy(value.as_bytes())))
        .collect();
    let location = headers.get(header::LOCATION);
    let location = location.map(|to| redacted_url(&String::from_utf8_lossy(to.as_bytes())));
    Origin { server: front(headers), challenges, location, proxy: None }
}

/// A content coding of the body: none was asked for.
pub(crate) fn content_coding(headers: &HeaderMap) -> Option<String> {
    let coding = value(headers, "content-encoding")?;
    let is_none = coding.split(',').all(|coding| {
        let coding = coding.trim();
        coding.is_empty() || coding.eq_ignore_ascii_case("identity")
    });
    (!is_none).then_some(coding)
}

/// The name of who answered, with its own word for the error where it has a header for it.
fn front(headers: &HeaderMap) -> Option<String> {
    // A header that names the program, or that holds its code for the error.
    const NAMED: [(&str, &str, bool); 27] = [
        ("x-squid-error", "squid", true),
        ("ngrok-error-code", "ngrok", true),
        ("x-amzn-errortype", "AWS", true),
        ("x-vercel-error", "Vercel", true),
        ("cf-mitigated", "Cloudflare", true),
        ("cf-ray", "Cloudflare", false),
        ("x-amz-cf-id", "CloudFront", false),
        ("x-amz-apigw-id", "AWS API Gateway", false),
        ("x-azure-ref", "Azure Front Door", false),
        ("x-kong-request-id", "Kong", false),
        ("x-ms-ags-diagnostic", "Azure Application Gateway", false),
        ("x-amzn-waf-action", "AWS WAF", true),
        ("x-goog-iap-generated-response", "Google's Identity-Aware Proxy", false),
        ("x-krakend", "KrakenD", false),
        ("x-apisix-upstream-status", "APISIX", false),
        ("x-gravitee-request-id", "Gravitee", false),
        ("x-sucuri-id", "Sucuri", false),
        ("x-iinfo", "Imperva", false),
        ("x-datadome", "DataDome", false),
        ("x-akamai-request-id", "Akamai", false),
        ("x-fastly-request-id", "Fastly", false),
        ("x-varnish", "Varnish", false),
        ("x-bluecoat-via", "Blue Coat", false),
        ("fly-request-id", "Fly.io", false),
        ("x-envoy-upstream-service-time", "Envoy", false),
        ("x-envoy-overloaded", "Envoy", false),
        ("x-envoy-decorator-operation", "Envoy", false),
    ];
    let server = value(headers, "server");
    let named = NAMED.iter().find_map(|(header, name, is_code)| {
        let value = value(headers, header)?;
        // "ERR_ACCESS_DENIED 0", "ThrottlingException:http://internal.amazon.com/..."
        let code = value.split([' ', ':']).next().unwrap_or_default().to_owned();
        Some((*name, is_code.then_some(code)))
    });
    if let Some(name) = proxy_status(headers) {
        return Some(name);
    }
    let any_envoy = || headers.keys().any(|name: &HeaderName| name.as_str().starts_with("x-envoy-"));
    match (named, server) {
        (Some((name, code)), server) => {
            let name = match server {
                Some(server) if contains(&server, name) && server.len() > name.len() => server,
                _ => name.to_owned(),
            };
            Some(match code {
                Some(code) if !code.is_empty() => format!("{name} ({code})"),
                _ => name,
            })
        }
        (None, Some(server)) if server.eq_ignore_ascii_case("cloudflare") => Some("Cloudflare".to_owned()),
        // macOS itself listens on ports 5000 and 7000.
        (None, Some(server)) if server.starts_with("AirTunes") => {
            Some(format!("{server}, the AirPlay receiver of macOS"))
        }
        (None, Some(server)) => Some(server),
        (None, None) if any_envoy() => Some("Envoy".to_owned()),
        (None, None) => value(headers, "via").map(|via| format!("a proxy (via {via})")),
    }
}

/// Who answered, and its word for the error, by RFC 9209: `proxy.corp; error=connection_refused`.
fn proxy_status(headers: &HeaderMap) -> Option<String> {
    let value = value(headers, "proxy-status")?;
    // The last of several is the one nearest to the client.
    let mut parts = value.rsplit(',').next()?.split(';').map(str::trim);
    let name = parts.next().map(|name| name.trim_matches('"')).filter(|name| !name.is_empty())?;
    let error = parts.find_map(|part| part.strip_prefix("error="))?;
    Some(format!("{name} ({})", error.trim_matches('"')))
}

fn contains(text: &str, name: &str) -> bool {
    text.to_ascii_lowercase().contains(&name.to_ascii_lowercase())
}

fn value(headers: &HeaderMap, name: &str) -> Option<String> {
    let value = one_line(&String::from_utf8_lossy(headers.get(name)?.as_bytes()), SHOWN);
    let value = value.replace(char::REPLACEMENT_CHARACTER, "");
    (!value.is_empty()).then_some(value)
}

/// The challenges of one header: `Basic realm="x", Bearer`.
fn challenges(text: &str) -> Vec<Challenge> {
    let mut found: Vec<Challenge> = Vec::new();
    let mut rest = text;
    for _ in 0..32 {
        rest = rest.trim_start_matches([' ', '\t', ',']);
        let length = rest.find([' ', '\t', ',', '=']).unwrap_or(rest.len());
        if length == 0 {
            break;
        }
        let (name, after) = rest.split_at(length);
        let value = after.trim_start().strip_prefix('=').map(str::trim_start);
        let Some(value) = value.filter(|value| !value.is_empty() && !value.starts_with([',', '='])) else {
            // A token that ends in `=` is no scheme: it belongs to the one before.
            if after.starts_with('=') {
                rest = after.trim_start_matches('=');
                continue;
            }
            let mut challenge = Challenge::new(one_line(name, SHOWN));
            challenge.header = header_of(name).map(str::to_owned);
            found.push(challenge);
            rest = after;
            continue;
        };
        let (value, length) = parameter(value);
        if let Some(challenge) = found.last_mut() {
            match name.to_ascii_lowercase().as_str() {
                "realm" => challenge.realm = Some(one_line(&value, SHOWN)).filter(|realm| !realm.is_empty()),
                // Azure API Management says in which header it wants its key.
                "name" => challenge.header = Some(one_line(&value, SHOWN)),
                _ => {}
            }
        }
        rest = &after[after.len() - length..];
    }
    found
}

/// The value of a parameter, quoted or not, and the length of what follows it.
fn parameter(text: &str) -> (String, usize) {
    let Some(quoted) = text.strip_prefix('"') else {
        let length = text.find([' ', '\t', ',']).unwrap_or(text.len());
        return (text[..length].to_owned(), text.len() - length);
    };
    let mut value = String::new();
    let mut characters = quoted.char_indices();
    while let Some((at, c)) = characters.next() {
        match c {
            '"' => return (value, quoted.len() - at - 1),
            '\\' => value.extend(characters.next().map(|(_, c)| c)),
            c => value.push(c),
        }
    }
    (value, 0)
}

/// The header that a scheme's credentials go in, where it is not `Authorization`.
fn header_of(scheme: &str) -> Option<&'static str> {
    match scheme.to_ascii_lowercase().as_str() {
        "cloudflare-access" => Some("CF-Access-Client-Id` and `CF-Access-Client-Secret"),
        // Kong's and APISIX's plugins for keys, unless configured otherwise.
        "key" | "apikey" => Some("apikey"),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::HeaderValue;

    fn headers(list: &[(&'static str, &str)]) -> HeaderMap {
        let pairs = list.iter().map(|(name, value)| {
            (HeaderName::from_static(name), HeaderValue::from_bytes(value.as_bytes()).unwrap())
        });
        pairs.collect()
    }

    #[test]
    fn who_answered_is_named() {
        for (list, want) in [
            (&[("server", "nginx/1.24.0")][..], Some("nginx/1.24.0")),
            (&[("server", "cloudflare"), ("cf-ray", "8a-FRA")], Some("Cloudflare")),
            (&[("server", "cloudflare")], Some("Cloudflare")),
            (&[("cf-mitigated", "challenge"), ("cf-ray", "8a")], Some("Cloudflare (challenge)")),
            (
                &[
                    ("server", "squid/5.7"),
                    ("x-squid-error", "ERR_ACCESS_DENIED 0"),
                    ("via", "1.1 p (squid/5.7)"),
                ],
                Some("squid/5.7 (ERR_ACCESS_DENIED)"),
            ),
            (&[("ngrok-error-code", "ERR_NGROK_3200")], Some("ngrok (ERR_NGROK_3200)")),
            (
                &[("x-amzn-errortype", "ThrottlingException:http://internal.amazon.com/coral/")],
                Some("AWS (ThrottlingException)"),
            ),
            (&[("server", "awselb/2.0")], Some("awselb/2.0")),
            (&[("server", "istio-envoy"), ("x-envoy-upstream-service-time", "3")], Some("istio-envoy")),
            (&[("x-envoy-attempt-count", "1")], Some("Envoy")),
            (&[("server", "AirTunes/870.14.1")], Some("AirTunes/870.14.1, the AirPlay receiver of macOS")),
            (&[("via", "1.1 proxy.corp (Zscaler)")], Some("a proxy (via 1.1 proxy.corp (Zscaler))")),
            (
                &[("server", "nginx"), ("proxy-status", "edge.corp; error=dns_error; details=\"x\"")],
                Some("edge.corp (dns_error)"),
            ),
            (&[("server", "nginx"), ("proxy-status", "edge.corp; received-status=500")], Some("nginx")),
            (&[("x-goog-iap-generated-response", "true")], Some("Google's Identity-Aware Proxy")),
            (&[("x-krakend", "Version 2.6")], Some("KrakenD")),
            (&[("server", " ")], None),
            (&[], None),
        ] {
            assert_eq!(read(&headers(list)).server.as_deref(), want, "{list:?}");
        }
    }

    #[test]
    fn challenges_are_read() {
        for (text, want) in [
            ("Basic realm=\"Restricted\"", &[("Basic", Some("Restricted"), None)][..]),
            ("Bearer", &[("Bearer", None, None)]),
            ("Bearer realm=\"data-plane\"", &[("Bearer", Some("data-plane"), None)]),
            ("Negotiate, NTLM", &[("Negotiate", None, None), ("NTLM", None, None)]),
            (
                "Basic realm=\"a, \\\"b\\\"\", charset=\"UTF-8\", Bearer error=invalid_token",
                &[("Basic", Some("a, \"b\""), None), ("Bearer", None, None)],
            ),
            ("Negotiate YWJj==, Basic", &[("Negotiate", None, None), ("Basic", None, None)]),
            ("Digest realm=\"x\",nonce=\"y\"", &[("Digest", Some("x"), None)]),
            (
                "AzureApiManagementKey \
                 realm=\"https://x/openai\",name=\"Ocp-Apim-Subscription-Key\",type=\"header\"",
                &[("AzureApiManagementKey", Some("https://x/openai"), Some("Ocp-Apim-Subscription-Key"))],
            ),
            ("Key realm=\"kong\"", &[("Key", Some("kong"), Some("apikey"))]),
            ("realm=\"x\"", &[]),
            ("", &[]),
        ] {
            let found = challenges(text);
            let found: Vec<_> = found
                .iter()
                .map(|found| (found.scheme.as_str(), found.realm.as_deref(), found.header.as_deref()))
                .collect();
            assert_eq!(found, want, "{text}");
        }
    }

    #[test]
    fn a_content_coding_is_one_that_is_not_identity() {
        for (text, coding) in
            [("gzip", true), ("GZIP, br", true), ("identity", false), ("identity, gzip", true), ("", false)]
        {
            assert_eq!(content_coding(&headers(&[("content-encoding", text)])).is_some(), coding, "{text}");
        }
    }
}
