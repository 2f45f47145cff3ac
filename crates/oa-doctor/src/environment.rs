//! Which server, key and model are meant, who says so, and what contradicts it?

use crate::{finding::Finding, proxy, redact::Secrets, text};
use oa_provider::Environment;
use oa_wire::{
    Category,
    openai::{ApiKey, Endpoint},
};
use std::collections::BTreeMap;

/// The variables that matter, as they were when they were read.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<&'static str, String>);

const URLS: [&str; 8] = [
    "OA_BASE_URL",
    "OPENAI_BASE_URL",
    "HTTP_PROXY",
    "http_proxy",
    "HTTPS_PROXY",
    "https_proxy",
    "ALL_PROXY",
    "all_proxy",
];
const KEYS: [&str; 2] = ["OA_API_KEY", "OPENAI_API_KEY"];
const OTHERS: [&str; 6] = ["OA_MODEL", "LITELLM_PORT", "PORT", "NO_PROXY", "no_proxy", "REQUEST_METHOD"];

impl Variables {
    pub(crate) fn read(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let names = URLS.into_iter().chain(KEYS).chain(OTHERS);
        Self(names.filter_map(|name| Some((name, lookup(name)?))).collect())
    }

    pub(crate) fn get(&self, name: &str) -> Option<&str> {
        self.0.get(name).map(String::as_str)
    }

    /// What of them must not be shown.
    pub(crate) fn secrets(&self, secrets: &mut Secrets) {
        KEYS.iter().filter_map(|name| self.get(name)).for_each(|key| secrets.add(key));
        URLS.iter().filter_map(|name| self.get(name)).for_each(|url| secrets.add_userinfo(url));
    }
}

/// What the caller says himself.
#[derive(Clone, Default)]
pub(crate) struct Given {
    pub(crate) url: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) api_key: Option<String>,
}

/// What is to be examined.
pub(crate) struct Subject {
    pub(crate) endpoint: Endpoint,
    /// The model that was named.
    pub(crate) model: Option<String>,
    /// Who gave the key, if there is one.
    pub(crate) key: Option<&'static str>,
    /// `OPENAI_API_KEY` is set, and is not for this server.
    pub(crate) key_held_back: bool,
    /// Ports that variables name, and which ones.
    pub(crate) ports: Vec<(u16, String)>,
    given: Given,
}

impl Subject {
    pub(crate) fn url(&self) -> &str {
        self.endpoint.base_url()
    }

    /// The host, without brackets; none of a Unix socket.
    pub(crate) fn host(&self) -> Option<&str> {
        let uri = self.endpoint.chat_uri();
        let host = uri.host().filter(|_| uri.scheme_str() != Some("unix"))?;
        Some(host.strip_prefix('[').and_then(|host| host.strip_suffix(']')).unwrap_or(host))
    }

    pub(crate) fn port(&self) -> u16 {
        let uri = self.endpoint.chat_uri();
        uri.port_u16().unwrap_or(if uri.scheme_str() == Some("https") { 443 } else { 80 })
    }

    /// Where the models are listed, for another program.
    pub(crate) fn models_url(&self) -> String {
        format!("{}/v1/models", self.url())
    }

    /// The doctor's own command for this server.
    pub(crate) fn doctor(&self) -> String {
        let url =
            if self.given.url.is_some() { format!(" {}", text::word(self.url())) } else { String::new() };
        format!("oa doctor{url}{}", self.key_flag())
    }

    /// The same examination once more.
    pub(crate) fn again(&self) -> String {
        let model = self.given.model.as_deref();
        let model = model.map(|model| format!(" --model {}", text::word(model))).unwrap_or_default();
        format!("{}{model}", self.doctor())
    }

    /// Another command of `oa` for this server.
    pub(crate) fn oa(&self, command: &str) -> String {
        let url = if self.given.url.is_some() {
            format!(" --base-url {}", text::word(self.url()))
        } else {
            String::new()
        };
        format!("oa {command}{url}{}", self.key_flag())
    }

    fn key_flag(&self) -> &'static str {
        if self.given.api_key.is_some() { " --api-key KEY" } else { "" }
    }
}

/// What the environment names, and what there is to say of it.
pub(crate) fn resolve(given: &Given, variables: &Variables) -> (Finding, Option<Subject>) {
    match subject(given, variables) {
        Ok(found) => found,
        Err(finding) => (finding, None),
    }
}

fn subject(given: &Given, variables: &Variables) -> Result<(Finding, Option<Subject>), Finding> {
    let flags = [
        ("OA_BASE_URL", "the URL", &given.url),
        ("OA_MODEL", "the model", &given.model),
        ("OA_API_KEY", "the key", &given.api_key),
    ];
    let refused = |why: String| Finding::failed(Category::InvalidRequest, why);
    if let Some((_, what, _)) =
        flags.iter().find(|(.., value)| value.as_deref().is_some_and(|value| value.trim().is_empty()))
    {
        return Err(refused(format!("{what} that was given is blank")));
    }
    let flag = |name: &str| flags.iter().find(|(n, ..)| *n == name).and_then(|(.., value)| value.as_deref());
    let found =
        Environment::from_lookup(|name| flag(name).or_else(|| variables.get(name)).map(str::to_owned));
    for (value, name) in [&found.base_url, &found.model, &found.api_key].into_iter().flatten() {
        if value.trim().is_empty() {
            return Err(refused(format!("{name} is set but blank"))
                .cause(
                    "it was meant to hold a value: an unset variable of a script, or an empty line in a file",
                )
                .next(format!("unset {name}")));
        }
    }
    let Some(root) = found.root() else {
        return Err(refused("no server is named: neither a URL nor OA_BASE_URL nor OPENAI_BASE_URL".into()));
    };
    let (url, correction) = corrected(&root);
    let key = found.api_key.as_ref().map(|(key, _)| ApiKey::new(key)).transpose();
    let endpoint =
        key.and_then(|key| Endpoint::new(&url, key)).map_err(|error| refused(error.message().into()))?;

    let source = |name: &'static str| if flag(name).is_some() { "given" } else { name };
    let from = match &found.base_url {
        Some((_, name)) => source(name),
        None => "OPENAI_API_KEY alone, which means OpenAI",
    };
    let subject = Subject {
        model: found.model.as_ref().map(|(model, _)| model.clone()),
        key: found.api_key.as_ref().map(|(_, name)| source(name)),
        key_held_back: found.api_key.is_none() && variables.get("OPENAI_API_KEY").is_some(),
        ports: ports(variables),
        given: given.clone(),
        endpoint,
    };
    let mut saw = vec![format!("{} ({from})", subject.url())];
    saw.push(subject.key.map_or("no key".to_owned(), |key| format!("key ({key})")));
    if subject.key_held_back {
        saw.push("OPENAI_API_KEY is set, and goes only to the server of OPENAI_BASE_URL or OpenAI".into());
    }
    saw.push(match &found.model {
        Some((model, name)) => format!("model {model} ({})", source(name)),
        None => "no model named".to_owned(),
    });
    let mut doubts = contradictions(&subject, &found, variables);
    if let Some(why) = correction {
        let next = match from {
            "given" => subject.doctor(),
            name => format!("export {name}={}", text::word(subject.url())),
        };
        doubts.insert(0, (format!("the base URL {why}: corrected here, refused elsewhere"), next));
    }
    let saw = saw.join("; ");
    let finding = match doubts.first() {
        None => Finding::ok(saw),
        Some((_, next)) => {
            let causes: Vec<&str> = doubts.iter().map(|(cause, _)| cause.as_str()).collect();
            Finding::warning(saw).cause(causes.join("; ")).next(next.clone())
        }
    };
    Ok((finding, Some(subject)))
}

/// What variables say against the server that won: why, and what to do.
fn contradictions(subject: &Subject, found: &Environment, variables: &Variables) -> Vec<(String, String)> {
    let mut doubts = Vec::new();
    if let (Some((_, "OA_BASE_URL")), Some(other), false) =
        (&found.base_url, variables.get("OPENAI_BASE_URL"), subject.given.url.is_some())
    {
        if !corrected(other).0.eq_ignore_ascii_case(subject.url()) {
            let cause = format!("OPENAI_BASE_URL names another server, {other}: OA_BASE_URL wins");
            doubts.push((cause, "unset OPENAI_BASE_URL".to_owned()));
        }
    }
    if let Some(host) = subject.host().filter(|host| is_here(host)) {
        for (port, variable) in subject.ports.iter().filter(|(port, _)| *port != subject.port()) {
            let cause = format!(
                "{variable} is {port}, and the URL's port is {}: a server that is started with {variable} listens on \
                 {port}",
                subject.port()
            );
            doubts.push((cause, format!("oa doctor http://{host}:{port}")));
        }
    }
    for (upper, lower) in
        [("HTTP_PROXY", "http_proxy"), ("HTTPS_PROXY", "https_proxy"), ("ALL_PROXY", "all_proxy")]
    {
        if let (Some(one), Some(other)) = (variables.get(upper), variables.get(lower)) {
            if one != other {
                let cause = format!("{upper} and {lower} differ: {upper} wins here, the other one elsewhere");
                doubts.push((cause, format!("unset {lower}")));
            }
        }
    }
    doubts
}

fn ports(variables: &Variables) -> Vec<(u16, String)> {
    let names = ["LITELLM_PORT", "PORT"];
    names
        .into_iter()
        .filter_map(|name| Some((variables.get(name)?.trim().parse().ok()?, name.to_owned())))
        .collect()
}

fn is_here(host: &str) -> bool {
    proxy::is_localhost(host) || host.parse::<std::net::IpAddr>().is_ok_and(|ip| ip.is_loopback())
}

/// A base URL as it was meant, and what was wrong with it. What cannot be mended is left to the endpoint to refuse.
fn corrected(given: &str) -> (String, Option<String>) {
    let mut url = given.trim().to_owned();
    let mut wrong = Vec::new();
    if !url.contains("://") && !url.is_empty() {
        url = format!("http://{url}");
        wrong.push("has no scheme".to_owned());
    }
    if url.split("://").nth(1).is_some_and(|rest| rest.split('/').next().is_some_and(|a| a.contains('@'))) {
        return (given.to_owned(), None);
    }
    if let Some(at) = url.find(['?', '#']) {
        wrong.push(format!("has {}", if url.as_bytes()[at] == b'?' { "a query" } else { "a fragment" }));
        url.truncate(at);
    }
    loop {
        url.truncate(url.trim_end_matches('/').len());
        let endings = ["/v1/chat/completions", "/v1/models", "/v1"];
        let Some(ending) = endings.iter().find(|ending| {
            let at = url.len().checked_sub(ending.len());
            at.and_then(|at| url.get(at..)).is_some_and(|end| end.eq_ignore_ascii_case(ending))
        }) else {
            break;
        };
        let at = url.len() - ending.len();
        wrong.push(format!("ends in {}, which is appended to it", &url[at..]));
        url.truncate(at);
    }
    let wrong = (!wrong.is_empty()).then(|| wrong.join(" and "));
    (url, wrong)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_base_url_is_corrected_and_the_reason_kept() {
        for (given, url, wrong) in [
            ("http://h:1", "http://h:1", None),
            ("http://h:1/p/", "http://h:1/p", None),
            ("http://h/v1", "http://h", Some("ends in /v1, which is appended to it")),
            ("http://h/p/V1//", "http://h/p", Some("ends in /V1, which is appended to it")),
            (
                "http://h/v1/chat/completions",
                "http://h",
                Some("ends in /v1/chat/completions, which is appended to it"),
            ),
            (
                "h:8000/v1?x=1",
                "http://h:8000",
                Some("has no scheme and has a query and ends in /v1, which is appended to it"),
            ),
            ("http://me:pw@h/v1", "http://me:pw@h/v1", None),
        ] {
            assert_eq!(corrected(given), (url.to_owned(), wrong.map(str::to_owned)), "{given}");
        }
    }
}
