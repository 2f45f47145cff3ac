//! Exchanges with the server, watched closely: when the head came, when each piece.

use bytes::Bytes;
use http::{HeaderMap, Request, StatusCode, Uri, header};
use http_body::Body;
use oa_provider::from_transport_error;
use oa_transport::{HyperTransport, Proxy, TransportError};
use oa_wire::{
    CompletionRequest, Error, Event, Mapping, ModelList, Profile, Response,
    mapping::{Decoder, EventDecoder, Exchange},
    openai::{Endpoint, ModelsCall},
};
use std::{
    future::poll_fn,
    pin::pin,
    time::{Duration, SystemTime},
};
use tokio::time::Instant;
use tower_service::Service;

/// The longest page that is read, lists of models included.
const MAX_PAGE: usize = 16 << 20;

/// Frames that follow each other faster than this came together.
const TOGETHER: Duration = Duration::from_millis(1);

#[derive(Clone)]
pub(crate) struct Client {
    transport: HyperTransport,
    endpoint: Endpoint,
    /// The URI to which paths are appended.
    root: String,
}

/// A page that was read.
pub(crate) struct Page {
    pub(crate) status: StatusCode,
    pub(crate) headers: HeaderMap,
    pub(crate) body: Vec<u8>,
    endpoint: Endpoint,
    proxy: Option<Proxy>,
}

/// An answer to a completion, and how it came.
pub(crate) struct Answer {
    pub(crate) response: Response,
    pub(crate) headers: HeaderMap,
    pub(crate) timing: Timing,
}

/// When what came, since the request was sent.
#[derive(Clone, Copy, Default)]
pub(crate) struct Timing {
    /// The head.
    pub(crate) head: Duration,
    /// The first piece of text, reasoning or a tool call.
    pub(crate) first: Duration,
    /// The last one.
    pub(crate) last: Duration,
    /// How many pieces there were.
    pub(crate) pieces: usize,
    /// In how many bursts the body came.
    pub(crate) bursts: usize,
}

impl Client {
    pub(crate) fn new(transport: HyperTransport, endpoint: Endpoint) -> Self {
        let models = endpoint.models_uri().to_string();
        let root = if let Some(root) = models.strip_suffix("/v1/models") {
            root.to_owned()
        } else {
            // Whole URLs were given: the other pages are at the root of the host.
            let uri = endpoint.models_uri();
            let authority = uri.authority().map(http::uri::Authority::as_str).unwrap_or_default();
            format!("{}://{authority}", uri.scheme_str().unwrap_or("http"))
        };
        Self { transport, endpoint, root }
    }

    /// A page below the base URL.
    pub(crate) async fn get(&self, path: &str) -> Result<Page, TransportError> {
        self.page(path, true).await
    }

    /// The same without the key, for what must not be set going by it.
    pub(crate) async fn get_without_key(&self, path: &str) -> Result<Page, TransportError> {
        self.page(path, false).await
    }

    /// The list of models.
    pub(crate) async fn models(&self) -> Result<ModelList, Error> {
        self.get("/v1/models").await.map_err(from_transport_error)?.models()
    }

    /// A completion, streamed if the request says so.
    pub(crate) async fn complete(
        &self,
        profile: &Profile,
        request: &CompletionRequest,
    ) -> Result<Answer, Error> {
        self.exchange(&self.endpoint, profile, request).await
    }

    /// A completion by this mapping, streamed if the request says so.
    pub(crate) async fn exchange<M: Mapping>(
        &self,
        endpoint: &M,
        profile: &Profile,
        request: &CompletionRequest,
    ) -> Result<Answer, Error> {
        let call = endpoint.chat_call(profile, request)?;
        let sent = Instant::now();
        let response = self.send(call.http_request()).await.map_err(from_transport_error)?;
        let (head, body) = response.into_parts();
        let mut timing = Timing { head: sent.elapsed(), ..Timing::default() };
        let mut decoder = call.on_response(head.status, &head.headers, Some(SystemTime::now()));
        let mut body = pin!(body);
        let mut frame_before: Option<Instant> = None;
        loop {
            let frame = poll_fn(|cx| body.as_mut().poll_frame(cx)).await;
            let now = Instant::now();
            match frame {
                Some(Ok(frame)) => {
                    let Ok(bytes) = frame.into_data() else { continue };
                    if frame_before.is_none_or(|before| now.duration_since(before) >= TOGETHER) {
                        timing.bursts += 1;
                    }
                    frame_before = Some(now);
                    decoder.push(bytes);
                }
                Some(Err(error)) => return Err(decoder.abort(from_transport_error(error))),
                None => {
                    if !request.stream {
                        let response = decoder.finish()?;
                        return Ok(Answer { response, headers: head.headers, timing });
                    }
                    decoder.end();
                }
            }
            while let Some(event) = decoder.poll_event() {
                match event? {
                    Event::Done(response) => {
                        return Ok(Answer { response: *response, headers: head.headers, timing });
                    }
                    Event::Content(_) | Event::Reasoning(_) | Event::ToolCallDelta(_) => {
                        timing.last = now.duration_since(sent);
                        if timing.pieces == 0 {
                            timing.first = timing.last;
                        }
                        timing.pieces += 1;
                    }
                    _ => {}
                }
            }
        }
    }

    async fn page(&self, path: &str, with_key: bool) -> Result<Page, TransportError> {
        let uri = match path {
            "/v1/models" => self.endpoint.models_uri().to_string(),
            path => format!("{}{path}", self.root),
        };
        let mut request = ModelsCall::new(&self.endpoint).http_request();
        // The root is a valid URI and the paths are ours.
        *request.uri_mut() = uri.parse::<Uri>().unwrap_or_else(|_| self.endpoint.models_uri().clone());
        if !with_key {
            request.headers_mut().remove(header::AUTHORIZATION);
        }
        if path != "/v1/models" {
            request.headers_mut().insert(header::ACCEPT, http::HeaderValue::from_static("*/*"));
        }
        let (mut head, body) = self.send(request).await?.into_parts();
        let proxy = head.extensions.remove::<Proxy>();
        let mut body = pin!(body);
        let mut bytes = Vec::new();
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let Ok(data) = frame?.into_data() else { continue };
            bytes.extend_from_slice(&data);
            if bytes.len() > MAX_PAGE {
                break;
            }
        }
        Ok(Page {
            status: head.status,
            headers: head.headers,
            body: bytes,
            endpoint: self.endpoint.clone(),
            proxy,
        })
    }

    async fn send(
        &self,
        request: Request<Bytes>,
    ) -> Result<http::Response<oa_transport::Body>, TransportError> {
        let mut transport = self.transport.clone();
        poll_fn(|cx| transport.poll_ready(cx)).await?;
        transport.call(request).await
    }
}

impl Page {
    /// The page as a list of models, or why it is none.
    pub(crate) fn models(&self) -> Result<ModelList, Error> {
        let call = ModelsCall::new(&self.endpoint);
        let mut decoder = call.on_response(self.status, &self.headers, SystemTime::now());
        decoder.push(self.body.clone().into());
        decoder.finish().map_err(|error| with_proxy(error, self.proxy.as_ref()))
    }

    /// The page as JSON, if it is a success.
    pub(crate) fn json(&self) -> Option<serde_json::Value> {
        self.status.is_success().then(|| serde_json::from_slice(&self.body).ok()).flatten()
    }

    /// Whether the body is JSON, whatever the status.
    pub(crate) fn is_json(&self) -> bool {
        serde_json::from_slice::<serde::de::IgnoredAny>(&self.body).is_ok()
    }

    /// Whether the body is a page for people.
    pub(crate) fn is_html(&self) -> bool {
        self.body.trim_ascii_start().starts_with(b"<")
    }

    /// Whether the body is one that a health page has: empty, JSON or a few words.
    pub(crate) fn is_plain(&self) -> bool {
        const FEW_WORDS: usize = 200;
        !self.is_html() && (self.body.len() <= FEW_WORDS || self.is_json())
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8_lossy(&self.body).into_owned()
    }

    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers.get(name)?.to_str().ok()
    }
}

/// The error of a response that came through this proxy.
fn with_proxy(error: Error, proxy: Option<&Proxy>) -> Error {
    match proxy {
        Some(proxy) => error.with_proxy(match proxy.variable() {
            Some(variable) => format!("{}, from {variable}", proxy.url()),
            None => proxy.url().to_owned(),
        }),
        None => error,
    }
}
