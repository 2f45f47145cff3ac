//! A count of tokens as an exchange, whatever the wire mapping: its request, and the decoder of its response.

use crate::{
    Category, CountRoute, Error, TokenCount,
    call_headers::CallHeaders,
    error_body::{ErrorContext, ErrorResponse, classify, is_error_envelope},
    mapping::Decoder,
    response_head::ResponseHead,
    server::{Route, Server},
    text::lossy,
    whole_body::WholeBody,
};
use bytes::Bytes;
use http::{HeaderMap, StatusCode};
use serde::Deserialize;
use std::{sync::Arc, time::SystemTime};

/// What a call for a count is made of, whatever the wire mapping.
#[derive(Clone, Debug)]
pub(crate) struct CountParts {
    pub(crate) server: Server,
    pub(crate) route: CountRoute,
    pub(crate) body: Bytes,
    pub(crate) headers: CallHeaders,
}

impl CountParts {
    pub(crate) fn http_request(&self) -> http::Request<Bytes> {
        let mut request = self.server.count_request(self.route, self.body.clone());
        self.headers.apply(request.headers_mut());
        request
    }

    pub(crate) fn on_response(
        self,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> CountDecoder {
        let origin = Some((self.server, Route::Count(self.route)));
        let head = ResponseHead::new(origin, status, headers, received_at).with_call_headers(self.headers);
        CountDecoder { route: self.route, body: WholeBody::new(head, headers) }
    }
}

/// Reads the response to a count of tokens: [`push`](Self::push) the body in any split, then
/// [`finish`](Self::finish).
#[derive(Debug)]
pub struct CountDecoder {
    route: CountRoute,
    body: WholeBody,
}

impl CountDecoder {
    /// Says through which forward proxy the response came, with the variable that names it
    /// (`http://proxy:3128 (HTTP_PROXY)`), for the error of an answer that is the proxy's own.
    #[must_use]
    pub fn with_proxy(mut self, proxy: Option<String>) -> Self {
        self.body = self.body.with_proxy(proxy);
        self
    }

    /// Adds a piece of the body.
    #[expect(
        clippy::needless_pass_by_value,
        reason = "decoders have the same verbs, and some keep the piece"
    )]
    pub fn push(&mut self, bytes: Bytes) {
        self.body.push(&bytes);
    }

    /// True when nothing more of the body is needed: it is longer than 16 MiB.
    pub fn is_done(&self) -> bool {
        self.body.is_done()
    }

    /// Ends the body, and gives the count; none where the server does not count at this path: 404, 405 or
    /// 501, or what another path of the same name answers (llama.cpp's and SGLang's `/tokenize` take a text).
    ///
    /// # Errors
    ///
    /// The error that the server answered with, of an unknown model too, or
    /// [`InvalidResponse`](crate::Category::InvalidResponse) for a body that is no count or longer than
    /// 16 MiB.
    pub fn finish(self) -> Result<Option<TokenCount>, Error> {
        let route = self.route;
        match self.body.finish("count of tokens", |body| read_count(route, body)) {
            Err(error) if is_absent(route, &error) => Ok(None),
            result => result,
        }
    }

    /// Gives up because of `cause`, which is returned with what is known of the response.
    pub fn abort(&mut self, cause: Error) -> Error {
        self.body.abort(cause)
    }
}

impl Decoder for CountDecoder {
    type Output = Option<TokenCount>;

    fn with_proxy(self, proxy: Option<String>) -> Self {
        self.with_proxy(proxy)
    }

    fn with_headers(mut self, headers: Arc<HeaderMap>) -> Self {
        self.body = self.body.with_headers(headers);
        self
    }

    fn push(&mut self, bytes: Bytes) {
        self.push(bytes);
    }

    fn is_done(&self) -> bool {
        self.is_done()
    }

    fn finish(self) -> Result<Option<TokenCount>, Error> {
        self.finish()
    }

    fn abort(&mut self, cause: Error) -> Error {
        self.abort(cause)
    }
}

fn read_count(route: CountRoute, body: &[u8]) -> Result<Option<TokenCount>, Error> {
    #[derive(Deserialize)]
    struct Body {
        count: Option<u64>,
        input_tokens: Option<u64>,
        max_model_len: Option<u64>,
    }
    if is_error_envelope(body) {
        let none = HeaderMap::new();
        let response = ErrorResponse::new(ErrorContext::SuccessBody, StatusCode::OK, &none, body, "");
        return Err(classify(&response));
    }
    let read: Option<Body> = serde_json::from_slice(body).ok();
    match read {
        Some(Body { count, input_tokens, max_model_len }) if count.or(input_tokens).is_some() => {
            Ok(count.or(input_tokens).map(|tokens| TokenCount { tokens, max_model_len }))
        }
        Some(_) if route == CountRoute::Tokenize => Ok(None),
        _ => {
            const START: usize = 200;
            let start: String = lossy(body).chars().take(START).collect();
            let text = format!("the answer is not a count of tokens: {start}");
            Err(Error::invalid_response(text).with_body(body))
        }
    }
}

/// Whether an error says that the server has no such path, or one that takes something else.
fn is_absent(route: CountRoute, error: &Error) -> bool {
    let message = error.message().to_lowercase();
    match error.status() {
        Some(404 | 405 | 501) => error.category() != Category::InvalidModel,
        // LM Studio answers so with 200.
        Some(200) => message.contains("unexpected endpoint"),
        Some(400 | 422) => {
            let is_missing = ["required", "missing"].iter().any(|word| message.contains(word));
            route == CountRoute::Tokenize && message.contains("prompt") && is_missing
        }
        _ => false,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn decoded(route: CountRoute, status: u16, body: &str) -> Result<Option<TokenCount>, Error> {
        let server = Server::new("http://h", "/v1/chat/completions", []).unwrap();
        let parts = CountParts { server, route, body: Bytes::new(), headers: CallHeaders::default() };
        let status = StatusCode::from_u16(status).unwrap();
        let mut decoder = parts.on_response(status, &HeaderMap::new(), None);
        decoder.push(body.to_owned().into());
        decoder.finish()
    }

    #[test]
    fn counts_as_servers_send_them() {
        use CountRoute::{InputTokens, MessagesCountTokens, Tokenize};
        for (route, body, count) in [
            (
                Tokenize,
                r#"{"count":9,"max_model_len":512,"tokens":[1,441],"token_strs":null}"#,
                Some(TokenCount::new(9).with_max_model_len(512)),
            ),
            (Tokenize, r#"{"count":0,"max_model_len":null}"#, Some(TokenCount::new(0))),
            (Tokenize, r#"{"tokens":[]}"#, None),
            (Tokenize, r#"{"tokens":[1,2]}"#, None),
            (InputTokens, r#"{"input_tokens":9,"object":"response.input_tokens"}"#, Some(TokenCount::new(9))),
            (
                MessagesCountTokens,
                r#"{"input_tokens":9,"context_management":{"original_input_tokens":9}}"#,
                Some(TokenCount::new(9)),
            ),
        ] {
            assert_eq!(decoded(route, 200, body).unwrap(), count, "{body}");
        }
    }

    #[test]
    fn what_is_no_count_is_an_error() {
        for (route, status, body, category) in [
            (CountRoute::InputTokens, 200, r#"{"tokens":[]}"#, Category::InvalidResponse),
            (CountRoute::Tokenize, 200, r#"{"count":-1}"#, Category::InvalidResponse),
            (CountRoute::Tokenize, 200, "[1,2]", Category::InvalidResponse),
            (CountRoute::Tokenize, 200, "", Category::InvalidResponse),
            (CountRoute::Tokenize, 200, r#"{"error":{"message":"no","code":401}}"#, Category::Authentication),
            (CountRoute::Tokenize, 400, r#"{"error":{"message":"bad"}}"#, Category::InvalidRequest),
            (
                CountRoute::InputTokens,
                422,
                r#"{"detail":[{"loc":["body","prompt"],"msg":"Field required"}]}"#,
                Category::InvalidRequest,
            ),
            (
                CountRoute::Tokenize,
                503,
                r#"{"error":{"message":"Loading model","type":"unavailable_error","code":503}}"#,
                Category::ModelNotLoaded,
            ),
        ] {
            let error = decoded(route, status, body).unwrap_err();
            assert_eq!(error.category(), category, "{status} {body}: {error}");
        }
    }
}
