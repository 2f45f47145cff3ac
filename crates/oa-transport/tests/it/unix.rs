//! Requests over a Unix socket.

use oa_transport::{Stage, TransportErrorKind, unix_authority};
use tokio::net::UnixListener;

use crate::support::*;

fn url(path: &std::path::Path) -> String {
    format!("unix://{}/v1/models?a=b", unix_authority(path))
}

/// A folder that is removed with the test.
struct Folder(std::path::PathBuf);

impl Folder {
    fn new(name: &str) -> Self {
        let path = std::env::temp_dir().join(format!("oa-transport-{name}-{}", std::process::id()));
        std::fs::create_dir_all(&path).unwrap();
        Self(path)
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        let _ = std::fs::remove_dir_all(&self.0);
    }
}

#[tokio::test]
async fn a_request_over_a_unix_socket() {
    let folder = Folder::new("works");
    let path = folder.0.join("server.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = tokio::spawn(async move {
        let mut peer = Peer::new(listener.accept().await.unwrap().0);
        let (head, _) = peer.request().await.unwrap();
        peer.send(ok("fine")).await;
        head
    });
    assert_eq!(text(&direct(), &url(&path)).await.unwrap(), "fine");
    let head = server.await.unwrap();
    assert!(head.starts_with("POST /v1/models?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: localhost\r\n"), "{head}");
}

#[tokio::test]
async fn a_socket_that_is_not_there() {
    let folder = Folder::new("missing");
    let path = folder.0.join("server.sock");
    let error = failure(&direct(), &url(&path)).await;
    let shown = path.to_str().unwrap();
    assert_eq!(error.to_string(), format!("could not connect to unix:{shown}: there is no such socket"));
    assert_eq!((error.stage(), error.kind()), (Stage::Connect, TransportErrorKind::SocketNotFound));
    assert_eq!((error.host(), error.port()), (shown, None));
}

#[tokio::test]
async fn a_socket_that_nobody_listens_on() {
    let folder = Folder::new("dead");
    let path = folder.0.join("server.sock");
    drop(UnixListener::bind(&path).unwrap());
    let error = failure(&direct(), &url(&path)).await;
    let shown = path.to_str().unwrap();
    assert_eq!(error.to_string(), format!("could not connect to unix:{shown}: connection refused"));
    assert_eq!(error.kind(), TransportErrorKind::Refused);
}
