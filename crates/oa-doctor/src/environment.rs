//! The server, key and model that are meant, where each was named, and what contradicts it.

use crate::{finding::Finding, redact::Secrets, text};
use oa_provider::Environment;
use oa_wire::{ApiKey, Category, CorrectedBaseUrl, anthropic, openai::Endpoint};
use std::collections::BTreeMap;

/// All variables, as they were when they were read.
#[derive(Clone, Default)]
pub(crate) struct Variables(BTreeMap<String, String>);

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

impl Variables {
    pub(crate) fn new(variables: impl IntoIterator<Item = (String, String)>) -> Self {
        Self(variables.into_iter().collect())
    }

    pub(crate) fn of_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::new(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
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
pub(crate) struct Overrides {
    pub(crate) url: Option<String>,
    pub(crate) model: Option<String>,
    pub(crate) api_key: Option<String>,
    /// Flags for the next commands.
    pub(crate) flags: String,
}

/// What is to be examined.
pub(crate) struct Target {
    pub(crate) endpoint: Endpoint,
    /// The same server by Anthropic Messages.
    pub(crate) messages: anthropic::Endpoint,
    /// The model that was named.
    pub(crate) model: Option<String>,
    /// Who gave the key, if there is one.
    pub(crate) key: Option<&'static str>,
    /// `OPENAI_API_KEY` is set, and is not for this server.
    pub(crate) key_held_back: bool,
    /// Variables that seem to hold a key, and are not read.
    pub(crate) other_keys: Vec<String>,
    /// A variable that names root certificates for other programs.
    pub(crate) other_roots: Option<&'static str>,
    /// Ports that variables name, and which ones.
    pub(crate) ports: Vec<(u16, String)>,
    /// The variable that excepts hosts from proxies, where one is set.
    no_proxy: Option<&'static str>,
    given: Overrides,
}

impl Target {
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
        let uri = self.endpoint.models_uri();
        match uri.query() {
            // It may hold a key.
            Some(query) => uri.to_string().replace(&format!("?{query}"), ""),
            None if uri.scheme_str() == Some("unix") => format!("{}/v1/models", self.url()),
            None => uri.to_string(),
        }
    }

    /// The doctor's own command for this server.
    pub(crate) fn doctor(&self) -> String {
        let url =
            if self.given.url.is_some() { format!(" {}", text::word(self.url())) } else { String::new() };
        format!("oa doctor{url}{}", self.flags())
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
        format!("oa {command}{url}{}", self.flags())
    }

    /// The same examination past the proxy: the host is added to the variable that excepts hosts.
    pub(crate) fn without_proxy(&self) -> String {
        self.except_from_proxy(self.host().unwrap_or("*"))
    }

    /// The same examination with this entry added to the hosts that are reached without a proxy.
    pub(crate) fn except_from_proxy(&self, entry: &str) -> String {
        match self.no_proxy {
            Some(variable) => format!("{variable}=\"${variable}\",{} {}", text::word(entry), self.again()),
            None => format!("NO_PROXY={} {}", text::word(entry), self.again()),
        }
    }

    fn flags(&self) -> String {
        let key = if self.given.api_key.is_some() { " --api-key KEY" } else { "" };
        let more = if self.given.flags.is_empty() { "" } else { " " };
        format!("{key}{more}{}", self.given.flags)
    }
}

/// What the environment names, and what there is to say of it.
pub(crate) fn resolve(given: &Overrides, variables: &Variables) -> (Finding, Option<Target>) {
    match target(given, variables) {
        Ok(found) => found,
        Err(finding) => (finding, None),
    }
}

/// Where a value came from that the caller gave.
const GIVEN: &str = "given";

fn target(given: &Overrides, variables: &Variables) -> Result<(Finding, Option<Target>), Finding> {
    let refused = |why: String| Finding::failed(Category::InvalidRequest, why);
    let mut found = Environment::from_vars(variables.0.clone());
    if let Some(url) = &given.url {
        found = found.with_base_url(url, GIVEN);
    }
    if let Some(model) = &given.model {
        found = found.with_model(model, GIVEN);
    }
    if let Some(key) = &given.api_key {
        found = found.with_api_key(key, GIVEN);
    }
    let Some(root) = found.root() else {
        return Err(refused(found.no_server()));
    };
    // The base URL is read as it was meant; whatever else is wrong is refused.
    let corrected = CorrectedBaseUrl::new(&root).filter(|corrected| !corrected.flaws.is_empty());
    let checked = match (&corrected, &found.base_url) {
        (Some(corrected), Some((_, source))) => found.clone().with_base_url(&corrected.url, source),
        _ => found.clone(),
    };
    checked.check().map_err(|error| {
        let named = [&found.base_url, &found.api_key, &found.model].into_iter().flatten();
        let variable = named.map(|(_, source)| *source).find(|source| error.message().starts_with(source));
        let message = error.message();
        let finding = refused(message.strip_prefix("given: ").unwrap_or(message).to_owned());
        match variable.filter(|source| *source != GIVEN) {
            Some(variable) => finding.next(format!("unset {variable}")),
            None => finding,
        }
    })?;
    let url = corrected.as_ref().map_or(root, |corrected| corrected.url.clone());
    let key = found.api_key.as_ref().map(|(key, _)| ApiKey::new(key)).transpose();
    let endpoints =
        key.and_then(|key| Ok((Endpoint::new(&url, key.clone())?, anthropic::Endpoint::new(&url, key)?)));
    let (endpoint, messages) = endpoints.map_err(|error| refused(error.message().into()))?;

    let from = match &found.base_url {
        Some((_, name)) => name,
        None => "OPENAI_API_KEY alone, which means OpenAI",
    };
    let target = Target {
        model: found.model.as_ref().map(|(model, _)| model.clone()),
        key: found.api_key.as_ref().map(|(_, name)| *name),
        key_held_back: found.api_key.is_none() && variables.get("OPENAI_API_KEY").is_some(),
        other_keys: found.near_misses.api_key.clone(),
        other_roots: OTHER_ROOTS.into_iter().find(|name| variables.get(name).is_some()),
        ports: ports(variables),
        no_proxy: ["NO_PROXY", "no_proxy"].into_iter().find(|name| variables.get(name).is_some()),
        given: given.clone(),
        endpoint,
        messages,
    };
    let mut observed = vec![format!("{} ({from})", target.url())];
    observed.push(target.key.map_or("no key".to_owned(), |key| format!("key ({key})")));
    if target.key_held_back {
        observed
            .push("OPENAI_API_KEY is set, and goes only to the server of OPENAI_BASE_URL or OpenAI".into());
    }
    observed.push(match &found.model {
        Some((model, name)) => format!("model {model} ({name})"),
        None => "no model named".to_owned(),
    });
    // Another port than the URL's is worth a look where the URL's is closed, and no reason to doubt it
    // before.
    for (port, variable) in target.ports.iter().filter(|(port, _)| *port != target.port()) {
        observed.push(format!("{variable} is {port}"));
    }
    let mut doubts = contradictions(&target, &found, variables);
    if let Some(corrected) = corrected {
        let why = corrected.flaws.join(" and ");
        let next = match from {
            GIVEN => target.doctor(),
            name => format!("export {name}={}", text::word(target.url())),
        };
        doubts.insert(0, (format!("the base URL {why}: corrected here, refused elsewhere"), next));
    }
    let observed = observed.join("; ");
    let finding = match doubts.first() {
        None => Finding::ok(observed),
        Some((_, next)) => {
            let causes: Vec<&str> = doubts.iter().map(|(cause, _)| cause.as_str()).collect();
            Finding::warning(observed).cause(causes.join("; ")).next(next.clone())
        }
    };
    Ok((finding, Some(target)))
}

/// What variables say against the server that won: why, and what to do.
fn contradictions(target: &Target, found: &Environment, variables: &Variables) -> Vec<(String, String)> {
    let mut doubts = Vec::new();
    if let (Some((_, "OA_BASE_URL")), Some(other), false) =
        (&found.base_url, variables.get("OPENAI_BASE_URL"), target.given.url.is_some())
    {
        let other_url = CorrectedBaseUrl::new(other).map(|corrected| corrected.url);
        if !other_url.is_some_and(|url| url.eq_ignore_ascii_case(target.url())) {
            let cause = format!("OPENAI_BASE_URL names another server, {other}: OA_BASE_URL wins");
            doubts.push((cause, "unset OPENAI_BASE_URL".to_owned()));
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

/// What Python's requests, curl, Node and others read in the place of `SSL_CERT_FILE`.
const OTHER_ROOTS: [&str; 6] = [
    "REQUESTS_CA_BUNDLE",
    "CURL_CA_BUNDLE",
    "NODE_EXTRA_CA_CERTS",
    "AWS_CA_BUNDLE",
    "GIT_SSL_CAINFO",
    "PIP_CERT",
];

/// Ports that variables name: `PORT` (which LiteLLM and many others read), `LITELLM_PORT` (which scripts and
/// compose files pass on to it), those of other servers, and that of `OLLAMA_HOST`.
fn ports(variables: &Variables) -> Vec<(u16, String)> {
    const MOST: usize = 8;
    let is_port = |name: &str| {
        let words: Vec<&str> = name.split('_').collect();
        name == "PORT"
            || matches!(words[..], [server, "PORT"] if SERVERS.contains(&server))
            || OTHER_PORTS.contains(&name)
    };
    let named = variables.0.iter().filter(|(name, _)| is_port(name));
    // Kubernetes writes `tcp://10.0.0.7:8000` there, Ollama `0.0.0.0:11434`.
    let read = |value: &str| value.trim().rsplit([':', '/']).next().and_then(|port| port.parse().ok());
    let found = named.filter_map(|(name, value)| Some((read(value)?, name.clone())));
    let mut found: Vec<(u16, String)> = found.filter(|(port, _)| *port != 0).collect();
    // The servers' own names say more than `PORT`.
    found.sort_by_key(|(_, name)| name == "PORT");
    found.truncate(MOST);
    found
}

const SERVERS: [&str; 8] = ["LITELLM", "VLLM", "SGLANG", "OLLAMA", "LLAMA", "LLM", "SERVER", "OA"];
const OTHER_PORTS: [&str; 3] = ["LLAMA_ARG_PORT", "OLLAMA_HOST", "LMSTUDIO_PORT"];
