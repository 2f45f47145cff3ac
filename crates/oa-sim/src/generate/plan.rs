//! The answer of the simulated model, token by token, and its finish reason.

#[cfg(feature = "generate")]
use super::schema::value_for;
use super::{
    chat::{ChatRequest, Choice, Format, Tool},
    model::{Model, Reply},
    refusal::{Refusal, bad_request},
    text,
};
use crate::json::Json;

/// The whole answer, before it is written as one body or as a stream.
pub(crate) struct Plan {
    pub(crate) id: u64,
    pub(crate) prompt_tokens: usize,
    pub(crate) choices: Vec<PlannedChoice>,
}

/// One choice.
pub(crate) struct PlannedChoice {
    pub(crate) reasoning: Vec<String>,
    pub(crate) content: Vec<String>,
    pub(crate) calls: Vec<Call>,
    pub(crate) finish: &'static str,
    /// The stop sequence that ended it.
    pub(crate) stopped_by: Option<String>,
}

pub(crate) struct Call {
    pub(crate) id: String,
    pub(crate) name: String,
    pub(crate) arguments: Vec<String>,
}

/// Without the feature `generate`, no values are made: it says so where one is needed.
#[cfg(not(feature = "generate"))]
fn value_for(_: &Json) -> Result<Json, String> {
    Err("this simulator was built without its feature `generate`".to_owned())
}

impl PlannedChoice {
    pub(crate) fn tokens(&self) -> usize {
        let arguments: usize = self.calls.iter().map(|call| 1 + call.arguments.len()).sum();
        self.reasoning.len() + self.content.len() + arguments
    }
}

/// The tokens of a prompt: one for each message, and its words.
pub(crate) fn prompt_tokens(chat: &ChatRequest) -> usize {
    chat.messages.iter().map(|message| 1 + text::count(&message.text)).sum()
}

pub(crate) fn plan(model: &Model, chat: &ChatRequest) -> Result<Plan, Refusal> {
    let id = model.next_id();
    let prompt_tokens = prompt_tokens(chat);
    if let Some(longest) = model.context_length {
        if prompt_tokens > longest {
            return Err(bad_request(
                format!(
                    "This model's maximum context length is {longest} tokens. However, your request has \
                     {prompt_tokens} input tokens. Please reduce the length of the input messages."
                ),
                None,
            ));
        }
    }
    let mut choices = Vec::with_capacity(chat.n);
    for index in 0..chat.n {
        choices.push(plan_choice(model, chat, id, index)?);
    }
    Ok(Plan { id, prompt_tokens, choices })
}

fn plan_choice(model: &Model, chat: &ChatRequest, id: u64, index: usize) -> Result<PlannedChoice, Refusal> {
    let mut budget = Budget { left: chat.max_tokens.unwrap_or(usize::MAX), spent: false };
    let thought = model.reasoning.as_ref().map_or(Vec::new(), |(_, thought)| text::words(thought));
    let reasoning = budget.take(thought);
    let mut choice =
        PlannedChoice { reasoning, content: Vec::new(), calls: Vec::new(), finish: "stop", stopped_by: None };
    let called = called_tools(chat);
    if called.is_empty() {
        let (content, stopped_by) = content(model, chat, index)?;
        choice.content = budget.take(content);
        choice.stopped_by = stopped_by.filter(|_| !budget.spent);
    }
    for (position, tool) in called.into_iter().enumerate() {
        if budget.left == 0 {
            budget.spent = true;
            break;
        }
        budget.left -= 1;
        let arguments = value_for(&tool.parameters).map_err(|problem| {
            bad_request(
                format!("Grammar error in the parameters of tool {}: {problem}", tool.name),
                Some("tools"),
            )
        })?;
        choice.calls.push(Call {
            id: format!("chatcmpl-tool-{id:08x}{index:04x}{position:04x}"),
            name: tool.name.clone(),
            arguments: budget.take(text::json_tokens(&arguments.to_string())),
        });
        choice.finish = "tool_calls";
    }
    if budget.spent {
        choice.finish = "length";
    }
    Ok(choice)
}

/// `max_tokens`, while it is used up.
struct Budget {
    left: usize,
    spent: bool,
}

impl Budget {
    fn take(&mut self, mut tokens: Vec<String>) -> Vec<String> {
        if tokens.len() > self.left {
            tokens.truncate(self.left);
            self.spent = true;
        }
        self.left -= tokens.len();
        tokens
    }
}

/// The tools that are called now, by the rules of `tool_choice`.
fn called_tools(chat: &ChatRequest) -> Vec<&Tool> {
    match &chat.choice {
        Choice::None => Vec::new(),
        Choice::Required => chat.tools.iter().take(1).collect(),
        Choice::Named(name) => chat.tools.iter().filter(|tool| tool.name == *name).take(1).collect(),
        // A model that has just got the results answers; else it calls what the user names.
        Choice::Auto if chat.messages.last().is_some_and(|message| message.role == "tool") => Vec::new(),
        Choice::Auto => {
            let text = last_user_text(chat);
            let most = if chat.parallel { usize::MAX } else { 1 };
            chat.tools.iter().filter(|tool| mentions(text, &tool.name)).take(most).collect()
        }
    }
}

/// Whether `name` is in `text` as a word, not as a part of a longer name.
fn mentions(text: &str, name: &str) -> bool {
    let part_of_name = |letter: char| letter.is_alphanumeric() || letter == '_' || letter == '-';
    !name.is_empty()
        && text.match_indices(name).any(|(at, _)| {
            !text[..at].ends_with(part_of_name) && !text[at + name.len()..].starts_with(part_of_name)
        })
}

/// The tokens of the content, and the stop sequence that ended it.
fn content(
    model: &Model,
    chat: &ChatRequest,
    index: usize,
) -> Result<(Vec<String>, Option<String>), Refusal> {
    let (text, is_json) = match &chat.format {
        Format::Text => (free_text(model, chat, index), false),
        Format::JsonObject => {
            let object = Json::object([("reply", Json::text(free_text(model, chat, index)))]);
            (object.to_string(), true)
        }
        Format::Schema(schema) => {
            let value = value_for(schema).map_err(|problem| {
                bad_request(format!("Grammar error: {problem}"), Some("response_format"))
            })?;
            (value.to_string(), true)
        }
    };
    let hit =
        chat.stop.iter().filter_map(|stop| Some((text.find(stop.as_str())?, stop))).min_by_key(|(at, _)| *at);
    let (text, stopped_by) = match hit {
        Some((at, stop)) => (&text[..at], Some(stop.clone())),
        None => (text.as_str(), None),
    };
    Ok((if is_json { text::json_tokens(text) } else { text::words(text) }, stopped_by))
}

fn free_text(model: &Model, chat: &ChatRequest, index: usize) -> String {
    let trailing = chat.messages.iter().rev().take_while(|message| message.role == "tool");
    let mut results: Vec<&str> = trailing.map(|message| message.text.as_str()).collect();
    results.reverse();
    match &model.reply {
        Reply::Fixed(text) => text.clone(),
        Reply::Echo if !results.is_empty() => format!("The tool said: {}", results.join("; ")),
        Reply::Echo => {
            let images: usize = chat
                .messages
                .iter()
                .rev()
                .find(|message| message.role == "user")
                .map_or(0, |last| last.images);
            let seen = match images {
                0 => String::new(),
                1 => " (and 1 image)".to_owned(),
                many => format!(" (and {many} images)"),
            };
            format!("You said: {}{seen}", last_user_text(chat))
        }
        Reply::MadeUp { words } => {
            let prompt: String = chat.messages.iter().map(|message| message.text.as_str()).collect();
            let seed = chat.seed.map_or_else(|| text::hash(prompt.as_bytes()), |seed| seed as u64);
            let made_up = text::made_up(seed.wrapping_add(index as u64), *words);
            if results.is_empty() { made_up } else { format!("{} {made_up}", results.join("; ")) }
        }
    }
}

fn last_user_text(chat: &ChatRequest) -> &str {
    let last = chat.messages.iter().rev().find(|message| message.role == "user");
    last.map_or("", |message| message.text.as_str())
}
