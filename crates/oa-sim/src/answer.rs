//! One scripted answer: status, headers and body, byte by byte where wanted.

mod completion;
pub(crate) mod messages;

use crate::piece::{Gate, Piece};
use bytes::Bytes;
use serde_json::Value;
use std::{borrow::Borrow, fmt, time::Duration};

/// One scripted answer: what is sent for one request, byte by byte where wanted.
///
/// An answer matches any request until [`on`](Answer::on) narrows it, and is used once until
/// [`forever`](Answer::forever) keeps it.
///
/// ```
/// use std::time::Duration;
/// use oa_sim::{Answer, Piece};
/// use serde_json::json;
///
/// let busy = Answer::json(429, json!({"error": {"message": "slow down"}})).header("retry-after", "2");
/// let slow = Answer::text(200, "hello").delay(Duration::from_secs(3));
/// let torn = Answer::stream([Piece::from("data: {\"choices\":[]}\n\n"), Piece::Cut]);
/// # let _ = (busy, slow, torn);
/// ```
#[derive(Clone, Debug)]
pub struct Answer {
    pub(crate) route: Option<(String, String)>,
    pub(crate) forever: bool,
    pub(crate) generate: bool,
    pub(crate) wire: Wire,
}

/// The parts of an answer in the order in which they are sent.
#[derive(Clone, Debug)]
pub(crate) struct Wire {
    pub(crate) before: Vec<Piece>,
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) framing: Framing,
    pub(crate) body: Vec<Piece>,
    pub(crate) after: After,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Framing {
    /// `content-length`, with the true length or the one given.
    Length(Option<u64>),
    /// Each piece of bytes is one HTTP chunk.
    Chunked,
    /// Neither: the end of the connection is the end of the body.
    UntilClose,
    /// No head is made: the pieces are the whole answer.
    Raw,
}

#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum After {
    KeepAlive,
    /// Say `connection: close`, then close.
    Close,
    /// Close without announcing it.
    Disconnect,
}

impl Answer {
    /// `value` as compact JSON with `content-type: application/json`.
    pub fn json(status: u16, value: impl Borrow<Value>) -> Self {
        Self::bytes(status, "application/json", value.borrow().to_string())
    }

    /// Plain text, `text/plain; charset=utf-8`.
    pub fn text(status: u16, text: impl Into<String>) -> Self {
        Self::bytes(status, "text/plain; charset=utf-8", text.into())
    }

    /// An HTML page, `text/html`, as a gateway in the way sends it.
    pub fn html(status: u16, page: impl Into<String>) -> Self {
        Self::bytes(status, "text/html", page.into())
    }

    /// Exactly these bytes with that content type and a true `content-length`.
    pub fn bytes(status: u16, content_type: &str, body: impl Into<Bytes>) -> Self {
        Self::pieces(status, content_type, [Piece::Bytes(body.into())])
    }

    /// A body sent in steps, with a true `content-length`.
    pub fn pieces(status: u16, content_type: &str, body: impl IntoIterator<Item = Piece>) -> Self {
        Self {
            route: None,
            forever: false,
            generate: false,
            wire: Wire {
                before: Vec::new(),
                status,
                headers: vec![("content-type".to_owned(), content_type.to_owned())],
                framing: Framing::Length(None),
                body: body.into_iter().collect(),
                after: After::KeepAlive,
            },
        }
    }

    /// An event stream: 200, `text/event-stream; charset=utf-8`, chunked, one HTTP chunk for each
    /// [`Piece::Bytes`]. Exact bytes: nothing is added, no `data:`, no `[DONE]`.
    pub fn stream(body: impl IntoIterator<Item = impl Into<Piece>>) -> Self {
        let body: Vec<Piece> = body.into_iter().map(Into::into).collect();
        Self::pieces(200, "text/event-stream; charset=utf-8", body).chunked()
    }

    /// An event stream of these payloads: `data: PAYLOAD\n\n` each, one HTTP chunk each, then `data: [DONE]`.
    pub fn events(payloads: impl IntoIterator<Item = impl fmt::Display>) -> Self {
        let events = payloads.into_iter().map(|payload| format!("data: {payload}\n\n"));
        Self::stream(events.chain(["data: [DONE]\n\n".to_owned()]))
    }

    /// These bytes instead of a whole HTTP answer, status line and all, and then the connection is closed.
    pub fn raw(bytes: impl Into<Bytes>) -> Self {
        Self::raw_pieces([Piece::Bytes(bytes.into())])
    }

    /// Like [`raw`](Answer::raw), in steps. No pieces at all: the connection is closed without an answer.
    pub fn raw_pieces(pieces: impl IntoIterator<Item = Piece>) -> Self {
        let mut answer = Self::pieces(200, "", pieces);
        answer.wire.headers.clear();
        answer.wire.framing = Framing::Raw;
        answer.wire.after = After::Disconnect;
        answer
    }

    /// Reads the request and closes the connection (FIN) without a byte of an answer. On a connection that
    /// carried an exchange before, this is the keep-alive race: the server gave up the idle connection just
    /// when the client used it.
    pub fn disconnect() -> Self {
        Self::raw_pieces([Piece::Cut])
    }

    /// Reads the request and resets the connection (RST) without a byte of an answer.
    pub fn reset() -> Self {
        Self::raw_pieces([Piece::Reset])
    }

    /// Reads the request and never answers; the connection stays until the client leaves.
    pub fn stall() -> Self {
        Self::raw_pieces([Piece::Stall])
    }

    /// Lets the generative mode answer this request: `[Answer::json(503, ..), Answer::generated()]` is a
    /// server that recovers. Only [`delay`](Answer::delay), [`wait`](Answer::wait), [`on`](Answer::on) and
    /// [`header`](Answer::header) act on it.
    pub fn generated() -> Self {
        let mut answer = Self::bytes(200, "", Bytes::new());
        answer.wire.headers.clear();
        answer.generate = true;
        answer
    }

    /// Answers only a request with this method and this path (without its query).
    #[must_use]
    pub fn on(mut self, method: &str, path: &str) -> Self {
        self.route = Some((method.to_owned(), path.to_owned()));
        self
    }

    /// Stays in the script after it was used.
    #[must_use]
    pub fn forever(mut self) -> Self {
        self.forever = true;
        self
    }

    /// Adds a response header, as it stands and after those that are there. `content-type`, `server` and
    /// `x-oa-simulator` replace the ones that the simulator would send.
    ///
    /// # Panics
    ///
    /// If name or value holds a line break, which would make two headers of one; [`raw`](Answer::raw) sends
    /// such heads.
    #[must_use]
    pub fn header(mut self, name: &str, value: &str) -> Self {
        let broken = |text: &str| text.contains(['\r', '\n']);
        assert!(!broken(name) && !broken(value), "a header with a line break: {name:?}: {value:?}");
        if name.eq_ignore_ascii_case("content-type") {
            self.wire.headers.retain(|(known, _)| !known.eq_ignore_ascii_case("content-type"));
        }
        self.wire.headers.push((name.to_owned(), value.to_owned()));
        self
    }

    /// Replaces the status.
    #[must_use]
    pub fn status(mut self, status: u16) -> Self {
        self.wire.status = status;
        self
    }

    /// Waits this long before the first byte of the answer.
    #[must_use]
    pub fn delay(mut self, delay: Duration) -> Self {
        self.wire.before.push(Piece::Delay(delay));
        self
    }

    /// Waits at this gate before the first byte of the answer.
    #[must_use]
    pub fn wait(mut self, gate: &Gate) -> Self {
        self.wire.before.push(Piece::Wait(gate.clone()));
        self
    }

    /// Waits this long between the head and the body.
    #[must_use]
    pub fn body_delay(mut self, delay: Duration) -> Self {
        self.wire.body.insert(0, Piece::Delay(delay));
        self
    }

    /// Sends the body in HTTP chunks, one for each piece, instead of a `content-length`.
    #[must_use]
    pub fn chunked(mut self) -> Self {
        self.wire.framing = Framing::Chunked;
        self
    }

    /// Sends neither `content-length` nor chunks: the closed connection ends the body, as with HTTP/1.0.
    #[must_use]
    pub fn until_close(mut self) -> Self {
        self.wire.framing = Framing::UntilClose;
        self
    }

    /// Announces this `content-length` whatever the body is. After a body that is shorter the connection is
    /// closed; what is longer arrives as the start of the next answer.
    #[must_use]
    pub fn content_length(mut self, length: u64) -> Self {
        self.wire.framing = Framing::Length(Some(length));
        self
    }

    /// Says `connection: close`, and closes the connection after this answer.
    #[must_use]
    pub fn close(mut self) -> Self {
        self.wire.after = After::Close;
        self
    }

    /// Closes the connection after this answer without announcing it, as llama.cpp does after each stream.
    #[must_use]
    pub fn then_disconnect(mut self) -> Self {
        self.wire.after = After::Disconnect;
        self
    }

    /// Cuts the bytes anew: pieces of `size` bytes, whatever they were before, also inside of a character.
    /// Delays, gates and ends stay where they were. `size` 0 counts as 1.
    ///
    /// ```
    /// # use oa_sim::Answer;
    /// let answer = Answer::stream(["data: é\n\n", "data: [DONE]\n\n"]).split_every(1);
    /// assert_eq!(answer.body_bytes(), "data: é\n\ndata: [DONE]\n\n".as_bytes());
    /// ```
    #[must_use]
    pub fn split_every(mut self, size: usize) -> Self {
        let size = size.max(1);
        self.recut(|_, run| run.chunks(size).map(Bytes::copy_from_slice).collect());
        self
    }

    /// Cuts the bytes anew at these offsets from the start of the body (any order; those outside of the body
    /// count as none) and nowhere else, but where a delay, gate or end stands between.
    ///
    /// ```
    /// # use oa_sim::Answer;
    /// let answer = Answer::stream(["data: 1\n\n", "data: 2\n\n"]);
    /// for at in 0..answer.body_bytes().len() {
    ///     let recut = answer.clone().split_at(&[at]);
    ///     // ... serve it, and compare what the client makes of it
    ///     # let _ = recut;
    /// }
    /// ```
    #[must_use]
    pub fn split_at(mut self, positions: &[usize]) -> Self {
        let mut cuts = positions.to_vec();
        cuts.sort_unstable();
        cuts.dedup();
        self.recut(|start, run| {
            let mut pieces = Vec::new();
            let mut from = 0;
            for at in cuts.iter().filter_map(|at| at.checked_sub(start)) {
                if at > from && at < run.len() {
                    pieces.push(Bytes::copy_from_slice(&run[from..at]));
                    from = at;
                }
            }
            pieces.push(Bytes::copy_from_slice(&run[from..]));
            pieces
        });
        self
    }

    /// The bytes of the body, all pieces together, as far as they are sent (up to a cut, reset or stall).
    pub fn body_bytes(&self) -> Vec<u8> {
        let mut bytes = Vec::new();
        for piece in &self.wire.body {
            match piece {
                Piece::Bytes(more) => bytes.extend_from_slice(more),
                Piece::Delay(_) | Piece::Wait(_) => {}
                Piece::Cut | Piece::Reset | Piece::Stall => break,
            }
        }
        bytes
    }

    /// The steps of the body as they stand.
    pub fn body(&self) -> &[Piece] {
        &self.wire.body
    }

    /// Calls `cut` with each unbroken run of bytes and its offset, and puts in its place what that returns.
    fn recut(&mut self, mut cut: impl FnMut(usize, &[u8]) -> Vec<Bytes>) {
        let mut pieces = Vec::new();
        let mut run = Vec::new();
        let mut start = 0;
        for piece in std::mem::take(&mut self.wire.body).into_iter().map(Some).chain([None]) {
            if let Some(Piece::Bytes(bytes)) = &piece {
                run.extend_from_slice(bytes);
                continue;
            }
            if !run.is_empty() {
                pieces.extend(cut(start, &run).into_iter().map(Piece::Bytes));
                start += run.len();
                run.clear();
            }
            pieces.extend(piece);
        }
        self.wire.body = pieces;
    }

    /// Whether this answer is for a request with that method and path.
    pub(crate) fn matches(&self, method: &str, path: &str) -> bool {
        match &self.route {
            None => true,
            Some((wanted_method, wanted_path)) => {
                wanted_method.eq_ignore_ascii_case(method) && wanted_path == path
            }
        }
    }
}
