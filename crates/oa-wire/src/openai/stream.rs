//! Chunks to events, and to the same answer that the non-streaming call would have given.

mod answer;
mod chunk;
mod numbering;
mod raw;

use super::decode::{AnswerParts, body_start, read_body, read_choices};
use crate::{
    Category, Error, ErrorKind, Event, RawBody, Response, TextDelta, ToolCall,
    chunk_template::ChunkTemplate,
    expected::Expected,
    json::{Kind, Malformed, Reader},
    response::RawParts,
    sse,
};
use answer::{Answer, ChunkContent, TextField};
use bytes::Bytes;
use chunk::{Chunk, is_bare_error, only_index, read_chunk};
use numbering::Next;
use std::{borrow::Cow, collections::VecDeque, sync::Arc, task::Poll};

/// Reads the event stream of one answer.
#[derive(Debug)]
pub(super) struct ChatStream {
    sse: sse::Decoder,
    template: ChunkTemplate<TextField>,
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
    Ended,
}

/// Why a stream gives no response.
#[derive(Clone, Debug)]
pub(super) enum Failure {
    /// The server sent an error: this is its data.
    Frame(Bytes),
    /// The server sent an error that does not say that it is one: this is its data.
    BareError(Bytes),
    /// This error; what came is to be kept with it.
    Error(Error),
    /// This error, with all it needs.
    Final(Error),
}

impl ChatStream {
    pub(super) fn new(limits: sse::Limits, request_id: Option<String>, expected: &Expected) -> Self {
        Self {
            sse: sse::Decoder::new(limits),
            template: ChunkTemplate::default(),
            answer: Answer::new(request_id, expected),
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
    pub(super) fn poll_event(&mut self, expected: &Expected) -> Option<Result<Event, Failure>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            if !matches!(self.phase, Phase::Open) {
                return self.finish(expected);
            }
            match self.read_one() {
                Poll::Ready(Some(event)) => return Some(Ok(event)),
                Poll::Ready(None) => {}
                Poll::Pending => return None,
            }
        }
    }

    /// Reads one event of the stream: its only delta where it matched the template, and else its events go
    /// into the queue and its end into the phase. Pending when more bytes are needed.
    #[inline]
    fn read_one(&mut self) -> Poll<Option<Event>> {
        // Where the next event stands whole and matches the template, its lines need not be looked for.
        if let Some((field, piece, length)) = self.template.match_event(self.sse.at_event()) {
            self.answer.chunks += 1;
            let delta = self.answer.append_delta(field, piece);
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
        if let Some((field, piece)) = is_chunk.then(|| self.template.match_chunk(event.data())).flatten() {
            self.answer.chunks += 1;
            return Poll::Ready(self.answer.append_delta(field, piece));
        }
        if let Some(phase) = read_event(&mut self.answer, &mut self.template, &mut self.queue, &event) {
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
            // A part of an event is no event, and no error of its own: that the stream was cut off is.
            Ok(Some(event)) if is_truncated_json(&event) => {
                self.answer.note_unread(&event.text());
                None
            }
            Ok(Some(event)) => read_event(&mut self.answer, &mut self.template, &mut self.queue, &event),
            Ok(None) => None,
            Err(limit) => Some(Phase::Failed(too_large(limit))),
        };
        if last.is_none() {
            self.end_held();
        }
        self.phase = last.unwrap_or_else(|| {
            if self.answer.has_finish {
                return Phase::Done;
            }
            let text = if self.answer.chunks == 0 {
                "the stream ended before it gave anything"
            } else {
                "the stream was cut off: it ended without a finish reason and without [DONE]"
            };
            let error = Error::new(Category::Unavailable, self.with_unread(text));
            Phase::Failed(Failure::Error(error.with_kind(ErrorKind::CutOff)))
        });
    }

    /// Reads what was pushed and not asked for: its events wait in the queue.
    fn read_rest(&mut self) {
        while matches!(self.phase, Phase::Open) {
            let Poll::Ready(event) = self.read_one() else { return };
            self.queue.extend(event);
        }
    }

    /// Reads the chunk that still waits for another to decide whose its choice is.
    fn end_held(&mut self) {
        if let Some((index, _)) = &self.answer.held {
            self.answer.numbering.end(*index, self.answer.parts.finish.is_some());
            // It was read as JSON before.
            let read = read_held(&mut self.answer, &mut self.queue);
            debug_assert!(read.is_ok(), "{read:?}");
        }
    }

    /// A message that quotes what was not understood.
    fn with_unread(&self, text: &'static str) -> Cow<'static, str> {
        let of_lines = || self.sse.unread().map(body_start).filter(|start| !start.is_empty());
        match self.answer.unread().map(str::to_owned).or_else(of_lines) {
            Some(unread) => format!("{text}; what came was not understood: `{unread}`").into(),
            None => text.into(),
        }
    }

    /// What has come so far.
    pub(super) fn snapshot(&self, expected: &Expected) -> Response {
        let (parts, raw) = self.answer.clone().assemble();
        parts.into_response_unchecked(expected, RawBody::from_parts(Arc::new(raw)))
    }

    /// Whether anything came that is worth keeping.
    pub(super) fn has_begun(&self) -> bool {
        self.answer.chunks > 0
    }

    fn finish(&mut self, expected: &Expected) -> Option<Result<Event, Failure>> {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Open | Phase::Ended => return None,
            Phase::Failed(failure) => return Some(Err(failure)),
            Phase::Done => self.end_held(),
        }
        if self.answer.chunks == 0 {
            let text = self.with_unread("the stream ended with [DONE] before it gave a chunk");
            return Some(Err(Failure::Error(Error::invalid_response(text))));
        }
        self.answer.finish(&mut self.queue);
        let (mut parts, raw) = std::mem::take(&mut self.answer).assemble();
        if let Some(body) = raw.render_first() {
            self.take_first(&mut parts, &body);
        }
        let choices = if expected.many_choices {
            read_choices(&String::from_utf8_lossy(&raw.render()), expected)
        } else {
            Vec::new()
        };
        match parts.into_response(expected, RawBody::from_parts(Arc::new(raw))) {
            Ok(mut response) => {
                response.all_choices = choices;
                self.queue.extend(whole_calls(&response));
                self.queue.push_back(Event::Done(Box::new(response)));
            }
            Err(error) => self.phase = Phase::Failed(Failure::Final(error)),
        }
        match self.queue.pop_front() {
            Some(event) => Some(Ok(event)),
            None => self.finish(expected),
        }
    }

    /// Takes the first of the other choices for the answer: none had the index 0.
    fn take_first(&mut self, parts: &mut AnswerParts, body: &[u8]) {
        let mut first = AnswerParts::default();
        let text = String::from_utf8_lossy(body);
        if read_body(&text, &mut first).is_err() {
            return;
        }
        let delta = |text: &str| (!text.is_empty()).then(|| TextDelta::from(text));
        self.queue.extend(delta(&first.reasoning).map(Event::Reasoning));
        self.queue.extend(delta(&first.content).map(Event::Content));
        parts.take_choice(first);
    }
}

/// Reads one event of the stream; some when it is the last.
fn read_event(
    answer: &mut Answer,
    template: &mut ChunkTemplate<TextField>,
    queue: &mut VecDeque<Event>,
    event: &sse::Event<'_>,
) -> Option<Phase> {
    let frame = |data: &[u8]| Some(Phase::Failed(Failure::Frame(Bytes::copy_from_slice(data))));
    let data = event.data().trim_ascii();
    if event.is_error_field() || event.name() == b"error" {
        return frame(event.data());
    }
    // Keep-alives come in many forms, and some look like data.
    if data.is_empty() || data[0] == b':' || event.name() == b"ping" {
        return None;
    }
    if data == b"[DONE]" {
        return Some(Phase::Done);
    }
    // What this chunk has is newer than the template.
    template.clear();
    let text = event.text();
    let mut reader = Reader::new(&text);
    let mut is_first = true;
    loop {
        let from = reader.offset();
        let mut chunk = match read_value(&mut reader, answer, queue) {
            Ok(chunk) => chunk,
            Err(wrong) => return not_json(answer, &text, wrong),
        };
        let value = &text[from..reader.offset().min(text.len())];
        if chunk.is_error {
            return frame(value.as_bytes());
        }
        if let Some(error) = chunk.choice_error {
            answer.chunks += 1;
            return frame(error.as_bytes());
        }
        if chunk.has_too_many_calls {
            let error = Error::invalid_response("the answer has more tool calls than any model makes");
            return Some(Phase::Failed(Failure::Error(error)));
        }
        if chunk.has_choices || chunk.has_usage {
            answer.chunks += 1;
        } else if !answer.has_finish {
            if is_bare_error(&mut Reader::new(value)).unwrap_or_default() {
                return Some(Phase::Failed(Failure::BareError(Bytes::copy_from_slice(value.as_bytes()))));
            }
            answer.note_unread(value);
        }
        let is_last = reader.is_at_end();
        if let (ChunkContent::Text(field, range), true) =
            (std::mem::take(&mut chunk.content), is_first && is_last)
        {
            // Where bytes had to be replaced, the text does not stand in the data where it stands in its
            // text.
            if matches!(text, Cow::Borrowed(_)) {
                template.record(field, b"data: ", event.data(), range);
            }
        }
        if is_last {
            return None;
        }
        // Another chunk in the same event, where the server left out the blank line.
        if reader.kind() != Ok(Kind::Object) {
            return not_json(answer, &text, reader.expected("the end"));
        }
        is_first = false;
    }
}

/// Reads a chunk, or a list that holds the only one.
fn read_value(
    reader: &mut Reader<'_>,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
) -> Result<Chunk, Malformed> {
    if reader.kind()? != Kind::Array {
        if answer.numbering.is_decided() {
            return read_chunk(reader, answer, queue);
        }
        return read_first(reader, answer, queue);
    }
    let mut whole = Chunk::default();
    reader.array(|reader, at| {
        if at > 0 {
            return reader.skip();
        }
        whole = read_chunk(reader, answer, queue)?;
        whole.content = ChunkContent::More;
        Ok(())
    })?;
    Ok(whole)
}

/// Reads one of the first chunks, which decide whose the choices are.
#[cold]
fn read_first(
    reader: &mut Reader<'_>,
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
) -> Result<Chunk, Malformed> {
    let Some(index) = only_index(reader)? else {
        if let Some(mut choices) = reader.lookup("choices")? {
            let mut count = 0;
            choices.array(|reader, _| {
                count += 1;
                reader.skip()
            })?;
            if count > 1 {
                answer.numbering.fix();
                read_held(answer, queue)?;
            }
        }
        return read_chunk(reader, answer, queue);
    };
    let held = answer.held.as_ref().map(|(index, _)| *index);
    if answer.numbering.next(index, held, answer.chunks) == Next::Hold {
        answer.held = Some((index, reader.raw()?.to_owned()));
        return Ok(Chunk { has_choices: true, content: ChunkContent::More, ..Chunk::default() });
    }
    let waited = answer.held.is_some();
    read_held(answer, queue)?;
    let mut chunk = read_chunk(reader, answer, queue)?;
    if waited {
        chunk.content = ChunkContent::More;
    }
    Ok(chunk)
}

/// Reads the chunk that waited.
fn read_held(answer: &mut Answer, queue: &mut VecDeque<Event>) -> Result<(), Malformed> {
    if let Some((_, text)) = answer.held.take() {
        read_chunk(&mut Reader::new(&text), answer, queue)?;
    }
    Ok(())
}

/// What data that is no JSON ends: nothing, where the answer is complete.
fn not_json(answer: &mut Answer, text: &str, wrong: Malformed) -> Option<Phase> {
    if answer.has_finish {
        return None;
    }
    Some(Phase::Failed(Failure::Error(Error::invalid_response(format!(
        "chunk {} of the stream is not JSON: expected {} at byte {}; it starts with `{}`",
        answer.chunks,
        wrong.expected,
        wrong.at,
        body_start(text)
    )))))
}

/// An event that was cut off in the middle of its JSON.
fn is_truncated_json(event: &sse::Event<'_>) -> bool {
    let text = event.text();
    let mut reader = Reader::new(&text);
    text.trim_start().starts_with('{') && reader.skip().and_then(|()| reader.end()).is_err()
}

fn too_large(limit: sse::LimitExceeded) -> Failure {
    Failure::Error(
        Error::invalid_response(limit.to_string()).with_kind(ErrorKind::TooLarge).with_source(limit),
    )
}

fn whole_calls(response: &Response) -> impl Iterator<Item = Event> {
    response.message.tool_calls.iter().cloned().map(|call: ToolCall| Event::ToolCall(Box::new(call)))
}
