//! The provider over HTTP: it encodes, sends and decodes.

use crate::{
    HyperTransport, Probe, Provider, Transport, body::next_data, error::timed, http_client::HttpClient,
    source::BodySource,
};
use oa_wire::{
    Category, Completion, CompletionRequest, CompletionStream, Error, Event, Mapping, Message, ModelList,
    Negotiated, Profile, Response, RuntimeConfig, TokenCount,
    mapping::{Decoder, EventDecoder},
};
use std::{
    fmt,
    future::Future,
    pin::{Pin, pin},
    task::{Context, Poll},
};
use tokio::time::Instant;
use tower_service::Service;

/// A provider of one server and model over a wire mapping `M` and a transport `T`. Cloning costs reference
/// counts and a clone of the transport.
#[derive(Clone)]
pub struct HttpProvider<M, T = HyperTransport> {
    client: HttpClient<M, T>,
    profile: Profile,
    probe: Probe,
}

impl<M: Mapping, T: Clone> HttpClient<M, T> {
    /// A provider of this model, with the other settings at their defaults.
    pub fn model(&self, model: impl Into<String>) -> HttpProvider<M, T> {
        self.provider(Profile::new(model).with_genai_system(M::GENAI_SYSTEM))
    }

    /// A provider with this model and these settings.
    pub fn provider(&self, profile: Profile) -> HttpProvider<M, T> {
        HttpProvider::from_parts(self.clone(), profile, Probe::default())
    }
}

impl<M, T> HttpProvider<M, T> {
    pub(crate) fn from_parts(client: HttpClient<M, T>, profile: Profile, probe: Probe) -> Self {
        Self { client, profile, probe }
    }

    /// The client of its server.
    pub fn client(&self) -> &HttpClient<M, T> {
        &self.client
    }

    /// The server's endpoint.
    pub fn endpoint(&self) -> &M {
        self.client.endpoint()
    }

    /// The settings that its calls share.
    pub fn profile(&self) -> &Profile {
        &self.profile
    }

    /// What [`ready`](Provider::ready) asks for.
    pub fn probe(&self) -> Probe {
        self.probe
    }
}

impl<M: Mapping, T: Transport> HttpProvider<M, T> {
    /// The models that the server lists: [`HttpClient::models`].
    ///
    /// # Errors
    ///
    /// Those of [`HttpClient::models`].
    pub async fn models(&self) -> Result<ModelList, Error> {
        self.client.models().await
    }

    /// A completion of one token, within the limit of a probe.
    pub(crate) async fn probe_chat(&self) -> Result<(), Error> {
        let config = RuntimeConfig::new().with_temperature(0.0).with_max_tokens(1);
        let request = CompletionRequest::new(Message::user("Hi")).with_config(config);
        self.client.probe(async { self.complete(&request).await.map(drop) }).await
    }

    async fn probe_list(&self) -> Result<(), Error> {
        self.models().await?.check(self.model())
    }

    /// The list, then a completion: also where there is no list or it lacks the model, since a completion
    /// tells what that means.
    async fn probe_both(&self) -> Result<(), Error> {
        let Err(error) = self.probe_list().await else { return self.probe_chat().await };
        let is_missing = matches!(error.status(), Some(404 | 405 | 501));
        if !is_missing && error.category() != Category::InvalidModel {
            return Err(error);
        }
        let told = match self.probe_chat().await {
            result if is_missing => return result,
            Ok(()) => "it does: a completion works",
            Err(chat) if chat.category() == Category::InvalidModel => "it does not serve this model",
            Err(chat) => return Err(chat),
        };
        let message = format!("{}; asked now, {told}", error.message());
        Err(error.with_message(message))
    }

    async fn complete_whole(&self, request: &CompletionRequest) -> Result<Response, Error> {
        let started = Instant::now();
        let read = |call, negotiated| self.read_whole(call, negotiated);
        self.negotiate(request, read).await.map_err(|error| timed(error, started))
    }

    async fn read_whole(&self, call: M::ChatCall, negotiated: Option<Negotiated>) -> Result<Response, Error> {
        let (mut decoder, body) = self.client.exchange(call).await?;
        let mut body = pin!(body);
        while let Some(bytes) = next_data(body.as_mut()).await {
            let bytes = bytes.map_err(|error| decoder.abort(error))?;
            decoder.push(bytes);
            // Only a stream has events before its end. It may come although none was requested.
            while let Some(event) = decoder.poll_event() {
                if let Event::Done(mut response) = event? {
                    response.negotiated = negotiated;
                    return Ok(*response);
                }
            }
        }
        let mut response = decoder.finish()?;
        response.negotiated = negotiated;
        Ok(response)
    }

    async fn complete_streamed(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
        let started = Instant::now();
        let begin = |call, negotiated| async move {
            let (decoder, body) = self.client.exchange(call).await?;
            BodySource::begin(decoder, body, started, negotiated).await
        };
        self.negotiate(request, begin).await.map_err(|error| timed(error, started))
    }

    /// Sends a call, and once more in another form where the server refuses the form of the first and the
    /// profile allows that. What is learnt so is the first form of the model's later calls.
    async fn negotiate<O, F: Future<Output = Result<O, Error>>>(
        &self,
        request: &CompletionRequest,
        send: impl Fn(M::ChatCall, Option<Negotiated>) -> F,
    ) -> Result<O, Error> {
        if !self.profile.negotiation() {
            return send(self.endpoint().chat_call(&self.profile, request)?, None).await;
        }
        let learnt = self.client.learnt_form(self.model());
        let profile = match learnt {
            Some(form) => self.profile.clone().with_body_form(form),
            None => self.profile.clone(),
        };
        let call = self.endpoint().chat_call(&profile, request)?;
        let error = match send(call, learnt.map(|form| Negotiated::new(form, false))).await {
            Ok(output) => return Ok(output),
            Err(error) => error,
        };
        let Some(form) = self.endpoint().other_form(&profile, request, &error) else { return Err(error) };
        let call = self.endpoint().chat_call(&profile.with_body_form(form), request)?;
        // In a box, so that the calls that are not refused need no room for it.
        let output = Box::pin(send(call, Some(Negotiated::new(form, true)))).await?;
        self.client.learn_form(self.model(), form);
        Ok(output)
    }
}

impl<M: Mapping, T: Transport> Provider for HttpProvider<M, T> {
    /// The tokens of a request's prompt, as the server counts them, within the limit of a probe. None where
    /// it has no path for it.
    ///
    /// vLLM counts at `POST /tokenize`, llama.cpp at `POST /v1/chat/completions/input_tokens`, servers of
    /// Anthropic Messages at `POST /v1/messages/count_tokens`. The paths are tried in this order; the one
    /// that answers is remembered for the server. Nothing is generated and nothing is counted here: a server
    /// without such a path has no count.
    async fn count_tokens(&self, request: &CompletionRequest) -> Result<Option<TokenCount>, Error> {
        self.client.count_tokens(&self.profile, request).await
    }

    fn model(&self) -> &str {
        self.profile.model()
    }

    async fn ready(&self) -> Result<(), Error> {
        match self.probe {
            Probe::Models => self.probe_list().await,
            Probe::Chat => self.probe_chat().await,
            Probe::Both => self.probe_both().await,
        }
    }

    async fn complete(&self, request: &CompletionRequest) -> Result<Response, Error> {
        if request.stream {
            return self.complete_streamed(request).await?.into_response().await;
        }
        self.complete_whole(request).await
    }

    async fn stream(&self, request: &CompletionRequest) -> Result<CompletionStream, Error> {
        if request.stream {
            return self.complete_streamed(request).await;
        }
        self.complete_streamed(&request.clone().with_stream(true)).await
    }
}

impl<M: Mapping, T: Transport> Service<CompletionRequest> for HttpProvider<M, T> {
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
                Completion::Stream(provider.complete_streamed(&request).await?)
            } else {
                Completion::Response(Box::new(provider.complete_whole(&request).await?))
            })
        })
    }
}

impl<M: fmt::Debug, T> fmt::Debug for HttpProvider<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpProvider")
            .field("endpoint", self.client.endpoint())
            .field("profile", &self.profile)
            .field("probe", &self.probe)
            .finish_non_exhaustive()
    }
}
