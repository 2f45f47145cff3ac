//! The event stream of one answer: the loop over its events, and what its end means, for every wire mapping.

use crate::{
    Category, Error, ErrorKind, Event, Response,
    chunk_template::ChunkTemplate,
    error_body::body_start,
    expected::Expected,
    json::{Piece, Reader},
    sse,
};
use bytes::Bytes;
use std::{borrow::Cow, collections::VecDeque, fmt};

/// What the events of a stream add up to.
pub(crate) trait StreamedAnswer: Clone + Default + fmt::Debug + Send + 'static {
    /// Which text of an event differs from one to the next.
    type Field: Copy + fmt::Debug + Send;

    /// What is wrong with a stream that ended before the answer did.
    const CUT_OFF: &'static str;

    /// What is wrong with a stream that ended as it should, and gave nothing.
    const EMPTY: &'static str;

    fn new(request_id: Option<String>, expected: &Expected) -> Self;

    /// Whether an event of this name may match the template.
    fn may_match(event: &sse::Event<'_>) -> bool;

    /// Takes an event that matched the template and whose text has no escapes.
    #[inline]
    fn append_plain(&mut self, field: Self::Field, text: &str) -> Option<Event> {
        self.append(field, Piece::plain(text))
    }

    /// Takes an event that matched the template: its text.
    fn append(&mut self, field: Self::Field, piece: Piece<'_>) -> Option<Event>;

    /// Reads an event. Its events go into the queue; gives the phase that it ends the stream with.
    fn read_event(
        &mut self,
        template: &mut ChunkTemplate<Self::Field>,
        queue: &mut VecDeque<Event>,
        event: &sse::Event<'_>,
    ) -> Option<Phase>;

    /// How many events of the wire were part of it.
    fn count(&self) -> u64;

    /// True once it has a reason why it ended.
    fn has_finish(&self) -> bool;

    /// Keeps the start of data that was not understood, for the error that ends a stream without an answer.
    fn note_unread(&mut self, text: &str);

    /// The data that was not understood.
    fn unread(&self) -> Option<&str>;

    /// Nothing follows: reads what still waited for more.
    fn end(&mut self, _queue: &mut VecDeque<Event>) {}

    /// The response, or why this is none. What was withheld goes into the queue.
    fn finish(self, queue: &mut VecDeque<Event>, expected: &Expected) -> Result<Response, Error>;

    /// What has come so far.
    fn snapshot(&self, expected: &Expected) -> Response;
}

/// Why a stream gives no answer.
#[derive(Debug)]
pub(crate) enum StreamFailure {
    /// The server sent an error: this is its data.
    ErrorEvent(Bytes),
    /// The server sent an error that does not say that it is one: this is its data.
    BareError(Bytes),
    /// This error; what was received is to be kept with it.
    Broken(Error),
    /// This error, which has all that was received.
    Invalid(Error),
}

/// Where a stream is.
#[derive(Debug)]
pub(crate) enum Phase {
    /// Events come.
    Open,
    /// The last event came, or an end that is as good: nothing more is needed.
    Done,
    /// This is to be handed out, after the events before it.
    Failed(StreamFailure),
    /// The final event or an error was handed out.
    Ended,
}

/// Reads the event stream of one answer.
#[derive(Debug)]
pub(crate) struct AnswerStream<A: StreamedAnswer> {
    sse: sse::Decoder,
    template: ChunkTemplate<A::Field>,
    answer: A,
    /// Events of an event of the wire that gave more than one.
    queue: VecDeque<Event>,
    phase: Phase,
}

impl<A: StreamedAnswer> AnswerStream<A> {
    pub(crate) fn new(limits: sse::Limits, request_id: Option<String>, expected: &Expected) -> Self {
        Self {
            sse: sse::Decoder::new(limits),
            template: ChunkTemplate::default(),
            answer: A::new(request_id, expected),
            queue: VecDeque::new(),
            phase: Phase::Open,
        }
    }

    #[inline]
    pub(crate) fn push(&mut self, bytes: Bytes) {
        if matches!(self.phase, Phase::Open) {
            self.sse.push(bytes);
        }
    }

    /// True when nothing more of the body is needed.
    #[inline]
    pub(crate) fn is_done(&self) -> bool {
        !matches!(self.phase, Phase::Open)
    }

    /// True when there is something that is worth keeping.
    pub(crate) fn has_begun(&self) -> bool {
        self.answer.count() > 0
    }

    pub(crate) fn snapshot(&self, expected: &Expected) -> Response {
        self.answer.snapshot(expected)
    }

    /// The next event, where it is a delta like the one before: nearly all events of a long answer.
    #[inline]
    pub(crate) fn next_delta(&mut self) -> Option<Event> {
        if !self.queue.is_empty() || !matches!(self.phase, Phase::Open) {
            return None;
        }
        loop {
            // Where the next event stands whole and matches the template, its lines need not be looked for.
            let (field, text, length) = self.template.match_event(self.sse.at_event())?;
            let delta = match text.plain() {
                Some(text) => self.answer.append_plain(field, text),
                None => self.answer.append(field, text.piece()?),
            };
            self.sse.skip_event(length);
            if delta.is_some() {
                return delta;
            }
        }
    }

    /// True when more bytes are needed, which is quick to see.
    #[inline]
    pub(crate) fn is_drained(&mut self) -> bool {
        self.queue.is_empty() && matches!(self.phase, Phase::Open) && self.sse.is_drained()
    }

    /// The next event that the bytes so far hold, where it is none of [`next_delta`](Self::next_delta).
    pub(crate) fn poll_event(&mut self, expected: &Expected) -> Option<Result<Event, StreamFailure>> {
        loop {
            if let Some(event) = self.queue.pop_front() {
                return Some(Ok(event));
            }
            if !matches!(self.phase, Phase::Open) {
                return self.finish(expected);
            }
            if !self.read_one() {
                return None;
            }
        }
    }

    /// Reads an event of the wire: its events go into the queue and its end into the phase. False when more
    /// bytes are needed.
    fn read_one(&mut self) -> bool {
        let event = match self.sse.next_event() {
            Ok(Some(event)) => event,
            Ok(None) => return false,
            Err(limit) => {
                self.phase = Phase::Failed(too_large(limit));
                return true;
            }
        };
        let may_match = !event.is_error_field() && A::may_match(&event);
        let matched = may_match.then(|| self.template.match_chunk(event.data())).flatten();
        match matched.and_then(|(field, text)| Some((field, text.piece()?))) {
            Some((field, piece)) => self.queue.extend(self.answer.append(field, piece)),
            None => {
                if let Some(phase) = self.answer.read_event(&mut self.template, &mut self.queue, &event) {
                    self.phase = phase;
                }
            }
        }
        true
    }

    /// The body ended: reads a last event without its blank line, and decides what the end means.
    pub(crate) fn end(&mut self) {
        // What was pushed and not asked for waits in the queue.
        while matches!(self.phase, Phase::Open) {
            if !self.read_one() {
                break;
            }
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
            Ok(Some(event)) => self.answer.read_event(&mut self.template, &mut self.queue, &event),
            Ok(None) => None,
            Err(limit) => Some(Phase::Failed(too_large(limit))),
        };
        if last.is_none() {
            self.answer.end(&mut self.queue);
        }
        self.phase = last.unwrap_or_else(|| {
            if self.answer.has_finish() {
                return Phase::Done;
            }
            let nothing = "the stream ended before it gave anything";
            let text = if self.answer.count() == 0 { nothing } else { A::CUT_OFF };
            let error = Error::new(Category::Unavailable, self.with_unread(text));
            Phase::Failed(StreamFailure::Broken(error.with_kind(ErrorKind::CutOff)))
        });
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
            Phase::Done => self.answer.end(&mut self.queue),
        }
        if self.answer.count() == 0 {
            let error = Error::invalid_response(self.with_unread(A::EMPTY));
            return Some(Err(StreamFailure::Broken(error)));
        }
        match std::mem::take(&mut self.answer).finish(&mut self.queue, expected) {
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
