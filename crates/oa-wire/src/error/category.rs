//! The categories of failure, with the names that the OpenArmature llm-provider specification gives them.

use crate::UnknownName;
use std::{fmt, str::FromStr};

/// What kind of failure it is. The names are those of the OpenArmature llm-provider specification.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Hash, PartialOrd, Ord)]
#[non_exhaustive]
pub enum Category {
    /// `provider_authentication`: the key is missing or refused (401, 403).
    Authentication,
    /// `provider_unavailable`: refused, DNS, TLS, timeout, cut off, 5xx, 408, 409, 425. Transient.
    Unavailable,
    /// `provider_invalid_model`: the server does not know the model.
    InvalidModel,
    /// `provider_model_not_loaded`: the model is loading or not loaded. Transient.
    ModelNotLoaded,
    /// `provider_rate_limit`: 429. Transient, unless a quota is spent.
    RateLimit,
    /// `provider_invalid_response`: a success that does not parse.
    InvalidResponse,
    /// `provider_invalid_request`: refused before sending, or 400, 413, 422 and other 4xx.
    InvalidRequest,
    /// `provider_unsupported_content_block`: the model cannot take an image, audio or other medium.
    UnsupportedContentBlock,
    /// `structured_output_invalid`: the text does not satisfy the schema.
    StructuredOutputInvalid,
}

impl Category {
    /// All of them.
    pub const ALL: [Self; 9] = [
        Self::Authentication,
        Self::Unavailable,
        Self::InvalidModel,
        Self::ModelNotLoaded,
        Self::RateLimit,
        Self::InvalidResponse,
        Self::InvalidRequest,
        Self::UnsupportedContentBlock,
        Self::StructuredOutputInvalid,
    ];

    /// The name in the specification.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Authentication => "provider_authentication",
            Self::Unavailable => "provider_unavailable",
            Self::InvalidModel => "provider_invalid_model",
            Self::ModelNotLoaded => "provider_model_not_loaded",
            Self::RateLimit => "provider_rate_limit",
            Self::InvalidResponse => "provider_invalid_response",
            Self::InvalidRequest => "provider_invalid_request",
            Self::UnsupportedContentBlock => "provider_unsupported_content_block",
            Self::StructuredOutputInvalid => "structured_output_invalid",
        }
    }

    /// True when the same request may succeed later.
    pub fn is_transient(self) -> bool {
        matches!(self, Self::Unavailable | Self::ModelNotLoaded | Self::RateLimit)
    }
}

impl fmt::Display for Category {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.as_str())
    }
}

impl FromStr for Category {
    type Err = UnknownName;

    fn from_str(name: &str) -> Result<Self, UnknownName> {
        Self::ALL
            .into_iter()
            .find(|category| category.as_str() == name)
            .ok_or_else(|| UnknownName::new("category", name))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_name_reads_back() {
        for category in Category::ALL {
            assert_eq!(category.as_str().parse(), Ok(category));
        }
        let error = "provider_unavailabl".parse::<Category>().unwrap_err();
        assert_eq!(error.to_string(), "\"provider_unavailabl\" is not the name of a category");
    }
}
