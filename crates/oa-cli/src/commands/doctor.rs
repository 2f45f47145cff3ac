//! `oa doctor`: what works, what does not, the likely cause, the next command.

// Doc comments of flags are the text of the help.
#![allow(clippy::doc_markdown)]

use crate::{
    failure::{Failure, WRONG_USAGE, exit_code},
    process,
    screen::{Screen, note},
    spinner::Spinner,
    transport::TransportArgs,
    values,
};
use oa_doctor::{Comparison, Doctor, Progress, Report};
use oa_provider::Environment;
use oa_wire::Error;
use serde::Serialize;
use std::{
    io::{self, IsTerminal},
    time::Duration,
};

// No `Debug`: it holds a key.
#[derive(clap::Args)]
pub(crate) struct Args {
    /// Root of the server [env: OA_BASE_URL]; of several, the replicas are compared
    ///
    /// Without a scheme, or with /v1 at its end, it is corrected and reported. Of several servers each is
    /// examined, one after the other, and what differs is told: models, versions, keys, times to first
    /// tokens.
    #[arg(value_name = "URL")]
    urls: Vec<String>,
    /// The same as URL, as the other commands have it
    #[arg(long, value_name = "URL", conflicts_with = "urls")]
    base_url: Option<String>,
    /// Make no completion, for servers whose tokens cost money
    #[arg(long)]
    no_completion: bool,
    /// Print the report as JSON
    #[arg(long)]
    json: bool,
    /// Longest that all steps together may take
    #[arg(long, value_name = "DURATION", value_parser = values::duration, default_value = "60s")]
    timeout: Duration,
    /// Name of the model [env: OA_MODEL] [default: the first that the server lists]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// Key of the server [env: OA_API_KEY]
    ///
    /// Better set the variable: other users of this machine can see the arguments of a command, and the shell
    /// keeps them. The key is never printed.
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Header to send with every request, may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    #[command(flatten)]
    transport: TransportArgs,
}

pub(crate) fn run(args: &Args) -> Result<(), Failure> {
    process::block_on(async {
        let mut reports = Vec::new();
        for url in args.urls() {
            reports.push(watched(&args.doctor(url)?, args.timeout).await);
        }
        Screen::new(false).line(&args.shown(&reports)?)?;
        match reports.iter().find_map(Report::first_failure).and_then(|step| step.category) {
            Some(_) if args.names_no_server() => Err(Failure::Reported(WRONG_USAGE)),
            Some(category) => Err(Failure::Reported(exit_code(category))),
            None => Ok(()),
        }
    })
}

/// The reports of several servers, and how they differ.
#[derive(Serialize)]
struct Compared<'a> {
    reports: &'a [Report],
    comparison: Comparison,
}

impl Args {
    fn names_no_server(&self) -> bool {
        self.urls() == [None] && Environment::from_process().root().is_none()
    }

    /// The servers that are named, or none for that of the environment.
    fn urls(&self) -> Vec<Option<&String>> {
        let named: Vec<Option<&String>> = self.urls.iter().chain(&self.base_url).map(Some).collect();
        if named.is_empty() { vec![None] } else { named }
    }

    /// The reports as they are printed.
    fn shown(&self, reports: &[Report]) -> io::Result<String> {
        let comparison = Comparison::of(reports);
        Ok(match reports {
            [report] if self.json => serde_json::to_string_pretty(report)?,
            [report] => report.to_string(),
            reports if self.json => serde_json::to_string_pretty(&Compared { reports, comparison })?,
            reports => {
                let texts = reports.iter().map(Report::to_string).chain([comparison.to_string()]);
                texts.collect::<Vec<_>>().join("\n\n")
            }
        })
    }

    fn doctor(&self, url: Option<&String>) -> Result<Doctor, Error> {
        let mut doctor = Doctor::new()
            .no_completion(self.no_completion)
            .time_limit(self.timeout)
            .command_line(command_line());
        if let Some(url) = url {
            doctor = doctor.url(url);
        }
        if let Some(model) = &self.model {
            doctor = doctor.model(model);
        }
        if let Some(key) = &self.api_key {
            doctor = doctor.api_key(key);
        }
        for header in &self.headers {
            let (name, value) = values::header(header)?;
            doctor = doctor.header(name, value);
        }
        if let Some(pem) = self.transport.roots()? {
            doctor = doctor.root_pem(pem);
        }
        if let Some(url) = self.transport.proxy()? {
            doctor = doctor.proxy(url);
        }
        if let Some(limit) = self.transport.connect_timeout {
            doctor = doctor.connect_timeout(limit);
        }
        Ok(doctor.flags(self.transport.shown()))
    }
}

/// The words of this command line, without the values of flags that may hold a secret.
fn command_line() -> String {
    let mut words = vec!["oa".to_owned()];
    let mut hides_next = false;
    for word in std::env::args_os().skip(1) {
        let word = word.to_string_lossy();
        let secret = ["--api-key", "--header", "--proxy"].into_iter().find(|flag| word.starts_with(flag));
        words.push(match (hides_next, secret) {
            (true, _) => "***".to_owned(),
            (false, Some(flag)) if word.len() > flag.len() => format!("{flag}=***"),
            (false, _) => word.into_owned(),
        });
        hides_next = !hides_next && secret.is_some_and(|flag| flag.len() == words[words.len() - 1].len());
    }
    words.join(" ")
}

/// Makes the examination, with a spinner on a terminal, and with a line for each step elsewhere.
async fn watched(doctor: &Doctor, limit: Duration) -> Report {
    if io::stderr().is_terminal() {
        let spinner = Spinner::new(Some(limit));
        let examination = doctor.run_with(|progress| {
            if let Progress::Started(name) = progress {
                spinner.set(name);
            }
        });
        return spinner.spin(examination).await;
    }
    doctor
        .run_with(|progress| {
            // The verdicts are final when all steps are made: see the report.
            if let Progress::Started(name) = progress {
                note(&format!("checking {name}"));
            }
        })
        .await
}
