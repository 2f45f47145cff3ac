//! A look at the ports where such servers usually listen.

use crate::{client::Client, text};
use oa_transport::HyperTransport;
use oa_wire::openai::Endpoint;
use std::{net::SocketAddr, time::Duration};
use tokio::{task::JoinSet, time::timeout};

/// The default ports of chat servers: the port, and whose it is.
///
/// They are looked at on the host of the base URL alone, only when its own port is closed, and without the
/// key.
pub const WELL_KNOWN_PORTS: [(u16, &str); 6] = [
    (8000, "vLLM"),
    (4000, "LiteLLM"),
    (30000, "SGLang"),
    (8080, "llama.cpp"),
    (1234, "LM Studio"),
    (11434, "Ollama"),
];

/// How long one port may take to answer.
const PATIENCE: Duration = Duration::from_millis(1500);

/// A port that answers.
pub(crate) struct Answering {
    /// The base URL there.
    pub(crate) url: String,
    /// What is there, in words.
    pub(crate) what: String,
    /// Whether it is a chat server as far as can be seen.
    is_chat: bool,
}

/// Looks at these ports of a host, each for a short time, all at once. The most promising one comes first.
pub(crate) async fn look(host: &str, ports: &[(u16, String)]) -> Vec<Answering> {
    let mut looks = JoinSet::new();
    for (at, (port, usual)) in ports.iter().enumerate() {
        let url = url(host, *port);
        let (port, usual) = (*port, usual.clone());
        looks.spawn(async move {
            let answer = timeout(PATIENCE, ask(&url)).await.ok().flatten();
            answer.map(|(what, is_chat)| {
                let what = format!("port {port} ({usual}) answers: {what}");
                (at, Answering { url, what, is_chat })
            })
        });
    }
    let mut found = Vec::new();
    while let Some(look) = looks.join_next().await {
        found.extend(look.ok().flatten());
    }
    found.sort_by_key(|(at, answering)| (!answering.is_chat, *at));
    found.into_iter().map(|(_, answering)| answering).collect()
}

/// What answers at this address, in words; none if nothing does.
pub(crate) async fn what_answers(address: SocketAddr) -> Option<String> {
    let url = url(&address.ip().to_string(), address.port());
    timeout(PATIENCE, ask(&url)).await.ok().flatten().map(|(what, _)| what)
}

pub(crate) fn url(host: &str, port: u16) -> String {
    let bracketed = if host.contains(':') { format!("[{host}]") } else { host.to_owned() };
    format!("http://{bracketed}:{port}")
}

async fn ask(url: &str) -> Option<(String, bool)> {
    let transport = HyperTransport::builder().no_proxy().connect_timeout(PATIENCE).build().ok()?;
    let client = Client::new(transport, Endpoint::new(url, None).ok()?);
    let page = client.get("/v1/models").await.ok()?;
    Some(match page.models() {
        Ok(list) => {
            let owner = list.entries().iter().find_map(|entry| entry.owned_by.as_deref());
            let owner = owner.map(|owner| format!(" (owned by {})", text::one_line(owner, 40)));
            let models = match list.ids().count() {
                0 => "it lists no models".to_owned(),
                1 => format!("the model {}", text::list(list.ids(), 5)),
                _ => format!("the models {}", text::list(list.ids(), 5)),
            };
            (format!("{models}{}", owner.unwrap_or_default()), true)
        }
        Err(_) if matches!(page.status.as_u16(), 401 | 403) => ("it asks for a key".to_owned(), true),
        Err(error) if error.is_transient() => {
            (format!("HTTP {}, {}", page.status.as_u16(), error.message()), true)
        }
        Err(_) => (format!("HTTP {}, and it lists no models", page.status.as_u16()), false),
    })
}
