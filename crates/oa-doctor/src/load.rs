//! Is the model loaded? Each server has a signal of its own.

use crate::{
    client::{Client, Page, from_transport},
    environment::Subject,
    finding::Finding,
    identity::{Identity, Server},
    models::Models,
    text,
    trouble::{Asked, Trouble},
};
use oa_transport::TransportError;
use oa_wire::Category;

/// Asks for the server's signal. `may_generate` is false when no token may be made.
pub(crate) async fn ask(
    client: &Client,
    subject: &Subject,
    identity: &Identity,
    models: &Models,
    may_generate: bool,
) -> Finding {
    let trouble = Trouble { subject, identity, model: models.model.as_deref() };
    if let (Some(catalogue), Some(model)) = (&models.catalogue, &models.model) {
        if let Some(entry) = catalogue.find(model).filter(|entry| entry.is_not_loaded()) {
            let status = entry.status.as_deref().unwrap_or_default();
            return Finding::failed(Category::ModelNotLoaded, format!("the list says of {model}: {status}"))
                .cause("the server is up, and the model is not loaded yet")
                .next(subject.oa("ready --wait 5m"));
        }
    }
    match identity.server {
        Some(Server::LmStudio) => lm_studio(client, &trouble).await,
        Some(Server::Ollama) => ollama(client, &trouble).await,
        // Its /health asks every upstream, and their tokens cost money.
        Some(Server::LiteLlm) => {
            health(
                client,
                &trouble,
                "/health/readiness",
                "the proxy itself is ready; its models load elsewhere",
            )
            .await
        }
        Some(Server::OpenAi) => Finding::skipped("its models are always loaded"),
        Some(Server::Sglang) if may_generate => {
            health(client, &trouble, "/health", "a health generation worked").await
        }
        Some(Server::Sglang) => health(client, &trouble, "/ready", "it is ready").await,
        Some(Server::Vllm) => {
            health(client, &trouble, "/health", "its engine lives; it listens only once the model is loaded")
                .await
        }
        Some(Server::LlamaCpp) => health(client, &trouble, "/health", "the model is loaded").await,
        Some(Server::Simulator) | None => health(client, &trouble, "/health", "healthy").await,
    }
}

async fn health(client: &Client, trouble: &Trouble<'_>, path: &str, good: &str) -> Finding {
    // Without the key: a LiteLLM that did not say what it is would ask all upstreams.
    let page = match client.get_without_key(path).await {
        Ok(page) => page,
        Err(error) => return unreachable(trouble, error),
    };
    let status = page.status.as_u16();
    match status {
        200..=299 => Finding::ok(format!("{path} is {status}: {good}")),
        401 | 403 => Finding::skipped(format!("{path} wants a key of its own")),
        404 | 405 => Finding::skipped(format!("there is no {path}")),
        _ => sick(trouble, path, &page),
    }
}

fn sick(trouble: &Trouble<'_>, path: &str, page: &Page) -> Finding {
    let Err(error) = page.models() else { return Finding::ok(format!("{path} answers")) };
    if error.category() == Category::ModelNotLoaded {
        return trouble.finding(&error, Asked::Models);
    }
    let saw = format!("{path} is {}: {}", page.status.as_u16(), text::one_line(error.message(), 200));
    let cause = match trouble.identity.server {
        Some(Server::Vllm) => {
            "the engine is dead, and the server will end or must be started anew: see its log"
        }
        Some(Server::Sglang) => "it still starts, or its health generation hangs",
        _ => "the server says itself that it is not healthy",
    };
    Finding::failed(Category::Unavailable, saw).cause(cause).next(trouble.subject.oa("ready --wait 5m"))
}

fn unreachable(trouble: &Trouble<'_>, error: TransportError) -> Finding {
    trouble.finding(&from_transport(error), Asked::Models)
}

/// The states are in a list of LM Studio's own.
async fn lm_studio(client: &Client, trouble: &Trouble<'_>) -> Finding {
    let page = match client.get("/api/v0/models").await {
        Ok(page) => page,
        Err(error) => return unreachable(trouble, error),
    };
    let json = page.json().unwrap_or_default();
    let entries = json["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entry = entries.iter().find(|entry| entry["id"].as_str().is_some_and(|id| Some(id) == trouble.model));
    match entry.and_then(|entry| entry["state"].as_str()) {
        Some("loaded") => Finding::ok("/api/v0/models says: loaded"),
        Some(state) => not_loaded(trouble, &format!("/api/v0/models says: {state}")),
        None => Finding::skipped("/api/v0/models does not tell the model's state"),
    }
}

/// The models that are in memory are in a list of Ollama's own.
async fn ollama(client: &Client, trouble: &Trouble<'_>) -> Finding {
    let page = match client.get("/api/ps").await {
        Ok(page) => page,
        Err(error) => return unreachable(trouble, error),
    };
    let Some(json) = page.json() else { return Finding::skipped("/api/ps does not tell what is loaded") };
    let loaded = json["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_asked_for = |name: &str| {
        trouble.model.is_some_and(|model| name == model || name.strip_suffix(":latest") == Some(model))
    };
    if loaded
        .iter()
        .any(|entry| ["name", "model"].iter().any(|key| entry[*key].as_str().is_some_and(is_asked_for)))
    {
        Finding::ok("/api/ps lists it: loaded")
    } else {
        not_loaded(trouble, "/api/ps does not list it: not in memory")
    }
}

/// It will be loaded by the first request for it, which then takes long.
fn not_loaded(trouble: &Trouble<'_>, saw: &str) -> Finding {
    let model = trouble.model.map(|model| format!(" --model {}", text::word(model))).unwrap_or_default();
    Finding::warning(saw)
        .cause("the first request loads it, and takes that much longer")
        .next(format!("{}{model}", trouble.subject.oa("ready --warm-up")))
}
