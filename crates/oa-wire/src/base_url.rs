//! Base URLs as people write them: read, refused with the reason, corrected where it is clear what was meant.

mod exact;
mod punycode;

use crate::{
    Category, Error, InvalidSetting, Setting,
    value_check::{is_invisible, is_quote, without_assignment},
};
use exact::{CHAT, beside};
use http::{HeaderValue, Uri, uri};
use punycode::ascii_label;
use std::net::Ipv6Addr;

/// A base URL as it was probably meant.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub struct CorrectedBaseUrl {
    /// One that an endpoint takes.
    pub url: String,
    /// What was wrong, each the rest of a sentence that starts with "the base URL"; empty if nothing was.
    pub flaws: Vec<String>,
}

impl CorrectedBaseUrl {
    /// Reads a base URL and corrects what is clearly meant otherwise: quotes, a missing scheme or slash, an
    /// IPv6 address without brackets, a host outside ASCII, a query, a `/v1` at its end. None where nothing
    /// is clear, or where the URL holds a user and password.
    ///
    /// ```
    /// use oa_wire::CorrectedBaseUrl;
    ///
    /// let corrected = CorrectedBaseUrl::new("localhost:8000/v1").unwrap();
    /// assert_eq!(corrected.url, "http://localhost:8000");
    /// assert_eq!(corrected.flaws[0], "has no scheme");
    /// ```
    pub fn new(given: &str) -> Option<Self> {
        if holds_user_info(given) {
            return None;
        }
        if given.trim().starts_with(EXACT) {
            let url = given.trim().to_owned();
            return BaseUrl::parse(&url).is_ok().then_some(Self { url, flaws: Vec::new() });
        }
        let mut flaws = Vec::new();
        let text = peeled(given, &mut flaws);
        if matches!(Setting::BaseUrl.check(&text), Err(InvalidSetting::Null(_))) {
            return None;
        }
        let (scheme, rest) = read_scheme(&text, &mut flaws)?;
        let url = if scheme == "unix" {
            format!("unix:///{}", rest.trim_start_matches('/'))
        } else {
            let rest = rest.replace('\\', "/");
            let end = rest.find(['/', '?', '#']).unwrap_or(rest.len());
            let (authority, path) = rest.split_at(end);
            let before_query = path.split(['?', '#']).next().unwrap_or_default().to_ascii_lowercase();
            if before_query.ends_with(CHAT) && !before_query.ends_with("/v1/chat/completions") {
                flaws.push("is the whole URL of completions".to_owned());
                let authority = read_authority(authority, &mut flaws);
                let url = format!("{EXACT}{scheme}://{authority}{path}");
                return BaseUrl::parse(&url).is_ok().then_some(Self { url, flaws });
            }
            format!("{scheme}://{}{}", read_authority(authority, &mut flaws), read_path(path, &mut flaws))
        };
        // A slash in front may have hidden a user and password.
        (!holds_user_info(&url) && parse_strictly(&url).is_ok()).then_some(Self { url, flaws })
    }
}

/// The base URL of a server, checked: its root, to which a mapping appends its paths.
///
/// ```
/// use oa_wire::BaseUrl;
///
/// assert_eq!(BaseUrl::parse(" http://localhost:8000/ ")?.as_str(), "http://localhost:8000");
/// let error = BaseUrl::parse("http://localhost:8000/v1").unwrap_err();
/// assert!(error.message().contains("use `http://localhost:8000`"));
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct BaseUrl {
    /// The URL as it is shown, without trailing slashes.
    shown: String,
    /// The text to which paths are appended.
    prefix: String,
    /// The whole URLs of completions and of the list of models, where they were given so.
    exact: Option<(String, String)>,
}

/// What stands before the whole URL of completions, in the place of a base URL.
const EXACT: &str = "exact:";

/// The path of the list of models below a base URL.
const MODELS: &str = "/v1/models";

impl BaseUrl {
    /// Checks a base URL: `http`, `https`, or `unix:///path/of/the/socket`.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](Category::InvalidRequest) for one that cannot be used. The message quotes it and,
    /// where there is one, the correction ([`CorrectedBaseUrl`]).
    pub fn parse(given: &str) -> Result<Self, Error> {
        if let Some(chat_url) = given.trim().strip_prefix(EXACT) {
            return Self::exact(chat_url, None);
        }
        let (shown, prefix) = parse(given)?;
        Ok(Self { shown, prefix, exact: None })
    }

    /// The whole URLs of completions and of the list of models, for a server whose paths are others. Where
    /// only the first is given, the second is the same with `/models` in place of its `/chat/completions`.
    pub(crate) fn exact(chat_url: &str, models_url: Option<&str>) -> Result<Self, Error> {
        let (chat, models) = (chat_url.trim(), models_url.map(str::trim));
        let root = exact_root(chat)?;
        models.map(exact_root).transpose()?;
        let (path, query) = chat.find('?').map_or((chat, ""), |at| chat.split_at(at));
        let models = models.map_or_else(
            || {
                let parent = path.strip_suffix("/chat/completions");
                let parent = parent.or_else(|| path.rsplit_once('/').map(|(parent, _)| parent));
                format!("{}/models{query}", parent.unwrap_or(path))
            },
            str::to_owned,
        );
        // A query may hold a key: it is not shown.
        Ok(Self { shown: format!("{EXACT}{path}"), prefix: root, exact: Some((chat.to_owned(), models)) })
    }

    /// The URL, without trailing slashes.
    pub fn as_str(&self) -> &str {
        &self.shown
    }

    /// The URI of a path below the base URL.
    pub(crate) fn join(&self, path: &str) -> Result<Uri, Error> {
        let invalid = |error: uri::InvalidUri| refused(&self.shown, &format!("is not a URL: {error}"));
        match &self.exact {
            Some((_, models)) if path == MODELS => models.parse().map_err(invalid),
            Some((chat, _)) => beside(chat, path).parse().map_err(invalid),
            None => format!("{}{path}", self.prefix).parse().map_err(invalid),
        }
    }

    /// The value of the header `Host`. A Unix socket has no name to give.
    pub(crate) fn host(&self) -> Result<HeaderValue, Error> {
        let (scheme, rest) = self.prefix.split_once("://").unwrap_or_default();
        let host = if scheme == "unix" { "localhost" } else { rest.split('/').next().unwrap_or_default() };
        HeaderValue::from_str(host).map_err(|_| refused(&self.shown, "has a host that no header can have"))
    }
}

/// Scheme and authority of a whole URL, checked.
fn exact_root(url: &str) -> Result<String, Error> {
    if holds_user_info(url) {
        return Err(Error::invalid_request(
            "the URL of completions holds user-info (`user:password@`): give the key to the provider instead",
        ));
    }
    let shown = url.split('?').next().unwrap_or_default();
    let refuse = |why: &str| Error::invalid_request(format!("the URL of completions `{shown}` {why}"));
    Setting::BaseUrl.check(url).map_err(|flaw| refuse(&flaw.to_string()))?;
    let (scheme, rest) = url.split_once("://").unwrap_or_default();
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https") {
        return Err(refuse("has no scheme `http` or `https`"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    check_host(authority).map_err(|why| refuse(&why))?;
    if rest.len() == authority.len() || rest.contains('#') {
        return Err(refuse("has no path, or has a fragment"));
    }
    Ok(format!("{scheme}://{authority}"))
}

/// The base URL as it is shown, and the text to which paths are appended.
fn parse(given: &str) -> Result<(String, String), Error> {
    if holds_user_info(given) {
        // The value holds a secret: it is not quoted.
        return Err(Error::invalid_request(
            "the base URL holds user-info (`user:password@`): give the key to the provider instead",
        ));
    }
    parse_strictly(given).map_err(|why| {
        let advice = match CorrectedBaseUrl::new(given) {
            _ if given.trim().is_empty() => ": use `http://localhost:8000` or the like".to_owned(),
            Some(corrected) if why == NO_SCHEME => {
                format!(": use `{}` or `https://...`", corrected.url)
            }
            Some(corrected) => format!(": use `{}`", corrected.url),
            None => String::new(),
        };
        refused(given, &format!("{why}{advice}"))
    })
}

const NO_SCHEME: &str = "has no scheme";

/// An error about a base URL, which it quotes.
fn refused(given: &str, why: &str) -> Error {
    Error::new(Category::InvalidRequest, format!("the base URL `{given}` {why}"))
}

fn parse_strictly(given: &str) -> Result<(String, String), String> {
    let url = given.trim();
    if url.is_empty() {
        return Err(NO_SCHEME.to_owned());
    }
    Setting::BaseUrl.check(url).map_err(|flaw| flaw.to_string())?;
    if url.ends_with([',', ';']) && !url.starts_with("unix:") {
        return Err("has a `,` or `;` behind it".to_owned());
    }
    let Some((scheme, rest)) = url.split_once("://") else {
        let one_slash = SCHEMES.iter().any(|known| scheme_of(url).is_some_and(|(name, _)| name == *known));
        let why = if one_slash { "lacks a slash after its scheme" } else { NO_SCHEME };
        return Err(why.to_owned());
    };
    let scheme = scheme.to_ascii_lowercase();
    if !matches!(scheme.as_str(), "http" | "https" | "unix") {
        return Err(format!("has the scheme `{scheme}`, which is none of `http`, `https` or `unix`"));
    }
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let rest = rest.trim_end_matches(|char: char| char == '/' || char.is_whitespace());
    refuse_v1(rest)?;
    refuse_chat(rest)?;
    if let Some(at) = rest.find(['?', '#']) {
        let what = if rest.as_bytes()[at] == b'?' { "a query" } else { "a fragment" };
        return Err(format!("has {what}"));
    }
    if scheme != "unix" {
        check_host(authority)?;
    }
    // A socket's path is a path, and may hold what a URL may not.
    let legal = |char: char| if scheme == "unix" { !char.is_control() } else { char.is_ascii_graphic() };
    if let Some(bad) = rest.chars().find(|char| !legal(*char)) {
        return Err(format!("is not a URL: it holds `{}`, to be percent-encoded", bad.escape_default()));
    }
    if scheme == "unix" {
        if !rest.starts_with('/') {
            return Err("names no socket: it takes the form `unix:///path/of/the/socket`".to_owned());
        }
        // The authority is the socket's path in hex, as transports for Unix sockets commonly have it.
        let hex: String = rest.bytes().flat_map(|byte| [byte >> 4, byte & 15]).map(hex_digit).collect();
        return Ok((format!("unix://{rest}"), format!("unix://{hex}")));
    }
    let base = format!("{scheme}://{rest}");
    base.parse::<Uri>().map_err(|error| format!("is not a URL: {error}"))?;
    Ok((base.clone(), base))
}

fn check_host(authority: &str) -> Result<(), String> {
    if authority.is_empty() || authority.starts_with(':') && !bracketed(authority).1 {
        return Err("has no host".to_owned());
    }
    if bracketed(authority).1 {
        return Err("has an IPv6 address without its brackets".to_owned());
    }
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !port.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    if let Some(bad) = host.chars().find(|char| !char.is_ascii()) {
        return Err(format!("has a host outside ASCII (`{bad}`)"));
    }
    match port.filter(|port| port.parse::<u16>().is_err()) {
        Some(port) => Err(format!("has the port `{port}`, which is none")),
        None => Ok(()),
    }
}

fn refuse_v1(rest: &str) -> Result<(), String> {
    let path = rest.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    match path.rsplit_once('/') {
        Some((_, last)) if last.eq_ignore_ascii_case("v1") => {
            Err(format!("ends in `/{last}`, but calls append `/v1/...` to it, and `/v1/v1/...` would fail"))
        }
        _ => Ok(()),
    }
}

/// The whole URL of completions is no base URL: it has a form of its own.
fn refuse_chat(rest: &str) -> Result<(), String> {
    let path = rest.split(['?', '#']).next().unwrap_or_default().trim_end_matches('/');
    let is_chat = path.to_ascii_lowercase().ends_with(CHAT);
    if is_chat { Err("is the whole URL of completions, not a base URL".to_owned()) } else { Ok(()) }
}

/// Without white space, invisible characters, quotes and a variable's name.
fn peeled(given: &str, flaws: &mut Vec<String>) -> String {
    let mut text: String = given.trim().chars().filter(|char| !is_invisible(*char)).collect();
    if text != given.trim() {
        flaws.push("holds invisible characters".to_owned());
    }
    let bare = without_assignment(text.trim());
    if bare != text.trim() {
        flaws.push("starts with the name of a variable".to_owned());
        text = bare.to_owned();
    }
    let bare = text.trim_matches(|char: char| is_quote(char) || char.is_whitespace());
    if bare != text.trim() {
        flaws.push("has quotes around it".to_owned());
    }
    // What follows it in a list of settings.
    let end = bare.trim_end_matches([',', ';']);
    if end != bare {
        flaws.push("has a `,` or `;` behind it".to_owned());
    }
    let bare = end.trim_end_matches(is_quote);
    bare.to_owned()
}

const SCHEMES: [&str; 5] = ["http", "https", "unix", "ws", "wss"];

/// The letters before the first `:`, in lower case, and what follows that.
fn scheme_of(text: &str) -> Option<(String, &str)> {
    let (name, rest) = text.split_once(':')?;
    name.bytes().all(|byte| byte.is_ascii_alphabetic()).then(|| (name.to_ascii_lowercase(), rest))
}

/// The scheme that is meant, and the rest after it.
fn read_scheme(text: &str, flaws: &mut Vec<String>) -> Option<(&'static str, String)> {
    if text.is_empty() {
        return None;
    }
    for scheme in ["https", "http"] {
        if let Some(rest) = text.strip_prefix(scheme).and_then(|rest| rest.strip_prefix("//")) {
            flaws.push("lacks the colon of its scheme".to_owned());
            return Some((scheme, rest.to_owned()));
        }
    }
    let known = scheme_of(text).filter(|(name, _)| SCHEMES.contains(&name.as_str()));
    let Some((name, rest)) = known else {
        if text.contains("://") {
            return None;
        }
        flaws.push(NO_SCHEME.to_owned());
        return Some(("http", text.trim_start_matches('/').to_owned()));
    };
    let scheme = match name.as_str() {
        "unix" => "unix",
        "https" | "wss" => "https",
        _ => "http",
    };
    if name != scheme {
        flaws.push(format!("has the scheme `{name}`"));
    }
    let rest = rest.trim_start_matches(['/', '\\']);
    let slashes = text.len() - name.len() - 1 - rest.len();
    if scheme != "unix" && slashes != 2 {
        flaws.push(format!("has {slashes} slashes after its scheme"));
    }
    // `http://http://h`: pasted after a scheme that was there.
    match scheme_of(rest).filter(|(name, rest)| SCHEMES.contains(&name.as_str()) && rest.starts_with('/')) {
        Some(_) => {
            flaws.push("has two schemes".to_owned());
            read_scheme(rest, &mut Vec::new())
        }
        None => Some((scheme, rest.to_owned())),
    }
}

fn read_authority(authority: &str, flaws: &mut Vec<String>) -> String {
    let (authority, was_bare) = bracketed(authority);
    if was_bare {
        flaws.push("has an IPv6 address without its brackets".to_owned());
        return authority;
    }
    let authority = authority.trim_end_matches(':');
    if authority.is_ascii() {
        return authority.to_owned();
    }
    let (host, port) =
        authority.rsplit_once(':').map_or((authority, None), |(host, port)| (host, Some(port)));
    flaws.push("has a host outside ASCII".to_owned());
    let labels = host.to_lowercase();
    let labels: Vec<String> =
        labels.split(['.', '\u{3002}', '\u{ff0e}', '\u{ff61}']).map(ascii_label).collect();
    let port = port.map(|port| format!(":{port}")).unwrap_or_default();
    format!("{}{port}", labels.join("."))
}

/// An authority whose IPv6 address has brackets, and whether they were missing. What follows the last colon
/// is the port where the rest is an address.
fn bracketed(authority: &str) -> (String, bool) {
    if let Some((address, port)) = authority.rsplit_once(':') {
        let is_port = !port.is_empty() && port.parse::<u16>().is_ok();
        if is_port && address.parse::<Ipv6Addr>().is_ok() {
            return (format!("[{address}]:{port}"), true);
        }
    }
    match authority.parse::<Ipv6Addr>() {
        Ok(_) => (format!("[{authority}]"), true),
        Err(_) => (authority.to_owned(), false),
    }
}

fn read_path(path: &str, flaws: &mut Vec<String>) -> String {
    let cut = path.find(['?', '#']);
    if let Some(at) = cut {
        flaws.push(format!("has {}", if path.as_bytes()[at] == b'?' { "a query" } else { "a fragment" }));
    }
    let mut path = &path[..cut.unwrap_or(path.len())];
    loop {
        path = path.trim_end_matches(|char: char| char == '/' || char.is_whitespace());
        let endings = ["/v1/chat/completions", "/v1/models", "/v1"];
        let ending = endings.iter().find_map(|ending| {
            let at = path.len().checked_sub(ending.len())?;
            path.get(at..).filter(|end| end.eq_ignore_ascii_case(ending)).map(|end| (at, end))
        });
        let Some((at, end)) = ending else { return path.to_owned() };
        flaws.push(format!("ends in {end}, which is appended to it"));
        path = &path[..at];
    }
}

/// Whether a URL holds a user and a password: also one whose password holds a `/`, `?` or `#`, so that what
/// looks like its port is none, and one whose scheme is missing or misspelt.
fn holds_user_info(given: &str) -> bool {
    let rest = match given.split_once("://") {
        Some((_, rest)) => rest,
        None => match scheme_of(given).filter(|(name, _)| SCHEMES.contains(&name.as_str())) {
            Some((_, rest)) => rest.trim_start_matches(['/', '\\']),
            None => given,
        },
    };
    let authority = rest.split(['/', '?', '#']).next().unwrap_or_default();
    let port = authority.rsplit_once(':').map(|(_, port)| port).filter(|port| !port.ends_with(']'));
    let cut = port.is_some_and(|port| port.parse::<u16>().is_err());
    authority.contains('@') || (cut && rest.contains('@'))
}

fn hex_digit(nibble: u8) -> char {
    char::from(b"0123456789abcdef"[usize::from(nibble & 15)])
}

#[cfg(test)]
mod tests {
    use super::*;
    use proptest::prelude::*;

    #[test]
    fn a_correction_is_a_url_that_is_taken_and_each_flaw_is_named() {
        for (given, url, flaws) in [
            ("http://h:1/p/", "http://h:1/p", &[][..]),
            (
                "h:8000/v1?x=1",
                "http://h:8000",
                &["has no scheme", "has a query", "ends in /v1, which is appended to it"],
            ),
            (
                "http://h/v1/chat/completions",
                "http://h",
                &["ends in /v1/chat/completions, which is appended to it"],
            ),
            ("http://h/p/V1//", "http://h/p", &["ends in /V1, which is appended to it"]),
            ("\"http://h:1\"", "http://h:1", &["has quotes around it"]),
            ("\u{201c}h:1\u{201d}", "http://h:1", &["has quotes around it", "has no scheme"]),
            (
                "OA_BASE_URL='http://h'",
                "http://h",
                &["starts with the name of a variable", "has quotes around it"],
            ),
            ("\u{feff}http://h", "http://h", &["holds invisible characters"]),
            ("http:/127.0.0.1:8000", "http://127.0.0.1:8000", &["has 1 slashes after its scheme"]),
            ("http:h:8000", "http://h:8000", &["has 0 slashes after its scheme"]),
            ("https:///h", "https://h", &["has 3 slashes after its scheme"]),
            ("http:\\\\h:1\\p", "http://h:1/p", &[]),
            ("http://http://h", "http://h", &["has two schemes"]),
            ("wss://h", "https://h", &["has the scheme `wss`"]),
            ("http://::1:8000", "http://[::1]:8000", &["has an IPv6 address without its brackets"]),
            ("fe80::1", "http://[fe80::1]", &["has no scheme", "has an IPv6 address without its brackets"]),
            ("http://h:/p", "http://h/p", &[]),
            (
                "http://b\u{fc}cher.example:80",
                "http://xn--bcher-kva.example:80",
                &["has a host outside ASCII"],
            ),
            ("http://\u{4f8b}\u{3048}\u{3002}jp", "http://xn--r8jz45g.jp", &["has a host outside ASCII"]),
            ("unix:/run/a.sock", "unix:///run/a.sock", &[]),
        ] {
            let corrected = CorrectedBaseUrl::new(given).unwrap_or_else(|| panic!("{given}"));
            assert_eq!(corrected.url, url, "{given}");
            assert_eq!(corrected.flaws, flaws, "{given}");
            assert!(parse(&corrected.url).is_ok(), "{given}");
        }
    }

    #[test]
    fn a_whole_url_is_taken_on_purpose_and_never_by_accident() {
        let azure =
            "https://res.openai.azure.com/openai/deployments/gpt/chat/completions?api-version=2024-10-21";
        let base = BaseUrl::parse(&format!("exact:{azure}")).unwrap();
        assert_eq!(base.join("/v1/chat/completions").unwrap(), azure);
        let models = "https://res.openai.azure.com/openai/deployments/gpt/models?api-version=2024-10-21";
        assert_eq!(base.join("/v1/models").unwrap(), models);
        assert_eq!(
            base.as_str(),
            "exact:https://res.openai.azure.com/openai/deployments/gpt/chat/completions"
        );
        assert_eq!(base.host().unwrap(), "res.openai.azure.com");
        let given =
            BaseUrl::exact("https://h/api/v3/chat/completions", Some("https://h/api/v3/list")).unwrap();
        assert_eq!(given.join("/v1/models").unwrap(), "https://h/api/v3/list");
        for (given, why) in [
            (
                azure,
                "is the whole URL of completions, not a base URL: use `exact:https://res.openai.azure.com/",
            ),
            ("http://h/api/v3/chat/completions", "use `exact:http://h/api/v3/chat/completions`"),
            ("http://h/v1/chat/completions", "use `http://h`"),
            ("exact:http://h", "has no path"),
            ("exact:h/chat", "has no scheme"),
            ("exact:http://me:canary@h/chat", "user-info"),
            ("exact:http://h:x/chat?key=canary", "has the port `x`"),
        ] {
            let error = BaseUrl::parse(given).unwrap_err();
            assert!(error.message().contains(why) && !error.message().contains("canary"), "{error}");
        }
        assert!(CorrectedBaseUrl::new(&format!("exact:{azure}")).unwrap().flaws.is_empty());
    }

    #[test]
    fn what_is_not_clear_is_not_corrected() {
        for given in [
            "",
            "ftp://h",
            "http://",
            "http://h:x",
            "http://me:canary@h",
            "me:canary@h",
            "http://a b",
            "${HOST}",
        ] {
            assert_eq!(CorrectedBaseUrl::new(given), None, "{given}");
        }
    }

    #[test]
    fn a_refusal_says_what_is_wrong_and_what_to_use() {
        for (given, want) in [
            (
                "\"http://h:1\"",
                "has quotes around it, which are no part of it: `docker --env-file` and some editors keep \
                 them: use `http://h:1`",
            ),
            ("localhost:8000/v1", "has no scheme: use `http://localhost:8000` or `https://...`"),
            ("http:/h:1", "lacks a slash after its scheme: use `http://h:1`"),
            ("http://::1:80", "has an IPv6 address without its brackets: use `http://[::1]:80`"),
            (
                "http://b\u{fc}cher.example",
                "has a host outside ASCII (`\u{fc}`): use `http://xn--bcher-kva.example`",
            ),
            ("http://${HOST}:80", "is a variable that was not expanded, of the form `${NAME}`"),
            ("None", "is `None`, which a program writes for a value that is missing"),
            ("http://None:80/v1", "is `None`, which a program writes for a value that is missing"),
            ("http//h:1", "has no scheme: use `http://h:1` or `https://...`"),
            ("http://h:1/p,", "has a `,` or `;` behind it: use `http://h:1/p`"),
            ("http://your-host:1", "is a placeholder of the form `your-host`, to be replaced by a value"),
        ] {
            let error = parse(given).unwrap_err();
            assert_eq!(error.message(), format!("the base URL `{given}` {want}"));
        }
    }

    #[test]
    fn a_password_is_not_shown_whatever_else_is_wrong() {
        for given in
            ["\"http://me:canary@h\"", "me:canary@h:80", "http:/me:canary@h", "http://me:c#canary@h/v1"]
        {
            let error = parse(given).unwrap_err();
            assert!(!error.to_string().contains("canary"), "{error}");
        }
    }

    #[test]
    fn the_host_header_has_the_port_and_no_path() {
        for (base, host) in [
            ("http://h:8000/p", "h:8000"),
            ("http://[::1]:8000", "[::1]:8000"),
            ("unix:///run/a.sock", "localhost"),
        ] {
            assert_eq!(BaseUrl::parse(base).unwrap().host().unwrap(), host, "{base}");
        }
    }

    proptest! {
        #[test]
        fn every_correction_is_taken(given in "\\PC*") {
            if let Some(corrected) = CorrectedBaseUrl::new(&given) {
                prop_assert!(parse(&corrected.url).is_ok(), "{} of {}", corrected.url, given);
            }
        }

        #[test]
        fn a_host_outside_ascii_is_written_in_ascii(host in "[a-zà-ÿ]{1,20}") {
            prop_assert!(ascii_label(&host).is_ascii());
        }
    }
}
