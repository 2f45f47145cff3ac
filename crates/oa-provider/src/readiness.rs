//! Whether the next completion is expected to work, and waiting until it is.

use crate::{
    OpenAiProvider, Provider, Transport,
    failure::from_transport,
    openai::{proxy_of, received_at},
};
use http_body::Body;
use oa_wire::{
    Category, CompletionRequest, Error, ErrorKind, Message, ModelList, RuntimeConfig, openai::ModelsCall,
};
use std::{
    future::{Future, poll_fn},
    pin::pin,
    time::Duration,
};
use tokio::time::{Instant, sleep, timeout};

/// What [`ready`](Provider::ready) asks a server.
///
/// The list of models cannot tell a cold vLLM from a warm one, and some gateways list models but refuse chat, or serve
/// models that they do not list.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
#[non_exhaustive]
pub enum Probe {
    /// Whether `GET /v1/models` lists the bound model, and as loaded.
    #[default]
    Models,
    /// Whether a completion of one token succeeds. It may cost money.
    Chat,
    /// Both, the list first.
    Both,
}

/// A report of [`wait_until_ready`](OpenAiProvider::wait_until_ready_with): the server is not ready yet.
#[derive(Clone, Debug)]
#[non_exhaustive]
pub struct Waiting {
    /// How many times it was asked.
    pub attempts: u32,
    /// Since when it is waited for.
    pub elapsed: Duration,
    /// How long until it is asked again.
    pub next: Duration,
    /// Why it is not ready.
    pub error: Error,
}

impl<T: Transport> OpenAiProvider<T> {
    /// [`ready`](Provider::ready), and then a completion of one token at temperature 0, so that whatever the server
    /// loads or compiles at its first answer is done.
    ///
    /// # Errors
    ///
    /// Those of the probe and of the completion.
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.ready().await?;
        chat(self).await
    }

    /// Asks until the server is ready, through refused connections, loading models and rate limits; fails at once on
    /// what waiting does not mend.
    ///
    /// # Errors
    ///
    /// The last failure, when the limit has passed.
    pub async fn wait_until_ready(&self, limit: Duration) -> Result<(), Error> {
        self.wait_until_ready_with(limit, |_| ()).await
    }

    /// [`wait_until_ready`](Self::wait_until_ready) that tells what it waits for.
    ///
    /// # Errors
    ///
    /// The last failure, when the limit has passed.
    pub async fn wait_until_ready_with(
        &self,
        limit: Duration,
        mut waiting: impl FnMut(&Waiting) + Send,
    ) -> Result<(), Error> {
        let start = Instant::now();
        for attempts in 1.. {
            let left = limit.saturating_sub(start.elapsed());
            let asked = timeout(left.max(Duration::from_millis(1)), self.ready()).await;
            let error = match asked.unwrap_or_else(|_| Err(still_waiting(limit))) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let elapsed = start.elapsed();
            let step = Duration::from_millis(250).saturating_mul(1 << attempts.min(4)) / 2;
            let wait = error.retry_after().map_or(step, |told| told.delay.max(step));
            if !error.is_transient() || elapsed + wait >= limit {
                return Err(error.with_elapsed(elapsed));
            }
            waiting(&Waiting { attempts, elapsed, next: wait, error });
            sleep(wait).await;
        }
        Err(still_waiting(limit))
    }
}

pub(crate) async fn ready<T: Transport>(provider: &OpenAiProvider<T>) -> Result<(), Error> {
    if provider.probe() != Probe::Chat {
        models(provider).await?.check(provider.model())?;
    }
    if provider.probe() != Probe::Models {
        chat(provider).await?;
    }
    Ok(())
}

pub(crate) async fn models<T: Transport>(provider: &OpenAiProvider<T>) -> Result<ModelList, Error> {
    within(provider.probe_timeout(), async {
        let call = ModelsCall::new(provider.endpoint());
        let (head, body) = provider.send(call.http_request()).await?.into_parts();
        let decoder = call.on_response(head.status, &head.headers, received_at(head.status));
        let mut decoder = decoder.with_proxy(proxy_of(&head.extensions));
        let mut body = pin!(body);
        while !decoder.is_done() {
            match poll_fn(|cx| body.as_mut().poll_frame(cx)).await {
                Some(Ok(frame)) => drop(frame.into_data().map(|bytes| decoder.push(bytes))),
                Some(Err(error)) => return Err(decoder.abort(from_transport(error.into()))),
                None => break,
            }
        }
        decoder.finish()
    })
    .await
}

async fn chat<T: Transport>(provider: &OpenAiProvider<T>) -> Result<(), Error> {
    let config = RuntimeConfig::new().with_temperature(0.0).with_max_tokens(1);
    let request = CompletionRequest::new([Message::user("Hi")]).with_config(config);
    within(provider.probe_timeout(), async { provider.complete(&request).await.map(drop) }).await
}

async fn within<T>(limit: Duration, probe: impl Future<Output = Result<T, Error>>) -> Result<T, Error> {
    timeout(limit, probe).await.unwrap_or_else(|_| Err(too_late(limit)))
}

fn still_waiting(limit: Duration) -> Error {
    let text = format!("the server did not answer the readiness probe before the wait of {limit:?} was over");
    Error::new(Category::Unavailable, text).with_kind(ErrorKind::Timeout)
}

fn too_late(limit: Duration) -> Error {
    let text = format!("the server did not answer the readiness probe within {limit:?} (`probe_timeout`)");
    Error::new(Category::Unavailable, text).with_kind(ErrorKind::Timeout).with_elapsed(limit)
}
