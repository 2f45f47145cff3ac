//! The spellings of a session and a priority: a table by the label of the server or router.

use http::HeaderName;

/// Where a value of a request is sent.
#[derive(Clone, Debug, PartialEq, Eq)]
#[non_exhaustive]
pub enum Place {
    /// As a header.
    Header(HeaderName),
    /// As a member of the body's root.
    Body(String),
}

/// Where the session id and the priority of a request are sent. Of a server with a
/// [label](Self::of), or set by hand.
///
/// ```
/// use oa_wire::{Place, Profile, Spellings};
///
/// let profile = Profile::new("my-model").with_spellings(Spellings::of("vllm").unwrap());
/// let by_hand = Spellings::new().with_session(Place::Header(http::HeaderName::from_static("x-user")));
/// assert_ne!(profile.spellings(), &by_hand);
/// ```
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct Spellings {
    /// The session id; `None` sends none.
    pub session: Option<Place>,
    /// A priority that is a number; `None` sends none.
    pub priority_level: Option<Place>,
    /// A priority that is a class; `None` sends none.
    pub priority_class: Option<Place>,
}

impl Spellings {
    /// No spellings: nothing is sent.
    pub fn new() -> Self {
        Self::default()
    }

    /// Those of a server or router with this label: `vllm`, `sglang`, `litellm`, `ray`, `dynamo`, `llm-d`,
    /// `openai`. None for any other.
    pub fn of(label: &str) -> Option<Self> {
        let row = TABLE.iter().find(|row| row.label == label)?;
        let place = |spelling: Option<Spelling>| {
            spelling.map(|spelling| match spelling {
                Spelling::Header(name) => Place::Header(HeaderName::from_static(name)),
                Spelling::Body(name) => Place::Body(name.to_owned()),
            })
        };
        Some(Self {
            session: place(row.session),
            priority_level: place(row.level),
            priority_class: place(row.class),
        })
    }

    /// Sets where the session id is sent.
    #[must_use]
    pub fn with_session(mut self, place: Place) -> Self {
        self.session = Some(place);
        self
    }

    /// Sets where a priority that is a number is sent.
    #[must_use]
    pub fn with_priority_level(mut self, place: Place) -> Self {
        self.priority_level = Some(place);
        self
    }

    /// Sets where a priority that is a class is sent.
    #[must_use]
    pub fn with_priority_class(mut self, place: Place) -> Self {
        self.priority_class = Some(place);
        self
    }
}

#[derive(Clone, Copy)]
enum Spelling {
    /// In lower case, as HTTP libraries have them.
    Header(&'static str),
    Body(&'static str),
}

struct Row {
    label: &'static str,
    session: Option<Spelling>,
    level: Option<Spelling>,
    class: Option<Spelling>,
    /// Where this is from.
    #[cfg_attr(not(test), expect(dead_code, reason = "for readers of the table"))]
    source: &'static str,
}

const TABLE: [Row; 7] = [
    Row {
        label: "vllm",
        session: Some(Spelling::Header("x-session-id")),
        level: Some(Spelling::Body("priority")),
        class: None,
        source: "vLLM 0.32.0: SESSION_ID_HEADER in entrypoints/generate/base/serving.py; `priority` of \
                 ChatCompletionRequest in entrypoints/openai/chat_completion/protocol.py",
    },
    Row {
        label: "sglang",
        session: Some(Spelling::Header("x-smg-routing-key")),
        level: Some(Spelling::Body("priority")),
        class: None,
        source: "SGLang 0.5.23: `priority` of ChatCompletionRequest in entrypoints/openai/protocol.py; the \
                 header of its gateway, of which vLLM's router is a fork",
    },
    Row {
        label: "litellm",
        session: Some(Spelling::Header("x-litellm-session-id")),
        level: None,
        class: None,
        source: "LiteLLM 1.109.1: proxy/hooks/max_iterations_limiter.py",
    },
    Row {
        label: "ray",
        session: Some(Spelling::Header("x-session-id")),
        level: None,
        class: None,
        source: "Ray Serve LLM, documentation of its session-aware routing; the name can be set there",
    },
    Row {
        label: "dynamo",
        session: Some(Spelling::Header("x-dynamo-session-id")),
        level: None,
        class: None,
        source: "NVIDIA Dynamo 1.6, documentation of its router; its priority is below `nvext`, an extra",
    },
    Row {
        label: "llm-d",
        session: None,
        level: None,
        class: Some(Spelling::Header("x-llm-d-inference-objective")),
        source: "llm-d and the Gateway API inference extension, documentation: it scores prefixes itself",
    },
    Row {
        label: "openai",
        session: Some(Spelling::Body("prompt_cache_key")),
        level: None,
        class: Some(Spelling::Body("service_tier")),
        source: "OpenAI's API reference, create chat completion: prompt_cache_key, service_tier",
    },
];

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_row_is_read_and_has_a_source() {
        for row in &TABLE {
            assert!(Spellings::of(row.label).is_some() && !row.source.is_empty(), "{}", row.label);
        }
        assert_eq!(Spellings::of("VLLM"), None);
    }
}
