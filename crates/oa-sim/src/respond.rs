//! An answer, put on a connection, and what becomes of the connection after it.

use crate::{
    answer::{After, Framing, Wire},
    piece::Piece,
    version::VERSION,
};
use bytes::BytesMut;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::{
        TcpStream,
        tcp::{ReadHalf, WriteHalf},
    },
};

/// Pipelined bytes are kept up to here while an answer is sent; then reading waits for its end.
const EARLY_BYTES: usize = 64 * 1024;

/// What of the request shapes the framing of its answer.
#[derive(Clone, Copy)]
pub(crate) struct RequestKind {
    pub(crate) head_only: bool,
    pub(crate) http_1_0: bool,
    pub(crate) close: bool,
}

/// How an answer ended.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(crate) enum Sent {
    /// All of it was sent, and the connection may carry another request.
    Whole,
    /// All of it was sent, and the connection is to be closed.
    WholeThenClose,
    /// The script cut it off: close.
    Cut,
    /// The script cut it off: reset.
    Reset,
    /// The client closed the connection (or half of it) before the answer was complete.
    ClientLeft,
}

/// Sends `wire`, and notices on the way when the client leaves.
pub(crate) async fn respond(
    stream: &mut TcpStream,
    buffer: &mut BytesMut,
    wire: &Wire,
    kind: RequestKind,
) -> Sent {
    let (mut read, mut write) = stream.split();
    tokio::select! {
        biased;
        sent = send(&mut write, wire, kind) => sent,
        () = client_left(&mut read, buffer) => Sent::ClientLeft,
    }
}

async fn client_left(read: &mut ReadHalf<'_>, buffer: &mut BytesMut) {
    loop {
        if buffer.len() >= EARLY_BYTES {
            std::future::pending::<()>().await;
        }
        match read.read_buf(buffer).await {
            Ok(0) | Err(_) => return,
            Ok(_) => {}
        }
    }
}

async fn send(write: &mut WriteHalf<'_>, wire: &Wire, kind: RequestKind) -> Sent {
    for piece in &wire.before {
        if let Some(end) = pause(piece).await {
            return end;
        }
    }
    let framing = match wire.framing {
        Framing::Chunked if kind.http_1_0 => Framing::UntilClose,
        framing => framing,
    };
    let length: usize =
        wire.body.iter().map(|piece| if let Piece::Bytes(b) = piece { b.len() } else { 0 }).sum();
    let cut_short = matches!(framing, Framing::Length(Some(announced)) if announced > length as u64);
    let close = kind.close
        || wire.after != After::KeepAlive
        || cut_short && !kind.head_only
        || matches!(framing, Framing::UntilClose);
    let mut out = BytesMut::new();
    if framing != Framing::Raw {
        let announce_close = close && wire.after != After::Disconnect && !cut_short;
        out.extend_from_slice(head(wire, framing, length, announce_close).as_bytes());
    }
    let bodyless = framing != Framing::Raw && (kind.head_only || matches!(wire.status, 204 | 304));
    let body: &[Piece] = if bodyless { &[] } else { &wire.body };
    for piece in body {
        match piece {
            Piece::Bytes(bytes) if bytes.is_empty() => {}
            Piece::Bytes(bytes) => {
                if framing == Framing::Chunked {
                    // The head of a stream goes out alone, as servers send it; each chunk in one write.
                    if flush(write, &mut out).await.is_err() {
                        return Sent::ClientLeft;
                    }
                    out.extend_from_slice(format!("{:x}\r\n", bytes.len()).as_bytes());
                    out.extend_from_slice(bytes);
                    out.extend_from_slice(b"\r\n");
                } else {
                    out.extend_from_slice(bytes);
                }
                if flush(write, &mut out).await.is_err() {
                    return Sent::ClientLeft;
                }
                // Others get their turn between two pieces, the watch for the client among them.
                tokio::task::yield_now().await;
            }
            other => {
                if flush(write, &mut out).await.is_err() {
                    return Sent::ClientLeft;
                }
                if let Some(end) = pause(other).await {
                    return end;
                }
            }
        }
    }
    if framing == Framing::Chunked && !bodyless {
        out.extend_from_slice(b"0\r\n\r\n");
    }
    if flush(write, &mut out).await.is_err() {
        return Sent::ClientLeft;
    }
    if close { Sent::WholeThenClose } else { Sent::Whole }
}

async fn flush(write: &mut WriteHalf<'_>, out: &mut BytesMut) -> std::io::Result<()> {
    if !out.is_empty() {
        write.write_all(out).await?;
        out.clear();
    }
    Ok(())
}

/// What a piece without bytes does; some of them end the answer.
async fn pause(piece: &Piece) -> Option<Sent> {
    match piece {
        Piece::Bytes(_) => None,
        Piece::Delay(delay) => {
            tokio::time::sleep(*delay).await;
            None
        }
        Piece::Wait(gate) => {
            gate.wait().await;
            None
        }
        Piece::Cut => Some(Sent::Cut),
        Piece::Reset => Some(Sent::Reset),
        Piece::Stall => std::future::pending().await,
    }
}

fn head(wire: &Wire, framing: Framing, length: usize, announce_close: bool) -> String {
    let mut head = format!("HTTP/1.1 {} {}\r\n", wire.status, reason(wire.status));
    let mut line = |name: &str, value: &str| {
        head.push_str(name);
        head.push_str(": ");
        head.push_str(value);
        head.push_str("\r\n");
    };
    let given = |name: &str| wire.headers.iter().any(|(known, _)| known.eq_ignore_ascii_case(name));
    if !given("server") {
        line("server", concat!("oa-sim/", env!("CARGO_PKG_VERSION")));
    }
    if !given("x-oa-simulator") {
        line("x-oa-simulator", VERSION);
    }
    for (name, value) in &wire.headers {
        line(name, value);
    }
    match framing {
        Framing::Length(_) if matches!(wire.status, 204 | 304) => {}
        Framing::Length(announced) => {
            line("content-length", &announced.unwrap_or(length as u64).to_string());
        }
        Framing::Chunked => line("transfer-encoding", "chunked"),
        Framing::UntilClose | Framing::Raw => {}
    }
    if announce_close && !given("connection") {
        line("connection", "close");
    }
    head.push_str("\r\n");
    head
}

fn reason(status: u16) -> &'static str {
    match status {
        200 => "OK",
        201 => "Created",
        202 => "Accepted",
        204 => "No Content",
        301 => "Moved Permanently",
        302 => "Found",
        304 => "Not Modified",
        307 => "Temporary Redirect",
        308 => "Permanent Redirect",
        400 => "Bad Request",
        401 => "Unauthorized",
        402 => "Payment Required",
        403 => "Forbidden",
        404 => "Not Found",
        405 => "Method Not Allowed",
        408 => "Request Timeout",
        409 => "Conflict",
        413 => "Payload Too Large",
        415 => "Unsupported Media Type",
        422 => "Unprocessable Entity",
        425 => "Too Early",
        429 => "Too Many Requests",
        431 => "Request Header Fields Too Large",
        500 => "Internal Server Error",
        501 => "Not Implemented",
        502 => "Bad Gateway",
        503 => "Service Unavailable",
        504 => "Gateway Timeout",
        529 => "Site is overloaded",
        _ => "Unknown",
    }
}
