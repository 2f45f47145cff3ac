//! The steps judged together: what a later step showed revises the verdict of an earlier one.

use crate::{
    models::Listing,
    report::{Status, Step},
    step_kind::{COMPLETION, LOAD, MODELS},
};
use std::time::Duration;

/// What is known after the last step, besides the steps.
#[derive(Default)]
pub(crate) struct Facts {
    /// What the list of models came to.
    pub(crate) listing: Option<Listing>,
    /// The completion was given up because nothing came.
    pub(crate) completion_hangs: bool,
    /// The completion was answered by another model than the one that was asked for.
    pub(crate) another_model_answers: bool,
    /// The command that asks for one token.
    pub(crate) chat_probe: String,
    /// The ids that are listed.
    pub(crate) models: Option<Vec<String>>,
    /// How long the stream took to its first token.
    pub(crate) first_token: Option<Duration>,
}

/// Revises the steps. Changes no step that nothing contradicts.
pub(crate) fn revise(steps: &mut [Step], facts: &Facts) {
    let completes =
        step(steps, COMPLETION.name).is_some_and(|step| matches!(step.status, Status::Ok | Status::Warning));
    if completes {
        let models = step(steps, MODELS.name).filter(|step| step.status == Status::Failed);
        if let Some(models) = models {
            let cause = match facts.listing {
                Some(Listing::Absent) => {
                    "a completion works all the same: this server or gateway has no list of models, so that \
                     only the chat probe can tell whether it is \
                     ready"
                }
                Some(Listing::Empty | Listing::Lacks) => {
                    "it serves the model all the same, and does not list it: the list is a gateway's own or \
                     kept by hand, so that only the chat probe can tell whether it is \
                     ready"
                }
                _ => {
                    "a completion works all the same: only the list is refused or broken, so that only the \
                     chat probe can tell whether the server is \
                     ready"
                }
            };
            if facts.another_model_answers {
                // The name is wrong, as the step says, and completions work all the same.
                models.status = Status::Warning;
                models.category = None;
            } else {
                lower(models, cause, &facts.chat_probe);
            }
        }
        if let Some(load) = step(steps, LOAD.name).filter(|step| step.status == Status::Failed) {
            let cause = "a completion works all the same: the health page is another program's, is out of \
                         date, or does not answer";
            lower(load, cause, &facts.chat_probe);
        }
    }
    if facts.completion_hangs {
        if let Some(load) = step(steps, LOAD.name).filter(|step| step.status == Status::Ok) {
            let observed = load.observed.split(": ").next().unwrap_or_default();
            load.observed = format!("{observed}, and no completion comes");
            load.status = Status::Warning;
            load.cause =
                Some("this page is answered without the engine, which hangs or is overloaded".to_owned());
            load.next = None;
        }
    }
}

fn step<'a>(steps: &'a mut [Step], name: &str) -> Option<&'a mut Step> {
    steps.iter_mut().find(|step| step.name == name)
}

fn lower(step: &mut Step, cause: &str, next: &str) {
    step.status = Status::Warning;
    step.category = None;
    step.cause = Some(cause.to_owned());
    step.next = Some(next.to_owned());
}

#[cfg(test)]
mod tests {
    use super::*;
    use oa_wire::Category;

    fn made(name: &'static str, status: Status) -> Step {
        Step {
            name,
            status,
            category: (status == Status::Failed).then_some(Category::InvalidModel),
            took: Duration::ZERO,
            observed: "/health is 200: it lives".to_owned(),
            cause: Some("a false one".to_owned()),
            next: None,
        }
    }

    fn judged(models: Status, load: Status, completion: Status, facts: &Facts) -> [Step; 3] {
        let mut steps = [made("models", models), made("load", load), made("completion", completion)];
        revise(&mut steps, facts);
        steps
    }

    #[test]
    fn a_completion_that_works_lowers_what_failed_before_it() {
        for listing in [Listing::Absent, Listing::Empty, Listing::Lacks, Listing::Broken] {
            let facts =
                Facts { listing: Some(listing), chat_probe: "oa ready".to_owned(), ..Facts::default() };
            for completion in [Status::Ok, Status::Warning] {
                let [models, load, _] = judged(Status::Failed, Status::Failed, completion, &facts);
                for step in [models, load] {
                    assert_eq!((step.status, step.category), (Status::Warning, None));
                    assert!(step.cause.unwrap().contains("all the same"));
                    assert_eq!(step.next.as_deref(), Some("oa ready"));
                }
            }
        }
    }

    #[test]
    fn a_wrong_name_that_is_taken_no_notice_of_keeps_its_cause() {
        let facts = Facts { listing: Some(Listing::Lacks), another_model_answers: true, ..Facts::default() };
        let [models, ..] = judged(Status::Failed, Status::Ok, Status::Warning, &facts);
        assert_eq!((models.status, models.cause.as_deref()), (Status::Warning, Some("a false one")));
    }

    #[test]
    fn nothing_is_lowered_where_no_completion_works() {
        for completion in [Status::Failed, Status::Skipped] {
            let [models, load, _] = judged(Status::Failed, Status::Failed, completion, &Facts::default());
            assert_eq!([models.status, load.status], [Status::Failed; 2]);
            assert_eq!(models.cause.as_deref(), Some("a false one"));
        }
    }

    #[test]
    fn a_health_page_that_a_hanging_completion_contradicts_is_a_warning() {
        let facts = Facts { completion_hangs: true, ..Facts::default() };
        let [_, load, _] = judged(Status::Ok, Status::Ok, Status::Failed, &facts);
        assert_eq!(
            (load.status, &*load.observed),
            (Status::Warning, "/health is 200, and no completion comes")
        );
    }
}
