//! A counter of what a caller of the library received.

use crate::machine::monotonic_ns;
use oa_wire::{Event, Response};
use std::{
    sync::{
        Arc,
        atomic::{AtomicU64, Ordering::Relaxed},
    },
    time::Instant,
};

#[derive(Default)]
pub(crate) struct Sink {
    pub(crate) events: u64,
    pub(crate) text: u64,
    pub(crate) tool_calls: u64,
    pub(crate) logprobs: u64,
    pub(crate) prompt: u64,
    pub(crate) completion: u64,
    pub(crate) finishes: u64,
    /// Texts are times: the lag of each is kept.
    pub(crate) stamps: bool,
    pub(crate) lags: Vec<u64>,
    pub(crate) first: Option<Instant>,
    /// How many streams have begun.
    pub(crate) begun: Option<Arc<AtomicU64>>,
}

impl Sink {
    #[inline]
    pub(crate) fn event(&mut self, event: &Event) {
        match event {
            Event::Content(text) | Event::Reasoning(text) => self.text(text),
            Event::ToolCall(_) => self.tool_calls += 1,
            Event::Done(response) => self.end(response),
            _ => {}
        }
        self.arrived();
    }

    /// A whole answer, with its log-probabilities where they are wanted.
    pub(crate) fn response(&mut self, response: &Response, logprobs: bool) {
        self.arrived();
        for text in response.message.text_parts() {
            self.text(text);
        }
        self.tool_calls += response.message.tool_calls.len() as u64;
        if logprobs {
            self.logprobs += response.logprobs().len() as u64;
        }
        self.end(response);
    }

    #[inline]
    fn arrived(&mut self) {
        self.events += 1;
        if self.first.is_none() {
            self.first = Some(Instant::now());
            if let Some(begun) = &self.begun {
                begun.fetch_add(1, Relaxed);
            }
        }
    }

    #[inline]
    fn text(&mut self, text: &str) {
        self.text += text.len() as u64;
        if self.stamps && text.len() == 20 {
            if let Ok(sent) = text.parse::<u64>() {
                self.lags.push(monotonic_ns().saturating_sub(sent));
            }
        }
    }

    fn end(&mut self, response: &Response) {
        self.finishes += u64::from(response.server_finish_reason.is_some());
        self.prompt += response.usage.prompt_tokens.unwrap_or(0);
        self.completion += response.usage.completion_tokens.unwrap_or(0);
    }

    pub(crate) fn add(&mut self, other: &mut Self) {
        self.events += other.events;
        self.text += other.text;
        self.tool_calls += other.tool_calls;
        self.logprobs += other.logprobs;
        self.prompt += other.prompt;
        self.completion += other.completion;
        self.finishes += other.finishes;
        self.lags.append(&mut other.lags);
    }
}
