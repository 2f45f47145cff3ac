//! `oa ready`: whether the next completion is expected to work, and waiting until it is.

use crate::{
    explain,
    failure::Failure,
    process,
    screen::{Screen, note},
    server::{ModelArgs, Server, ServerArgs},
    spinner::Spinner,
    values,
};
use clap::ValueEnum;
use oa_provider::{OpenAiProvider, Probe, Provider};
use oa_wire::{Category, Error};
use std::{
    io::{self, IsTerminal},
    time::{Duration, Instant},
};

#[derive(clap::Args)]
pub(crate) struct Args {
    /// What to ask the server
    #[arg(long, value_enum, default_value = "models")]
    probe: ProbeArg,
    /// Wait this long for the server to come up, such as 120s or 5m
    ///
    /// Waits through refused connections, loading models and rate limits, and fails at once on permanent
    /// failures.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    wait: Option<Duration>,
    /// Ask for one token as well, so that the server has loaded all that it needs
    #[arg(long)]
    warm_up: bool,
    #[command(flatten)]
    server: ServerArgs,
    #[command(flatten)]
    model: ModelArgs,
}

#[derive(Clone, Copy, ValueEnum)]
enum ProbeArg {
    /// Whether the list of models has the model, and as loaded
    Models,
    /// Whether a completion of one token succeeds, which may cost money
    Chat,
    /// Both, the list first
    Both,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    process::block_on(async {
        let server = args.server.find("ready", Some(&args.model)).await?;
        let start = Instant::now();
        let provider = match args.wait {
            Some(limit) => {
                if server.named_model().is_none() {
                    wait_for_list(&server, limit).await?;
                }
                let provider = args.provider(&server).await?;
                let waited = wait_for(&provider, limit.saturating_sub(start.elapsed())).await;
                waited.map_err(|error| args.with_other_probe(error))?;
                provider
            }
            None => args.provider(&server).await?,
        };
        let state = match (args.warm_up, args.wait) {
            (true, _) => {
                let warm = provider.warm_up().await;
                warm.map_err(|error| args.named_probe(error, server.probe_timeout))?;
                "ready and warm"
            }
            (false, Some(_)) => "ready",
            (false, None) => {
                let ready = provider.ready().await;
                ready.map_err(|error| args.named_probe(error, server.probe_timeout))?;
                "ready"
            }
        };
        let line = format!("{state}: {} at {}", provider.model(), server.base_url());
        Screen::new(false).line(&line)?;
        Ok(())
    })
}

impl Args {
    /// The failure of the only probe, with its limit by the name of the flag.
    fn named_probe(&self, error: Error, limit: Duration) -> Error {
        self.with_other_probe(explain::of_probe(error, limit))
    }

    /// The error with the probe that can tell more, where the list of models could not.
    fn with_other_probe(&self, error: Error) -> Error {
        let has_no_list = matches!(error.status(), Some(404 | 405 | 501));
        let is_list = error.category() == Category::InvalidModel && error.status().is_none();
        match self.probe {
            ProbeArg::Models if has_no_list || is_list => {
                error.with_hint("--probe chat asks for one token instead of the list of models")
            }
            _ => error,
        }
    }

    async fn provider(&self, server: &Server) -> Result<OpenAiProvider, Error> {
        let probe = match self.probe {
            ProbeArg::Models => Probe::Models,
            ProbeArg::Chat => Probe::Chat,
            ProbeArg::Both => Probe::Both,
        };
        server.builder(&self.model).await?.probe(probe).build()
    }
}

/// Waits for a list of models, whatever is on it: that it lacks the model means that it is there.
async fn wait_for_list(server: &Server, limit: Duration) -> Result<(), Error> {
    match wait_for(&server.of_any_model().build()?, limit).await {
        Err(error) if error.category() == Category::InvalidModel => Ok(()),
        result => result,
    }
}

/// Waits with a spinner on a terminal, and with lines elsewhere.
async fn wait_for(provider: &OpenAiProvider, limit: Duration) -> Result<(), Error> {
    if io::stderr().is_terminal() {
        let spinner = Spinner::new(Some(limit));
        let wait = provider.wait_until_ready_with(limit, |waiting| spinner.set(waiting.error.message()));
        return spinner.spin(wait).await;
    }
    let mut log = Log::default();
    provider
        .wait_until_ready_with(limit, |waiting| {
            if let Some(line) = log.line(waiting.elapsed, &waiting.error.to_string()) {
                note(&line);
            }
        })
        .await
}

/// Which lines are worth a log: the first, each new reason, and a sign of life every ten seconds.
#[derive(Default)]
struct Log {
    last: Option<(Duration, String)>,
}

impl Log {
    fn line(&mut self, elapsed: Duration, reason: &str) -> Option<String> {
        const QUIET: Duration = Duration::from_secs(10);
        if let Some((at, last)) = &self.last {
            if last == reason && elapsed.saturating_sub(*at) < QUIET {
                return None;
            }
        }
        self.last = Some((elapsed, reason.to_owned()));
        Some(format!("waiting, {} s: {reason}", elapsed.as_secs()))
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_log_is_not_flooded() {
        let mut log = Log::default();
        let lines: Vec<Option<String>> =
            [(0, "refused"), (2, "refused"), (3, "loading"), (12, "loading"), (13, "loading")]
                .into_iter()
                .map(|(seconds, reason)| log.line(Duration::from_secs(seconds), reason))
                .collect();
        let line = |text: &str| Some(text.to_owned());
        let want = [
            line("waiting, 0 s: refused"),
            None,
            line("waiting, 3 s: loading"),
            None,
            line("waiting, 13 s: loading"),
        ];
        assert_eq!(lines, want);
    }
}
