//! One HTTP/1.1 request, read off a connection strictly and within limits.

use bytes::{Buf, Bytes, BytesMut};
use std::time::Duration;
use tokio::io::{AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt};

/// What a request may have at most, and how long it may be awaited.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Limits {
    pub(crate) head: usize,
    pub(crate) body: usize,
    pub(crate) idle: Option<Duration>,
}

/// A request as it came.
#[derive(Debug)]
pub(crate) struct Request {
    pub(crate) method: String,
    pub(crate) target: String,
    pub(crate) http_1_0: bool,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) body: Bytes,
}

/// Why there is no request.
#[derive(Debug, PartialEq)]
pub(crate) enum ReadError {
    /// The client closed the connection between two requests.
    Closed,
    /// The client left in the middle of a request.
    Broken,
    /// The request breaks a rule or a limit: the status and the reason to answer with.
    Refused(u16, String),
}

impl Request {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    /// The path without query; of an absolute target (as sent to a proxy) the path part.
    pub(crate) fn path(&self) -> &str {
        let target = match self.target.split_once("://") {
            Some((scheme, rest)) if !scheme.contains('/') => rest.find('/').map_or("/", |at| &rest[at..]),
            _ => &self.target,
        };
        target.split(['?', '#']).next().unwrap_or(target)
    }

    /// Whether the connection ends with this request, by the client's wish or by its version.
    pub(crate) fn wants_close(&self) -> bool {
        let has = |token: &str| {
            self.headers
                .iter()
                .filter(|(name, _)| name.eq_ignore_ascii_case("connection"))
                .flat_map(|(_, value)| value.split(','))
                .any(|item| item.trim().eq_ignore_ascii_case(token))
        };
        has("close") || (self.http_1_0 && !has("keep-alive"))
    }
}

/// Reads the next request. `buffer` holds what came too early and keeps what comes after.
pub(crate) async fn read_request(
    stream: &mut (impl AsyncRead + AsyncWrite + Unpin),
    buffer: &mut BytesMut,
    limits: Limits,
) -> Result<Request, ReadError> {
    let head_end = loop {
        // An empty line before the request line is allowed for robustness (RFC 9112, 2.2).
        while buffer.starts_with(b"\r\n") {
            buffer.advance(2);
        }
        if let Some(at) = find(buffer, b"\r\n\r\n") {
            break at;
        }
        if buffer.starts_with(b"PRI * HTTP/2.0\r\n") {
            return Err(ReadError::Refused(
                400,
                "Invalid HTTP request received: HTTP/2 is not spoken here.".into(),
            ));
        }
        if buffer.len() > limits.head {
            return Err(ReadError::Refused(431, "The request head is too large.".into()));
        }
        let empty = buffer.is_empty();
        match stream.read_buf(buffer).await {
            Ok(0) | Err(_) if empty => return Err(ReadError::Closed),
            Ok(0) | Err(_) => return Err(ReadError::Broken),
            Ok(_) => {}
        }
    };
    if head_end > limits.head {
        return Err(ReadError::Refused(431, "The request head is too large.".into()));
    }
    let head = buffer.split_to(head_end + 4);
    let mut request = parse_head(&head[..head_end]).map_err(|reason| ReadError::Refused(400, reason))?;
    let length = body_length(&request)?;
    if let Length::Exactly(length) = length {
        if length > limits.body {
            return Err(ReadError::Refused(
                413,
                format!("The request body is larger than {} bytes.", limits.body),
            ));
        }
    }
    let expects = request.header("expect").is_some_and(|value| value.eq_ignore_ascii_case("100-continue"));
    if expects && !matches!(length, Length::Exactly(0)) && buffer.is_empty() {
        let written = stream.write_all(b"HTTP/1.1 100 Continue\r\n\r\n").await;
        written.map_err(|_| ReadError::Broken)?;
    }
    let mut body = Incoming { stream, buffer };
    request.body = match length {
        Length::Exactly(length) => body.exactly(length).await?,
        Length::Chunked => body.chunked(limits.body).await?,
    };
    Ok(request)
}

enum Length {
    Exactly(usize),
    Chunked,
}

fn body_length(request: &Request) -> Result<Length, ReadError> {
    let bad = |reason: &str| ReadError::Refused(400, format!("Invalid HTTP request received: {reason}."));
    let all = |wanted: &str| -> Vec<&str> {
        let named = request.headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case(wanted));
        named.map(|(_, value)| value.as_str()).collect()
    };
    match (all("transfer-encoding").as_slice(), all("content-length").as_slice()) {
        ([], []) => Ok(Length::Exactly(0)),
        ([], [length]) if !length.is_empty() && length.bytes().all(|byte| byte.is_ascii_digit()) => {
            length.parse().map(Length::Exactly).map_err(|_| bad("content-length out of range"))
        }
        ([], [_]) => Err(bad("content-length is not a number")),
        ([], _) => Err(bad("more than one content-length")),
        ([encoding], []) if encoding.eq_ignore_ascii_case("chunked") => Ok(Length::Chunked),
        (_, []) => Err(ReadError::Refused(501, "Only the transfer-encoding chunked is known.".into())),
        (_, _) => Err(bad("both content-length and transfer-encoding")),
    }
}

fn parse_head(head: &[u8]) -> Result<Request, String> {
    let bad = |reason: &str| format!("Invalid HTTP request received: {reason}.");
    let head = std::str::from_utf8(head).map_err(|_| bad("the head is not UTF-8"))?;
    if head.contains('\0') || head.replace("\r\n", "").contains(['\r', '\n']) {
        return Err(bad("a stray line break or NUL in the head"));
    }
    let mut lines = head.split("\r\n");
    let request_line = lines.next().unwrap_or_default();
    let mut words = request_line.split(' ');
    let (Some(method), Some(target), Some(version), None) =
        (words.next(), words.next(), words.next(), words.next())
    else {
        return Err(bad("the request line is not METHOD TARGET VERSION"));
    };
    if !is_token(method) || target.is_empty() || target.contains(|letter: char| letter.is_control()) {
        return Err(bad("the request line is malformed"));
    }
    let http_1_0 = match version {
        "HTTP/1.1" => false,
        "HTTP/1.0" => true,
        _ => return Err(bad("only HTTP/1.1 is spoken here")),
    };
    let mut headers = Vec::new();
    for line in lines {
        let (name, value) = line.split_once(':').ok_or_else(|| bad("a header line without a colon"))?;
        if !is_token(name) {
            return Err(bad("a header name that is not a token"));
        }
        headers.push((name.to_owned(), value.trim_matches([' ', '\t']).to_owned()));
    }
    let hosts = headers.iter().filter(|(name, _)| name.eq_ignore_ascii_case("host")).count();
    if hosts > 1 || (hosts == 0 && !http_1_0) {
        return Err(bad("not exactly one host header"));
    }
    Ok(Request {
        method: method.to_owned(),
        target: target.to_owned(),
        http_1_0,
        headers,
        body: Bytes::new(),
    })
}

fn is_token(text: &str) -> bool {
    let allowed = |byte: u8| byte.is_ascii_alphanumeric() || b"!#$%&'*+-.^_`|~".contains(&byte);
    !text.is_empty() && text.bytes().all(allowed)
}

/// The bytes after a head.
struct Incoming<'a, S> {
    stream: &'a mut S,
    buffer: &'a mut BytesMut,
}

impl<S: AsyncRead + Unpin> Incoming<'_, S> {
    async fn fill(&mut self) -> Result<(), ReadError> {
        match self.stream.read_buf(self.buffer).await {
            Ok(0) | Err(_) => Err(ReadError::Broken),
            Ok(_) => Ok(()),
        }
    }

    async fn exactly(&mut self, length: usize) -> Result<Bytes, ReadError> {
        while self.buffer.len() < length {
            self.fill().await?;
        }
        Ok(self.buffer.split_to(length).freeze())
    }

    async fn line(&mut self) -> Result<String, ReadError> {
        const LONGEST: usize = 4096;
        let end = loop {
            match find(self.buffer, b"\r\n") {
                Some(at) => break at,
                None if self.buffer.len() > LONGEST => return Err(bad_chunk("a chunk line without an end")),
                None => self.fill().await?,
            }
        };
        let line = self.buffer.split_to(end + 2);
        String::from_utf8(line[..end].to_vec()).map_err(|_| bad_chunk("a chunk line that is not UTF-8"))
    }

    async fn chunked(&mut self, limit: usize) -> Result<Bytes, ReadError> {
        let mut body = BytesMut::new();
        loop {
            let line = self.line().await?;
            let digits = line.split(';').next().unwrap_or_default().trim_end_matches([' ', '\t']);
            if digits.is_empty() || !digits.bytes().all(|byte| byte.is_ascii_hexdigit()) {
                return Err(bad_chunk("a chunk size that is not hexadecimal"));
            }
            let size =
                usize::from_str_radix(digits, 16).map_err(|_| bad_chunk("a chunk size out of range"))?;
            if size == 0 {
                break;
            }
            if size > limit - body.len() {
                return Err(ReadError::Refused(
                    413,
                    format!("The request body is larger than {limit} bytes."),
                ));
            }
            body.extend_from_slice(&self.exactly(size).await?);
            if &*self.exactly(2).await? != b"\r\n" {
                return Err(bad_chunk("a chunk that does not end where it should"));
            }
        }
        let mut trailers = 0;
        loop {
            let line = self.line().await?;
            if line.is_empty() {
                return Ok(body.freeze());
            }
            trailers += line.len();
            if trailers > 16 * 1024 {
                return Err(ReadError::Refused(431, "The trailers are too large.".into()));
            }
        }
    }
}

fn bad_chunk(reason: &str) -> ReadError {
    ReadError::Refused(400, format!("Invalid HTTP request received: {reason}."))
}

fn find(haystack: &[u8], needle: &[u8]) -> Option<usize> {
    haystack.windows(needle.len()).position(|window| window == needle)
}
