//! Events of the wire to events of the answer, and to the same answer that the non-streaming call would have
//! given.

mod answer;
mod members;

use super::decode::BlockFields;
use crate::{
    Category, Error, ErrorKind, Event, RawBody, Response,
    body_decoder::{AnswerStream, StreamFailure},
    chunk_template::ChunkTemplate,
    error_body::body_start,
    expected::Expected,
    json::{Index, Malformed, Reader, reads_meaningful},
    sse,
};
use answer::{Answer, Delta};
use bytes::Bytes;
use std::{borrow::Cow, collections::VecDeque, sync::Arc, task::Poll};

/// Reads the event stream of one answer.
#[derive(Debug)]
pub(super) struct MessageStream {
    sse: sse::Decoder,
    /// Which block the text of the last event belongs to.
    template: ChunkTemplate<usize>,
    answer: Answer,
    /// Events of an event of the wire that gave more than one.
    queue: VecDeque<Event>,
    phase: Phase,
}

#[derive(Debug)]
enum Phase {
    /// Events come.
    Open,
    /// `message_stop` came, or an end that is as good: nothing more is needed.
    Done,
    /// This is to be handed out, after the events before it.
    Failed(StreamFailure),
    /// The final event or an error was handed out.
    Ended,
}

impl AnswerStream for MessageStream {
    fn new(limits: sse::Limits, request_id: Option<String>, _: &Expected) -> Self {
        Self {
            sse: sse::Decoder::new(limits),
            template: ChunkTemplate::default(),
            answer: Answer::new(request_id),
            queue: VecDeque::new(),
            phase: Phase::Open,
        }
    }

    #[inline]
    fn push(&mut self, bytes: Bytes) {
        if matches!(self.phase, Phase::Open) {
            self.sse.push(bytes);
        }
    }

    #[inline]
    fn poll_event(&mut self, expected: &Expected) -> Option<Result<Event, StreamFailure>> {
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

    /// The body ended: reads a last event without its blank line, and decides what the end means.
    fn end(&mut self) {
        while matches!(self.phase, Phase::Open) {
            let Poll::Ready(event) = self.read_one() else { break };
            self.queue.extend(event);
        }
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
        self.phase = last.unwrap_or_else(|| {
            if self.answer.has_finish() {
                return Phase::Done;
            }
            let text = if self.answer.events == 0 {
                "the stream ended before it gave anything"
            } else {
                "the stream was cut off: it ended without a stop reason and without message_stop"
            };
            let error = Error::new(Category::Unavailable, self.with_unread(text));
            Phase::Failed(StreamFailure::Broken(error.with_kind(ErrorKind::CutOff)))
        });
    }

    #[inline]
    fn is_done(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }

    fn has_begun(&self) -> bool {
        self.answer.events > 0
    }

    fn snapshot(&self, expected: &Expected) -> Response {
        let raw = RawBody::from_parts(Arc::new(self.answer.clone()));
        self.answer.parts().into_response_unchecked(expected, raw)
    }
}

impl MessageStream {
    /// Reads one event of the wire: its only delta where it matched the template, and else its events go into
    /// the queue and its end into the phase. Pending when more bytes are needed.
    #[inline]
    fn read_one(&mut self) -> Poll<Option<Event>> {
        // Where the next event stands whole and matches the template, its lines need not be looked for.
        if let Some((block, piece, length)) = self.template.match_event(self.sse.at_event()) {
            self.answer.events += 1;
            let delta = self.answer.append(block, piece);
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
        let is_delta = matches!(event.name(), b"" | DELTA) && !event.is_error_field();
        if let Some((block, piece)) = is_delta.then(|| self.template.match_chunk(event.data())).flatten() {
            self.answer.events += 1;
            return Poll::Ready(self.answer.append(block, piece));
        }
        if let Some(phase) = read_event(&mut self.answer, &mut self.template, &mut self.queue, &event) {
            self.phase = phase;
        }
        Poll::Ready(None)
    }

    /// A message that quotes what was not understood.
    fn with_unread(&self, text: &'static str) -> Cow<'static, str> {
        let of_lines = || self.sse.unread().map(body_start).filter(|start| !start.is_empty());
        match self.answer.unread().map(str::to_owned).or_else(of_lines) {
            Some(unread) => format!("{text}; what came was not understood: `{unread}`").into(),
            None => text.into(),
        }
    }

    fn finish(&mut self, expected: &Expected) -> Option<Result<Event, StreamFailure>> {
        match std::mem::replace(&mut self.phase, Phase::Ended) {
            Phase::Open | Phase::Ended => return None,
            Phase::Failed(failure) => return Some(Err(failure)),
            Phase::Done => {}
        }
        if self.answer.events == 0 {
            let text = self.with_unread("the stream ended before it gave a message");
            return Some(Err(StreamFailure::Broken(Error::invalid_response(text))));
        }
        self.answer.finish(&mut self.queue);
        let answer = std::mem::take(&mut self.answer);
        match answer.parts().into_response(expected, RawBody::from_parts(Arc::new(answer))) {
            Ok(response) => {
                let calls = response.message.tool_calls.iter();
                self.queue.extend(calls.map(|call| Event::ToolCall(Box::new(call.clone()))));
                self.queue.push_back(Event::Done(Box::new(response)));
            }
            Err(error) => self.phase = Phase::Failed(StreamFailure::Invalid(error)),
        }
        match self.queue.pop_front() {
            Some(event) => Some(Ok(event)),
            None => self.finish(expected),
        }
    }
}

/// The name of the events of which there are many.
const DELTA: &[u8] = b"content_block_delta";

/// How nearly all servers begin such an event.
const DELTA_HEAD: &[u8] = b"event: content_block_delta\ndata: ";

/// Reads one event of the wire; some when it is the last.
fn read_event(
    answer: &mut Answer,
    template: &mut ChunkTemplate<usize>,
    queue: &mut VecDeque<Event>,
    event: &sse::Event<'_>,
) -> Option<Phase> {
    let failed = |failure: StreamFailure| Some(Phase::Failed(failure));
    let data = event.data().trim_ascii();
    if event.is_error_field() || event.name() == b"error" {
        return failed(StreamFailure::ErrorEvent(Bytes::copy_from_slice(event.data())));
    }
    // Keep-alives come in many forms, and some look like data.
    if data.is_empty() || data[0] == b':' || event.name() == b"ping" {
        return None;
    }
    if data == b"[DONE]" {
        return Some(Phase::Done);
    }
    // What this event has is newer than the template.
    template.clear();
    let text = event.text();
    let read = match read_data(answer, queue, &text, event.name()) {
        Ok(read) => read,
        // What follows a complete answer takes nothing from it.
        Err(_) if answer.has_finish() => return None,
        Err(wrong) => {
            return failed(StreamFailure::Broken(Error::invalid_response(format!(
                "event {} of the stream is not JSON: expected {} at byte {}; it starts with `{}`",
                answer.events,
                wrong.expected,
                wrong.at,
                body_start(&text)
            ))));
        }
    };
    match read {
        Read::Progress => answer.events += 1,
        Read::Text(block, range) => {
            answer.events += 1;
            let head: &[u8] = if event.name() == DELTA { DELTA_HEAD } else { b"data: " };
            // Where bytes had to be replaced, the text does not stand in the data where it stands in its
            // text.
            if matches!(text, Cow::Borrowed(_)) && matches!(event.name(), b"" | DELTA) {
                template.record(block, head, event.data(), range);
            }
        }
        Read::Stop => {
            answer.events += 1;
            return Some(Phase::Done);
        }
        Read::Error => return failed(StreamFailure::ErrorEvent(Bytes::copy_from_slice(data))),
        Read::TooManyBlocks => {
            let error = Error::invalid_response("the answer has more content blocks than any model makes");
            return failed(StreamFailure::Broken(error));
        }
        Read::Unknown if !answer.has_finish() => answer.note_unread(&text),
        Read::Unknown | Read::Nothing => {}
    }
    None
}

/// What an event was.
enum Read {
    Nothing,
    Progress,
    /// Nothing but a text to this block, which stands here in the data.
    Text(usize, std::ops::Range<usize>),
    Stop,
    Error,
    TooManyBlocks,
    Unknown,
}

/// Reads the data of an event into the answer, and its events into the queue.
fn read_data(
    answer: &mut Answer,
    queue: &mut VecDeque<Event>,
    text: &str,
    name: &[u8],
) -> Result<Read, Malformed> {
    let mut reader = Reader::new(text);
    let mut fields = EventFields::default();
    let whole = reader.ahead();
    reader.object(|reader, key| fields.read(reader, key))?;
    reader.end()?;
    let kind = fields.kind.take().unwrap_or_else(|| String::from_utf8_lossy(name));
    if fields.is_error && !matches!(&*kind, "message_start" | "message_delta" | "message") {
        return Ok(Read::Error);
    }
    let has_others = !fields.others.is_empty();
    if kind.starts_with("message_") || kind.starts_with("content_block_") {
        for (key, raw) in fields.others {
            answer.take_member(&key, raw);
        }
    }
    let fits = match (&*kind, fields.message, fields.block, fields.delta) {
        ("message_start", Some(mut message), ..) => answer.take_message(&mut message, queue)?,
        // A whole message in a stream.
        ("message", ..) => answer.take_message(&mut { whole }, queue)?,
        ("content_block_start", _, Some(mut block), _) => {
            answer.start(fields.index, BlockFields::read(&mut block)?, queue)
        }
        ("content_block_delta", .., Some(mut delta)) => match answer.take_delta(fields.index, &mut delta)? {
            Some(Delta::Text { block, piece, is_plain }) => {
                let range = piece.range().filter(|_| is_plain && !has_others);
                queue.extend(answer.append(block, piece));
                match range {
                    Some(range) => return Ok(Read::Text(block, range)),
                    None => true,
                }
            }
            Some(Delta::Other) => true,
            None => false,
        },
        ("message_delta", .., delta) => {
            if let Some(mut delta) = delta {
                delta.object(|reader, key| {
                    answer.take_member(key, reader.raw()?);
                    Ok(())
                })?;
            }
            if let Some(mut usage) = fields.usage {
                answer.take_usage(&mut usage, queue)?;
            }
            true
        }
        ("content_block_stop", ..) => true,
        ("message_stop", ..) => return Ok(Read::Stop),
        ("ping", ..) => return Ok(Read::Nothing),
        _ => return Ok(Read::Unknown),
    };
    Ok(if fits { Read::Progress } else { Read::TooManyBlocks })
}

/// The members of an event, its objects not read yet.
#[derive(Default)]
struct EventFields<'a> {
    kind: Option<Cow<'a, str>>,
    index: Index,
    message: Option<Reader<'a>>,
    block: Option<Reader<'a>>,
    delta: Option<Reader<'a>>,
    usage: Option<Reader<'a>>,
    is_error: bool,
    others: Vec<(String, &'a str)>,
}

impl<'a> EventFields<'a> {
    fn read(&mut self, reader: &mut Reader<'a>, key: &str) -> Result<(), Malformed> {
        let slot = match key {
            "type" => {
                self.kind = reader.text()?;
                self.is_error |= self.kind.as_deref() == Some("error");
                return Ok(());
            }
            "index" => {
                self.index = reader.index()?;
                return Ok(());
            }
            "error" => {
                self.is_error |= reads_meaningful(reader)?;
                return Ok(());
            }
            "message" => &mut self.message,
            "content_block" => &mut self.block,
            "delta" => &mut self.delta,
            "usage" => &mut self.usage,
            _ => {
                self.others.push((key.to_owned(), reader.raw()?));
                return Ok(());
            }
        };
        *slot = Some(reader.ahead());
        reader.skip()
    }
}

/// An event that was cut off in the middle of its JSON.
fn is_truncated_json(event: &sse::Event<'_>) -> bool {
    let text = event.text();
    let mut reader = Reader::new(&text);
    text.trim_start().starts_with('{') && reader.skip().and_then(|()| reader.end()).is_err()
}

fn too_large(limit: sse::LimitExceeded) -> StreamFailure {
    StreamFailure::Broken(
        Error::invalid_response(limit.to_string()).with_kind(ErrorKind::TooLarge).with_source(limit),
    )
}
