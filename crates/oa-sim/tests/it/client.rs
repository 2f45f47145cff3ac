//! A client over a bare socket, without any HTTP library.

use oa_sim::Sim;
use serde_json::Value;
use std::io;
use tokio::{
    io::{AsyncReadExt, AsyncWriteExt},
    net::TcpStream,
};

/// One connection, and the bytes that were read ahead.
pub(crate) struct Client {
    pub(crate) stream: TcpStream,
    ahead: Vec<u8>,
}

/// An answer; `chunks` holds the body as the HTTP chunks came, or as one piece.
#[derive(Debug)]
pub(crate) struct Reply {
    pub(crate) status: u16,
    pub(crate) headers: Vec<(String, String)>,
    pub(crate) chunks: Vec<Vec<u8>>,
    /// Whether the body reached the end that its framing announced.
    pub(crate) complete: bool,
}

impl Reply {
    pub(crate) fn header(&self, name: &str) -> Option<&str> {
        self.headers
            .iter()
            .find(|(known, _)| known.eq_ignore_ascii_case(name))
            .map(|(_, value)| value.as_str())
    }

    pub(crate) fn bytes(&self) -> Vec<u8> {
        self.chunks.concat()
    }

    pub(crate) fn text(&self) -> String {
        String::from_utf8(self.bytes()).unwrap()
    }

    pub(crate) fn json(&self) -> Value {
        serde_json::from_slice(&self.bytes()).unwrap_or_else(|problem| panic!("{problem}: {self:?}"))
    }

    /// The payloads of a plain event stream, without `[DONE]`, which must be the last.
    pub(crate) fn events(&self) -> Vec<Value> {
        let text = self.text();
        let mut events: Vec<&str> = text.split("\n\n").collect();
        assert_eq!(events.pop(), Some(""), "{text}");
        assert_eq!(events.pop(), Some("data: [DONE]"), "{text}");
        events
            .iter()
            .map(|event| serde_json::from_str(event.strip_prefix("data: ").unwrap()).unwrap())
            .collect()
    }
}

impl Client {
    pub(crate) async fn connect(sim: &Sim) -> Self {
        Self { stream: TcpStream::connect(sim.addr()).await.unwrap(), ahead: Vec::new() }
    }

    pub(crate) async fn send(&mut self, bytes: impl AsRef<[u8]>) {
        self.stream.write_all(bytes.as_ref()).await.unwrap();
    }

    pub(crate) async fn get(&mut self, path: &str) -> Reply {
        self.send(format!("GET {path} HTTP/1.1\r\nHost: sim\r\n\r\n")).await;
        self.reply().await.unwrap()
    }

    pub(crate) async fn post(&mut self, body: &Value) -> Reply {
        self.send(request(&body.to_string())).await;
        self.reply().await.unwrap()
    }

    async fn more(&mut self) -> io::Result<usize> {
        self.stream.read_buf(&mut self.ahead).await
    }

    pub(crate) async fn line(&mut self) -> io::Result<String> {
        loop {
            if let Some(at) = self.ahead.windows(2).position(|two| two == b"\r\n") {
                let line = String::from_utf8(self.ahead[..at].to_vec()).unwrap();
                self.ahead.drain(..at + 2);
                return Ok(line);
            }
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
    }

    async fn exactly(&mut self, count: usize) -> io::Result<Vec<u8>> {
        while self.ahead.len() < count {
            if self.more().await? == 0 {
                return Err(io::ErrorKind::UnexpectedEof.into());
            }
        }
        Ok(self.ahead.drain(..count).collect())
    }

    /// Everything until the server closes; `Err` where it resets.
    pub(crate) async fn rest(&mut self) -> io::Result<Vec<u8>> {
        while self.more().await? > 0 {}
        Ok(std::mem::take(&mut self.ahead))
    }

    /// The head of the next answer.
    pub(crate) async fn head(&mut self) -> io::Result<Reply> {
        let status = self.line().await?;
        let status = status.strip_prefix("HTTP/1.1 ").unwrap()[..3].parse().unwrap();
        let mut headers = Vec::new();
        loop {
            let line = self.line().await?;
            match line.split_once(": ") {
                Some((name, value)) => headers.push((name.to_owned(), value.to_owned())),
                None if line.is_empty() => break,
                None => headers.push((line.trim_end_matches(':').to_owned(), String::new())),
            }
        }
        Ok(Reply { status, headers, chunks: Vec::new(), complete: false })
    }

    /// The next chunk of a chunked body; `None` is the last.
    pub(crate) async fn chunk(&mut self) -> io::Result<Option<Vec<u8>>> {
        let size = usize::from_str_radix(&self.line().await?, 16).unwrap();
        let bytes = self.exactly(size).await?;
        assert_eq!(self.line().await?, "");
        Ok((size > 0).then_some(bytes))
    }

    /// The next answer; `Err` where there is no head. A body that ends early is marked as not complete.
    pub(crate) async fn reply(&mut self) -> io::Result<Reply> {
        let mut reply = self.head().await?;
        let length: Option<usize> = reply.header("content-length").map(|value| value.parse().unwrap());
        if reply.header("transfer-encoding") == Some("chunked") {
            loop {
                match self.chunk().await {
                    Ok(Some(chunk)) => reply.chunks.push(chunk),
                    Ok(None) => {
                        reply.complete = true;
                        break;
                    }
                    Err(_) => break,
                }
            }
        } else if let Some(length) = length {
            match self.exactly(length).await {
                Ok(bytes) => {
                    reply.chunks.push(bytes);
                    reply.complete = true;
                }
                Err(_) => reply.chunks.push(std::mem::take(&mut self.ahead)),
            }
        } else if reply.status != 204 && reply.status != 304 {
            reply.complete = self.rest().await.map(|bytes| reply.chunks.push(bytes)).is_ok();
        }
        Ok(reply)
    }
}

/// A chat request with this body.
pub(crate) fn request(body: &str) -> String {
    format!(
        "POST /v1/chat/completions HTTP/1.1\r\nHost: sim\r\nContent-Type: application/json\r\n\
         Content-Length: {}\r\n\r\n{body}",
        body.len()
    )
}
