//! The answer that the chunks of a stream have added up to.

use super::{
    numbering::Numbering,
    raw::{Assembled, FUNCTION_CALL, REASONING, REASONING_CONTENT, REASONING_PARTS, RawLog, Scope},
};
use crate::{
    ChoiceEvent, Event, ReasoningMember, TextDelta, ToolCallDelta, Tools,
    expected::Expected,
    json::{Index, Joined, Malformed, Piece},
    openai::{
        decode::{
            AnswerParts, CallFields, Content, MessageFields, PartKind, body_start, is_filled_list, read_parts,
        },
        tool_calls::{Assembler, Fragment},
    },
};
use std::{
    collections::{BTreeMap, VecDeque},
    ops::Range,
};

/// Which text of a chunk differs from one to the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(in crate::openai) enum TextField {
    Content,
    /// The reasoning, under these of its names.
    Reasoning(u8),
    /// The arguments of a tool call, in a fragment that says nothing else but its index.
    Arguments {
        index: Index,
        is_nested: bool,
    },
}

/// The most tool calls of one answer. No model makes as many, and finding one among them takes time.
const MAX_CALLS: usize = 10_000;

#[derive(Clone, Debug, Default)]
#[expect(clippy::struct_excessive_bools, reason = "facts that are independent of each other")]
pub(in crate::openai) struct Answer {
    pub(super) parts: AnswerParts,
    content: Joined,
    reasoning: Reasoning,
    refusal: Joined,
    calls: Assembler,
    function_call: Assembler,
    /// The calls of the other choices, where several were asked for.
    other_calls: BTreeMap<i64, Assembler>,
    pub(super) log: RawLog,
    pub(super) chunks: u64,
    tools: Tools,
    /// More than one choice was asked for.
    pub(super) many_choices: bool,
    pub(super) numbering: Numbering,
    /// The chunk that waits until the next decides whose its choice is, and the index of that.
    pub(super) held: Option<(i64, String)>,
    /// A choice of the answer came, not only others.
    pub(super) has_choice: bool,
    /// Any choice has a finish reason.
    pub(super) has_finish: bool,
    /// What came so far came in messages, not in deltas: the next message is a piece too, and no snapshot.
    from_messages: bool,
    /// The start of the first data that was not understood.
    unread: Option<String>,
}

/// The reasoning, and under which names it came.
#[derive(Clone, Debug, Default)]
struct Reasoning {
    text: Joined,
    /// The names under which all of the text came.
    names: u8,
    /// The texts of the two names, where they differ.
    apart: Option<Box<[Joined; 2]>>,
}

impl Reasoning {
    #[inline]
    fn push<'a>(&mut self, names: u8, piece: Piece<'a>) -> std::borrow::Cow<'a, str> {
        if !piece.written.is_empty() {
            if self.text.is_empty() {
                self.names = names;
            }
            if self.names != names || self.apart.is_some() {
                for (at, text) in self.apart().iter_mut().enumerate() {
                    if names & (1 << at) != 0 {
                        text.push(piece.clone());
                    }
                }
            }
        }
        self.text.push(piece)
    }

    /// Takes the texts of both names, which differ. The first is the answer's.
    fn push_both<'a>(&mut self, first: Piece<'a>, second: Piece<'a>) -> std::borrow::Cow<'a, str> {
        let [a, b] = self.apart();
        a.push(first.clone());
        b.push(second);
        self.text.push(first)
    }

    fn apart(&mut self) -> &mut [Joined; 2] {
        let (text, names) = (&self.text, self.names);
        let so_far = |name: u8| if names & name == 0 { Joined::default() } else { text.clone() };
        self.apart.get_or_insert_with(|| Box::new([so_far(REASONING), so_far(REASONING_CONTENT)]))
    }

    /// The member that the answer's reasoning came in.
    fn member(&self) -> Option<ReasoningMember> {
        if self.names & REASONING != 0 || self.apart.as_ref().is_some_and(|texts| !texts[0].is_empty()) {
            return Some(ReasoningMember::Reasoning);
        }
        (self.names & REASONING_CONTENT != 0).then_some(ReasoningMember::ReasoningContent)
    }

    /// The text under this name.
    fn under(&self, name: u8) -> &str {
        match &self.apart {
            Some(texts) => texts[usize::from(name == REASONING_CONTENT)].as_str(),
            None if self.names & name != 0 => self.text.as_str(),
            None => "",
        }
    }
}

/// What of a chunk was not there before.
#[derive(Default)]
pub(super) enum ChunkContent {
    #[default]
    Nothing,
    /// One text, which stands here: the next chunk may differ in that alone.
    Text(TextField, Range<usize>),
    /// Something that a template would drop.
    More,
}

impl ChunkContent {
    fn text(&mut self, field: TextField, range: Option<Range<usize>>) {
        *self = match (&self, range) {
            (Self::Nothing, Some(range)) => Self::Text(field, range),
            _ => Self::More,
        };
    }
}

impl Answer {
    pub(super) fn new(request_id: Option<String>, expected: &Expected) -> Self {
        Self {
            parts: AnswerParts { request_id, ..AnswerParts::default() },
            tools: expected.tools.clone(),
            many_choices: expected.many_choices,
            numbering: if expected.many_choices { Numbering::Fixed(0) } else { Numbering::Unknown },
            ..Self::default()
        }
    }

    /// Appends a text that is written without escapes; none when it is empty.
    #[inline]
    pub(super) fn append_plain(&mut self, field: TextField, text: &str) -> Option<Event> {
        if field == TextField::Content && self.content.push_plain(text) {
            return (!text.is_empty()).then(|| Event::Content(TextDelta::from(text)));
        }
        self.append_delta(field, Piece::plain(text))
    }

    /// Appends a piece to a text; none when it is empty.
    pub(super) fn append_delta(&mut self, field: TextField, piece: Piece<'_>) -> Option<Event> {
        match field {
            TextField::Content => {
                let new = self.content.push(piece);
                (!new.is_empty()).then(|| Event::Content(TextDelta::from(&*new)))
            }
            TextField::Reasoning(names) => {
                let new = self.reasoning.push(names, piece);
                (!new.is_empty()).then(|| Event::Reasoning(TextDelta::from(&*new)))
            }
            TextField::Arguments { index, is_nested } => {
                let fragment = Fragment { index, is_nested, arguments: Some(piece), ..Fragment::default() };
                self.calls.push(fragment, &self.tools).map(call_delta)
            }
        }
    }

    /// Takes the fragments of another choice's calls. From its 10,000th call on they are in `raw` alone.
    pub(super) fn take_calls_of_choice(
        &mut self,
        index: i64,
        calls: Vec<CallFields<'_>>,
        queue: &mut VecDeque<Event>,
    ) {
        let known = self.other_calls.entry(index).or_default();
        for call in calls {
            if known.len() >= MAX_CALLS {
                return;
            }
            let is_custom = call.fragment.is_custom;
            queue.extend(known.push(call.fragment, &self.tools).map(|mut delta| {
                delta.is_custom = is_custom;
                Event::Choice(Box::new(ChoiceEvent::new(index, call_delta(delta))))
            }));
        }
    }

    /// Takes a delta, or a message in its place. False when there are too many tool calls.
    pub(super) fn take_delta(
        &mut self,
        fields: MessageFields<'_>,
        queue: &mut VecDeque<Event>,
        content: &mut ChunkContent,
    ) -> Result<bool, Malformed> {
        let before = queue.len();
        self.take_reasoning(fields.reasoning, fields.reasoning_content, queue, content);
        match fields.content {
            Some(Content::Text(piece)) => {
                self.log.has_content = true;
                let range = piece.range();
                queue.extend(self.append_delta(TextField::Content, piece));
                content.text(TextField::Content, range);
            }
            Some(Content::Parts(mut reader)) => {
                read_parts(&mut reader, |part| {
                    let from = self.content.as_str().len();
                    let is_plain = part.kind == PartKind::Text && !part.has_more;
                    for piece in part.texts {
                        let field = match part.kind {
                            PartKind::Text | PartKind::Other => TextField::Content,
                            PartKind::Thinking => TextField::Reasoning(REASONING_PARTS),
                            PartKind::Refusal => {
                                self.refusal.push(piece);
                                continue;
                            }
                        };
                        queue.extend(self.append_delta(field, piece));
                    }
                    let part = (!is_plain).then_some(part.raw);
                    self.log.note_part(from, self.content.as_str().len(), part);
                })?;
                *content = ChunkContent::More;
            }
            None => {}
        }
        if let Some(piece) = fields.refusal {
            self.log.has_refusal = true;
            if !self.refusal.push(piece).is_empty() {
                *content = ChunkContent::More;
            }
        }
        if fields.unread_calls.is_some() && self.parts.unread_calls.is_none() {
            self.parts.unread_calls = fields.unread_calls.map(body_start);
        }
        let several = fields.calls.len() > 1;
        for call in fields.calls {
            self.take_call(call, queue, content)?;
            if several {
                *content = ChunkContent::More;
            }
        }
        if let Some(call) = fields.function_call {
            *content = ChunkContent::More;
            self.take_function_call(call, queue)?;
        }
        if queue.len() > before {
            self.from_messages = false;
        }
        Ok(self.calls.len() <= MAX_CALLS)
    }

    fn take_reasoning(
        &mut self,
        first: Option<Piece<'_>>,
        second: Option<Piece<'_>>,
        queue: &mut VecDeque<Event>,
        content: &mut ChunkContent,
    ) {
        let (names, piece) = match (first, second) {
            (None, None) => return,
            (Some(piece), None) => (REASONING, piece),
            (None, Some(piece)) => (REASONING_CONTENT, piece),
            (Some(first), Some(second)) => {
                self.log.reasoning_names |= REASONING | REASONING_CONTENT;
                *content = ChunkContent::More;
                if first.text != second.text && !first.text.is_empty() && !second.text.is_empty() {
                    let new = self.reasoning.push_both(first, second);
                    queue.extend((!new.is_empty()).then(|| Event::Reasoning(TextDelta::from(&*new))));
                    return;
                }
                match (first.text.is_empty(), second.text.is_empty()) {
                    (true, false) => (REASONING_CONTENT, second),
                    (false, true) => (REASONING, first),
                    _ => (REASONING | REASONING_CONTENT, first),
                }
            }
        };
        self.log.reasoning_names |= names;
        let (field, range) = (TextField::Reasoning(names), piece.range());
        queue.extend(self.append_delta(field, piece));
        content.text(field, range);
    }

    fn take_call(
        &mut self,
        call: CallFields<'_>,
        queue: &mut VecDeque<Event>,
        content: &mut ChunkContent,
    ) -> Result<(), Malformed> {
        let fragment = call.fragment.clone();
        let says_nothing = fragment.says_nothing();
        match &fragment.arguments {
            Some(piece)
                if fragment.id.is_empty()
                    && fragment.name.is_empty()
                    && !fragment.is_value
                    && !call.has_more =>
            {
                let field = TextField::Arguments { index: fragment.index, is_nested: fragment.is_nested };
                content.text(field, piece.range().filter(|_| !fragment.is_custom));
            }
            _ => *content = ChunkContent::More,
        }
        let is_custom = fragment.is_custom;
        queue.extend(self.calls.push(fragment, &self.tools).map(|mut delta| {
            delta.is_custom = is_custom;
            call_delta(delta)
        }));
        if (call.has_type || call.has_more) && !(says_nothing && self.calls.is_empty()) {
            let number = self.calls.open();
            call.read_more(|key, is_nested, raw| {
                self.log.note(Scope::Call { number, is_nested }, key, raw);
            })?;
        }
        Ok(())
    }

    /// Takes the old form of a call, which counts only where there is none of the new.
    fn take_function_call(
        &mut self,
        call: CallFields<'_>,
        queue: &mut VecDeque<Event>,
    ) -> Result<(), Malformed> {
        let mut fragment = call.fragment.clone();
        fragment.index = Index::Absent;
        let delta = self.function_call.push(fragment, &self.tools);
        if self.calls.is_empty() {
            queue.extend(delta.map(call_delta));
        }
        if call.has_type || call.has_more {
            call.read_more(|key, is_nested, raw| {
                self.log.note(Scope::Call { number: FUNCTION_CALL, is_nested }, key, raw);
            })?;
        }
        Ok(())
    }

    /// Takes a message that has no delta beside it: a snapshot where deltas came before, of which only what
    /// goes beyond them is new.
    pub(super) fn take_message(
        &mut self,
        mut fields: MessageFields<'_>,
        queue: &mut VecDeque<Event>,
        content: &mut ChunkContent,
    ) -> Result<bool, Malformed> {
        let is_new = self.content.is_empty() && self.reasoning.text.is_empty() && self.calls.is_empty();
        if is_new || self.from_messages {
            let result = self.take_delta(fields, queue, content);
            self.from_messages = true;
            *content = ChunkContent::More;
            return result;
        }
        *content = ChunkContent::More;
        if let Some(piece) = fields.take_reasoning() {
            if let Some(new) = beyond(self.reasoning.text.as_str(), &piece.text) {
                let names = self.reasoning.names.max(REASONING);
                let piece = Piece { text: new.into(), written: new, at: None };
                queue.extend(self.append_delta(TextField::Reasoning(names), piece));
            }
        }
        let mut text = String::new();
        match fields.content {
            Some(Content::Text(piece)) => text.push_str(&piece.text),
            Some(Content::Parts(mut reader)) => read_parts(&mut reader, |part| {
                if part.kind == PartKind::Text {
                    text.extend(part.texts.iter().map(|piece| &*piece.text));
                }
            })?,
            None => {}
        }
        if let Some(new) = beyond(self.content.as_str(), &text) {
            self.log.has_content = true;
            let piece = Piece { text: new.into(), written: new, at: None };
            queue.extend(self.append_delta(TextField::Content, piece));
        }
        if let Some(piece) = fields.refusal {
            if let Some(new) = beyond(self.refusal.as_str(), &piece.text) {
                self.log.has_refusal = true;
                self.refusal.push_str(new);
            }
        }
        for mut call in fields.calls {
            if !self.calls.is_empty() {
                if self.calls.knows(&call.fragment) {
                    continue;
                }
                call.fragment.index = Index::Absent;
                call.fragment.follows = true;
            }
            self.take_call(call, queue, content)?;
        }
        if let Some(call) =
            fields.function_call.filter(|_| self.calls.is_empty() && self.function_call.is_empty())
        {
            self.take_function_call(call, queue)?;
        }
        Ok(self.calls.len() <= MAX_CALLS)
    }

    /// Keeps the start of data that was not understood, for the error that ends a stream without an answer.
    #[cold]
    pub(super) fn note_unread(&mut self, text: &str) {
        if self.unread.is_none() {
            self.unread = Some(body_start(text)).filter(|start| !start.is_empty());
        }
    }

    pub(super) fn unread(&self) -> Option<&str> {
        self.unread.as_deref()
    }

    /// Ends the texts: what was withheld goes into the queue.
    pub(super) fn end_texts(&mut self, queue: &mut VecDeque<Event>) {
        self.refusal.finish();
        queue.extend(self.reasoning.text.finish().map(|text| Event::Reasoning(TextDelta::from(text))));
        queue.extend(self.content.finish().map(|text| Event::Content(TextDelta::from(text))));
        let function_call = self.function_call.finish();
        if self.calls.is_empty() {
            queue.extend(function_call);
        }
        queue.extend(self.calls.finish());
    }

    /// The parts of the answer, and what renders its `raw`.
    pub(super) fn assemble(self) -> (AnswerParts, Assembled) {
        let calls = self.calls.calls();
        let function_call = self.function_call.calls();
        let mut parts = self.parts;
        let raw = Assembled {
            log: self.log,
            content: self.content.as_str().to_owned(),
            reasoning: [REASONING, REASONING_CONTENT].map(|name| self.reasoning.under(name).to_owned()),
            refusal: self.refusal.as_str().to_owned(),
            calls: calls.clone(),
            function_call: function_call.first().cloned(),
            has_answer: self.has_choice,
        };
        parts.reasoning_member = self.reasoning.member();
        parts.reasoning_details = raw.log.joined_delta("reasoning_details").filter(is_filled_list);
        parts.content = self.content.into_string();
        parts.reasoning = self.reasoning.text.into_string();
        parts.refusal = self.refusal.into_string();
        parts.calls = if calls.is_empty() { function_call } else { calls };
        (parts, raw)
    }
}

/// What a snapshot has beyond the text so far.
fn beyond<'a>(so_far: &str, snapshot: &'a str) -> Option<&'a str> {
    snapshot.strip_prefix(so_far).filter(|rest| !rest.is_empty())
}

fn call_delta(delta: ToolCallDelta) -> Event {
    Event::ToolCallDelta(Box::new(delta))
}
