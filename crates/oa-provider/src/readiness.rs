//! Waiting until the next completion is expected to work.

use crate::{Provider, Transport, Waiting, http_provider::HttpProvider};
use oa_wire::{Category, Error, ErrorKind, Mapping};
use std::time::Duration;
use tokio::time::{Instant, sleep, timeout};

impl<M: Mapping, T: Transport> HttpProvider<M, T> {
    /// [`ready`](Provider::ready), and then a completion of one token at temperature 0, so that the server
    /// has loaded and compiled whatever its first answer needs.
    ///
    /// # Errors
    ///
    /// Those of the probe and of the completion.
    pub async fn warm_up(&self) -> Result<(), Error> {
        self.ready().await?;
        self.probe_chat().await
    }

    /// Probes until the server is ready, through refused connections, loading models and rate limits; fails
    /// at once on permanent errors.
    ///
    /// # Errors
    ///
    /// The last failure, when the limit has passed.
    pub async fn wait_until_ready(&self, limit: Duration) -> Result<(), Error> {
        self.wait_until_ready_with(limit, |_| ()).await
    }

    /// [`wait_until_ready`](Self::wait_until_ready) that calls `waiting` before each wait.
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
            let probed = timeout(left.max(Duration::from_millis(1)), self.ready()).await;
            let error = match probed.unwrap_or_else(|_| Err(still_waiting(limit))) {
                Ok(()) => return Ok(()),
                Err(error) => error,
            };
            let elapsed = start.elapsed();
            let step = Duration::from_millis(250).saturating_mul(1 << attempts.min(4)) / 2;
            let wait = error.retry_after().map_or(step, |after| after.delay.max(step));
            let is_permanent = !error.is_transient() || error.should_retry() == Some(false);
            if is_permanent || elapsed + wait >= limit {
                return Err(error.with_elapsed(elapsed));
            }
            waiting(&Waiting { attempts, elapsed, next: wait, error });
            sleep(wait).await;
        }
        Err(still_waiting(limit))
    }
}

fn still_waiting(limit: Duration) -> Error {
    let seconds = limit.as_secs_f64();
    let text =
        format!("the server did not answer the readiness probe before the wait of {seconds:.1} s was over");
    Error::new(Category::Unavailable, text).with_kind(ErrorKind::Timeout)
}
