//! The steps as they are made: each bounded, timed, redacted and reported.

use crate::{
    finding::Finding,
    judgement::{self, Facts},
    redact::Secrets,
    report::{Report, Status, Step},
    step_kind::StepKind,
    text,
};
use oa_wire::Category;
use std::{future::Future, time::Duration};
use tokio::time::{Instant, timeout};

/// What an examination is at; see [`Doctor::run_with`](crate::Doctor::run_with).
#[derive(Clone, Copy, Debug)]
#[non_exhaustive]
pub enum Progress<'a> {
    /// This step starts.
    Started(&'static str),
    /// This step has ended, or was skipped.
    Finished(&'a Step),
}

/// The longest that a text of others is shown.
const SHOWN: usize = 800;

/// What the head of the report says.
#[derive(Default)]
pub(crate) struct Head {
    pub(crate) command: Option<String>,
    pub(crate) url: Option<String>,
    pub(crate) server: Option<String>,
    pub(crate) model: Option<String>,
}

pub(crate) struct Log<'a> {
    steps: Vec<Step>,
    start: Instant,
    limit: Duration,
    secrets: Secrets,
    /// The next command after a step that took too long.
    next_when_late: Option<String>,
    progress: &'a mut (dyn FnMut(Progress<'_>) + Send),
}

impl<'a> Log<'a> {
    pub(crate) fn new(
        limit: Duration,
        secrets: Secrets,
        progress: &'a mut (dyn FnMut(Progress<'_>) + Send),
    ) -> Self {
        Self {
            steps: Vec::with_capacity(14),
            start: Instant::now(),
            limit,
            secrets,
            next_when_late: None,
            progress,
        }
    }

    /// Makes a step within its bound and what is left of the whole. None when there was no time.
    pub(crate) async fn run<T>(
        &mut self,
        kind: &StepKind,
        work: impl Future<Output = (Finding, T)> + Send,
    ) -> Option<T> {
        let (made, took) = self.measure(kind, work).await;
        match made {
            Ok((finding, found)) => {
                self.push(kind, took, finding);
                Some(found)
            }
            Err(late) => {
                self.push(kind, took, late);
                None
            }
        }
    }

    /// As [`run`](Self::run), for a work that may turn out to belong to another step.
    pub(crate) async fn measure<T>(
        &mut self,
        kind: &StepKind,
        work: impl Future<Output = T> + Send,
    ) -> (Result<T, Finding>, Duration) {
        let left = self.left();
        if left.is_zero() {
            return (Err(Finding::skipped(self.out_of_time())), Duration::ZERO);
        }
        (self.progress)(Progress::Started(kind.name));
        let start = Instant::now();
        let bound = kind.bound.min(left);
        let made = timeout(bound, work).await.map_err(|_| {
            let observed = format!("nothing came within {}", text::duration(bound));
            let late = Finding::failed(Category::Unavailable, observed).cause(kind.late);
            Finding { next: self.next_when_late.clone(), ..late }
        });
        (made, start.elapsed())
    }

    pub(crate) fn when_late(&mut self, next: String) {
        self.next_when_late = Some(next);
    }

    pub(crate) fn skip(&mut self, kind: &StepKind, why: &str) {
        let why = if self.left().is_zero() { self.out_of_time() } else { why.to_owned() };
        self.push(kind, Duration::ZERO, Finding::skipped(why));
    }

    fn left(&self) -> Duration {
        self.limit.saturating_sub(self.start.elapsed())
    }

    fn out_of_time(&self) -> String {
        format!("the {} for all steps are spent", text::duration(self.limit))
    }

    pub(crate) fn skip_all(&mut self, kinds: &[&StepKind], why: &str) {
        for kind in kinds {
            self.skip(kind, why);
        }
    }

    /// Whether the last step that was made failed.
    pub(crate) fn failed(&self) -> bool {
        self.steps.last().is_some_and(|step| step.status == Status::Failed)
    }

    /// Whether the last step that was made failed so.
    pub(crate) fn failed_with(&self, category: Category) -> bool {
        self.steps.last().is_some_and(|step| step.category == Some(category))
    }

    pub(crate) fn report(mut self, head: Head, facts: &Facts) -> Report {
        judgement::revise(&mut self.steps, facts);
        let shown =
            |text: Option<String>| text.map(|text| self.secrets.redact(&text::one_line(&text, SHOWN)));
        Report {
            version: env!("CARGO_PKG_VERSION"),
            command: shown(head.command),
            url: shown(head.url),
            server: shown(head.server),
            model: shown(head.model),
            models: facts
                .models
                .as_ref()
                .map(|ids| ids.iter().map(|id| self.secrets.redact(&text::one_line(id, SHOWN))).collect()),
            first_token: facts.first_token,
            took: self.start.elapsed(),
            steps: self.steps,
        }
    }

    pub(crate) fn push(&mut self, kind: &StepKind, took: Duration, finding: Finding) {
        // Here everything that is shown passes.
        let shown = |text: &str| text::one_line(&self.secrets.redact(text), SHOWN);
        let step = Step {
            name: kind.name,
            status: finding.status,
            category: finding.category,
            took,
            observed: shown(&finding.observed),
            cause: finding.cause.as_deref().map(shown),
            // A command is not cut: half of one may do something else.
            next: finding.next.map(|next| self.secrets.redact(&next).replace(char::is_control, " ")),
        };
        (self.progress)(Progress::Finished(&step));
        self.steps.push(step);
    }
}
