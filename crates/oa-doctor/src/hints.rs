//! The likely cause of a failed call, and the next command.

use crate::{
    advice, causes,
    environment::Target,
    finding::Finding,
    identity::{Identity, Server},
    text,
};
use oa_transport::TransportError;
use oa_wire::{Category, Challenge, CorrectedBaseUrl, Error, ErrorKind};
use std::time::Duration;

/// A wait that is worth a word of its own.
const LONG_WAIT: Duration = Duration::from_secs(120);

/// What was asked when it happened.
#[derive(Clone, Copy, PartialEq, Eq)]
pub(crate) enum Call {
    Models,
    Completion,
}

pub(crate) struct Hints<'a> {
    pub(crate) target: &'a Target,
    pub(crate) identity: &'a Identity,
    /// The model that is asked for.
    pub(crate) model: Option<&'a str>,
}

impl Hints<'_> {
    /// The error as a failed step.
    pub(crate) fn finding(&self, error: &Error, call: Call) -> Finding {
        let finding = Finding::failed(error.category(), error.to_string());
        let (mut cause, next) = self.explain(error, call);
        if let Some(after) = error.retry_after().filter(|after| after.delay >= LONG_WAIT) {
            cause = format!("{cause}; it asks to wait {}", text::duration(after.delay));
        }
        let hint = match transport_error(error) {
            Some(transport) => transport.remedy().map(advice::remedy),
            // The cause says it already.
            None if error.category() == Category::Authentication && !cause.is_empty() => None,
            None => error.hint(),
        };
        let finding = match (hint, cause.is_empty()) {
            (Some(hint), true) => finding.cause(hint),
            (Some(hint), false) => finding.cause(format!("{cause}; {hint}")),
            (None, true) => finding,
            (None, false) => finding.cause(cause),
        };
        finding.next(next)
    }

    fn explain(&self, error: &Error, call: Call) -> (String, String) {
        let target = self.target;
        let origin = error.origin();
        if let Some(transport) = transport_error(error) {
            return (causes::of_exchange(transport).to_owned(), target.again());
        }
        if let Some(cause) = causes::of_status(error) {
            return (cause.to_owned(), self.look(error));
        }
        if let Some(proxy) = origin.and_then(|origin| origin.proxy.as_ref()).filter(|_| is_of_a_proxy(error))
        {
            return (
                format!(
                    "the answer is the proxy's own ({proxy}), which refuses this server or does not reach it"
                ),
                target.without_proxy(),
            );
        }
        if let Some(location) = origin.and_then(|origin| origin.location.as_ref()) {
            return self.redirect(error, location);
        }
        match error.category() {
            Category::Authentication => self.authentication(error, call),
            Category::RateLimit if error.is_quota_spent() => (
                "the quota or budget of this key is spent: no waiting helps".to_owned(),
                "export OA_API_KEY=KEY_WITH_A_BUDGET".to_owned(),
            ),
            Category::RateLimit if is_cooldown(error) => (
                "the router has put every deployment of the model into a cooldown after a failure, which \
                 this 429 hides: often an upstream that is down or refuses its key \
                 (401)"
                    .to_owned(),
                self.try_again(error),
            ),
            Category::RateLimit => (
                "more requests than the server or its upstream allows; each examination makes \
                 four"
                    .to_owned(),
                self.try_again(error),
            ),
            Category::ModelNotLoaded => {
                ("the server is up, and still loads its model".to_owned(), self.wait("5m"))
            }
            Category::InvalidModel => (
                "the server does not serve a model of this name, or the key may not use it".to_owned(),
                target.oa("models"),
            ),
            Category::Unavailable
                if self.identity.server == Some(Server::LiteLlm) && call == Call::Completion =>
            {
                let group = self.model.map(|model| format!(" of `{model}`")).unwrap_or_default();
                (
                    format!(
                        "the proxy is up, and its upstream{group} is not: down, not reachable from there, or \
                             failing"
                    ),
                    "oa doctor API_BASE_OF_THE_UPSTREAM".to_owned(),
                )
            }
            Category::Unavailable if causes::is_of_a_gateway(error) => {
                (in_place_of_the_server(error), self.wait("2m"))
            }
            Category::Unavailable if error.status().is_some() => {
                ("the server, or a gateway before it, fails: its log says why".to_owned(), self.wait("2m"))
            }
            Category::Unavailable => ("the server ended, hangs or is overloaded".to_owned(), target.again()),
            Category::InvalidResponse if error.kind() == Some(ErrorKind::ContentCoding) => (
                "a gateway compresses its answers, although `Accept-Encoding: identity` is sent".to_owned(),
                format!("curl -i -H 'Accept-Encoding: identity' {}", text::word(&target.models_url())),
            ),
            Category::InvalidResponse => (
                "something else than a chat server answers here: a web page, a login, another \
                 path"
                    .to_owned(),
                self.look(error),
            ),
            Category::InvalidRequest if matches!(error.status(), Some(404 | 405 | 501)) => {
                let what = match call {
                    Call::Models => "this server or gateway has no list of models, or ",
                    Call::Completion => "",
                };
                (
                    format!(
                        "{what}the path is wrong: a prefix of the gateway is missing in the URL, or is one \
                             too much"
                    ),
                    self.look(error),
                )
            }
            _ => (String::new(), self.chat()),
        }
    }

    /// The answer leads elsewhere: the next step is the doctor there, or the credentials for it.
    fn redirect(&self, error: &Error, location: &str) -> (String, String) {
        let target = self.target;
        if error.category() == Category::Authentication {
            let how = if location.contains("cloudflareaccess.com") {
                "a service token of Cloudflare Access: the headers CF-Access-Client-Id and \
                 CF-Access-Client-Secret"
            } else {
                "credentials of its own, such as a cookie or a token in a header"
            };
            return (
                format!(
                    "a login page stands before the server, and wants {how}; the API key goes no further"
                ),
                format!("{} --header 'NAME: VALUE'", target.again()),
            );
        }
        let cause = "the server, or a gateway before it, sends clients elsewhere: name that place in the URL";
        let next = match CorrectedBaseUrl::new(&absolute(target.url(), location)) {
            Some(there) if there.url != target.url() => format!("oa doctor {}", text::word(&there.url)),
            _ => self.look(error),
        };
        (cause.to_owned(), next)
    }

    fn authentication(&self, error: &Error, call: Call) -> (String, String) {
        let origin = error.origin();
        let challenges = origin.map(|origin| &origin.challenges[..]).unwrap_or_default();
        let other = challenges.first().filter(|_| !challenges.iter().any(Challenge::is_bearer));
        let who =
            origin.and_then(|origin| origin.server.as_deref()).unwrap_or("the server or a gateway before it");
        if let Some(challenge) = other {
            let header = challenge.header.as_deref().unwrap_or("Authorization");
            let value = match (&challenge.header, challenge.scheme.to_ascii_lowercase().as_str()) {
                (Some(_), _) => "KEY".to_owned(),
                (None, "basic") => "Basic BASE64_OF_USER:PASSWORD".to_owned(),
                (None, _) => format!("{} CREDENTIALS", challenge.scheme),
            };
            return (
                format!(
                    "{who} asks for credentials of the scheme {}, in the header {header}: an API key is sent \
                     as Bearer",
                    challenge.scheme
                ),
                format!("{} --header {}", self.target.again(), text::word(&format!("{header}: {value}"))),
            );
        }
        if !error.is_key_rejected() && !causes::is_of_no_api(error) {
            return (
                "the server itself refuses, and says nothing of the key: it may be good, and not be for this \
                 model, region or network"
                    .to_owned(),
                self.target.oa("models"),
            );
        }
        if !error.is_key_rejected() {
            return (
                format!(
                    "{who} refuses the request, and the answer is not about a key: a rule of a firewall, of \
                         a gateway or for this client, or another program on this \
                         port"
                ),
                self.look(error),
            );
        }
        let export = "export OA_API_KEY=KEY".to_owned();
        let litellm = self.identity.server == Some(Server::LiteLlm);
        match self.target.key {
            Some(_) if litellm && call == Call::Completion => (
                "the proxy takes the key, and the upstream refuses the proxy's: the api_key of this model in \
                 the proxy's \
                 configuration"
                    .to_owned(),
                "oa doctor API_BASE_OF_THE_UPSTREAM".to_owned(),
            ),
            Some("--header") => (
                "the credentials of the header Authorization are not the server's: a gateway may want some \
                 of its own, and pass them on"
                    .to_owned(),
                self.target.again(),
            ),
            Some("given") => {
                ("the key that was given is not one of this server".to_owned(), self.target.again())
            }
            Some(variable) => {
                (format!("the key in {variable} is not one of this server"), format!("export {variable}=KEY"))
            }
            None if self.target.key_held_back => (
                "no key was sent: OPENAI_API_KEY does not go to the server of OA_BASE_URL or a \
                 URL"
                .to_owned(),
                export,
            ),
            None => match &self.target.other_keys[..] {
                [] => ("the server wants a key, and none was sent".to_owned(), export),
                [name, ..] => (
                    format!("the server wants a key, and none was sent: {name} is set, and is not read"),
                    format!("export OA_API_KEY=\"${name}\""),
                ),
            },
        }
    }

    /// The same request by another program.
    fn look(&self, error: &Error) -> String {
        let url = error.url().map_or_else(|| self.target.models_url(), str::to_owned);
        format!("curl -i {}", text::word(&url))
    }

    /// A command that waits as long as the server asks for, and then some; a plain completion where that is
    /// no wait for a command.
    fn try_again(&self, error: &Error) -> String {
        const LONGEST: u64 = 3600;
        let wait = error.retry_after().map_or(60, |after| after.delay.as_secs());
        if wait > LONGEST {
            return self.chat();
        }
        self.wait(&format!("{}s", wait.saturating_add(60)))
    }

    fn wait(&self, limit: &str) -> String {
        format!("{}{}", self.target.oa(&format!("ready --probe chat --wait {limit}")), self.model_flag())
    }

    /// Asks whether the server is ready, by this probe.
    pub(crate) fn ready(&self, probe: &str) -> String {
        format!("{}{}", self.target.oa(&format!("ready --probe {probe}")), self.model_flag())
    }

    fn model_flag(&self) -> String {
        self.model.map(|model| format!(" --model {}", text::word(model))).unwrap_or_default()
    }

    /// A plain completion.
    pub(crate) fn chat(&self) -> String {
        format!("{}{}", self.target.oa("chat Hi"), self.model_flag())
    }
}

/// LiteLLM's refusal after a failure, in place of the failure.
pub(crate) fn is_cooldown(error: &Error) -> bool {
    error.server().r#type.as_deref() == Some("all_deployments_in_cooldown")
        || error.category() == Category::RateLimit && error.message().contains("No deployments available")
}

/// The transport's error in whose place this one stands.
fn transport_error(error: &Error) -> Option<&TransportError> {
    error.get_ref()?.downcast_ref()
}

/// What it means that a gateway answered by itself.
pub(crate) fn in_place_of_the_server(error: &Error) -> String {
    let who = error.origin().and_then(|origin| origin.server.as_deref()).unwrap_or("a gateway");
    format!("{who} answers in the place of the server, which is down, or which it does not reach in time")
}

/// Whether a forward proxy refused, as far as the answer tells: it is no API's error.
fn is_of_a_proxy(error: &Error) -> bool {
    matches!(error.status(), Some(403 | 407 | 502 | 503 | 504)) && causes::is_of_no_api(error)
}

/// A redirect's target as an absolute URL.
fn absolute(base: &str, location: &str) -> String {
    let (scheme, rest) = base.split_once("://").unwrap_or(("http", base));
    let authority = rest.split('/').next().unwrap_or_default();
    match location {
        location if location.contains("://") => location.to_owned(),
        location if location.starts_with("//") => format!("{scheme}:{location}"),
        location => format!("{scheme}://{authority}/{}", location.trim_start_matches('/')),
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_redirect_is_made_absolute() {
        for (location, want) in [
            ("https://h/v1/models", "https://h/v1/models"),
            ("//h/v1/models", "http://h/v1/models"),
            ("/p/v1/models", "http://a:1/p/v1/models"),
        ] {
            assert_eq!(absolute("http://a:1/x", location), want);
        }
    }
}
