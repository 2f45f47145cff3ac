//! The models that a server lists, and whether one is among them.

use crate::{
    Category, Error,
    error_body::{ErrorContext, ErrorResponse, classify, excerpt, is_error_envelope},
    text::one_line,
};
use http::{HeaderMap, StatusCode};
use serde_json::Value;

/// The models that a server lists.
///
/// ```
/// use oa_wire::{Category, ModelList};
///
/// let body = br#"{"object":"list","data":[{"id":"qwen3-8b"},{"id":"qwen3-14b","status":"loading"}]}"#;
/// let models = ModelList::parse(body)?;
/// assert!(models.check("qwen3-8b").is_ok());
/// assert_eq!(models.check("qwen3-14b").unwrap_err().category(), Category::ModelNotLoaded);
/// assert_eq!(models.check("qwen-8b").unwrap_err().category(), Category::InvalidModel);
/// # Ok::<(), oa_wire::Error>(())
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ModelList {
    entries: Vec<Model>,
}

/// One model of a [`ModelList`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Model {
    /// The name to ask for. One that ends in `*` stands for every name that starts so (LiteLLM).
    pub id: String,
    /// Other names of the model (llama.cpp).
    pub aliases: Vec<String>,
    /// The server's word for its load state: `status` (text, or an object with `value`), or LM Studio's
    /// `state`.
    pub status: Option<String>,
    /// Who made the entry: `vllm`, `sglang`, `llamacpp`, `library` (Ollama), `openai` (also LiteLLM), ...
    pub owned_by: Option<String>,
    /// The tokens of its context: `max_model_len` (vLLM, SGLang), `meta.n_ctx` (llama.cpp),
    /// `max_context_length` (LM Studio), `max_input_tokens` (LiteLLM) or `context_length`.
    pub max_model_len: Option<u64>,
}

/// How many ids an error names, and how much of each.
const NEAREST: usize = 10;
const ID_SHOWN: usize = 120;

impl ModelList {
    /// Reads the body of a successful `GET /v1/models`.
    ///
    /// An entry that is not an object with an `id` is left out; unknown members are ignored, and so is the
    /// second list `models` that some servers add.
    ///
    /// # Errors
    ///
    /// [`InvalidResponse`](Category::InvalidResponse) with the start of the body for what is no list of
    /// models, and for an error in place of one the category that it names.
    pub fn parse(body: &[u8]) -> Result<Self, Error> {
        if is_error_envelope(body) {
            let headers = HeaderMap::new();
            return Err(classify(&ErrorResponse::new(
                ErrorContext::SuccessBody,
                StatusCode::OK,
                &headers,
                body,
                "",
            )));
        }
        let value: Option<Value> = serde_json::from_slice(body).ok();
        let listed = value.as_ref().and_then(list).ok_or_else(|| no_list(body))?;
        let entries: Vec<Model> = listed.iter().filter_map(Model::read).collect();
        if entries.is_empty() && !listed.is_empty() {
            return Err(no_list(body));
        }
        Ok(Self { entries })
    }

    /// The entries, in the server's order.
    pub fn entries(&self) -> &[Model] {
        &self.entries
    }

    /// The ids, in the server's order.
    pub fn ids(&self) -> impl Iterator<Item = &str> {
        self.entries.iter().map(|entry| entry.id.as_str())
    }

    /// The entry that serves this model: by its id, an alias, or a pattern; of several, one that is loaded.
    pub fn find(&self, model: &str) -> Option<&Model> {
        let serving = |fit: Match| self.entries.iter().filter(move |entry| entry.fit(model) == Some(fit));
        [Match::Name, Match::Pattern]
            .into_iter()
            .find_map(|fit| serving(fit).find(|entry| !entry.is_not_loaded()).or_else(|| serving(fit).next()))
    }

    /// Whether a request for this model is expected to work.
    ///
    /// # Errors
    ///
    /// [`InvalidModel`](Category::InvalidModel), naming the nearest ids, if it is not listed: a proxy may
    /// serve it all the same. [`ModelNotLoaded`](Category::ModelNotLoaded) if its entry says that it is
    /// loading or not loaded.
    pub fn check(&self, model: &str) -> Result<(), Error> {
        match self.find(model) {
            None => Err(Error::new(Category::InvalidModel, self.not_listed(model))),
            Some(entry) if entry.is_not_loaded() => {
                let status = shown(entry.status.as_deref().unwrap_or_default());
                let message =
                    format!("the server lists the model `{}` with the status `{status}`", shown(model));
                Err(Error::new(Category::ModelNotLoaded, message))
            }
            Some(_) => Ok(()),
        }
    }

    fn not_listed(&self, model: &str) -> String {
        let nearest: Vec<String> = self.nearest(model).into_iter().map(shown).collect();
        let seen = match (self.entries.len(), nearest.len()) {
            (0, _) => "it lists no model at all".to_owned(),
            (1, _) => format!("it lists one: {}", nearest.join(", ")),
            (count, all) if count == all => format!("it lists {count}: {}", nearest.join(", ")),
            (count, _) => format!("it lists {count}, the nearest are: {}", nearest.join(", ")),
        };
        format!(
            "the server does not list the model `{}`; {seen}. A proxy may serve what it does not list, \
             which the chat probe tells",
            shown(model)
        )
    }

    /// The ids nearest to this name, the nearest first, at most ten: those of which one contains the other,
    /// then by edit distance.
    pub fn nearest(&self, model: &str) -> Vec<&str> {
        let mut ids: Vec<((bool, usize), &str)> = self.ids().map(|id| (distance(model, id), id)).collect();
        ids.sort_by_key(|(distance, _)| *distance);
        ids.into_iter().take(NEAREST).map(|(_, id)| id).collect()
    }
}

#[derive(Clone, Copy, PartialEq, Eq)]
enum Match {
    Name,
    Pattern,
}

impl Model {
    /// True if the status says that the model is loading or not loaded, in any case and with any separator. A
    /// word that is not known is no such thing.
    pub fn is_not_loaded(&self) -> bool {
        let Some(status) = &self.status else {
            return false;
        };
        let status = status.to_lowercase();
        let words: Vec<&str> =
            status.split(|c: char| !c.is_alphanumeric()).filter(|word| !word.is_empty()).collect();
        let squeezed = words.concat();
        words.contains(&"loading")
            || words.contains(&"unloading")
            || words.contains(&"not") && words.contains(&"loaded")
            || squeezed.contains("notloaded")
            || squeezed.contains("unloaded")
    }

    fn fit(&self, model: &str) -> Option<Match> {
        // Ollama serves NAME:latest as NAME.
        let latest = self.id.strip_suffix(":latest") == Some(model);
        if self.id == model || latest || self.aliases.iter().any(|alias| alias == model) {
            return Some(Match::Name);
        }
        let prefix = self.id.strip_suffix('*')?;
        model.starts_with(prefix).then_some(Match::Pattern)
    }

    fn read(value: &Value) -> Option<Self> {
        let text = |value: &Value| value.as_str().map(str::to_owned);
        let id = value.get("id").and_then(Value::as_str).filter(|id| !id.is_empty())?;
        let status =
            value.get("status").and_then(|status| text(status).or_else(|| text(status.get("value")?)));
        let aliases = value.get("aliases").and_then(Value::as_array);
        let lengths = ["max_model_len", "max_context_length", "context_length", "max_input_tokens"];
        let length = lengths.iter().find_map(|name| value.get(*name)?.as_u64());
        Some(Self {
            id: id.to_owned(),
            aliases: aliases.map(|aliases| aliases.iter().filter_map(text).collect()).unwrap_or_default(),
            status: status.or_else(|| text(value.get("state")?)),
            owned_by: value.get("owned_by").and_then(text),
            max_model_len: length.or_else(|| value.get("meta")?.get("n_ctx")?.as_u64()),
        })
    }
}

/// The list itself: `data`, which an Ollama without models sends as null, or a bare array of models.
fn list(value: &Value) -> Option<&[Value]> {
    match (value, value.get("data")) {
        (Value::Object(_), Some(Value::Array(data))) => Some(data),
        (Value::Object(object), Some(Value::Null))
            if object.get("object").is_some_and(|object| object == "list") =>
        {
            Some(&[])
        }
        (Value::Array(data), _) if !data.is_empty() => Some(data),
        _ => None,
    }
}

fn no_list(body: &[u8]) -> Error {
    const START: usize = 200;
    // Enough bytes for the characters that are shown.
    let start = String::from_utf8_lossy(&body[..body.len().min(8 * START)]);
    let start = excerpt(start.trim_start_matches('\u{feff}'), START);
    let start = if start.is_empty() { "an empty body".to_owned() } else { start };
    Error::invalid_response(format!("the answer is not a list of models: {start}"))
        .with_status(StatusCode::OK.as_u16())
        .with_body(body)
}

fn shown(id: &str) -> String {
    one_line(id, ID_SHOWN)
}

/// How far an id is from the name of the model: first those of which one contains the other, then by edits.
fn distance(model: &str, id: &str) -> (bool, usize) {
    const READ: usize = 128;
    let letters = |text: &str| text.to_lowercase().chars().take(READ).collect::<Vec<char>>();
    let (model, id) = (letters(model), letters(id));
    let contains = |long: &[char], short: &[char]| {
        !short.is_empty() && long.windows(short.len()).any(|window| window == short)
    };
    let related = contains(&id, &model) || contains(&model, &id);
    (!related, edits(&model, &id))
}

/// The Levenshtein distance.
fn edits(from: &[char], to: &[char]) -> usize {
    let mut row: Vec<usize> = (0..=to.len()).collect();
    for (i, a) in from.iter().enumerate() {
        let mut diagonal = row[0];
        row[0] = i + 1;
        for (j, b) in to.iter().enumerate() {
            let substituted = diagonal + usize::from(a != b);
            diagonal = row[j + 1];
            row[j + 1] = substituted.min(diagonal + 1).min(row[j] + 1);
        }
    }
    row[to.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    fn list_of(body: &str) -> ModelList {
        ModelList::parse(body.as_bytes()).unwrap()
    }

    #[test]
    fn one_bad_entry_does_not_spoil_the_others() {
        let body = r#"{"object":"list","models":[{"name":"x"}],"data":[
            null, 3, {"id":7}, {"id":""}, {"object":"model"},
            {"id":"a","owned_by":"vllm","max_model_len":512,"status":9,"aliases":"b","unknown":{}},
            {"id":"b","meta":{"n_ctx":4096},"aliases":["c",1,"d"],"status":{"value":"loaded"}},
            {"id":"e","state":"not-loaded","max_context_length":-1}]}"#;
        let entries = vec![
            Model {
                id: "a".into(),
                owned_by: Some("vllm".into()),
                max_model_len: Some(512),
                ..Model::default()
            },
            Model {
                id: "b".into(),
                aliases: vec!["c".into(), "d".into()],
                status: Some("loaded".into()),
                max_model_len: Some(4096),
                ..Model::default()
            },
            Model { id: "e".into(), status: Some("not-loaded".into()), ..Model::default() },
        ];
        assert_eq!(list_of(body).entries(), entries);
    }

    #[test]
    fn what_is_a_list_and_what_is_not() {
        for (body, ids) in [
            (r#"{"data":[]}"#, Some(vec![])),
            (r#"{"object":"list","data":null}"#, Some(vec![])),
            (r#"[{"id":"a"}]"#, Some(vec!["a"])),
            (r#"{"error":null,"data":[{"id":"a"}]}"#, Some(vec!["a"])),
            (r#"{"data":[{"name":"a"}]}"#, None),
            (r#"{"data":{"id":"a"}}"#, None),
            (r#"{"data":null}"#, None),
            (r#"{"models":[{"name":"a"}]}"#, None),
            ("[]", None),
            ("{}", None),
            ("null", None),
            ("", None),
            ("Ollama is running", None),
            (r#"{"data":[{"id":"a"}"#, None),
        ] {
            match (ModelList::parse(body.as_bytes()), ids) {
                (Ok(list), Some(ids)) => assert_eq!(list.ids().collect::<Vec<_>>(), ids, "{body}"),
                (Err(error), None) => {
                    assert_eq!(error.category(), Category::InvalidResponse, "{body}");
                    assert!(
                        error.message().contains(if body.is_empty() { "empty" } else { body }),
                        "{error}"
                    );
                }
                (got, want) => panic!("{body}: {got:?}, not {want:?}"),
            }
        }
    }

    #[test]
    fn an_error_in_place_of_a_list_keeps_its_category() {
        let category = |body: &str| ModelList::parse(body.as_bytes()).unwrap_err().category();
        assert_eq!(category(r#"{"error":{"message":"no","code":401}}"#), Category::Authentication);
        assert_eq!(category(r#"{"error":"Unexpected endpoint or method."}"#), Category::InvalidResponse);
    }

    #[test]
    fn a_model_is_served_by_its_id_an_alias_or_a_pattern() {
        let body = r#"{"data":[{"id":"tiny"},{"id":"gguf/x","aliases":["x"]},{"id":"wild/*"},
            {"id":"llama3:latest"},{"id":"wild/cold","status":"unloaded"},
            {"id":"twice","status":"loading"},{"id":"twice"}]}"#;
        let served = list_of(body);
        for (model, category) in [
            ("tiny", None),
            ("x", None),
            ("gguf/x", None),
            ("wild/anything", None),
            ("wild/", None),
            ("llama3", None),
            ("twice", None),
            ("wild/cold", Some(Category::ModelNotLoaded)),
            ("Tiny", Some(Category::InvalidModel)),
            ("tin", Some(Category::InvalidModel)),
            ("wild", Some(Category::InvalidModel)),
            ("llama", Some(Category::InvalidModel)),
            ("", Some(Category::InvalidModel)),
        ] {
            assert_eq!(served.check(model).err().map(|error| error.category()), category, "{model}");
        }
        assert!(list_of(r#"{"data":[{"id":"*"}]}"#).check("anything").is_ok());
    }

    #[test]
    fn the_status_that_says_not_loaded() {
        for (status, ready) in [
            (r#""loaded""#, true),
            (r#""Loaded""#, true),
            (r#""available""#, true),
            (r#""downloading""#, true),
            (r#""""#, true),
            ("null", true),
            ("{}", true),
            (r#"{"value":"loaded"}"#, true),
            (r#""not_loaded""#, false),
            (r#""Not Loaded""#, false),
            (r#""NOT-LOADED""#, false),
            (r#""NotLoaded""#, false),
            (r#""loading""#, false),
            (r#""LOADING (40%)""#, false),
            (r#""unloaded""#, false),
            (r#""not yet loaded""#, false),
            (r#"{"value":"loading","args":[]}"#, false),
            (r#"{"value":"Not.Loaded"}"#, false),
        ] {
            let served = list_of(&format!(r#"{{"data":[{{"id":"m","status":{status}}}]}}"#));
            let category = served.check("m").err().map(|error| error.category());
            assert_eq!(category, (!ready).then_some(Category::ModelNotLoaded), "{status}");
        }
    }

    #[test]
    fn an_error_names_the_ten_nearest_and_the_count() {
        let mut ids: Vec<String> = (0..30).map(|n| format!("something-else-{n:02}")).collect();
        ids.extend(["meta-llama/Llama-3-8B".into(), "llama-3-70b".into(), "llama-2-8b".into()]);
        let data: Vec<Value> = ids.iter().map(|id| serde_json::json!({ "id": id })).collect();
        let served = list_of(&serde_json::json!({ "data": data }).to_string());
        let error = served.check("llama-3-8b").unwrap_err();
        let message = "the server does not list the model `llama-3-8b`; it lists 33, the nearest are: \
            meta-llama/Llama-3-8B, llama-2-8b, llama-3-70b, something-else-00,";
        assert!(error.message().starts_with(message), "{error}");
        assert!(error.message().contains("something-else-06. A proxy may serve"), "{error}");
        assert!(!error.message().contains("something-else-07"), "{error}");
        let few = list_of(r#"{"data":[{"id":"b\u0007"},{"id":"a"}]}"#).check("x").unwrap_err();
        assert!(
            few.message().contains("it lists 2: a, b.") || few.message().contains("it lists 2: b, a."),
            "{few}"
        );
        let none = list_of(r#"{"data":[]}"#).check("x").unwrap_err();
        assert!(none.message().contains("lists no model at all"), "{none}");
    }

    #[test]
    fn edits_are_counted() {
        for (from, to, count) in
            [("", "", 0), ("", "ab", 2), ("kitten", "sitting", 3), ("ab", "ba", 2), ("a", "a", 0)]
        {
            let letters = |text: &str| text.chars().collect::<Vec<_>>();
            assert_eq!(edits(&letters(from), &letters(to)), count, "{from} {to}");
        }
    }
}
