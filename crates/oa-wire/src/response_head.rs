//! The head of a response, as far as the errors of its body need it.

use crate::{
    Category, Error,
    call_headers::CallHeaders,
    error_body::{
        ErrorContext, ErrorResponse, classify, content_coding, is_page, redact_error, request_id, with_sender,
    },
    server::{Route, Server},
    text::lossy,
};
use http::{HeaderMap, HeaderValue, StatusCode, header::CONTENT_TYPE};
use std::time::SystemTime;

/// The status and id of a response, when it came, and the server it came from.
#[derive(Debug)]
pub(crate) struct ResponseHead {
    /// None for a response that is read from a recording.
    origin: Option<(Server, Route)>,
    status: StatusCode,
    request_id: Option<String>,
    /// The headers of a success that does not call itself JSON or an event stream: they may tell who sent it.
    foreign: Option<Box<HeaderMap>>,
    received_at: Option<SystemTime>,
    /// The forward proxy that the request went through.
    proxy: Option<String>,
    /// The headers of the call, whose secrets are not shown.
    call: CallHeaders,
}

impl ResponseHead {
    pub(crate) fn new(
        origin: Option<(Server, Route)>,
        status: StatusCode,
        headers: &HeaderMap,
        received_at: Option<SystemTime>,
    ) -> Self {
        let foreign = status.is_success() && headers.get(CONTENT_TYPE).is_some_and(is_foreign);
        let foreign = foreign.then(|| Box::new(headers.clone()));
        Self {
            origin,
            status,
            request_id: request_id(headers),
            foreign,
            received_at,
            proxy: None,
            call: CallHeaders::default(),
        }
    }

    pub(crate) fn with_call_headers(mut self, call: CallHeaders) -> Self {
        self.call = call;
        self
    }

    pub(crate) fn with_proxy(mut self, proxy: Option<String>) -> Self {
        self.proxy = proxy;
        self
    }

    /// True for a response whose body is not an answer: its status says so, or it has a content coding that
    /// nobody asked for.
    pub(crate) fn is_error(status: StatusCode, headers: &HeaderMap) -> bool {
        !status.is_success() || content_coding(headers).is_some()
    }

    /// The error that a page in the place of an answer is; none for any other body.
    pub(crate) fn read_page(&self, body: &[u8]) -> Option<Error> {
        let none = HeaderMap::new();
        let headers = self.foreign.as_deref().unwrap_or(&none);
        is_page(&lossy(body)).then(|| self.read_error(ErrorContext::SuccessBody, headers, body))
    }

    pub(crate) fn status(&self) -> StatusCode {
        self.status
    }

    pub(crate) fn request_id(&self) -> Option<&String> {
        self.request_id.as_ref()
    }

    /// The error that a body describes. `headers` are those of the response where they belong to the error.
    pub(crate) fn read_error(&self, context: ErrorContext, headers: &HeaderMap, body: &[u8]) -> Error {
        let url = self.origin.as_ref().map(|(server, route)| server.uri(*route).to_string());
        let mut received =
            ErrorResponse::new(context, self.status, headers, body, url.as_deref().unwrap_or_default());
        received.now = self.received_at;
        received.proxy = self.proxy.as_deref();
        received.key = self.origin.as_ref().and_then(|(server, _)| server.secrets().next());
        let error = self.redact(classify(&received));
        match &self.request_id {
            Some(id) if error.request_id().is_none() => error.with_request_id(Some(id.clone())),
            _ => error,
        }
    }

    /// An error of ours about this response: with its status and id, the start of its body, and no secret.
    pub(crate) fn with_context(&self, error: Error, body: &[u8]) -> Error {
        let error = error.with_status(self.status.as_u16()).with_request_id(self.request_id.clone());
        let error = if body.is_empty() { error } else { error.with_body(body) };
        let error = match &self.foreign {
            Some(headers) if error.category() == Category::InvalidResponse => with_sender(error, headers),
            _ => error,
        };
        self.redact(error)
    }

    fn redact(&self, error: Error) -> Error {
        let error = self.call.secrets().fold(error, |error, secret| redact_error(error, Some(secret)));
        match &self.origin {
            Some((server, _)) => server.redact(error),
            None => error,
        }
    }
}

/// True for a content type that is neither JSON nor an event stream.
fn is_foreign(content_type: &HeaderValue) -> bool {
    let content_type = content_type.as_bytes();
    let has = |word: &[u8]| content_type.windows(word.len()).any(|part| part.eq_ignore_ascii_case(word));
    !has(b"json") && !has(b"event-stream")
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::{
        CompletionRequest, ErrorKind, Message, Profile,
        openai::{ChatCall, Endpoint},
    };
    use bytes::Bytes;
    use http::header::{CONTENT_ENCODING, SERVER};

    fn answer(headers: &HeaderMap, body: &'static [u8]) -> Error {
        let request = CompletionRequest::new([Message::user("Hi")]);
        let endpoint = Endpoint::new("http://h:8000", None).unwrap();
        let call = ChatCall::new(&endpoint, &Profile::new("m"), &request).unwrap();
        let mut decoder = call.on_response(StatusCode::OK, headers, None);
        decoder.push(Bytes::from_static(body));
        decoder.finish().unwrap_err()
    }

    #[test]
    fn a_success_that_is_compressed_is_an_error_that_says_so() {
        let headers = HeaderMap::from_iter([(CONTENT_ENCODING, HeaderValue::from_static("br"))]);
        let error = answer(&headers, b"\x8b\x03\x80secret");
        assert_eq!(
            (error.category(), error.kind()),
            (Category::InvalidResponse, Some(ErrorKind::ContentCoding))
        );
        assert!(error.message().contains("content-encoding: br"), "{error}");
        assert!(!format!("{error:?}{error:#}").contains("secret"));
    }

    #[test]
    fn a_page_in_place_of_an_answer_is_its_title_with_its_sender() {
        const PAGE: &[u8] = b"<!doctype html><html><head><title>Open WebUI</title></head><body>secret";
        for content_type in ["text/html", "text/event-stream", "application/json"] {
            let headers = HeaderMap::from_iter([
                (CONTENT_TYPE, HeaderValue::from_static(content_type)),
                (SERVER, HeaderValue::from_static("nginx")),
            ]);
            let error = answer(&headers, PAGE);
            assert_eq!(error.category(), Category::InvalidResponse, "{content_type}");
            assert!(!error.is_transient());
            let from = if content_type == "text/html" { ", from nginx" } else { "" };
            let want = format!(
                "the answer is a page, `Open WebUI`{from}, not what was asked for; called http://h:8000/"
            );
            assert!(error.message().starts_with(&want), "{error}");
            assert!(!error.message().contains("secret"), "{error}");
        }
    }

    #[test]
    fn a_text_in_place_of_an_answer_says_who_sent_it() {
        let headers = HeaderMap::from_iter([
            (CONTENT_TYPE, HeaderValue::from_static("text/plain")),
            (SERVER, HeaderValue::from_static("proxy/1")),
        ]);
        let error = answer(&headers, b"It works");
        assert!(error.message().ends_with("it starts with `It works` (answered by proxy/1)"), "{error}");
    }

    #[test]
    fn an_answer_that_is_no_apis_names_the_proxy_it_came_through() {
        let proxied = |body: &str| {
            let head = ResponseHead::new(None, StatusCode::FORBIDDEN, &HeaderMap::new(), None);
            let head = head.with_proxy(Some("http://p:3128 (HTTP_PROXY)".to_owned()));
            head.read_error(ErrorContext::Http, &HeaderMap::new(), body.as_bytes()).to_string()
        };
        assert!(proxied("<title>Denied</title>").contains("through the proxy http://p:3128 (HTTP_PROXY)"));
        assert!(!proxied(r#"{"error":{"message":"no"}}"#).contains("HTTP_PROXY"));
    }
}
