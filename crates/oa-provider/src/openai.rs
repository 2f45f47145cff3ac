//! The provider over HTTP: encode, send, decode.

use crate::{
    Builder, Environment, HyperTransport, Probe, Provider, Transport,
    failure::{from_transport, timed},
    readiness,
    source::BodySource,
};
use bytes::Bytes;
use http::StatusCode;
use http_body::Body;
use oa_wire::{
    Completion, CompletionRequest, CompletionStream, Error, Event, ModelList, Profile, Response,
    openai::{ChatCall, Endpoint, ResponseDecoder},
};
use std::{
    fmt,
    future::{Future, poll_fn},
    pin::{Pin, pin},
    sync::Arc,
    task::{Context, Poll},
    time::{Duration, SystemTime},
};
use tokio::time::Instant;
use tower_service::Service;

/// A provider over any OpenAI-compatible server. Cloning costs a reference count and a clone of the transport.
pub struct OpenAiProvider<T = HyperTransport> {
    shared: Arc<Shared>,
    transport: T,
}

struct Shared {
    endpoint: Endpoint,
    profile: Profile,
    probe: Probe,
    probe_timeout: Duration,
}

impl OpenAiProvider {
    /// Starts a provider for the server with this host root and this model.
    ///
    /// The base URL is `http://host:port`, or that with a proxy's prefix; never with `/v1` at its end, which is
    /// appended.
    pub fn builder(base_url: impl Into<String>, model: impl Into<String>) -> Builder {
        Builder::new(base_url.into(), model.into())
    }

    /// A provider as the process's environment has it: see [`Environment`].
    ///
    /// # Errors
    ///
    /// [`InvalidRequest`](oa_wire::Category::InvalidRequest), naming the variable that is missing or cannot be used.
    pub fn from_env() -> Result<Self, Error> {
        Environment::from_process().builder()?.build()
    }
}

impl<T> OpenAiProvider<T> {
    pub(crate) fn assemble(
        endpoint: Endpoint,
        profile: Profile,
        probe: Probe,
        probe_timeout: Duration,
        transport: T,
    ) -> Self {
        Self { shared: Arc::new(Shared { endpoint, profile, probe, probe_timeout }), transport }
    }

    /// Where it sends to.
    pub fn endpoint(&self) -> &Endpoint {
        &self.shared.endpoint
    }

    /// What its calls have in common.
    pub fn profile(&self) -> &Profile {
        &self.shared.profile
    }

    /// What [`ready`](Provider::ready) asks.
    pub fn probe(&self) -> Probe {
        self.shared.probe
    }

    pub(crate) fn probe_timeout(&self) -> Duration {
        self.shared.probe_timeout
    }
}

impl<T: Transport> OpenAiProvider<T> {
    /// The models that the server lists.
    ///
    /// # Errors
    ///
    /// What the server says, or [`InvalidResponse`](oa_wire::Category::InvalidResponse) for what is no list.
    pub async fn models(&self) -> Result<ModelList, Error> {
        readiness::models(self).await
    }

    /// Sends a request and awaits the response's head.
    pub(crate) async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<<T as Transport>::Body>, Error> {
        let mut transport = self.transport.clone();
        poll_fn(|cx| transport.poll_ready(cx)).await.map_err(|error| from_transport(error.into()))?;
        transport.call(request).await.map_err(|error| from_transport(error.into()))
    }

    async fn exchange(&self, call: ChatCall) -> Result<(ResponseDecoder, <T as Transport>::Body), Error> {
        let response = self.send(call.http_request()).await?;
        let (head, body) = response.into_parts();
        let decoder = call.on_response(head.status, &head.headers, received_at(head.status));
        Ok((decoder.with_proxy(proxy_of(&head.extensions)), body))
    }

    async fn whole(&self, request: &CompletionRequest) -> Result<Response, Error> {
        let call = ChatCall::new(&self.shared.endpoint, &self.shared.profile, request)?;
        let started = Instant::now();
        self.read(call).await.map_err(|error| timed(error, started))
    }

    async fn read(&self, call: ChatCall) -> Result<Response, Error> {
        let (mut decoder, body) = self.exchange(call).await?;
        let mut body = pin!(body);
        while let Some(frame) = poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
            let frame = frame.map_err(|error| decoder.abort(from_transport(error.into())))?;
            let Ok(bytes) = frame.into_data() else { continue };
            decoder.push(bytes);
            // Only an answer that is a stream, though none was asked for, has events before the end.
            while let Some(event) = decoder.poll_event() {
                if let Event::Done(response) = event? {
                    return Ok(*response);
                }
            }
        }
        decoder.finish()
    }

    async fn streamed(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
        let call = ChatCall::new(&self.shared.endpoint, &self.shared.profile, request)?;
        let started = Instant::now();
        let begun = async {
            let (decoder, body) = self.exchange(call).await?;
            BodySource::begin(decoder, body, started).await
        };
        begun.await.map_err(|error| timed(error, started))
    }
}

/// The proxy that a response came through, where its transport says so.
pub(crate) fn proxy_of(extensions: &http::Extensions) -> Option<String> {
    extensions.get::<oa_transport::Proxy>().map(|proxy| match proxy.variable() {
        Some(variable) => format!("{} ({variable})", proxy.url()),
        None => proxy.url().to_owned(),
    })
}

/// The time of receipt, which only the delay of an error needs.
pub(crate) fn received_at(status: StatusCode) -> Option<SystemTime> {
    (!status.is_success()).then(SystemTime::now)
}

impl<T: Transport> Provider for OpenAiProvider<T> {
    fn model(&self) -> &str {
        self.shared.profile.model()
    }

    async fn ready(&self) -> Result<(), Error> {
        readiness::ready(self).await
    }

    async fn complete(&self, request: &CompletionRequest) -> Result<Response, Error> {
        if request.stream {
            return self.streamed(request).await?.into_response().await;
        }
        self.whole(request).await
    }

    async fn stream(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
        if request.stream {
            return self.streamed(request).await;
        }
        self.streamed(&request.clone().with_stream(true)).await
    }
}

impl<T: Transport> Service<CompletionRequest> for OpenAiProvider<T> {
    type Response = Completion;
    type Error = Error;
    type Future = Pin<Box<dyn Future<Output = Result<Completion, Error>> + Send>>;

    /// Always ready: a provider adds no queue. The transport's own readiness is awaited in the call.
    fn poll_ready(&mut self, _: &mut Context<'_>) -> Poll<Result<(), Error>> {
        Poll::Ready(Ok(()))
    }

    fn call(&mut self, request: CompletionRequest) -> Self::Future {
        let provider = self.clone();
        Box::pin(async move {
            Ok(if request.stream {
                Completion::Stream(provider.streamed(&request).await?)
            } else {
                Completion::Response(Box::new(provider.whole(&request).await?))
            })
        })
    }
}

impl<T: Clone> Clone for OpenAiProvider<T> {
    fn clone(&self) -> Self {
        Self { shared: Arc::clone(&self.shared), transport: self.transport.clone() }
    }
}

impl<T> fmt::Debug for OpenAiProvider<T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("OpenAiProvider")
            .field("endpoint", &self.shared.endpoint)
            .field("profile", &self.shared.profile)
            .field("probe", &self.shared.probe)
            .finish_non_exhaustive()
    }
}
