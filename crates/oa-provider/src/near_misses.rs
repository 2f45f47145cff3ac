//! Variables that were probably meant for this library and have other names than those that it reads.

/// Names of variables that are set, look like one of those that [`Environment`](crate::Environment) reads,
/// and are not read: `OPENAI_API_BASE`, `OA_BASE_ULR`, `LLM_MODEL`.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct NearMisses {
    /// Those that seem to name a server.
    pub base_url: Vec<String>,
    /// Those that seem to name a model.
    pub model: Vec<String>,
    /// Those that seem to hold a key.
    pub api_key: Vec<String>,
}

const READ: [&str; 5] = ["OA_BASE_URL", "OPENAI_BASE_URL", "OA_MODEL", "OA_API_KEY", "OPENAI_API_KEY"];

/// What a variable is about, in the names that programs of this kind read.
const SUBJECTS: [&str; 20] = [
    "OA",
    "OPENAI",
    "OPEN",
    "OPENARMATURE",
    "LITELLM",
    "VLLM",
    "SGLANG",
    "OLLAMA",
    "LMSTUDIO",
    "LM",
    "LLAMA",
    "LLAMACPP",
    "LLM",
    "LLMS",
    "CHAT",
    "COMPLETION",
    "INFERENCE",
    "AZURE",
    "MODEL",
    "GATEWAY",
];
const PLACES: [&str; 12] = [
    "URL",
    "URI",
    "BASE",
    "BASEURL",
    "HOST",
    "HOSTNAME",
    "ENDPOINT",
    "ENDPOINTS",
    "SERVER",
    "ADDR",
    "ADDRESS",
    "APIBASE",
];
const MODELS: [&str; 3] = ["MODEL", "MODELS", "MODELNAME"];
const KEYS: [&str; 5] = ["KEY", "APIKEY", "TOKEN", "SECRET", "BEARER"];

impl NearMisses {
    /// Finds them among the names of all variables that are set, in alphabetical order.
    pub fn among<S: AsRef<str>>(names: impl IntoIterator<Item = S>) -> Self {
        let mut found = Self::default();
        for name in names {
            let name = name.as_ref();
            let list = match meant(name) {
                Some(Meant::BaseUrl) => &mut found.base_url,
                Some(Meant::Model) => &mut found.model,
                Some(Meant::ApiKey) => &mut found.api_key,
                None => continue,
            };
            list.push(name.to_owned());
        }
        for list in [&mut found.base_url, &mut found.model, &mut found.api_key] {
            list.sort();
            list.dedup();
        }
        found
    }
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Meant {
    BaseUrl,
    Model,
    ApiKey,
}

fn meant(name: &str) -> Option<Meant> {
    if READ.contains(&name) {
        return None;
    }
    let upper = name.to_ascii_uppercase();
    let misspelt = |read: &str| upper == read || distance(&upper, read) <= 2;
    // The shorter names have too many neighbors to guess at.
    if misspelt("OA_BASE_URL") || misspelt("OPENAI_BASE_URL") {
        return Some(Meant::BaseUrl);
    }
    if upper == "OA_MODEL" || distance(&upper, "OA_MODEL") == 1 {
        return Some(Meant::Model);
    }
    if upper == "OA_API_KEY" || distance(&upper, "OA_API_KEY") == 1 || misspelt("OPENAI_API_KEY") {
        return Some(Meant::ApiKey);
    }
    let words: Vec<&str> = upper.split(['_', '-', '.']).filter(|word| !word.is_empty()).collect();
    if words.iter().any(|word| ["PATH", "DIR", "FILE", "PORT", "TIMEOUT"].contains(word)) {
        return None;
    }
    let subject = |word: &&str| SUBJECTS.contains(word);
    let is_about = |kinds: &[&str]| {
        let last = words.last().is_some_and(|word| kinds.contains(word) || *word == "NAME");
        last && words.iter().any(subject) && words.iter().any(|word| kinds.contains(word)) && words.len() > 1
    };
    let bare = ["BASE_URL", "API_BASE", "API_URL", "API_BASE_URL", "SERVER_URL"].contains(&upper.as_str());
    if bare || is_about(&PLACES) {
        Some(Meant::BaseUrl)
    } else if is_about(&KEYS) {
        Some(Meant::ApiKey)
    } else if upper == "MODEL" || is_about(&MODELS) && words.first() != Some(&"MODEL") {
        Some(Meant::Model)
    } else {
        None
    }
}

/// How many letters must be put in, left out, changed or swapped with their neighbor to make one of the
/// other.
fn distance(one: &str, other: &str) -> usize {
    let (one, other) = (one.as_bytes(), other.as_bytes());
    let mut rows: Vec<Vec<usize>> = vec![(0..=other.len()).collect()];
    for (i, a) in one.iter().enumerate() {
        let mut row = vec![i + 1];
        for (j, b) in other.iter().enumerate() {
            let mut least = (rows[i][j] + usize::from(a != b)).min(rows[i][j + 1] + 1).min(row[j] + 1);
            if i > 0 && j > 0 && one[i - 1] == *b && other[j - 1] == *a {
                least = least.min(rows[i - 1][j - 1] + 1);
            }
            row.push(least);
        }
        rows.push(row);
    }
    rows[one.len()][other.len()]
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn what_looks_like_a_server_a_model_or_a_key_is_found() {
        for (name, want) in [
            ("OPENAI_API_BASE", Some(Meant::BaseUrl)),
            ("OPENAI_BASE", Some(Meant::BaseUrl)),
            ("OPENAI_API_URL", Some(Meant::BaseUrl)),
            ("openai_base_url", Some(Meant::BaseUrl)),
            ("OA_BASE_ULR", Some(Meant::BaseUrl)),
            ("OA_BASEURL", Some(Meant::BaseUrl)),
            ("OA_URL", Some(Meant::BaseUrl)),
            ("OPENAI_HOST", Some(Meant::BaseUrl)),
            ("AZURE_OPENAI_ENDPOINT", Some(Meant::BaseUrl)),
            ("LITELLM_API_BASE", Some(Meant::BaseUrl)),
            ("LITELLM_PROXY_URL", Some(Meant::BaseUrl)),
            ("VLLM_BASE_URL", Some(Meant::BaseUrl)),
            ("OLLAMA_HOST", Some(Meant::BaseUrl)),
            ("LLM_BASE_URL", Some(Meant::BaseUrl)),
            ("BASE_URL", Some(Meant::BaseUrl)),
            ("OA_BASE_URL", None),
            ("HTTP_PROXY", None),
            ("DATABASE_URL", None),
            ("HOST", None),
            ("HOSTNAME", None),
            ("OA_MODEL_NAME", Some(Meant::Model)),
            ("OA_MODLE", Some(Meant::Model)),
            ("OPENAI_MODEL", Some(Meant::Model)),
            ("OPENAI_KEY", Some(Meant::ApiKey)),
            ("OA_APIKEY", Some(Meant::ApiKey)),
            ("LITELLM_MASTER_KEY", Some(Meant::ApiKey)),
            ("VLLM_API_KEY", Some(Meant::ApiKey)),
            ("AWS_SECRET_ACCESS_KEY", None),
            ("PATH", None),
            ("TERM", None),
        ] {
            assert_eq!(meant(name), want, "{name}");
        }
    }

    #[test]
    fn a_swap_of_neighbors_is_one_change() {
        assert_eq!(distance("OA_BASE_ULR", "OA_BASE_URL"), 1);
        assert_eq!(distance("", "abc"), 3);
    }
}
