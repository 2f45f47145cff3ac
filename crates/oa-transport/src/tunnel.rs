//! How is a tunnel asked of a proxy? By `CONNECT` (RFC 9110, section 9.3.6).

use std::io;

use tokio::io::{AsyncRead, AsyncWrite, ReadBuf};

use crate::proxy::Proxy;
use crate::stream::Stream;

/// Why there is no tunnel.
pub(crate) enum Failure {
    /// The proxy said no: the status line's code and reason, at most 80 characters.
    Refused(String),
    /// The proxy's answer is not an HTTP response head.
    NotHttp,
    /// The proxy closed the connection.
    Closed,
    Io(io::Error),
}

/// No proxy needs more for its answer to `CONNECT`.
const HEAD_LIMIT: usize = 8 * 1024;

/// Asks `proxy`, to which `stream` leads, for a tunnel to `host`.
pub(crate) async fn open(stream: &mut Stream, proxy: &Proxy, host: &str, port: u16) -> Result<(), Failure> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(auth) = &proxy.auth {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(auth.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    write_all(stream, &request).await.map_err(Failure::Io)?;

    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_LIMIT {
            return Err(Failure::NotHttp);
        }
        if read_some(stream, &mut head).await.map_err(Failure::Io)? == 0 {
            return Err(Failure::Closed);
        }
    }
    status(&head)
}

/// Reads the status line. In a tunnel the client speaks first, so that nothing can follow the head of a
/// success.
fn status(head: &[u8]) -> Result<(), Failure> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| Failure::NotHttp)?;
    let (_, status) =
        line.split_once(' ').filter(|(version, _)| version.starts_with("HTTP/1.")).ok_or(Failure::NotHttp)?;
    match status.as_bytes() {
        [b'2', ..] if head.ends_with(b"\r\n\r\n") => Ok(()),
        [b'1'..=b'5', ..] => {
            Err(Failure::Refused(status.chars().filter(|c| !c.is_control()).take(80).collect()))
        }
        _ => Err(Failure::NotHttp),
    }
}

async fn write_all(stream: &mut Stream, mut bytes: &[u8]) -> io::Result<()> {
    let mut stream = std::pin::Pin::new(stream);
    while !bytes.is_empty() {
        match std::future::poll_fn(|cx| stream.as_mut().poll_write(cx, bytes)).await? {
            0 => return Err(io::ErrorKind::WriteZero.into()),
            n => bytes = &bytes[n..],
        }
    }
    std::future::poll_fn(|cx| stream.as_mut().poll_flush(cx)).await
}

async fn read_some(stream: &mut Stream, into: &mut Vec<u8>) -> io::Result<usize> {
    let mut chunk = [0; 512];
    let mut buf = ReadBuf::new(&mut chunk);
    let mut stream = std::pin::Pin::new(stream);
    std::future::poll_fn(|cx| stream.as_mut().poll_read(cx, &mut buf)).await?;
    into.extend_from_slice(buf.filled());
    Ok(buf.filled().len())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_without_more_opens_the_tunnel() {
        assert!(status(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok());
        assert!(matches!(status(b"HTTP/1.1 200 OK\r\n\r\nmore"), Err(Failure::Refused(_))));
        assert!(matches!(status(b"SSH-2.0-x\r\n\r\n"), Err(Failure::NotHttp)));
        let refused = status(b"HTTP/1.0 407 Proxy Authentication Required\r\nA: b\r\n\r\n");
        assert!(
            matches!(refused, Err(Failure::Refused(said)) if said == "407 Proxy Authentication Required")
        );
    }
}
