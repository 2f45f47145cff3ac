//! A client of one server over HTTP: it sends the calls of a wire mapping and is not bound to a model.

use crate::{HyperTransport, Transport, body::next_data, error::from_transport_error};
use bytes::Bytes;
use http::StatusCode;
use oa_wire::{
    BodyForm, Category, CompletionRequest, CountRoute, Error, ErrorKind, Mapping, ModelList, Profile,
    TokenCount,
    mapping::{Decoder, Exchange},
};
use std::{
    collections::HashMap,
    fmt,
    future::{Future, poll_fn},
    pin::pin,
    sync::{Arc, Mutex, MutexGuard, PoisonError},
    time::{Duration, SystemTime},
};
use tokio::time::timeout;

/// A client of one server over a wire mapping `M` and a transport `T`, not bound to a model. Cloning costs a
/// reference count and a clone of the transport.
#[derive(Clone)]
pub struct HttpClient<M, T = HyperTransport> {
    shared: Arc<Shared<M>>,
    transport: T,
}

struct Shared<M> {
    endpoint: M,
    probe_timeout: Duration,
    learnt: Mutex<Learnt>,
}

/// What calls have learnt of the server.
#[derive(Default)]
struct Learnt {
    /// The form that each model takes, where a refusal told.
    forms: HashMap<String, BodyForm>,
    /// The path at which it counts tokens.
    count_route: Option<CountRoute>,
}

impl<M, T> HttpClient<M, T> {
    pub(crate) fn from_parts(endpoint: M, probe_timeout: Duration, transport: T) -> Self {
        let shared = Shared { endpoint, probe_timeout, learnt: Mutex::default() };
        Self { shared: Arc::new(shared), transport }
    }

    /// The server's endpoint.
    pub fn endpoint(&self) -> &M {
        &self.shared.endpoint
    }

    /// The transport.
    pub fn transport(&self) -> &T {
        &self.transport
    }

    pub(crate) fn probe_timeout(&self) -> Duration {
        self.shared.probe_timeout
    }

    /// The form that a model was learnt to take.
    pub(crate) fn learnt_form(&self, model: &str) -> Option<BodyForm> {
        self.learnt().forms.get(model).copied()
    }

    pub(crate) fn learn_form(&self, model: &str, form: BodyForm) {
        self.learnt().forms.insert(model.to_owned(), form);
    }

    fn learnt(&self) -> MutexGuard<'_, Learnt> {
        self.shared.learnt.lock().unwrap_or_else(PoisonError::into_inner)
    }
}

impl<M: Mapping, T: Transport> HttpClient<M, T> {
    /// The models that the server lists, within the limit of a probe
    /// ([`probe_timeout`](crate::ClientBuilder::probe_timeout)).
    ///
    /// # Errors
    ///
    /// The error that the server answers with, or [`InvalidResponse`](oa_wire::Category::InvalidResponse) for
    /// an answer that is no list.
    pub async fn models(&self) -> Result<ModelList, Error> {
        self.probe(self.read(self.endpoint().models_call())).await
    }

    /// The tokens of a request's prompt: at the path that counted before, or else at each in its order.
    pub(crate) async fn count_tokens(
        &self,
        profile: &Profile,
        request: &CompletionRequest,
    ) -> Result<Option<TokenCount>, Error> {
        let known = self.learnt().count_route;
        let others = M::COUNT_ROUTES.iter().copied().filter(|route| known != Some(*route));
        for route in known.into_iter().chain(others) {
            let call = self.endpoint().count_call(profile, request, route)?;
            if let Some(count) = self.within_limit("the count of tokens", self.read(call)).await? {
                self.learnt().count_route = Some(route);
                return Ok(Some(count));
            }
        }
        Ok(None)
    }

    /// Sends a call, and reads its response whole.
    async fn read<C: Exchange>(&self, call: C) -> Result<<C::Decoder as Decoder>::Output, Error> {
        let (mut decoder, body) = self.exchange(call).await?;
        let mut body = pin!(body);
        while !decoder.is_done() {
            match next_data(body.as_mut()).await {
                Some(Ok(bytes)) => decoder.push(bytes),
                Some(Err(error)) => return Err(decoder.abort(error)),
                None => break,
            }
        }
        decoder.finish()
    }

    /// Whether the server answers: whether [`models`](Self::models) succeeds.
    ///
    /// # Errors
    ///
    /// Those of [`models`](Self::models).
    pub async fn ready(&self) -> Result<(), Error> {
        self.models().await.map(drop)
    }

    /// Sends a call and awaits the head of its response: the decoder and the body.
    pub(crate) async fn exchange<C: Exchange>(
        &self,
        call: C,
    ) -> Result<(C::Decoder, <T as Transport>::Body), Error> {
        let (head, body) = self.send(call.http_request()).await?.into_parts();
        let decoder = call.on_response(head.status, &head.headers, received_at(head.status));
        let decoder = decoder.with_proxy(proxy_of(&head.extensions)).with_headers(Arc::new(head.headers));
        Ok((decoder, body))
    }

    async fn send(
        &self,
        request: http::Request<Bytes>,
    ) -> Result<http::Response<<T as Transport>::Body>, Error> {
        let mut transport = self.transport.clone();
        poll_fn(|cx| transport.poll_ready(cx)).await.map_err(from_transport_error)?;
        transport.call(request).await.map_err(from_transport_error)
    }

    pub(crate) async fn probe<O>(&self, probe: impl Future<Output = Result<O, Error>>) -> Result<O, Error> {
        self.within_limit("the readiness probe", probe).await
    }

    async fn within_limit<O>(
        &self,
        what: &str,
        call: impl Future<Output = Result<O, Error>>,
    ) -> Result<O, Error> {
        let limit = self.probe_timeout();
        timeout(limit, call).await.unwrap_or_else(|_| {
            let text = format!("the server did not answer {what} within {limit:?} (`probe_timeout`)");
            Err(Error::new(Category::Unavailable, text).with_kind(ErrorKind::Timeout).with_elapsed(limit))
        })
    }
}

/// The proxy that a response came through, where its transport says so.
fn proxy_of(extensions: &http::Extensions) -> Option<String> {
    extensions.get::<oa_transport::Proxy>().map(|proxy| match proxy.variable() {
        Some(variable) => format!("{} ({variable})", proxy.url()),
        None => proxy.url().to_owned(),
    })
}

/// The time of receipt, which only the delay of an error needs.
fn received_at(status: StatusCode) -> Option<SystemTime> {
    (!status.is_success()).then(SystemTime::now)
}

impl<M: fmt::Debug, T> fmt::Debug for HttpClient<M, T> {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("HttpClient").field("endpoint", &self.shared.endpoint).finish_non_exhaustive()
    }
}
