//! Tunnels through an HTTP proxy, by `CONNECT` (RFC 9110, section 9.3.6).

use std::io;

use tokio::io::{AsyncReadExt, AsyncWriteExt};

use super::stream::Stream;
use crate::proxy::Proxy;

/// Why there is no tunnel.
pub(crate) enum TunnelError {
    /// The proxy wants credentials, or others: the status line's code and reason.
    Authentication(String),
    /// The proxy refused: the status line's code and reason, at most 80 characters.
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
pub(crate) async fn open(
    stream: &mut Stream,
    proxy: &Proxy,
    host: &str,
    port: u16,
) -> Result<(), TunnelError> {
    let target = if host.contains(':') { format!("[{host}]:{port}") } else { format!("{host}:{port}") };
    let mut request = format!("CONNECT {target} HTTP/1.1\r\nHost: {target}\r\n").into_bytes();
    if let Some(value) = proxy.authorization() {
        request.extend_from_slice(b"Proxy-Authorization: ");
        request.extend_from_slice(value.as_bytes());
        request.extend_from_slice(b"\r\n");
    }
    request.extend_from_slice(b"\r\n");
    stream.write_all(&request).await?;
    stream.flush().await?;

    let mut head = Vec::with_capacity(512);
    while !head.windows(4).any(|end| end == b"\r\n\r\n") {
        if head.len() >= HEAD_LIMIT {
            return Err(TunnelError::NotHttp);
        }
        if stream.read_buf(&mut head).await? == 0 {
            return Err(TunnelError::Closed);
        }
    }
    status(&head)
}

/// Reads the status line. In a tunnel the client speaks first, so that nothing can follow the head of a
/// success.
fn status(head: &[u8]) -> Result<(), TunnelError> {
    let line = head.split(|byte| *byte == b'\r').next().unwrap_or_default();
    let line = std::str::from_utf8(line).map_err(|_| TunnelError::NotHttp)?;
    let (_, status) = line
        .split_once(' ')
        .filter(|(version, _)| version.starts_with("HTTP/1."))
        .ok_or(TunnelError::NotHttp)?;
    match status.as_bytes() {
        [b'2', ..] if head.ends_with(b"\r\n\r\n") => Ok(()),
        [b'1'..=b'5', ..] => {
            let shown = status.chars().filter(|c| !c.is_control()).take(80).collect();
            let is_authentication = status.starts_with("407");
            Err(if is_authentication {
                TunnelError::Authentication(shown)
            } else {
                TunnelError::Refused(shown)
            })
        }
        _ => Err(TunnelError::NotHttp),
    }
}

impl From<io::Error> for TunnelError {
    fn from(error: io::Error) -> Self {
        Self::Io(error)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_a_success_without_more_opens_the_tunnel() {
        assert!(status(b"HTTP/1.1 200 Connection established\r\n\r\n").is_ok());
        assert!(matches!(status(b"HTTP/1.1 200 OK\r\n\r\nmore"), Err(TunnelError::Refused(_))));
        assert!(matches!(status(b"SSH-2.0-x\r\n\r\n"), Err(TunnelError::NotHttp)));
        let refused = status(b"HTTP/1.0 407 Proxy Authentication Required\r\nA: b\r\n\r\n");
        assert!(matches!(refused, Err(TunnelError::Authentication(shown)) if shown.starts_with("407 Proxy")));
    }
}
