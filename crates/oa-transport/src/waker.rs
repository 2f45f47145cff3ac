//! A waker for a connection that is driven by whoever waits for it.
//!
//! The parts of a connection wake each other while it is polled: a chunk that is taken makes room for the
//! next. Passed on, each such wake would cost the caller's task a poll that finds nothing. So wakes from
//! inside of a poll are held back: if it is ready the caller polls again by itself, and if it is pending they
//! are passed on.

use std::{
    sync::{
        Arc, Mutex, PoisonError,
        atomic::{AtomicBool, AtomicUsize, Ordering},
    },
    task::{Context, Poll, Wake, Waker},
};

pub(crate) struct InlineWaker {
    shared: Arc<Shared>,
    /// That of `shared`.
    waker: Waker,
    /// A copy of the one in `shared`, to compare without the lock.
    task: Option<Waker>,
}

#[derive(Default)]
struct Shared {
    task: Mutex<Option<Waker>>,
    /// The thread that polls just now, by its [`token`]; 0 if none does.
    polled_by: AtomicUsize,
    /// A wake from inside of the poll was held back.
    woken: AtomicBool,
}

impl InlineWaker {
    pub(crate) fn new() -> Self {
        let shared = Arc::<Shared>::default();
        let waker = Waker::from(Arc::clone(&shared));
        Self { shared, waker, task: None }
    }

    /// Polls with this waker; wakes from outside reach the task of `cx`.
    #[inline]
    pub(crate) fn poll<T>(
        &mut self,
        cx: &mut Context<'_>,
        poll: impl FnOnce(&mut Context<'_>) -> Poll<T>,
    ) -> Poll<T> {
        if !self.task.as_ref().is_some_and(|task| task.will_wake(cx.waker())) {
            self.set_task(Some(cx.waker().clone()));
        }
        // Only what this thread has written itself can equal its own token: no order is needed.
        self.shared.polled_by.store(token(), Ordering::Relaxed);
        let result = poll(&mut Context::from_waker(&self.waker));
        self.shared.polled_by.store(0, Ordering::Relaxed);
        if self.shared.woken.load(Ordering::Relaxed) {
            self.shared.woken.store(false, Ordering::Relaxed);
            if result.is_pending() {
                cx.waker().wake_by_ref();
            }
        }
        result
    }

    /// Lets go of the task, which may have ended. Nobody is woken until the next poll.
    pub(crate) fn clear(&mut self) {
        self.set_task(None);
    }

    fn set_task(&mut self, task: Option<Waker>) {
        self.task.clone_from(&task);
        let mut shared = self.shared.task.lock().unwrap_or_else(PoisonError::into_inner);
        let old = std::mem::replace(&mut *shared, task);
        drop(shared);
        drop(old);
    }
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.polled_by.load(Ordering::Relaxed) == token() {
            self.woken.store(true, Ordering::Relaxed);
            return;
        }
        let task = self.task.lock().unwrap_or_else(PoisonError::into_inner).clone();
        if let Some(task) = task {
            task.wake();
        }
    }
}

/// A number that no other living thread has, and that is not 0.
#[inline]
fn token() -> usize {
    thread_local! {
        static TOKEN: u8 = const { 0 };
    }
    TOKEN.with(|token| std::ptr::from_ref(token) as usize)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[derive(Default)]
    struct Count(AtomicUsize);

    impl Wake for Count {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    fn counted() -> (Arc<Count>, Waker) {
        let count = Arc::<Count>::default();
        (Arc::clone(&count), Waker::from(count))
    }

    #[test]
    fn a_wake_from_inside_counts_only_where_the_poll_is_pending() {
        let (count, task) = counted();
        let mut cx = Context::from_waker(&task);
        let mut waker = InlineWaker::new();
        let ready = waker.poll(&mut cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::Ready(())
        });
        assert!(ready.is_ready());
        assert_eq!(count.0.load(Ordering::Relaxed), 0);
        let pending = waker.poll(&mut cx, |cx| {
            cx.waker().wake_by_ref();
            Poll::<()>::Pending
        });
        assert!(pending.is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
        assert!(waker.poll(&mut cx, |_| Poll::<()>::Pending).is_pending());
        assert_eq!(count.0.load(Ordering::Relaxed), 1, "it was passed on once");
    }

    #[test]
    fn a_wake_from_another_thread_is_never_held_back() {
        let (count, task) = counted();
        let mut waker = InlineWaker::new();
        let ready = waker.poll(&mut Context::from_waker(&task), |cx| {
            let inner = cx.waker().clone();
            std::thread::spawn(move || inner.wake()).join().unwrap();
            Poll::Ready(())
        });
        assert!(ready.is_ready());
        assert_eq!(count.0.load(Ordering::Relaxed), 1);
    }

    #[test]
    fn a_wake_from_outside_reaches_the_last_task() {
        let ((first, first_task), (second, second_task)) = (counted(), counted());
        let mut waker = InlineWaker::new();
        let mut inner = None;
        for task in [&first_task, &second_task] {
            let polled = waker.poll(&mut Context::from_waker(task), |cx| {
                inner = Some(cx.waker().clone());
                Poll::<()>::Pending
            });
            assert!(polled.is_pending());
        }
        let inner = inner.unwrap();
        inner.wake_by_ref();
        assert_eq!((first.0.load(Ordering::Relaxed), second.0.load(Ordering::Relaxed)), (0, 1));
        waker.clear();
        inner.wake_by_ref();
        assert_eq!(second.0.load(Ordering::Relaxed), 1);
    }
}
