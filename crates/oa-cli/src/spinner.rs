//! A line on the terminal that turns while something is awaited.

use crate::screen::{self, for_terminal};
use indicatif::{ProgressBar, ProgressStyle};
use std::{
    future::Future,
    io::{self, IsTerminal},
    time::Duration,
};

/// The line. Shown only where standard error is a terminal; cleared when it is dropped.
pub(crate) struct Spinner(ProgressBar);

impl Spinner {
    /// A line that counts up to a limit, where there is one.
    pub(crate) fn new(limit: Option<Duration>) -> Self {
        if !io::stderr().is_terminal() {
            return Self(ProgressBar::hidden());
        }
        let bar = ProgressBar::new_spinner();
        if let Ok(style) = ProgressStyle::with_template("{spinner} {elapsed}{prefix}: {wide_msg}") {
            bar.set_style(style);
        }
        if let Some(limit) = limit {
            bar.set_prefix(format!(" of {}", humantime::format_duration(limit)));
        }
        bar.enable_steady_tick(Duration::from_millis(100));
        Self(bar)
    }

    /// Shows what is awaited.
    pub(crate) fn set(&self, what: &str) {
        self.0.set_message(line(what));
    }

    /// Prints a message above the line.
    pub(crate) fn note(&self, text: &str) {
        self.0.suspend(|| screen::note(text));
    }

    /// Awaits it, and clears the line.
    pub(crate) async fn spin<T>(&self, wait: impl Future<Output = T>) -> T {
        let result = wait.await;
        self.0.finish_and_clear();
        result
    }
}

impl Drop for Spinner {
    fn drop(&mut self) {
        self.0.finish_and_clear();
    }
}

/// A text of others on one line, which cannot steer the terminal.
fn line(text: &str) -> String {
    for_terminal(&text.replace(['\n', '\t'], " ")).into_owned()
}

#[cfg(test)]
mod tests {
    #[test]
    fn it_stays_on_one_line() {
        assert_eq!(super::line("x\n\x1b[2J\ty"), "x \u{241b}[2J y");
    }
}
