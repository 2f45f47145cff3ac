//! Chunks to events, and to the same answer that the non-streaming call would have given.

mod answer;
mod chunk;
mod numbering;
mod raw;

use super::decode::{AnswerParts, body_start, read_body, read_choices};
use crate::{
    Error, Event, RawBody, Response, TextDelta,
    answer_stream::{Phase, StreamFailure, StreamedAnswer},
    chunk_template::ChunkTemplate,
    expected::Expected,
    json::{Kind, Malformed, Missing, Piece, Reader},
    response::RawParts,
    sse,
};
pub(super) use answer::Answer;
use answer::{ChunkContent, TextField};
use bytes::Bytes;
use chunk::{Chunk, is_bare_error, only_index, read_chunk};
use numbering::Next;
use std::{borrow::Cow, collections::VecDeque, sync::Arc};

impl StreamedAnswer for Answer {
    type Field = TextField;

    const CUT_OFF: &'static str =
        "the stream was cut off: it ended without a finish reason and without [DONE]";
    const EMPTY: &'static str = "the stream ended with [DONE] before it gave a chunk";

    fn new(request_id: Option<String>, expected: &Expected) -> Self {
        Self::new(request_id, expected)
    }

    /// An event by name is no chunk, whatever it looks like.
    #[inline]
    fn may_match(event: &sse::Event<'_>) -> bool {
        event.name().is_empty()
    }

    #[inline]
    fn append_plain(&mut self, field: TextField, text: &str) -> Option<Event> {
        self.chunks += 1;
        self.append_plain(field, text)
    }

    fn append(&mut self, field: TextField, piece: Piece<'_>) -> Option<Event> {
        self.chunks += 1;
        self.append_delta(field, piece)
    }

    fn read_event(
        &mut self,
        template: &mut ChunkTemplate<TextField>,
        queue: &mut VecDeque<Event>,
        event: &sse::Event<'_>,
    ) -> Option<Phase> {
        read_event(self, template, queue, event)
    }

    fn count(&self) -> u64 {
        self.chunks
    }

    fn has_finish(&self) -> bool {
        self.has_finish
    }

    fn note_unread(&mut self, text: &str) {
        self.note_unread(text);
    }

    fn unread(&self) -> Option<&str> {
        self.unread()
    }

    /// Reads the chunk that still waits for another to decide whose its choice is.
    fn end(&mut self, queue: &mut VecDeque<Event>) {
        if let Some((index, _)) = &self.held {
            self.numbering.end(*index, self.parts.finish.is_some());
            // It was read as JSON before.
            let read = read_held(self, queue);
            debug_assert!(read.is_ok(), "{read:?}");
        }
    }

    fn finish(mut self, queue: &mut VecDeque<Event>, expected: &Expected) -> Result<Response, Error> {
        self.end_texts(queue);
        let (mut parts, raw) = self.assemble();
        if let Some(body) = raw.render_first() {
            take_first(&mut parts, queue, &body);
        }
        let choices = if expected.many_choices {
            read_choices(&String::from_utf8_lossy(&raw.render()), expected)
        } else {
            Vec::new()
        };
        let mut response = parts.into_response(expected, RawBody::from_parts(Arc::new(raw)))?;
        response.all_choices = choices;
        Ok(response)
    }

    fn snapshot(&self, expected: &Expected) -> Response {
        let (parts, raw) = self.clone().assemble();
        parts.into_response_unchecked(expected, RawBody::from_parts(Arc::new(raw)))
    }
}

/// Takes the first of the other choices for the answer: none had the index 0.
fn take_first(parts: &mut AnswerParts, queue: &mut VecDeque<Event>, body: &[u8]) {
    let mut first = AnswerParts::default();
    let text = String::from_utf8_lossy(body);
    if read_body(&text, &mut first).is_err() {
        return;
    }
    let delta = |text: &str| (!text.is_empty()).then(|| TextDelta::from(text));
    queue.extend(delta(&first.reasoning).map(Event::Reasoning));
    queue.extend(delta(&first.content).map(Event::Content));
    parts.take_choice(first);
}

/// Reads one event of the stream; some when it is the last.
fn read_event(
    answer: &mut Answer,
    template: &mut ChunkTemplate<TextField>,
    queue: &mut VecDeque<Event>,
    event: &sse::Event<'_>,
) -> Option<Phase> {
    let frame = |data: &[u8]| Some(Phase::Failed(StreamFailure::ErrorEvent(Bytes::copy_from_slice(data))));
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
            return Some(Phase::Failed(StreamFailure::Broken(error)));
        }
        if chunk.has_choices || chunk.has_usage {
            answer.chunks += 1;
        } else if !answer.has_finish {
            if is_bare_error(&mut Reader::new(value)).unwrap_or_default() {
                return Some(Phase::Failed(StreamFailure::BareError(Bytes::copy_from_slice(
                    value.as_bytes(),
                ))));
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
            return not_json(answer, &text, reader.malformed(Missing::End));
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
    Some(Phase::Failed(StreamFailure::Broken(Error::invalid_response(format!(
        "chunk {} of the stream is not JSON: {wrong}; it starts with `{}`",
        answer.chunks,
        body_start(text)
    )))))
}
