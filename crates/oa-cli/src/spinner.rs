//! A line on the terminal that turns while something is waited for.

use crate::screen::for_terminal;
use std::{
    future::Future,
    io::{self, Write},
    pin::pin,
    sync::{Mutex, PoisonError},
    time::{Duration, Instant},
};
use tokio::time::{MissedTickBehavior, interval};

/// A line that turns while something is waited for. Dropping it clears the line.
pub(crate) struct Spinner {
    start: Instant,
    limit: Duration,
    reason: Mutex<String>,
}

impl Spinner {
    pub(crate) fn new(limit: Duration) -> Self {
        Self { start: Instant::now(), limit, reason: Mutex::new("asking".to_owned()) }
    }

    /// Says what is waited for.
    pub(crate) fn set(&self, reason: &str) {
        let mut known = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        reason.clone_into(&mut known);
    }

    pub(crate) async fn spin<T>(&self, wait: impl Future<Output = T>) -> T {
        let mut wait = pin!(wait);
        let mut ticks = interval(Duration::from_millis(100));
        ticks.set_missed_tick_behavior(MissedTickBehavior::Skip);
        for frame in ['⠋', '⠙', '⠹', '⠸', '⠼', '⠴', '⠦', '⠧', '⠇', '⠏'].into_iter().cycle()
        {
            tokio::select! {
                biased;
                result = &mut wait => return result,
                _ = ticks.tick() => self.draw(frame),
            }
        }
        wait.await
    }

    fn draw(&self, frame: char) {
        let reason = self.reason.lock().unwrap_or_else(PoisonError::into_inner);
        let line = line(frame, self.start.elapsed(), self.limit, &reason);
        let mut err = io::stderr();
        let _ = write!(err, "\r\x1b[K{line}").and_then(|()| err.flush());
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        let mut err = io::stderr();
        let _ = write!(err, "\r\x1b[K").and_then(|()| err.flush());
    }
}

/// One line of a narrow terminal: one that wraps cannot be drawn over.
fn line(frame: char, elapsed: Duration, limit: Duration, reason: &str) -> String {
    const WIDTH: usize = 78;
    let line = format!(
        "{frame} {} of {:.0} s: {}",
        elapsed.as_secs(),
        limit.as_secs_f64(),
        reason.replace('\n', " ")
    );
    let line = for_terminal(&line);
    match line.char_indices().nth(WIDTH) {
        Some((at, _)) => format!("{}…", &line[..at]),
        None => line.into_owned(),
    }
}

#[cfg(test)]
mod tests {
    use std::time::Duration;

    #[test]
    fn it_stays_on_one_line() {
        let line =
            super::line('⠋', Duration::from_secs(3), Duration::from_secs(120), &"x\n\x1b[2J".repeat(40));
        assert!(line.starts_with("⠋ 3 of 120 s: x ␛[2Jx"), "{line}");
        assert!(line.chars().count() == 79 && !line.contains(char::is_control), "{line}");
    }
}
