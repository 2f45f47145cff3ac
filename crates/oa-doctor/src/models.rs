//! The list of models, and which of them is asked for.

use crate::{
    environment::Subject,
    finding::Finding,
    text,
    trouble::{Asked, Trouble},
};
use oa_wire::{Category, Error, ModelList};

/// What is known of the models.
pub(crate) struct Models {
    /// The list, where there is one.
    pub(crate) catalogue: Option<ModelList>,
    /// The model to ask for.
    pub(crate) model: Option<String>,
    /// The server refused the key: nothing else will work.
    pub(crate) refused: bool,
}

impl Models {
    /// What is known without a list.
    pub(crate) fn of(subject: &Subject) -> Self {
        Self { catalogue: None, model: subject.model.clone(), refused: false }
    }
}

pub(crate) fn judge(
    subject: &Subject,
    trouble: &Trouble<'_>,
    listed: Result<ModelList, Error>,
) -> (Finding, Models) {
    let catalogue = match listed {
        Ok(catalogue) => catalogue,
        Err(error) => {
            let refused = error.status() != Some(403) && error.category() == Category::Authentication;
            let models = Models { refused, ..Models::of(subject) };
            return (trouble.finding(&error, Asked::Models), models);
        }
    };
    let (finding, model) = match &subject.model {
        Some(model) => (named(subject, &catalogue, model), Some(model.clone())),
        None => unnamed(subject, &catalogue),
    };
    (finding, Models { catalogue: Some(catalogue), model, refused: false })
}

fn named(subject: &Subject, catalogue: &ModelList, model: &str) -> Finding {
    if let Some(entry) = catalogue.find(model) {
        let context = entry.max_model_len.map(|length| format!(", a context of {length} tokens"));
        let others = match catalogue.entries().len() {
            0 | 1 => "its only one".to_owned(),
            count => format!("one of {count}"),
        };
        return Finding::ok(format!("{model} is listed, {others}{}", context.unwrap_or_default()));
    }
    let Err(error) = catalogue.check(model) else { return Finding::ok(format!("{model} is listed")) };
    let finding = Finding::failed(Category::InvalidModel, error.message().to_owned());
    match nearest(catalogue, error.message()) {
        Some(nearest) => finding
            .cause("the name is misspelt, or the server was started with another model or served name")
            .next(format!("{} --model {}", subject.doctor(), text::word(nearest))),
        None => finding
            .cause("the server has no model yet: none was pulled, configured or loaded")
            .next(subject.oa("models")),
    }
}

/// The id that the message names first, which is the nearest.
fn nearest<'a>(catalogue: &'a ModelList, message: &str) -> Option<&'a str> {
    let (_, named) = message.split_once("; it lists ")?.1.split_once(": ")?;
    let is_first = |id: &&str| named.strip_prefix(*id).is_some_and(|rest| rest.starts_with([',', '.']));
    catalogue.ids().filter(is_first).max_by_key(|id| id.len()).filter(|id| !id.ends_with('*'))
}

fn unnamed(subject: &Subject, catalogue: &ModelList) -> (Finding, Option<String>) {
    let mut names: Vec<&str> = Vec::new();
    for id in catalogue.ids().filter(|id| !id.ends_with('*')) {
        if !names.contains(&id) {
            names.push(id);
        }
    }
    match names[..] {
        [] => {
            let finding = Finding::failed(Category::InvalidModel, "it lists no model, and none is named")
                .cause("none was pulled, configured or loaded, or the server lists only patterns")
                .next(format!("{} --model NAME", subject.doctor()));
            (finding, None)
        }
        [only] => (
            Finding::ok(format!("none is named, so this is the only one listed: {only}")),
            Some(only.to_owned()),
        ),
        [first, ..] => {
            let saw = format!(
                "none is named, so this is the first of {} listed: {}",
                names.len(),
                text::list(&names, 8)
            );
            let next = format!("{} --model {}", subject.doctor(), text::word(first));
            let cause = "a program must name one: OA_MODEL or the provider's builder";
            (Finding::warning(saw).cause(cause).next(next), Some(first.to_owned()))
        }
    }
}
