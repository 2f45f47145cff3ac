//! Settings from the process's environment: the server, the model and the key, and which variable wins.

use crate::{NearMisses, OpenAiProvider, OpenAiProviderBuilder, http_client_builder::without_user_info};
use oa_wire::{BaseUrl, Error, Setting};

/// The settings that variables give.
///
/// | setting | variables, the first that is set wins |
/// |---|---|
/// | base URL | `OA_BASE_URL` (the host root), `OPENAI_BASE_URL` (ends in `/v1` by custom, which is cut off here and only here) |
/// | model | `OA_MODEL` |
/// | key | `OA_API_KEY`; `OPENAI_API_KEY` unless the base URL is `OA_BASE_URL`'s: a key goes only to the server it is meant for |
///
/// With `OPENAI_API_KEY` alone, the base URL is `https://api.openai.com`. A variable that is set but blank,
/// or visibly no value ([`Setting::check`]), is an error that names it.
#[derive(Clone, Default)]
#[non_exhaustive]
pub struct Environment {
    /// The base URL, and the variable that it came from.
    pub base_url: Option<(String, &'static str)>,
    /// The model, and the variable that it came from.
    pub model: Option<(String, &'static str)>,
    /// The key, and the variable that it came from. Never shown.
    pub api_key: Option<(String, &'static str)>,
    /// Variables that are set, look like one of those above, and are not read. Empty after
    /// [`from_lookup`](Self::from_lookup), which cannot see them.
    pub near_misses: NearMisses,
}

impl Environment {
    /// The process's variables.
    pub fn from_process() -> Self {
        let text = |text: std::ffi::OsString| text.to_string_lossy().into_owned();
        Self::from_vars(std::env::vars_os().map(|(name, value)| (text(name), text(value))))
    }

    /// These variables, given as names and values.
    pub fn from_vars(vars: impl IntoIterator<Item = (String, String)>) -> Self {
        let vars: std::collections::HashMap<String, String> = vars.into_iter().collect();
        let near_misses = NearMisses::among(vars.keys());
        Self { near_misses, ..Self::from_lookup(|name| vars.get(name).cloned()) }
    }

    /// Variables from elsewhere, each looked up by its name.
    pub fn from_lookup(lookup: impl Fn(&str) -> Option<String>) -> Self {
        let first =
            |names: &[&'static str]| names.iter().find_map(|&name| lookup(name).map(|value| (value, name)));
        let base_url = first(&["OA_BASE_URL", "OPENAI_BASE_URL"]);
        let ours = base_url.as_ref().is_some_and(|(_, name)| *name == "OA_BASE_URL");
        let keys: &[&'static str] = if ours { &["OA_API_KEY"] } else { &["OA_API_KEY", "OPENAI_API_KEY"] };
        let near_misses = NearMisses::default();
        Self { base_url, model: first(&["OA_MODEL"]), api_key: first(keys), near_misses }
    }

    /// Puts this base URL in the place of the environment's. A key of `OPENAI_API_KEY` does not go to it.
    /// `source` is where it came from, such as the name of a flag, for errors.
    #[must_use]
    pub fn with_base_url(mut self, url: impl Into<String>, source: &'static str) -> Self {
        self.base_url = Some((url.into(), source));
        self.api_key = self.api_key.filter(|(_, name)| *name != "OPENAI_API_KEY");
        self
    }

    /// Puts this model in the place of the environment's.
    #[must_use]
    pub fn with_model(mut self, model: impl Into<String>, source: &'static str) -> Self {
        self.model = Some((model.into(), source));
        self
    }

    /// Puts this key in the place of the environment's.
    #[must_use]
    pub fn with_api_key(mut self, key: impl Into<String>, source: &'static str) -> Self {
        self.api_key = Some((key.into(), source));
        self
    }

    /// Checks the values that are there.
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) for the first that cannot be used: which
    /// variable it came from, what is wrong with it, and for a base URL the correction. No key is shown.
    pub fn check(&self) -> Result<(), Error> {
        for (value, name) in [&self.base_url, &self.model, &self.api_key].into_iter().flatten() {
            if value.trim().is_empty() {
                let what = if name.starts_with('-') {
                    "is blank: leave it out"
                } else {
                    "is set but blank: unset it"
                };
                return Err(Error::invalid_request(format!("{name} {what}, or give it a value")));
            }
        }
        for (setting, value) in [(Setting::Model, &self.model), (Setting::ApiKey, &self.api_key)] {
            if let Some((value, name)) = value {
                let refused = |flaw| Error::invalid_request(format!("{name}: the value {flaw}"));
                setting.check(value).map_err(refused)?;
            }
        }
        if let (Some(root), Some((_, name))) = (self.root(), &self.base_url) {
            BaseUrl::parse(&root).map_err(|error| {
                let message = format!("{name}: {}", error.message());
                error.with_message(message)
            })?;
        }
        Ok(())
    }

    /// What to set where no server is named, and what was set in vain.
    pub fn no_server(&self) -> String {
        let text = "no server is named: neither OA_BASE_URL nor OPENAI_BASE_URL is set";
        match &self.near_misses.base_url[..] {
            [] => text.to_owned(),
            [one] => format!("{text}; {one} is set, and is not read"),
            several => format!("{text}; {} are set, and are not read", several.join(", ")),
        }
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
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest) when there is no base URL or model, and as for
    /// [`check`](Self::check).
    pub fn builder(&self) -> Result<OpenAiProviderBuilder, Error> {
        self.check()?;
        let base_url = self.root().ok_or_else(|| {
            Error::invalid_request(format!("{}; such as OA_BASE_URL=http://localhost:8000", self.no_server()))
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

impl OpenAiProvider {
    /// A provider with the settings of the process's environment: see [`Environment`].
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest), naming the variable that is missing or cannot
    /// be used.
    pub fn from_env() -> Result<Self, Error> {
        Environment::from_process().builder()?.build()
    }
}

impl std::fmt::Debug for Environment {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Environment")
            .field("base_url", &self.base_url.as_ref().map(|(url, name)| (without_user_info(url), name)))
            .field("model", &self.model)
            .field("api_key", &self.api_key.as_ref().map(|(_, name)| name))
            .field("near_misses", &self.near_misses)
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

    #[test]
    fn what_is_visibly_no_value_is_named_with_its_variable() {
        for (name, value, want) in [
            (
                "OA_BASE_URL",
                "\"http://h:1\"",
                "OA_BASE_URL: the base URL `\"http://h:1\"` has quotes around it",
            ),
            ("OA_BASE_URL", "http://h/v1", "OA_BASE_URL: the base URL `http://h/v1` ends in `/v1`"),
            ("OPENAI_BASE_URL", "${URL}", "OPENAI_BASE_URL: the base URL `${URL}` is a variable"),
            ("OA_API_KEY", "Bearer canary", "OA_API_KEY: the value starts with `Bearer `"),
            ("OA_MODEL", "None", "OA_MODEL: the value is `None`"),
        ] {
            let variable = (name.to_owned(), value.to_owned());
            let error = Environment::from_vars([variable]).check().unwrap_err();
            assert!(error.message().starts_with(want) && !error.message().contains("canary"), "{error}");
        }
    }

    #[test]
    fn a_variable_of_another_name_is_named() {
        let found = Environment::from_vars([("OPENAI_API_BASE".to_owned(), "http://h/v1".to_owned())]);
        let error = found.builder().unwrap_err();
        assert!(error.message().contains("OPENAI_API_BASE is set, and is not read"), "{error}");
    }

    #[test]
    fn openais_key_does_not_go_to_a_server_that_a_flag_names() {
        let found = Environment::from_lookup(|name| (name == "OPENAI_API_KEY").then(|| "x".to_owned()));
        assert_eq!(found.with_base_url("http://h", "--base-url").api_key, None);
    }
}
