//! The kind of the server, as its headers, pages and list of models declare it; never guessed from its URL.

use crate::{
    client::{Client, Page},
    finding::Finding,
    text,
};
use oa_wire::ModelList;

/// A server as it declares itself.
#[derive(Clone, Debug, Default)]
pub(crate) struct Identity {
    pub(crate) server: Option<Server>,
    version: Option<String>,
}

/// The servers that are known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Server {
    Vllm,
    Sglang,
    LlamaCpp,
    LmStudio,
    Ollama,
    LiteLlm,
    OpenAi,
    Simulator,
}

impl Server {
    /// As telemetry names it.
    fn name(self) -> &'static str {
        match self {
            Self::Vllm => "vllm",
            Self::Sglang => "sglang",
            Self::LlamaCpp => "llamacpp",
            Self::LmStudio => "lmstudio",
            Self::Ollama => "ollama",
            Self::LiteLlm => "litellm",
            Self::OpenAi => "openai",
            Self::Simulator => "oa-sim",
        }
    }
}

impl Identity {
    /// Its name and version.
    pub(crate) fn shown(&self) -> Option<String> {
        let name = self.server?.name();
        Some(match &self.version {
            Some(version) => format!("{name} {version}"),
            None => name.to_owned(),
        })
    }
}

/// Asks as much as it takes. `hello` is the page at the root.
pub(crate) async fn ask(client: &Client, hello: &Page) -> (Finding, Identity) {
    let mut declared = Vec::new();
    let (name, version) = (hello.header("server"), hello.header("x-litellm-version"));
    declared.extend(name.map(|server| format!("server: {}", text::one_line(server, 60))));
    declared.extend(version.map(|version| format!("x-litellm-version: {}", text::one_line(version, 40))));
    let root = hello.text();
    let says = |words: &str| hello.status.is_success() && root.contains(words);
    if says("Ollama is running") || says("LiteLLM") {
        declared.push(format!("/ says {}", text::one_line(title(&root), 60)));
    }
    let page = client.get("/v1/models").await.ok();
    let list = page.as_ref().and_then(|page| page.models().ok());
    let owners = owners(list.as_ref());
    if !owners.is_empty() {
        declared.push(format!("models owned by {}", text::list(&owners, 4)));
    }
    let owned = |by: &str| owners.iter().any(|owner| owner == by);
    let header = |name: &str| hello.header(name).or_else(|| page.as_ref().and_then(|page| page.header(name)));

    let server = if header("x-oa-simulator").is_some() {
        Some(Server::Simulator)
    } else if header("x-litellm-version").is_some() || says("LiteLLM") {
        Some(Server::LiteLlm)
    } else if name.is_some_and(|server| server.starts_with("llama.cpp")) || owned("llamacpp") {
        Some(Server::LlamaCpp)
    } else if says("Ollama is running") {
        Some(Server::Ollama)
    } else if owned("vllm") {
        Some(Server::Vllm)
    } else if owned("sglang") {
        Some(Server::Sglang)
    } else if header("openai-version").is_some() {
        Some(Server::OpenAi)
    } else if list.is_some() && lm_studio(client).await {
        declared.push("/api/v0/models tells load states".to_owned());
        Some(Server::LmStudio)
    } else {
        None
    };
    let version = match server {
        Some(Server::Simulator) => header("x-oa-simulator").map(str::to_owned),
        Some(Server::LiteLlm) => match header("x-litellm-version") {
            Some(version) => Some(version.to_owned()),
            None => member(client, "/health/readiness", "litellm_version").await,
        },
        Some(Server::LlamaCpp) => member(client, "/props", "build_info").await,
        Some(Server::Ollama) => member(client, "/api/version", "version").await,
        Some(Server::Vllm) | None => {
            let version = member(client, "/version", "version").await;
            declared.extend(version.as_ref().map(|version| format!("/version says {version}")));
            version
        }
        Some(_) => None,
    };
    let identity = Identity { version: version.filter(|_| server.is_some()), server };
    let evidence = declared.join(", ");
    let observed = match (identity.shown(), evidence.is_empty()) {
        (Some(shown), true) => shown,
        (Some(shown), false) => format!("{shown} ({evidence})"),
        (None, true) => "it declares nothing".to_owned(),
        (None, false) => format!("none that is known ({evidence})"),
    };
    (Finding::ok(observed), identity)
}

/// The title of a page, or the page.
fn title(page: &str) -> &str {
    let start = page.find("<title>").map(|at| at + "<title>".len());
    match start.map(|at| &page[at..]) {
        Some(rest) => rest.split('<').next().unwrap_or(rest),
        None => page,
    }
}

fn owners(list: Option<&ModelList>) -> Vec<String> {
    let mut owners: Vec<String> = Vec::new();
    for owner in list.iter().flat_map(|list| list.entries()).filter_map(|entry| entry.owned_by.as_ref()) {
        if !owners.contains(owner) {
            owners.push(owner.clone());
        }
    }
    owners
}

/// A text in a JSON page.
async fn member(client: &Client, path: &str, name: &str) -> Option<String> {
    let page = client.get(path).await.ok()?;
    Some(text::one_line(page.json()?.get(name)?.as_str()?, 40))
}

/// LM Studio's own list has a state for each model.
async fn lm_studio(client: &Client) -> bool {
    let Ok(page) = client.get("/api/v0/models").await else { return false };
    let Some(json) = page.json() else { return false };
    json["data"].as_array().is_some_and(|data| data.iter().any(|entry| entry["state"].is_string()))
}
