//! The list of models, and which of them is asked for.

use crate::{
    environment::Target,
    finding::Finding,
    hints::{Call, Hints},
    text,
};
use oa_wire::{Category, Error, ModelList};

/// What the list of models came to.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Listing {
    /// The model is on it, or none was named.
    Has,
    /// The model is not on it.
    Lacks,
    /// Nothing is on it.
    Empty,
    /// The server has no list: 404, 405 or 501.
    Absent,
    /// The list is refused, or is none.
    Broken,
}

/// What is known of the models.
pub(crate) struct Models {
    /// The list, where there is one.
    pub(crate) list: Option<ModelList>,
    /// The model to ask for.
    pub(crate) model: Option<String>,
    /// Why nothing else will work, where the list was refused for its credentials.
    pub(crate) refused: Option<&'static str>,
    pub(crate) listing: Listing,
}

impl Models {
    /// What is known without a list.
    pub(crate) fn of(target: &Target) -> Self {
        Self { list: None, model: target.model.clone(), refused: None, listing: Listing::Broken }
    }
}

pub(crate) fn judge(
    target: &Target,
    hints: &Hints<'_>,
    listed: Result<ModelList, Error>,
) -> (Finding, Models) {
    let list = match listed {
        Ok(list) => list,
        Err(error) => {
            // A 403 may be about the list alone.
            let refused =
                (error.category() == Category::Authentication && error.status() != Some(403)).then(|| {
                    if error.is_key_rejected() {
                        "the server refuses the key"
                    } else {
                        "the request is refused"
                    }
                });
            let is_absent = matches!(error.status(), Some(404 | 405 | 501));
            let listing = if is_absent { Listing::Absent } else { Listing::Broken };
            let models = Models { refused, listing, ..Models::of(target) };
            return (hints.finding(&error, Call::Models), models);
        }
    };
    let listing = match &target.model {
        _ if list.entries().is_empty() => Listing::Empty,
        Some(model) if list.find(model).is_none() => Listing::Lacks,
        _ => Listing::Has,
    };
    let (finding, model) = match &target.model {
        Some(model) => (named(target, &list, model), Some(model.clone())),
        None => unnamed(target, &list),
    };
    (finding, Models { list: Some(list), model, refused: None, listing })
}

fn named(target: &Target, list: &ModelList, model: &str) -> Finding {
    if let Some(entry) = list.find(model) {
        let context = entry.max_model_len.map(|length| format!(", a context of {length} tokens"));
        let others = match list.entries().len() {
            0 | 1 => "its only one".to_owned(),
            count => format!("one of {count}"),
        };
        return Finding::ok(format!("{model} is listed, {others}{}", context.unwrap_or_default()));
    }
    let Err(error) = list.check(model) else { return Finding::ok(format!("{model} is listed")) };
    let finding = Finding::failed(Category::InvalidModel, error.message().to_owned());
    match list.nearest(model).into_iter().find(|id| !id.ends_with('*')) {
        Some(nearest) => finding
            .cause("the name is misspelt, or the server was started with another model or served name")
            .next(format!("{} --model {}", target.doctor(), text::word(nearest))),
        None => finding
            .cause("the server has no model yet: none was pulled, configured or loaded")
            .next(target.oa("models")),
    }
}

fn unnamed(target: &Target, list: &ModelList) -> (Finding, Option<String>) {
    let mut names: Vec<&str> = Vec::new();
    for id in list.ids().filter(|id| !id.ends_with('*')) {
        if !names.contains(&id) {
            names.push(id);
        }
    }
    match names[..] {
        [] => {
            let finding = Finding::failed(Category::InvalidModel, "it lists no model, and none is named")
                .cause("none was pulled, configured or loaded, or the server lists only patterns")
                .next(format!("{} --model NAME", target.doctor()));
            (finding, None)
        }
        [only] => (
            Finding::ok(format!("none is named, so this is the only one listed: {only}")),
            Some(only.to_owned()),
        ),
        [first, ..] => {
            let observed = format!(
                "none is named, so this is the first of {} listed: {}",
                names.len(),
                text::list(&names, 8)
            );
            let next = format!("{} --model {}", target.doctor(), text::word(first));
            let cause = "a program must name one, by OA_MODEL or in its code";
            (Finding::warning(observed).cause(cause).next(next), Some(first.to_owned()))
        }
    }
}
