//! Events of the wire to events of the answer, and to the same answer that the non-streaming call would have
//! given.

mod answer;
mod members;

use super::decode::BlockFields;
use crate::{
    Error, Event, RawBody, Response,
    answer_stream::{Phase, StreamFailure, StreamedAnswer},
    chunk_template::ChunkTemplate,
    error_body::body_start,
    expected::Expected,
    json::{Index, Malformed, Piece, Reader, reads_meaningful},
    sse,
};
pub(super) use answer::Answer;
use answer::Delta;
use bytes::Bytes;
use std::{borrow::Cow, collections::VecDeque, sync::Arc};

impl StreamedAnswer for Answer {
    /// Which block the text of the last event belongs to.
    type Field = usize;

    const CUT_OFF: &'static str =
        "the stream was cut off: it ended without a stop reason and without message_stop";
    const EMPTY: &'static str = "the stream ended before it gave a message";

    fn new(request_id: Option<String>, _: &Expected) -> Self {
        Self::new(request_id)
    }

    #[inline]
    fn may_match(event: &sse::Event<'_>) -> bool {
        matches!(event.name(), b"" | DELTA)
    }

    #[inline]
    fn append(&mut self, block: usize, piece: Piece<'_>) -> Option<Event> {
        self.events += 1;
        self.append_delta(block, piece)
    }

    fn read_event(
        &mut self,
        template: &mut ChunkTemplate<usize>,
        queue: &mut VecDeque<Event>,
        event: &sse::Event<'_>,
    ) -> Option<Phase> {
        read_event(self, template, queue, event)
    }

    fn count(&self) -> u64 {
        self.events
    }

    fn has_finish(&self) -> bool {
        self.has_finish()
    }

    fn note_unread(&mut self, text: &str) {
        self.note_unread(text);
    }

    fn unread(&self) -> Option<&str> {
        self.unread()
    }

    fn finish(mut self, queue: &mut VecDeque<Event>, expected: &Expected) -> Result<Response, Error> {
        self.end_texts(queue);
        self.parts().into_response(expected, RawBody::from_parts(Arc::new(self)))
    }

    fn snapshot(&self, expected: &Expected) -> Response {
        let raw = RawBody::from_parts(Arc::new(self.clone()));
        self.parts().into_response_unchecked(expected, raw)
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
                "event {} of the stream is not JSON: {wrong}; it starts with `{}`",
                answer.events,
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
                queue.extend(answer.append_delta(block, piece));
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
