//! The load state of the model, by each server's own signal.

use crate::{
    causes,
    client::{Client, Page},
    environment::Target,
    finding::Finding,
    hints::{Call, Hints, in_place_of_the_server},
    identity::{Identity, Server},
    models::Models,
    text,
};
use oa_transport::TransportError;
use oa_wire::Category;

/// Asks for the server's signal. `may_generate` is false when no token may be made.
pub(crate) async fn ask(
    client: &Client,
    target: &Target,
    identity: &Identity,
    models: &Models,
    may_generate: bool,
) -> Finding {
    let hints = Hints { target, identity, model: models.model.as_deref() };
    if let (Some(list), Some(model)) = (&models.list, &models.model) {
        if let Some(entry) = list.find(model).filter(|entry| entry.is_not_loaded()) {
            let status = entry.status.as_deref().unwrap_or_default();
            return Finding::failed(Category::ModelNotLoaded, format!("the list says of {model}: {status}"))
                .cause("the server is up, and the model is not loaded yet")
                .next(target.oa("ready --wait 5m"));
        }
    }
    match identity.server {
        Some(Server::LmStudio) => lm_studio(client, &hints).await,
        Some(Server::Ollama) => ollama(client, &hints).await,
        // Its /health asks every upstream, and their tokens cost money.
        Some(Server::LiteLlm) => {
            health(
                client,
                &hints,
                "/health/readiness",
                "the proxy itself is ready; its models load elsewhere",
            )
            .await
        }
        Some(Server::OpenAi) => Finding::skipped("its models are always loaded"),
        Some(Server::Sglang) if may_generate => {
            health(client, &hints, "/health", "a health generation worked").await
        }
        Some(Server::Sglang) => health(client, &hints, "/ready", "it is ready").await,
        Some(Server::Vllm) if is_asleep(client).await => {
            Finding::failed(Category::ModelNotLoaded, "/is_sleeping says that it sleeps")
                .cause(
                    "vLLM was put to sleep: it lists its model and answers no completion until it is woken",
                )
                .next(format!("curl -X POST {}", text::word(&format!("{}/wake_up", target.url()))))
        }
        Some(Server::Vllm) => {
            health(client, &hints, "/health", "it is up, and listens only once the model is loaded").await
        }
        Some(Server::LlamaCpp) => health(client, &hints, "/health", "the model is loaded").await,
        Some(Server::Simulator) | None => health(client, &hints, "/health", "healthy").await,
    }
}

async fn health(client: &Client, hints: &Hints<'_>, path: &str, good: &str) -> Finding {
    // Without the key: a LiteLLM that did not say what it is would ask all upstreams.
    let page = match client.get_without_key(path).await {
        Ok(page) => page,
        Err(error) => return unreachable(hints, error),
    };
    let status = page.status.as_u16();
    match status {
        200..=299 if page.is_plain() => match complaint(&page) {
            Some(word) => Finding::warning(format!("{path} is {status}, and says: {word}"))
                .cause("the server answers, and calls itself not ready")
                .next(hints.target.oa("ready --probe chat --wait 5m")),
            None => Finding::ok(format!("{path} is {status}: {good}")),
        },
        200..=299 => Finding::skipped(format!("{path} is a web page: there is no health page here")),
        500..=599 => sick(hints, path, &page),
        401 | 403 => Finding::skipped(format!("{path} is {status}: it is not open without credentials")),
        _ => Finding::skipped(format!("{path} is {status}: there is no health page here")),
    }
}

/// What a page that is a success says against it: a state that is none of health.
fn complaint(page: &Page) -> Option<String> {
    const BAD: [&str; 12] = [
        "unhealthy",
        "not healthy",
        "not ready",
        "notready",
        "down",
        "error",
        "fail",
        "failed",
        "loading",
        "starting",
        "unavailable",
        "degraded",
    ];
    let is_bad = |state: &str| {
        let state = state.trim().to_ascii_lowercase().replace(['_', '-'], " ");
        let first = state.split(' ').next().unwrap_or_default();
        BAD.iter().any(|bad| state == *bad || first == *bad)
    };
    let Some(json) = page.json() else {
        let text = page.text();
        return is_bad(&text).then(|| text::one_line(&text, 40));
    };
    let word = ["status", "state"].iter().find_map(|name| json[*name].as_str()).or_else(|| json.as_str());
    let is_no = ["healthy", "ready", "ok", "live"].into_iter().find(|name| json[*name] == false);
    let word = word.filter(|word| is_bad(word)).map(|word| text::one_line(word, 40));
    word.or_else(|| is_no.map(|name| format!("{name} is false")))
}

/// vLLM tells its sleep mode where it is started for development.
async fn is_asleep(client: &Client) -> bool {
    let page = client.get_without_key("/is_sleeping").await;
    page.ok().and_then(|page| page.json()).is_some_and(|json| json["is_sleeping"] == true)
}

fn sick(hints: &Hints<'_>, path: &str, page: &Page) -> Finding {
    let Err(error) = page.models() else { return Finding::ok(format!("{path} answers")) };
    if error.category() == Category::ModelNotLoaded {
        return hints.finding(&error, Call::Models);
    }
    let observed = format!("{path} is {}: {}", page.status.as_u16(), text::one_line(error.message(), 200));
    let cause = match hints.identity.server {
        _ if page.is_html() => in_place_of_the_server(&error),
        Some(Server::Vllm) => {
            "the engine is dead, and the server will end or must be started anew: see its log".to_owned()
        }
        Some(Server::Sglang) => "it still starts, or its health generation hangs".to_owned(),
        _ if causes::is_of_a_gateway(&error) => in_place_of_the_server(&error),
        _ => "the server, or a gateway before it, says that it is not healthy".to_owned(),
    };
    Finding::failed(Category::Unavailable, observed).cause(cause).next(hints.target.oa("ready --wait 5m"))
}

fn unreachable(hints: &Hints<'_>, error: TransportError) -> Finding {
    hints.finding(&oa_provider::from_transport_error(error), Call::Models)
}

/// The states are in a list of LM Studio's own.
async fn lm_studio(client: &Client, hints: &Hints<'_>) -> Finding {
    let page = match client.get("/api/v0/models").await {
        Ok(page) => page,
        Err(error) => return unreachable(hints, error),
    };
    let json = page.json().unwrap_or_default();
    let entries = json["data"].as_array().map(Vec::as_slice).unwrap_or_default();
    let entry = entries.iter().find(|entry| entry["id"].as_str().is_some_and(|id| Some(id) == hints.model));
    match entry.and_then(|entry| entry["state"].as_str()) {
        Some("loaded") => Finding::ok("/api/v0/models says: loaded"),
        Some(state) => not_loaded(hints, &format!("/api/v0/models says: {state}")),
        None => Finding::skipped("/api/v0/models does not tell the model's state"),
    }
}

/// The models that are in memory are in a list of Ollama's own.
async fn ollama(client: &Client, hints: &Hints<'_>) -> Finding {
    let page = match client.get("/api/ps").await {
        Ok(page) => page,
        Err(error) => return unreachable(hints, error),
    };
    let Some(json) = page.json() else { return Finding::skipped("/api/ps does not tell what is loaded") };
    let loaded = json["models"].as_array().map(Vec::as_slice).unwrap_or_default();
    let is_asked_for = |name: &str| {
        hints.model.is_some_and(|model| name == model || name.strip_suffix(":latest") == Some(model))
    };
    if loaded
        .iter()
        .any(|entry| ["name", "model"].iter().any(|key| entry[*key].as_str().is_some_and(is_asked_for)))
    {
        Finding::ok("/api/ps lists it: loaded")
    } else {
        not_loaded(hints, "/api/ps does not list it: not in memory")
    }
}

/// It will be loaded by the first request for it, which then takes long.
fn not_loaded(hints: &Hints<'_>, observed: &str) -> Finding {
    let model = hints.model.map(|model| format!(" --model {}", text::word(model))).unwrap_or_default();
    Finding::warning(observed)
        .cause("the first request loads it, and takes that much longer")
        .next(format!("{}{model}", hints.target.oa("ready --warm-up")))
}
