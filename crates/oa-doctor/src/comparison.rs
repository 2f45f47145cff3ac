//! The reports of replicas side by side: what differs between servers that should be alike.

use crate::{
    report::{Report, Status},
    text,
};
use oa_wire::Category;
use serde::Serialize;
use std::{fmt, time::Duration};

/// How replicas differ. `Display` is the text for people, a line for each replica and one for each
/// difference; serialized it is a record for programs.
///
/// ```no_run
/// # async fn example() {
/// use oa_doctor::{Comparison, Doctor};
///
/// let mut reports = Vec::new();
/// for url in ["http://gpu1:8000", "http://gpu2:8000"] {
///     reports.push(Doctor::new().url(url).run().await);
/// }
/// println!("{}", Comparison::of(&reports));
/// # }
/// ```
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Comparison {
    /// The replicas, in the order of their reports.
    pub replicas: Vec<Replica>,
    /// What differs, in words; empty where nothing does.
    pub differences: Vec<String>,
}

/// What is compared of one replica.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Replica {
    /// Its base URL.
    pub url: String,
    /// The worst status of its steps.
    pub status: Status,
    /// What it declares itself to be.
    pub server: Option<String>,
    /// The ids that it lists; none where it has no list.
    pub models: Option<Vec<String>>,
    /// Whether it takes the key, or wants none; none where that is not known.
    pub takes_key: Option<bool>,
    /// How long a short stream took to its first token; in seconds where it is serialized.
    #[serde(rename = "first_token_seconds", serialize_with = "crate::report::optional_seconds")]
    pub first_token: Option<Duration>,
}

impl Comparison {
    /// Compares these reports.
    pub fn of(reports: &[Report]) -> Self {
        let replicas: Vec<Replica> = reports.iter().map(Replica::of).collect();
        let differences = [
            broken(reports, &replicas),
            servers(&replicas),
            models(&replicas),
            keys(&replicas),
            first_tokens(&replicas),
        ];
        Self { differences: differences.into_iter().flatten().collect(), replicas }
    }
}

impl Replica {
    fn of(report: &Report) -> Self {
        let refused = report.steps.iter().any(|step| step.category == Some(Category::Authentication));
        let answers = ["models", "completion"].into_iter().any(|name| {
            report.step(name).is_some_and(|step| matches!(step.status, Status::Ok | Status::Warning))
        });
        Self {
            url: report.url.clone().unwrap_or_else(|| "no server".to_owned()),
            status: report.status(),
            server: report.server.clone(),
            models: report.models.clone(),
            takes_key: if refused { Some(false) } else { answers.then_some(true) },
            first_token: report.first_token,
        }
    }
}

/// Where some work and some do not: why not.
fn broken(reports: &[Report], replicas: &[Replica]) -> Vec<String> {
    let failures = reports.iter().zip(replicas).filter_map(|(report, replica)| {
        let step = report.first_failure()?;
        let why = text::one_line(&step.observed, 160);
        Some(format!("{} fails at `{}`: {why}", replica.url, step.name))
    });
    let failures: Vec<String> = failures.collect();
    if failures.len() == reports.len() { Vec::new() } else { failures }
}

fn servers(replicas: &[Replica]) -> Vec<String> {
    let known: Vec<(&str, &str)> = replicas
        .iter()
        .filter_map(|replica| Some((replica.url.as_str(), replica.server.as_deref()?)))
        .collect();
    if known.windows(2).all(|pair| pair[0].1 == pair[1].1) {
        return Vec::new();
    }
    let shown = known.iter().map(|(url, server)| format!("{url} is {server}")).collect::<Vec<_>>();
    vec![format!("they are of different servers or versions: {}", shown.join(", "))]
}

/// What one lists and another does not.
fn models(replicas: &[Replica]) -> Vec<String> {
    let mut all: Vec<&String> =
        replicas.iter().filter_map(|replica| replica.models.as_ref()).flatten().collect();
    all.sort();
    all.dedup();
    let lacking = replicas.iter().filter_map(|replica| {
        let own = replica.models.as_ref()?;
        let lacks: Vec<&&String> = all.iter().filter(|id| !own.contains(id)).collect();
        let shown = text::list(lacks.iter().map(|id| id.as_str()), 8);
        (!lacks.is_empty()).then(|| format!("{} does not list: {shown}", replica.url))
    });
    lacking.collect()
}

fn keys(replicas: &[Replica]) -> Vec<String> {
    let takes = replicas.iter().find(|replica| replica.takes_key == Some(true));
    let Some(takes) = takes else { return Vec::new() };
    let refusing = replicas.iter().filter(|replica| replica.takes_key == Some(false));
    refusing.map(|replica| format!("{} refuses the key that {} takes", replica.url, takes.url)).collect()
}

/// Those that are slow beside the fastest.
fn first_tokens(replicas: &[Replica]) -> Vec<String> {
    const TIMES: u32 = 3;
    const AT_LEAST: Duration = Duration::from_millis(200);
    let times = || replicas.iter().filter_map(|replica| Some((replica, replica.first_token?)));
    let Some((fastest, least)) = times().min_by_key(|(_, time)| *time) else { return Vec::new() };
    let slow = times().filter(|(_, time)| *time >= (least * TIMES).max(least + AT_LEAST));
    slow.map(|(replica, time)| {
        format!(
            "{} takes {} to its first token, {} takes {}",
            replica.url,
            text::duration(time),
            fastest.url,
            text::duration(least)
        )
    })
    .collect()
}

impl fmt::Display for Comparison {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let widths = |cell: fn(&Replica) -> String| {
            self.replicas.iter().map(|replica| cell(replica).chars().count()).max().unwrap_or_default()
        };
        let server = |replica: &Replica| replica.server.clone().unwrap_or_else(|| "unknown".to_owned());
        let models = |replica: &Replica| match &replica.models {
            Some(models) => format!("{} models", models.len()),
            None => "no list".to_owned(),
        };
        let url = |replica: &Replica| replica.url.clone();
        let (url_width, server_width, models_width) = (widths(url), widths(server), widths(models));
        for replica in &self.replicas {
            let first = replica
                .first_token
                .map_or("no stream".to_owned(), |time| format!("first token after {}", text::duration(time)));
            let (url, server, models) = (url(replica), server(replica), models(replica));
            writeln!(
                f,
                "{:<8} {url:url_width$}  {server:server_width$}  {models:models_width$}  {first}",
                replica.status
            )?;
        }
        match &self.differences[..] {
            [] => write!(f, "\nthe {} replicas are alike", self.replicas.len()),
            differences => {
                for difference in differences {
                    write!(f, "\ndiffers: {difference}")?;
                }
                Ok(())
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn replica(url: &str) -> Replica {
        Replica {
            url: url.to_owned(),
            status: Status::Ok,
            server: Some("vllm 0.32.0".to_owned()),
            models: Some(vec!["m".to_owned()]),
            takes_key: Some(true),
            first_token: Some(Duration::from_millis(100)),
        }
    }

    #[test]
    fn what_differs_is_told_of_each() {
        let (a, mut b) = (replica("http://a"), replica("http://b"));
        let none = |found: Vec<String>| assert!(found.is_empty(), "{found:?}");
        let alike = [a.clone(), b.clone()];
        none(servers(&alike));
        none(models(&alike));
        none(keys(&alike));
        none(first_tokens(&alike));
        b.server = Some("vllm 0.13.0".to_owned());
        b.models = Some(vec!["m".to_owned(), "lora".to_owned()]);
        b.takes_key = Some(false);
        b.first_token = Some(Duration::from_millis(900));
        let both = [a, b];
        assert_eq!(
            servers(&both),
            ["they are of different servers or versions: http://a is vllm 0.32.0, http://b is vllm 0.13.0"]
        );
        assert_eq!(models(&both), ["http://a does not list: lora"]);
        assert_eq!(keys(&both), ["http://b refuses the key that http://a takes"]);
        assert_eq!(first_tokens(&both), ["http://b takes 900 ms to its first token, http://a takes 100 ms"]);
    }

    #[test]
    fn what_is_not_known_is_no_difference() {
        let (a, mut b) = (replica("http://a"), replica("http://b"));
        (b.server, b.models, b.takes_key, b.first_token) = (None, None, None, None);
        let both = [a, b];
        assert!(servers(&both).is_empty() && models(&both).is_empty() && keys(&both).is_empty());
        assert!(first_tokens(&both).is_empty());
    }

    #[test]
    fn a_few_milliseconds_are_no_difference() {
        let (mut a, mut b) = (replica("http://a"), replica("http://b"));
        a.first_token = Some(Duration::from_millis(10));
        b.first_token = Some(Duration::from_millis(60));
        assert!(first_tokens(&[a, b]).is_empty());
    }
}
