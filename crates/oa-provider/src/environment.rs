//! What the process's environment says of the server, the model and the key, and which variable wins.

use crate::{Builder, OpenAiProvider, builder::without_user_info};
use oa_wire::Error;

/// The settings that variables give.
///
/// | setting | variables, the first that is set wins |
/// |---|---|
/// | base URL | `OA_BASE_URL` (the host root), `OPENAI_BASE_URL` (ends in `/v1` by custom, which is cut off here and only here) |
/// | model | `OA_MODEL` |
/// | key | `OA_API_KEY`; `OPENAI_API_KEY` unless the base URL is `OA_BASE_URL`'s: a key goes only to the server it is meant for |
///
/// With `OPENAI_API_KEY` alone, the base URL is `https://api.openai.com`. A variable that is set but blank is an
/// error that names it: it is nearly always a mistake.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Environment {
    /// The base URL, and the variable that it came from.
    pub base_url: Option<(String, &'static str)>,
    /// The model, and the variable that it came from.
    pub model: Option<(String, &'static str)>,
    /// The key, and the variable that it came from. Never shown.
    pub api_key: Option<(String, &'static str)>,
}

impl Environment {
    /// The process's variables.
    pub fn from_process() -> Self {
        Self::from_lookup(|name| std::env::var(name).ok())
    }

    /// Variables from elsewhere.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first =
            |names: &[&'static str]| names.iter().find_map(|&name| lookup(name).map(|value| (value, name)));
        let base_url = first(&["OA_BASE_URL", "OPENAI_BASE_URL"]);
        let ours = base_url.as_ref().is_some_and(|(_, name)| *name == "OA_BASE_URL");
        let keys: &[&'static str] = if ours { &["OA_API_KEY"] } else { &["OA_API_KEY", "OPENAI_API_KEY"] };
        Self { base_url, model: first(&["OA_MODEL"]), api_key: first(keys) }
    }

    /// The base URL as a provider takes it: that of `OPENAI_BASE_URL` without its `/v1`.
    pub fn root(&self) -> Option<String> {
        match &self.base_url {
            Some((url, "OPENAI_BASE_URL")) => Some(without_v1(url)),
            Some((url, _)) => Some(url.clone()),
            None if self.api_key.as_ref().is_some_and(|(_, name)| *name == "OPENAI_API_KEY") => {
                Some("https://api.openai.com".to_owned())
            }
            None => None,
        }
    }

    /// A provider's builder with these settings.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) when there is no base URL or model, or a variable is set
    /// but blank.
    pub fn builder(&self) -> Result<Builder, Error> {
        for (value, name) in [&self.base_url, &self.model, &self.api_key].into_iter().flatten() {
            if value.trim().is_empty() {
                return Err(Error::invalid_request(format!(
                    "{name} is set but blank: unset it, or give it a value"
                )));
            }
        }
        let base_url = self.root().ok_or_else(|| {
            Error::invalid_request("no server is named: set OA_BASE_URL, such as http://localhost:8000")
        })?;
        let (model, _) = self.model.as_ref().ok_or_else(|| {
            Error::invalid_request("no model is named: set OA_MODEL to an id that the server lists")
        })?;
        let builder = OpenAiProvider::builder(base_url, model.as_str());
        Ok(match &self.api_key {
            Some((key, _)) => builder.api_key(key),
            None => builder,
        })
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("base_url", &self.base_url.as_ref().map(|(url, name)| (without_user_info(url), name)))
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|(_, name)| name))
            .finish()
    }
}

fn without_v1(url: &str) -> String {
    let url = url.trim().trim_end_matches('/');
    match url.rsplit_once('/') {
        Some((root, last)) if last.eq_ignore_ascii_case("v1") => root.to_owned(),
        _ => url.to_owned(),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::Provider;

    fn built(variables: &[(&str, &str)]) -> Result<OpenAiProvider, Error> {
        let lookup = |wanted: &str| {
            variables.iter().find(|(name, _)| *name == wanted).map(|(_, value)| (*value).to_owned())
        };
        Environment::from_lookup(lookup).builder()?.build()
    }

    #[test]
    fn our_variables_win_and_openais_lose_their_v1() {
        let both =
            built(&[("OA_BASE_URL", "http://a:1"), ("OPENAI_BASE_URL", "http://b:2/v1"), ("OA_MODEL", "m")])
                .unwrap();
        assert_eq!((both.endpoint().base_url(), both.model()), ("http://a:1", "m"));
        let theirs = built(&[("OPENAI_BASE_URL", "http://b:2/p/V1/"), ("OA_MODEL", "m")]).unwrap();
        assert_eq!(theirs.endpoint().base_url(), "http://b:2/p");
        let openai = built(&[("OPENAI_API_KEY", "sk-1"), ("OA_MODEL", "m")]).unwrap();
        assert_eq!(openai.endpoint().base_url(), "https://api.openai.com");
    }

    #[test]
    fn a_v1_in_our_own_variable_is_refused() {
        let error = built(&[("OA_BASE_URL", "http://a:1/v1"), ("OA_MODEL", "m")]).unwrap_err();
        assert!(error.message().contains("use `http://a:1`"), "{error}");
    }

    #[test]
    fn openais_key_does_not_go_to_our_server() {
        let names = |variables: &'static [&'static str]| {
            let found = Environment::from_lookup(|name| variables.contains(&name).then(|| "x".to_owned()));
            found.api_key.map(|(_, name)| name)
        };
        assert_eq!(names(&["OA_BASE_URL", "OPENAI_API_KEY"]), None);
        assert_eq!(names(&["OPENAI_BASE_URL", "OPENAI_API_KEY"]), Some("OPENAI_API_KEY"));
        assert_eq!(names(&["OA_BASE_URL", "OPENAI_API_KEY", "OA_API_KEY"]), Some("OA_API_KEY"));
    }

    #[test]
    fn what_is_missing_or_blank_is_named() {
        for (variables, name) in [
            (&[][..], "OA_BASE_URL"),
            (&[("OA_BASE_URL", "http://a")], "OA_MODEL"),
            (&[("OA_BASE_URL", "http://a"), ("OA_MODEL", " ")], "OA_MODEL"),
            (&[("OA_BASE_URL", "http://a"), ("OA_MODEL", "m"), ("OA_API_KEY", "")], "OA_API_KEY"),
        ] {
            let error = built(variables).unwrap_err();
            assert!(error.message().contains(name), "{error}, want {name}");
        }
    }
}
