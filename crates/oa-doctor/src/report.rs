//! The report of an examination: its steps, as a record and as text.

use crate::text;
use oa_wire::Category;
use serde::{Serialize, Serializer};
use std::{fmt, time::Duration};

/// What an examination found. `Display` is the text for people, several lines; serialized it is a record for
/// programs.
///
/// Neither holds a key, the value of a header, or the password of a proxy.
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Report {
    /// The version of this crate.
    pub version: &'static str,
    /// The command line that asked for it, without secrets; see
    /// [`Doctor::command_line`](crate::Doctor::command_line).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub command: Option<String>,
    /// The base URL that was examined, corrected where that was needed; none when no server is named.
    pub url: Option<String>,
    /// What the server declares itself to be, such as `vllm 0.32.0`; none where it declares nothing that is
    /// known.
    pub server: Option<String>,
    /// The model that was asked for; none when none is named and none is listed.
    pub model: Option<String>,
    /// The ids that it lists, in its order; none where it has no list.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub models: Option<Vec<String>>,
    /// How long a short stream took to its first token; in seconds, as `first_token_seconds`, where it is
    /// serialized.
    #[serde(
        rename = "first_token_seconds",
        skip_serializing_if = "Option::is_none",
        serialize_with = "optional_seconds"
    )]
    pub first_token: Option<Duration>,
    /// How long it took; in seconds, as `took_seconds`, where it is serialized.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
    /// The steps, in the order in which they were made.
    pub steps: Vec<Step>,
}

/// One step of a [`Report`].
#[derive(Clone, Debug, Serialize)]
#[non_exhaustive]
pub struct Step {
    /// Its name, one of those in the [crate's table](crate#steps).
    pub name: &'static str,
    /// What became of it.
    pub status: Status,
    /// The category of what failed; none unless it [`Failed`](Status::Failed). As its name where it is
    /// serialized.
    #[serde(skip_serializing_if = "Option::is_none", serialize_with = "name")]
    pub category: Option<Category>,
    /// How long it took; in seconds, as `took_seconds`, where it is serialized.
    #[serde(rename = "took_seconds", serialize_with = "seconds")]
    pub took: Duration,
    /// What was seen, in one line; `saw` where it is serialized.
    #[serde(rename = "saw")]
    pub observed: String,
    /// The likely cause of a warning or failure.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub cause: Option<String>,
    /// The next command to try, for a shell.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub next: Option<String>,
}

/// What became of a [`Step`].
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize)]
#[serde(rename_all = "snake_case")]
#[non_exhaustive]
pub enum Status {
    /// It was not made; the step says why.
    Skipped,
    /// As it should be.
    Ok,
    /// Something is amiss, and plain completions work all the same.
    Warning,
    /// Something that completions need does not work.
    Failed,
}

impl Report {
    /// The worst status of its steps.
    pub fn status(&self) -> Status {
        self.steps.iter().map(|step| step.status).max().unwrap_or(Status::Skipped)
    }

    /// The first step that failed. What failed after it has more often than not the same cause.
    pub fn first_failure(&self) -> Option<&Step> {
        self.steps.iter().find(|step| step.status == Status::Failed)
    }

    /// The step with this name.
    pub fn step(&self, name: &str) -> Option<&Step> {
        self.steps.iter().find(|step| step.name == name)
    }

    /// Its last line: how many steps ended how, and where to look first.
    pub fn summary(&self) -> String {
        let count = |status| self.steps.iter().filter(|step| step.status == status).count();
        let took = text::duration(self.took);
        let warnings = match count(Status::Warning) {
            0 => String::new(),
            1 => ", 1 warning".to_owned(),
            more => format!(", {more} warnings"),
        };
        match (self.first_failure(), count(Status::Failed)) {
            (Some(first), failed) => {
                format!("{failed} failed{warnings}, in {took}; look at `{}` first", first.name)
            }
            (None, _) => format!("nothing failed{warnings}, in {took}"),
        }
    }
}

/// A line with the version and the command line, the steps as lines, an empty line, the summary. Steps that
/// were skipped for one reason share a line.
impl fmt::Display for Report {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let alike = |one: &Step, other: &Step| {
            one.status == Status::Skipped && other.status == Status::Skipped && one.observed == other.observed
        };
        match &self.command {
            Some(command) => writeln!(f, "oa-doctor {}: {command}", self.version)?,
            None => writeln!(f, "oa-doctor {}", self.version)?,
        }
        for steps in self.steps.chunk_by(alike) {
            match steps {
                [step] => writeln!(f, "{step}")?,
                [first, ..] => {
                    let names: Vec<&str> = steps.iter().map(|step| step.name).collect();
                    writeln!(f, "{:<8} {}: {}", first.status, names.join(", "), first.observed)?;
                }
                [] => {}
            }
        }
        write!(f, "\n{}", self.summary())
    }
}

/// One line, and below it the cause and the next command where there are any. No line break at the end.
impl fmt::Display for Step {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{:<8} {:<12} {}", self.status.as_str(), self.name, self.observed)?;
        if self.status != Status::Skipped {
            write!(f, " [{}]", text::duration(self.took))?;
        }
        if let Some(cause) = &self.cause {
            write!(f, "\n         cause: {cause}")?;
        }
        if let Some(next) = &self.next {
            write!(f, "\n         next:  {next}")?;
        }
        Ok(())
    }
}

impl Status {
    /// `skipped`, `ok`, `warning` or `failed`.
    pub fn as_str(self) -> &'static str {
        match self {
            Self::Skipped => "skipped",
            Self::Ok => "ok",
            Self::Warning => "warning",
            Self::Failed => "failed",
        }
    }
}

impl fmt::Display for Status {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.pad(self.as_str())
    }
}

fn seconds<S: Serializer>(took: &Duration, serializer: S) -> Result<S::Ok, S::Error> {
    serializer.serialize_f64(took.as_secs_f64())
}

#[expect(clippy::ref_option, reason = "serde calls it so")]
pub(crate) fn optional_seconds<S: Serializer>(
    time: &Option<Duration>,
    serializer: S,
) -> Result<S::Ok, S::Error> {
    match time {
        Some(time) => serializer.serialize_some(&time.as_secs_f64()),
        None => serializer.serialize_none(),
    }
}

#[expect(clippy::ref_option, clippy::trivially_copy_pass_by_ref, reason = "serde calls it so")]
fn name<S: Serializer>(category: &Option<Category>, serializer: S) -> Result<S::Ok, S::Error> {
    match category {
        Some(category) => serializer.serialize_some(category.as_str()),
        None => serializer.serialize_none(),
    }
}
