//! What an error of a call most likely comes from, and what to try next.

use crate::{
    environment::Subject,
    finding::Finding,
    identity::{Identity, Server},
    text,
};
use oa_wire::{Category, Error};

/// What was asked when it happened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Asked {
    Models,
    Completion,
}

pub(crate) struct Trouble<'a> {
    pub(crate) subject: &'a Subject,
    pub(crate) identity: &'a Identity,
    /// The model that is asked for.
    pub(crate) model: Option<&'a str>,
}

impl Trouble<'_> {
    /// The error as a failed step.
    pub(crate) fn finding(&self, error: &Error, asked: Asked) -> Finding {
        let finding = Finding::failed(error.category(), error.to_string());
        let (cause, next) = self.explain(error, asked);
        let finding = match (error.hint(), cause.is_empty()) {
            (Some(hint), true) => finding.cause(hint),
            (Some(hint), false) => finding.cause(format!("{cause}; {hint}")),
            (None, true) => finding,
            (None, false) => finding.cause(cause),
        };
        finding.next(next)
    }

    fn explain(&self, error: &Error, asked: Asked) -> (String, String) {
        let subject = self.subject;
        match error.category() {
            Category::Authentication => self.authentication(asked),
            Category::RateLimit if error.is_quota_spent() => (
                "the quota or budget of this key is spent: no waiting helps".to_owned(),
                "export OA_API_KEY=KEY_WITH_A_BUDGET".to_owned(),
            ),
            Category::RateLimit if is_cooldown(error) => (
                "the router has put every deployment of the model into a cooldown after a failure, which this 429 \
                 hides: often an upstream that is down or refuses its key (401)"
                    .to_owned(),
                self.try_again(error),
            ),
            Category::RateLimit => (
                "more requests than the server or its upstream allows; each examination makes four".to_owned(),
                self.try_again(error),
            ),
            Category::ModelNotLoaded => {
                ("the server is up, and still loads its model".to_owned(), self.wait("5m"))
            }
            Category::InvalidModel => (
                "the server does not serve a model of this name, or the key may not use it".to_owned(),
                subject.oa("models"),
            ),
            Category::Unavailable if self.identity.server == Some(Server::LiteLlm) && asked == Asked::Completion => {
                let group = self.model.map(|model| format!(" of `{model}`")).unwrap_or_default();
                (
                    format!("the proxy is up, and its upstream{group} is not: down, not reachable from there, or failing"),
                    "oa doctor API_BASE_OF_THE_UPSTREAM".to_owned(),
                )
            }
            Category::Unavailable if error.status().is_some() => (
                "the server, or a gateway before it, fails: its log says why".to_owned(),
                self.wait("2m"),
            ),
            Category::Unavailable => {
                ("the server ended, hangs or is overloaded".to_owned(), subject.again())
            }
            Category::InvalidResponse => (
                "something else than a chat server answers here: a web page, a login, another path".to_owned(),
                format!("curl -i {}", text::word(&subject.models_url())),
            ),
            Category::InvalidRequest if matches!(error.status(), Some(404 | 405)) => (
                "there is no such path: a prefix of the gateway is missing in the URL, or is one too much".to_owned(),
                format!("curl -i {}", text::word(&subject.models_url())),
            ),
            _ => (String::new(), self.chat()),
        }
    }

    fn authentication(&self, asked: Asked) -> (String, String) {
        let export = "export OA_API_KEY=KEY".to_owned();
        let litellm = self.identity.server == Some(Server::LiteLlm);
        match self.subject.key {
            Some(_) if litellm && asked == Asked::Completion => (
                "the proxy takes the key, and the upstream refuses the proxy's: the api_key of this model in the \
                 proxy's configuration"
                    .to_owned(),
                "oa doctor API_BASE_OF_THE_UPSTREAM".to_owned(),
            ),
            Some("given") => {
                ("the key that was given is not one of this server".to_owned(), self.subject.again())
            }
            Some(variable) => {
                (format!("the key in {variable} is not one of this server"), format!("export {variable}=KEY"))
            }
            None if self.subject.key_held_back => (
                "no key was sent: OPENAI_API_KEY does not go to the server of OA_BASE_URL or a URL".to_owned(),
                export,
            ),
            None => ("the server wants a key, and none was sent".to_owned(), export),
        }
    }

    /// A command that waits as long as the server asks for, and then some.
    fn try_again(&self, error: &Error) -> String {
        let wait = error.retry_after().map_or(60, |after| after.delay.as_secs());
        self.wait(&format!("{}s", wait.saturating_add(60).min(3600)))
    }

    fn wait(&self, limit: &str) -> String {
        let model = self.model.map(|model| format!(" --model {}", text::word(model))).unwrap_or_default();
        format!("{}{model}", self.subject.oa(&format!("ready --probe chat --wait {limit}")))
    }

    /// A plain completion.
    pub(crate) fn chat(&self) -> String {
        let model = self.model.map(|model| format!(" --model {}", text::word(model))).unwrap_or_default();
        format!("{}{model}", self.subject.oa("chat Hi"))
    }
}

/// LiteLLM's refusal after a failure, in place of the failure.
pub(crate) fn is_cooldown(error: &Error) -> bool {
    error.server().r#type.as_deref() == Some("all_deployments_in_cooldown")
        || error.category() == Category::RateLimit && error.message().contains("No deployments available")
}
