//! The headers of a response, and what servers and routers say in them.

use crate::error_body::reset_delay;
use http::HeaderMap;
use serde_json::Value;
use std::{collections::BTreeMap, fmt, str::FromStr, sync::Arc, time::Duration};

/// The headers of a response. Cloning costs a reference count.
///
/// ```
/// use http::HeaderMap;
/// use oa_wire::ResponseHeaders;
/// use std::time::Duration;
///
/// let mut headers = HeaderMap::new();
/// headers.insert("x-ratelimit-remaining-requests", "59".parse().unwrap());
/// headers.insert("x-ratelimit-reset-requests", "1m30s".parse().unwrap());
/// let limits = ResponseHeaders::from(headers).rate_limits();
/// assert_eq!(limits.requests.remaining, Some(59));
/// assert_eq!(limits.requests.reset, Some(Duration::from_secs(90)));
/// ```
#[derive(Clone, Default, PartialEq)]
pub struct ResponseHeaders(Option<Arc<HeaderMap>>);

impl ResponseHeaders {
    /// The headers themselves; none where there was no HTTP response, or nobody handed them over.
    pub fn as_map(&self) -> Option<&HeaderMap> {
        self.0.as_deref()
    }

    /// The text of a header, in any case of its name.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.0.as_ref()?.get(name)?.to_str().ok()
    }

    /// The limits of the server's (`x-ratelimit-*`), as far as it says them.
    pub fn rate_limits(&self) -> RateLimits {
        let limit = |of: &str| RateLimit {
            limit: self.number(&format!("x-ratelimit-limit-{of}")),
            remaining: self.number(&format!("x-ratelimit-remaining-{of}")),
            reset: self.get(&format!("x-ratelimit-reset-{of}")).and_then(reset_delay),
        };
        RateLimits { requests: limit("requests"), tokens: limit("tokens") }
    }

    /// What the LiteLLM proxy says of the call (`x-litellm-*`).
    pub fn litellm(&self) -> LiteLlmHeaders {
        let text = |name: &str| self.get(name).map(str::to_owned);
        LiteLlmHeaders {
            cost: self.number("x-litellm-response-cost"),
            model_id: text("x-litellm-model-id"),
            model_group: text("x-litellm-model-group"),
            call_id: text("x-litellm-call-id"),
            attempted_retries: self.number("x-litellm-attempted-retries"),
            attempted_fallbacks: self.number("x-litellm-attempted-fallbacks"),
        }
    }

    /// Why a router dropped the request instead of passing it on: `rejected-saturated`, for instance, of
    /// llm-d and the Gateway API inference extension.
    pub fn dropped_reason(&self) -> Option<&str> {
        let names = ["x-llm-d-request-dropped-reason", "x-gateway-request-dropped-reason"];
        names.into_iter().find_map(|name| self.get(name))
    }

    /// The load of the server (`endpoint-load-metrics`), by the names of its metrics, where the request's
    /// header `endpoint-load-metrics-format` asked for it (`TEXT` or `JSON`). vLLM gives
    /// `kv_cache_usage_perc` and `num_requests_waiting`, not on streams.
    pub fn load_metrics(&self) -> BTreeMap<String, f64> {
        let header = self.get("endpoint-load-metrics").unwrap_or_default();
        let (format, report) = header.split_once(' ').unwrap_or_default();
        if format.eq_ignore_ascii_case("json") {
            let report: Value = serde_json::from_str(report).unwrap_or_default();
            let metrics = report.get("named_metrics").and_then(Value::as_object);
            let number = |(name, value): (&String, &Value)| Some((name.clone(), value.as_f64()?));
            return metrics.into_iter().flatten().filter_map(number).collect();
        }
        let pairs = report.split(',').filter_map(|pair| pair.trim().split_once('='));
        pairs
            .filter_map(|(name, value)| {
                let name = name.strip_prefix("named_metrics.").unwrap_or(name);
                Some((name.to_owned(), value.parse().ok().filter(|number: &f64| number.is_finite())?))
            })
            .collect()
    }

    fn number<T: FromStr>(&self, name: &str) -> Option<T> {
        self.get(name)?.trim().parse().ok()
    }
}

impl From<HeaderMap> for ResponseHeaders {
    fn from(headers: HeaderMap) -> Self {
        Self(Some(Arc::new(headers)))
    }
}

impl From<Arc<HeaderMap>> for ResponseHeaders {
    fn from(headers: Arc<HeaderMap>) -> Self {
        Self(Some(headers))
    }
}

impl fmt::Debug for ResponseHeaders {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        // Values may be secrets, such as cookies: only the names are shown.
        let names = self.0.iter().flat_map(|headers| headers.keys());
        f.debug_list().entries(names).finish()
    }
}

/// The limits of a server: [`ResponseHeaders::rate_limits`].
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimits {
    /// The limit on requests.
    pub requests: RateLimit,
    /// The limit on tokens.
    pub tokens: RateLimit,
}

/// One limit of a server.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
#[non_exhaustive]
pub struct RateLimit {
    /// How many there are in all.
    pub limit: Option<u64>,
    /// How many are left.
    pub remaining: Option<u64>,
    /// When all are there again, from the response on.
    pub reset: Option<Duration>,
}

/// What the LiteLLM proxy says of a call: [`ResponseHeaders::litellm`].
#[derive(Clone, Debug, Default, PartialEq)]
#[non_exhaustive]
pub struct LiteLlmHeaders {
    /// What the call cost, in US dollars.
    pub cost: Option<f64>,
    /// The id of the deployment that answered.
    pub model_id: Option<String>,
    /// The name under which it is grouped.
    pub model_group: Option<String>,
    /// The proxy's id of the call.
    pub call_id: Option<String>,
    /// How often the proxy retried.
    pub attempted_retries: Option<u64>,
    /// How many fallbacks it tried.
    pub attempted_fallbacks: Option<u64>,
}

#[cfg(test)]
mod tests {
    use super::*;
    use http::{HeaderName, HeaderValue};

    fn headers(pairs: &[(&'static str, &'static str)]) -> ResponseHeaders {
        let pair = |(name, value): &(&'static str, &'static str)| {
            (HeaderName::from_static(name), HeaderValue::from_static(value))
        };
        pairs.iter().map(pair).collect::<HeaderMap>().into()
    }

    #[test]
    fn each_reader() {
        let all = headers(&[
            ("x-ratelimit-limit-tokens", "1000"),
            ("x-ratelimit-remaining-tokens", "soon"),
            ("x-ratelimit-reset-tokens", "20ms"),
            ("x-litellm-response-cost", "0.5"),
            ("x-litellm-model-id", "id"),
            ("x-litellm-attempted-retries", "2"),
            ("x-gateway-request-dropped-reason", "rejected-saturated"),
            ("set-cookie", "canary"),
        ]);
        let tokens = all.rate_limits().tokens;
        let want = RateLimit { limit: Some(1000), remaining: None, reset: Some(Duration::from_millis(20)) };
        assert_eq!((tokens, all.rate_limits().requests), (want, RateLimit::default()));
        let litellm = all.litellm();
        assert_eq!((litellm.cost, litellm.model_id.as_deref()), (Some(0.5), Some("id")));
        assert_eq!((litellm.attempted_retries, litellm.attempted_fallbacks), (Some(2), None));
        assert_eq!(all.dropped_reason(), Some("rejected-saturated"));
        assert!(!format!("{all:?}").contains("canary"));
        let none = ResponseHeaders::default();
        assert_eq!((none.rate_limits(), none.litellm()), (RateLimits::default(), LiteLlmHeaders::default()));
    }

    #[test]
    fn both_formats_of_the_load() {
        let want = BTreeMap::from([("a".to_owned(), 0.5), ("b".to_owned(), 2.0)]);
        for report in [
            "TEXT named_metrics.a=0.5, named_metrics.b=2.0",
            "JSON {\"named_metrics\": {\"a\": 0.5, \"b\": 2.0, \"c\": null}}",
        ] {
            assert_eq!(headers(&[("endpoint-load-metrics", report)]).load_metrics(), want, "{report}");
        }
        for report in ["", "TEXT", "JSON {", "TEXT a=NaN, b"] {
            assert!(headers(&[("endpoint-load-metrics", report)]).load_metrics().is_empty(), "{report}");
        }
    }
}
