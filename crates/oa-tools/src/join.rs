//! Several futures at once, a bounded number at a time, and a future whose panic is a value.

use std::{
    any::Any,
    future::{Future, poll_fn},
    panic::{AssertUnwindSafe, catch_unwind},
    pin::{Pin, pin},
    task::Poll,
};

type Boxed<'a, T> = Pin<Box<dyn Future<Output = T> + Send + 'a>>;

/// Runs futures, at most `limit` at a time, and returns their outputs in the order of the futures.
pub(crate) async fn join_in_order<'a, T: Send>(
    futures: impl IntoIterator<Item = Boxed<'a, T>>,
    limit: usize,
) -> Vec<T> {
    let mut waiting: Vec<Option<Boxed<'a, T>>> = futures.into_iter().map(Some).collect();
    let mut outputs: Vec<Option<T>> = waiting.iter().map(|_| None).collect();
    let mut running: Vec<usize> = Vec::new();
    let mut next = 0;
    poll_fn(|cx| {
        loop {
            running.retain(|&at| {
                let Some(future) = &mut waiting[at] else { return false };
                match future.as_mut().poll(cx) {
                    Poll::Ready(output) => {
                        outputs[at] = Some(output);
                        waiting[at] = None;
                        false
                    }
                    Poll::Pending => true,
                }
            });
            let free = limit.max(1).saturating_sub(running.len()).min(waiting.len() - next);
            running.extend(next..next + free);
            next += free;
            // Those that were added are to be polled too.
            if free == 0 {
                return if running.is_empty() { Poll::Ready(()) } else { Poll::Pending };
            }
        }
    })
    .await;
    outputs.into_iter().flatten().collect()
}

/// Runs a future to its output, or to its panic.
pub(crate) async fn caught<T>(future: impl Future<Output = T> + Send) -> Result<T, Box<dyn Any + Send>> {
    let mut future = pin!(future);
    poll_fn(|cx| match catch_unwind(AssertUnwindSafe(|| future.as_mut().poll(cx))) {
        Ok(Poll::Pending) => Poll::Pending,
        Ok(Poll::Ready(output)) => Poll::Ready(Ok(output)),
        Err(panic) => Poll::Ready(Err(panic)),
    })
    .await
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::{
        sync::atomic::{AtomicUsize, Ordering},
        time::Duration,
    };
    use tokio::time::{Instant, sleep};

    #[tokio::test(start_paused = true)]
    async fn outputs_come_in_order_and_no_more_run_than_allowed() {
        let (running, most) = (AtomicUsize::new(0), AtomicUsize::new(0));
        let (running, most) = (&running, &most);
        let futures = [3_u64, 1, 2, 5, 4].map(|seconds| -> Boxed<'_, u64> {
            Box::pin(async move {
                most.fetch_max(running.fetch_add(1, Ordering::Relaxed) + 1, Ordering::Relaxed);
                sleep(Duration::from_secs(seconds)).await;
                running.fetch_sub(1, Ordering::Relaxed);
                seconds
            })
        });
        let started = Instant::now();
        assert_eq!(join_in_order(futures, 2).await, [3, 1, 2, 5, 4]);
        assert_eq!(most.load(Ordering::Relaxed), 2);
        // 3 beside 1 and 2, then 5 beside 4.
        assert_eq!(started.elapsed(), Duration::from_secs(8));
        assert!(join_in_order(Vec::<Boxed<'_, u64>>::new(), 0).await.is_empty());
    }

    #[tokio::test]
    async fn a_panic_is_a_value() {
        let panicking = async {
            tokio::task::yield_now().await;
            assert!(running_dry(), "dry");
        };
        assert!(caught(panicking).await.is_err());
        assert_eq!(caught(async { 1 }).await.ok(), Some(1));
    }

    fn running_dry() -> bool {
        false
    }
}
