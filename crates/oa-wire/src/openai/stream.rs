//! Chunks to events, and to the same answer that the atomic call would have given.

mod memo;
mod raw;

use super::{
    decode::{Asked, Parts, owned, read_arguments, read_content, read_usage, start_of},
    tool_calls::{Assembler, Fragment},
};
use crate::{
    Category, Error, ErrorKind, Event, RawBody, Response, TextDelta, ToolCall,
    json::{Kind, Malformed, Reader},
    sse,
};
use bytes::Bytes;
use memo::{Memo, Place};
use raw::{RawLog, Scope};
use std::{borrow::Cow, collections::VecDeque, ops::Range, sync::Arc, task::Poll};

/// The most tool calls of one answer. No model makes as many, and finding one among them takes time.
const MAX_CALLS: usize = 10_000;

/// Reads the event stream of one answer.
#[derive(Debug)]
pub(super) struct ChatStream {
    sse: sse::Decoder,
    memo: Memo,
    answer: Answer,
    /// Events of a chunk that gave more than one.
    queue: VecDeque<Event>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Chunks come.
    Open,
    /// `[DONE]` came, or an end that is as good: nothing more is needed.
    Done,
    /// This is to be handed out, after the events before it.
    Failed(Failure),
    /// The final event or an error was handed out.
    Over,
}

/// What the chunks have added up to.
#[derive(Debug, Default)]
struct Answer {
    parts: Parts,
    calls: Assembler,
    log: RawLog,
    chunks: u64,
}

impl ChatStream {
    pub(super) fn new(limits: sse::Limits, request_id: Option<String>) -> Self {
        let answer = Answer { parts: Parts { request_id, ..Parts::default() }, ..Answer::default() };
        Self {
            sse: sse::Decoder::new(limits),
            memo: Memo::default(),
            answer,
            queue: VecDeque::new(),
            phase: Phase::Open,
        }
    }

    pub(super) fn push(&mut self, bytes: Bytes) {
        if matches!(self.phase, Phase::Open) {
            self.sse.push(bytes);
        }
    }

    /// True after `[DONE]`, or an error.
    pub(super) fn is_done(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }

    /// The next event that the bytes so far hold.
    #[inline]
    pub(super) fn poll_event(&mut self, asked: &Asked) -> Option<Result<Event, Failure>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            if !matches!(self.phase, Phase::Open) {
                return self.conclude(asked);
            }
            match self.read_one() {
                Poll::Ready(Some(event)) => return Some(Ok(event)),
                Poll::Ready(None) => {}
                Poll::Pending => return None,
            }
        }
    }

    /// Reads one event of the stream: its only delta where the memo knew it, and else what it says goes into the queue
    /// and the phase. Pending when more bytes are needed.
    #[inline]
    fn read_one(&mut self) -> Poll<Option<Event>> {
        // Where the next event stands whole and is known by sight, its lines need not be looked for.
        if let Some((place, text, length)) = self.memo.recall_event(self.sse.at_event()) {
            self.answer.chunks += 1;
            let delta = self.answer.say(place, &text);
            self.sse.skip_event(length);
            return Poll::Ready(delta);
        }
        let event = match self.sse.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => return Poll::Pending,
            Err(limit) => {
                self.phase = Phase::Failed(too_large(limit));
                return Poll::Ready(None);
            }
        };
        // An event by name is no chunk, whatever it looks like.
        let is_chunk = event.name().is_empty() && !event.is_error_field();
        if let Some((place, text)) = is_chunk.then(|| self.memo.recall(event.data())).flatten() {
            self.answer.chunks += 1;
            return Poll::Ready(self.answer.say(place, &text));
        }
        if let Some(phase) = frame(&mut self.answer, &mut self.memo, &mut self.queue, &event) {
            self.phase = phase;
        }
        Poll::Ready(None)
    }

    /// The body ended: reads a last event without its blank line, and decides what the end means.
    pub(super) fn end(&mut self) {
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        self.read_rest();
        if !matches!(self.phase, Phase::Open) {
            return;
        }
        let last = match self.sse.finish() {
            // A piece of an event is no event, and no error of its own: that the stream was cut off is.
            Ok(Some(event)) if is_piece(&event) => None,
            Ok(Some(event)) => frame(&mut self.answer, &mut self.memo, &mut self.queue, &event),
            Ok(None) => None,
            Err(limit) => Some(Phase::Failed(too_large(limit))),
        };
        self.phase = last.unwrap_or_else(|| {
            if self.answer.parts.finish.is_some() {
                return Phase::Done;
            }
            let text = if self.answer.chunks == 0 {
                "the stream ended before it gave anything"
            } else {
                "the stream was cut off: it ended without a finish reason and without [DONE]"
            };
            Phase::Failed(Failure::Error(
                Error::new(Category::Unavailable, text).with_kind(ErrorKind::CutOff),
            ))
        });
    }

    /// Reads what was pushed and not asked for: its events wait in the queue.
    fn read_rest(&mut self) {
        while matches!(self.phase, Phase::Open) {
            let Poll::Ready(event) = self.read_one() else { return };
            self.queue.extend(event);
        }
    }

    /// What has come so far.
    pub(super) fn snapshot(&self, asked: &Asked) -> Response {
        let mut parts = self.answer.parts.clone();
        parts.calls = self.answer.calls.calls();
        let raw = self.answer.log.assemble(&parts);
        parts.surface(asked, RawBody::from_parts(Arc::new(raw)))
    }

    /// Whether anything came that is worth keeping.
    pub(super) fn has_begun(&self) -> bool {
        self.answer.chunks > 0
    }

    fn conclude(&mut self, asked: &Asked) -> Option<Result<Event, Failure>> {
        match std::mem::replace(&mut self.phase, Phase::Over) {
            Phase::Open | Phase::Over => return None,
            Phase::Failed(failure) => return Some(Err(failure)),
            Phase::Done => {}
        }
        if self.answer.chunks == 0 {
            let text = "the stream ended with [DONE] before it gave a chunk";
            return Some(Err(Failure::Error(Error::invalid_response(text))));
        }
        let mut parts = std::mem::take(&mut self.answer.parts);
        parts.calls = self.answer.calls.calls();
        let raw = std::mem::take(&mut self.answer.log).assemble(&parts);
        match parts.respond(asked, RawBody::from_parts(Arc::new(raw))) {
            Ok(response) => {
                self.queue.extend(whole_calls(&response));
                self.queue.push_back(Event::Done(Box::new(response)));
                self.queue.pop_front().map(Ok)
            }
            Err(error) => Some(Err(Failure::Final(error))),
        }
    }
}

/// Reads one event of the stream; some when it is the last.
fn frame(
    answer: &mut Answer,
    memo: &mut Memo,
    queue: &mut VecDeque<Event>,
    event: &sse::Event<'_>,
) -> Option<Phase> {
    let is_error = || Some(Phase::Failed(Failure::Frame(Bytes::copy_from_slice(event.data()))));
    let data = event.data().trim_ascii();
    if event.is_error_field() || event.name() == b"error" {
        return is_error();
    }
    // Keep-alives come in many forms, and some look like data.
    if data.is_empty() || data[0] == b':' || event.name() == b"ping" {
        return None;
    }
    if data == b"[DONE]" {
        return Some(Phase::Done);
    }
    // What this chunk says is newer than what the memo knows.
    memo.forget();
    let text = event.text();
    let chunk = match read_chunk(&text, answer, queue) {
        Ok(chunk) => chunk,
        Err(wrong) => {
            return Some(Phase::Failed(Failure::Error(Error::invalid_response(format!(
                "chunk {} of the stream is not JSON: expected {} at byte {}; it starts with `{}`",
                answer.chunks,
                wrong.expected,
                wrong.at,
                start_of(&text)
            )))));
        }
    };
    if chunk.is_error {
        return is_error();
    }
    if !chunk.has_choices && !chunk.has_usage {
        return None;
    }
    answer.chunks += 1;
    if let News::Text(place, range) = chunk.news {
        // Where bytes had to be replaced, the text does not lie in the data as it lies in its text.
        if matches!(text, Cow::Borrowed(_)) {
            memo.learn(place, event.data(), range);
        }
    }
    None
}

/// An event that was cut off in the middle of its JSON.
fn is_piece(event: &sse::Event<'_>) -> bool {
    let text = event.text();
    let mut reader = Reader::new(&text);
    text.trim_start().starts_with('{') && reader.skip().and_then(|()| reader.end()).is_err()
}

fn too_large(limit: sse::LimitExceeded) -> Failure {
    Failure::Error(
        Error::invalid_response(limit.to_string()).with_kind(ErrorKind::TooLarge).with_source(limit),
    )
}

/// Why a stream gives no response.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server sent an error: this is its data.
    Frame(Bytes),
    /// This error; what came is to be kept with it.
    Error(Error),
    /// This error, with all it needs.
    Final(Error),
}

impl Answer {
    /// Adds a piece of what is said in this place; none when it is empty.
    #[inline]
    fn say(&mut self, place: Place, text: &str) -> Option<Event> {
        match place {
            Place::Content | Place::Reasoning if text.is_empty() => None,
            Place::Content => {
                self.parts.content.push_str(text);
                Some(Event::Content(TextDelta::from(text)))
            }
            Place::Reasoning => {
                self.parts.reasoning.push_str(text);
                Some(Event::Reasoning(TextDelta::from(text)))
            }
            Place::Arguments { index } => {
                self.call(Fragment { index, arguments: text, ..Fragment::default() })
            }
        }
    }

    fn call(&mut self, fragment: Fragment<'_>) -> Option<Event> {
        self.calls.push(fragment).map(|delta| Event::ToolCallDelta(Box::new(delta)))
    }
}

fn whole_calls(response: &Response) -> impl Iterator<Item = Event> {
    response.message.tool_calls.iter().cloned().map(|call: ToolCall| Event::ToolCall(Box::new(call)))
}

/// What a chunk was.
#[derive(Default)]
struct Chunk {
    is_error: bool,
    has_choices: bool,
    has_usage: bool,
    news: News,
}

/// What of a chunk was not there before.
#[derive(Default)]
enum News {
    #[default]
    Nothing,
    /// One text, which stands here: the next chunk may differ in that alone.
    Text(Place, Range<usize>),
    /// Something that a memo would drop.
    More,
}

impl News {
    fn text(&mut self, place: Place, range: Range<usize>) {
        *self = match self {
            Self::Nothing => Self::Text(place, range),
            Self::Text(..) | Self::More => Self::More,
        };
    }
}

/// Reads a chunk into the answer and its events into the queue.
fn read_chunk(text: &str, answer: &mut Answer, queue: &mut VecDeque<Event>) -> Result<Chunk, Malformed> {
    let mut chunk = Chunk::default();
    let mut reader = Reader::new(text);
    reader.object(|reader, key| {
        match key {
            "choices" => {
                chunk.has_choices = reader.array(|reader, at| {
                    if at > 0 {
                        chunk.news = News::More;
                    }
                    read_choice(reader, answer, queue, &mut chunk.news)
                })?;
                return Ok(());
            }
            "error" => {
                chunk.is_error |= reader.kind()? != Kind::Null;
                return reader.skip();
            }
            "usage" if reader.kind()? == Kind::Object => {
                chunk.has_usage = true;
                chunk.news = News::More;
                let raw = reader.raw()?;
                answer.log.note(Scope::Root, key, raw);
                let usage = read_usage(&mut Reader::new(raw))?;
                if usage != answer.parts.usage {
                    answer.parts.usage = usage;
                    queue.push_back(Event::Usage(Box::new(usage)));
                }
                return Ok(());
            }
            _ => {}
        }
        let raw = reader.raw()?;
        answer.log.note(Scope::Root, key, raw);
        let slot = match key {
            "id" => &mut answer.parts.id,
            "model" => &mut answer.parts.model,
            "object" => {
                chunk.is_error |= raw == "\"error\"";
                return Ok(());
            }
            _ => return Ok(()),
        };
        if slot.is_none() {
            *slot = owned(Reader::new(raw).text()?);
        }
        Ok(())
    })?;
    reader.end()?;
    Ok(chunk)
}

fn read_choice(
    reader: &mut Reader<'_>,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
    news: &mut News,
) -> Result<(), Malformed> {
    // The index may stand behind the delta: it is looked up first. It is short, and mostly first.
    let index = index_of(reader)?;
    reader.object(|reader, key| match key {
        "index" => reader.skip(),
        "delta" | "message" if index == 0 => read_delta(reader, answer, queue, news),
        "delta" => {
            reader.object(|reader, key| {
                answer.log.note(Scope::Delta(index), key, reader.raw()?);
                Ok(())
            })?;
            Ok(())
        }
        "finish_reason" => {
            let raw = reader.raw()?;
            answer.log.note(Scope::Choice(index), key, raw);
            let finish = owned(Reader::new(raw).text()?);
            if index == 0 && finish.is_some() {
                *news = News::More;
                answer.parts.finish = finish;
            }
            Ok(())
        }
        _ => {
            let kind = reader.kind()?;
            answer.log.note(Scope::Choice(index), key, reader.raw()?);
            if adds_up(kind) {
                *news = News::More;
            }
            Ok(())
        }
    })?;
    Ok(())
}

fn index_of(reader: &Reader<'_>) -> Result<u64, Malformed> {
    let mut index = None;
    let looked = reader.ahead().object(|reader, key| {
        if key != "index" {
            return reader.skip();
        }
        index = Some(reader.counter()?.unwrap_or(0));
        // It is found: the rest is read when the choice is.
        Err(Malformed { at: 0, expected: "" })
    });
    match index {
        Some(index) => Ok(index),
        None => looked.map(|_| 0),
    }
}

/// Values of these kinds are joined over the chunks; a scalar's last one counts.
fn adds_up(kind: Kind) -> bool {
    matches!(kind, Kind::Object | Kind::Array)
}

fn read_delta(
    reader: &mut Reader<'_>,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
    news: &mut News,
) -> Result<(), Malformed> {
    let mut reasoned = false;
    reader.object(|reader, key| {
        let kind = reader.kind()?;
        match (key, kind) {
            (_, Kind::Null) => {
                let raw = reader.raw()?;
                if !matches!(key, "content" | "tool_calls") {
                    answer.log.note(Scope::Delta(0), key, raw);
                }
                return Ok(());
            }
            ("content", Kind::Text) => {
                if let Some((text, range)) = reader.text_at()? {
                    queue.extend(answer.say(Place::Content, &text));
                    news.text(Place::Content, range);
                }
            }
            ("content", _) => {
                let mut text = String::new();
                read_content(reader, &mut text)?;
                queue.extend(answer.say(Place::Content, &text));
                *news = News::More;
            }
            ("reasoning" | "reasoning_content", Kind::Text) => {
                answer.log.reasoning_as(key);
                if let Some((text, range)) = reader.text_at()? {
                    // Some servers send both, with the same text: it is taken once.
                    if reasoned {
                        *news = News::More;
                    } else {
                        reasoned = !text.is_empty();
                        queue.extend(answer.say(Place::Reasoning, &text));
                        news.text(Place::Reasoning, range);
                    }
                }
            }
            ("tool_calls", Kind::Array) => {
                reader.array(|reader, _| read_fragment(reader, answer, queue, news))?;
            }
            ("function_call", Kind::Object) => {
                read_fragment(reader, answer, queue, news)?;
            }
            _ => {
                if adds_up(kind) || (kind == Kind::Text && key != "role") {
                    *news = News::More;
                }
                answer.log.note(Scope::Delta(0), key, reader.raw()?);
            }
        }
        Ok(())
    })?;
    Ok(())
}

fn read_fragment(
    reader: &mut Reader<'_>,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
    news: &mut News,
) -> Result<(), Malformed> {
    let (mut index, mut id, mut name) = (None, None, None);
    let (mut arguments, mut stands, mut whole) = (Cow::Borrowed(""), None, false);
    reader.object(|reader, key| {
        let mut function = |reader: &mut Reader<'_>, key: &str| {
            match key {
                "name" => name = owned(reader.text()?),
                "arguments" if reader.kind()? == Kind::Text => {
                    if let Some((text, range)) = reader.text_at()? {
                        arguments = Cow::Owned(text.into_owned());
                        stands = Some(range);
                    }
                }
                "arguments" => {
                    let (text, is_value) = read_arguments(reader)?;
                    arguments = Cow::Owned(text.into_owned());
                    whole = is_value;
                }
                _ => reader.skip()?,
            }
            Ok(())
        };
        match key {
            "index" => index = reader.counter()?,
            "id" => id = owned(reader.text()?),
            "function" => {
                reader.object(function)?;
            }
            _ => function(reader, key)?,
        }
        Ok(())
    })?;
    match stands {
        Some(range) if id.is_none() && name.is_none() => news.text(Place::Arguments { index }, range),
        _ => *news = News::More,
    }
    let fragment = Fragment {
        index,
        id: id.as_deref().unwrap_or_default(),
        name: name.as_deref().unwrap_or_default(),
        arguments: &arguments,
        whole,
    };
    if answer.calls.len() > MAX_CALLS {
        return Err(reader.expected("fewer tool calls"));
    }
    queue.extend(answer.call(fragment));
    Ok(())
}
