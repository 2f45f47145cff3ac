//! The exact words for every way in which a plain HTTP exchange fails.

use std::error::Error;
use std::io;

use http_body_util::BodyExt;
use oa_transport::{HyperTransport, Stage, TransportErrorKind};

use crate::support::*;

#[tokio::test]
async fn a_closed_port() {
    let addr = closed_port();
    let error = failure(&direct(), &format!("http://{addr}/v1/chat/completions")).await;
    assert_eq!(
        line(&error, addr),
        "could not connect to http://127.0.0.1:PORT: connection refused (tried 127.0.0.1:PORT)"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Connect, TransportErrorKind::Refused));
    assert_eq!((error.host(), error.port()), ("127.0.0.1", Some(addr.port())));
    assert_eq!(error.addresses()[0].addr(), addr);
    let os = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(os.kind(), io::ErrorKind::ConnectionRefused);
    assert!(os.raw_os_error().is_some());
}

#[tokio::test]
async fn an_unknown_host() {
    let error = failure(&direct(), "http://no-such-host.invalid:8000/v1/chat/completions").await;
    let line = error.to_string();
    let start = "could not connect to http://no-such-host.invalid:8000: the host name could not be \
    resolved (failed to lookup";
    assert!(line.starts_with(start), "{line}");
    assert_eq!((error.stage(), error.kind()), (Stage::Dns, TransportErrorKind::HostUnknown));
    assert!(error.source().unwrap().is::<io::Error>());
}

/// A listener whose queue is full answers no handshake; the paused clock then runs straight to the limit.
#[cfg(target_os = "linux")]
#[tokio::test(start_paused = true)]
async fn a_connect_timeout() {
    let hole = black_hole();
    let error = failure(&direct(), &format!("http://{}/v1/chat/completions", hole.addr)).await;
    assert_eq!(
        line(&error, hole.addr),
        "could not connect to http://127.0.0.1:PORT: no answer within 10s (the connect timeout) (tried \
         127.0.0.1:PORT)"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Connect, TransportErrorKind::TimedOut));
    assert_eq!(error.elapsed().as_secs(), 10);
    assert_eq!(error.hint(), Some("the connect_timeout of the transport's builder raises the limit"));
}

#[cfg(target_os = "linux")]
struct BlackHole {
    addr: std::net::SocketAddr,
    _sockets: Vec<socket2::Socket>,
}

#[cfg(target_os = "linux")]
fn black_hole() -> BlackHole {
    use socket2::{Domain, Socket, Type};
    let listener = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
    listener.bind(&std::net::SocketAddr::from(([127, 0, 0, 1], 0)).into()).unwrap();
    listener.listen(0).unwrap();
    let addr = listener.local_addr().unwrap();
    let mut sockets = vec![listener];
    for _ in 0..4 {
        let socket = Socket::new(Domain::IPV4, Type::STREAM, None).unwrap();
        socket.set_nonblocking(true).unwrap();
        // In progress, or queued already.
        let _ = socket.connect(&addr);
        sockets.push(socket);
    }
    BlackHole { addr: addr.as_socket().unwrap(), _sockets: sockets }
}

#[tokio::test]
async fn closed_before_the_first_byte() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: the server closed the connection without an answer"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::ClosedBeforeResponse));
    assert!(error.addresses().is_empty());
}

#[tokio::test]
async fn a_reset_before_the_first_byte() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.reset();
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: connection reset by the server"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::Reset));
    let os = error.source().unwrap().downcast_ref::<io::Error>().unwrap();
    assert_eq!(os.kind(), io::ErrorKind::ConnectionReset);
}

#[tokio::test]
async fn a_reset_while_the_request_is_written() {
    let server = Server::start(|_, mut peer| async move {
        tokio::io::AsyncReadExt::read(&mut peer.stream, &mut [0]).await.unwrap();
        peer.reset();
    })
    .await;
    // More than the sockets' buffers can hold while nobody reads.
    let body = vec![b' '; 64 << 20];
    let error = send(&direct(), post(&server.url(), body)).await.unwrap_err();
    assert_eq!((error.stage(), error.kind()), (Stage::Write, TransportErrorKind::Reset), "{error}");
}

#[tokio::test]
async fn a_head_that_is_cut_off() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-").await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: the server closed the connection in the middle of the \
         response's head"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::CutOff));
}

#[tokio::test]
async fn an_answer_that_is_not_http() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("+OK hello\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: what came is no HTTP response"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::NotHttp));
}

#[tokio::test]
async fn an_answer_that_breaks_the_rules_of_http() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\nbad header: x\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://127.0.0.1:PORT: what came is not a valid HTTP/1.1 response (invalid HTTP \
         header parsed)"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::InvalidHttp));
}

#[tokio::test]
async fn a_server_that_greets_in_another_protocol() {
    // Whether the greeting comes before the request is written or after it is the scheduler's choice.
    for (greeting, kinds) in [
        (&b"SSH-2.0-OpenSSH_9.2\r\n"[..], TransportErrorKind::NotHttp),
        (b"\0\0\x06\x04\0\0\0\0\0\0\x05\0\0\x40\0", TransportErrorKind::Http2),
    ] {
        let server = Server::start(move |_, mut peer| async move {
            peer.send(greeting).await;
            peer.rest().await;
        })
        .await;
        let error = failure(&direct(), &server.url()).await;
        assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, kinds), "{error}");
    }
}

#[tokio::test]
async fn a_head_beyond_the_limits() {
    let fields = |n: usize, len: usize| format!("x-field: {}\r\n", "v".repeat(len)).repeat(n);
    for many in [fields(150, 1), fields(20, 40_000)] {
        let server = Server::start(move |_, mut peer| {
            let head = format!("HTTP/1.1 200 OK\r\n{many}content-length: 0\r\n\r\n");
            async move {
                peer.request().await;
                // The client closes in the middle of it.
                let _ = tokio::io::AsyncWriteExt::write_all(&mut peer.stream, head.as_bytes()).await;
                peer.rest().await;
            }
        })
        .await;
        let error = failure(&direct(), &server.url()).await;
        assert_eq!(
            line(&error, server.addr),
            "no answer from http://127.0.0.1:PORT: the answer's head is beyond the limits here: 100 \
             header fields, 400 KiB in all"
        );
        assert_eq!((error.stage(), error.kind()), (Stage::FirstByte, TransportErrorKind::HeadTooLarge));
    }
}

#[tokio::test]
async fn a_body_that_is_cut_off_before_its_length() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ntwelve bytes").await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no whole answer from http://127.0.0.1:PORT: the server closed the connection after 12 of 100 bytes"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Body, TransportErrorKind::CutOff));
}

#[tokio::test]
async fn a_chunked_body_that_is_cut_off() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n5\r\nhello\r\n").await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!(
        line(&error, server.addr),
        "no whole answer from http://127.0.0.1:PORT: the server closed the connection after 5 bytes"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Body, TransportErrorKind::CutOff));
}

#[tokio::test]
async fn a_reset_in_the_body() {
    let (seen, was_seen) = tokio::sync::oneshot::channel::<()>();
    let was_seen = std::sync::Mutex::new(Some(was_seen));
    let server = Server::start(move |_, mut peer| {
        let was_seen = was_seen.lock().unwrap().take();
        async move {
            peer.request().await;
            peer.send("HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\ntwelve bytes").await;
            was_seen.unwrap().await.unwrap();
            peer.reset();
        }
    })
    .await;
    let mut body = send(&direct(), post(&server.url(), "{}")).await.unwrap().into_body();
    body.frame().await.unwrap().unwrap();
    seen.send(()).unwrap();
    let error = body.frame().await.unwrap().unwrap_err();
    assert_eq!(
        line(&error, server.addr),
        "no whole answer from http://127.0.0.1:PORT: connection reset by the server after 12 of 100 bytes"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Body, TransportErrorKind::Reset));
    assert!(body.frame().await.is_none(), "after an error the body is at its end");
}

#[tokio::test]
async fn broken_framing() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\nnot hex\r\n").await;
        peer.rest().await;
    })
    .await;
    let error = failure(&direct(), &server.url()).await;
    assert_eq!((error.stage(), error.kind()), (Stage::Body, TransportErrorKind::InvalidHttp), "{error}");
}

#[tokio::test]
async fn a_body_that_announces_too_much() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 200 OK\r\ncontent-length: 1001\r\n\r\n").await;
        peer.rest().await;
    })
    .await;
    let transport = HyperTransport::builder().no_proxy().response_limit(1000).build().unwrap();
    let error = send(&transport, post(&server.url(), "{}")).await.unwrap_err();
    assert_eq!(
        line(&error, server.addr),
        "no whole answer from http://127.0.0.1:PORT: the body is larger than the limit of 1000 bytes"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Body, TransportErrorKind::TooLarge));
    assert_eq!(error.hint(), Some("the response_limit of the transport's builder raises the limit"));
}

#[tokio::test]
async fn a_body_that_grows_too_large() {
    let (tell, mut told) = tokio::sync::mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            peer.request().await;
            let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n";
            peer.send(format!("{head}6\r\nabcdef\r\n6\r\nabcdef\r\n")).await;
            tell.send(peer.rest().await).unwrap();
        }
    })
    .await;
    let transport = HyperTransport::builder().no_proxy().response_limit(10).build().unwrap();
    let mut body = send(&transport, post(&server.url(), "{}")).await.unwrap().into_body();
    let error = loop {
        if let Err(error) = body.frame().await.unwrap() {
            break error;
        }
    };
    assert_eq!((error.stage(), error.kind()), (Stage::Body, TransportErrorKind::TooLarge), "{error}");
    assert_eq!(told.recv().await.unwrap(), b"", "the connection is closed while the body still lives");
    assert!(body.frame().await.is_none());
}

#[tokio::test]
async fn a_body_of_just_the_limit_is_not_too_large() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send(ok("0123456789")).await;
    })
    .await;
    let transport = HyperTransport::builder().no_proxy().response_limit(10).build().unwrap();
    assert_eq!(text(&transport, &server.url()).await.unwrap(), "0123456789");
}

#[tokio::test]
async fn requests_that_cannot_be_sent() {
    for (url, expected) in [
        (
            "/v1/models",
            "could not send the request: the URL is not absolute: it must begin with http:// or https://",
        ),
        ("ftp://host/", "could not send the request: the scheme of the URL is none of http, https and unix"),
        ("unix://host/", "could not send the request: the host of a unix URL must be a socket's path in hex"),
    ] {
        let error = send(&direct(), post(url, "")).await.unwrap_err();
        assert_eq!(error.to_string(), expected);
        assert_eq!((error.stage(), error.kind()), (Stage::Request, TransportErrorKind::BadRequest));
    }
}

#[tokio::test]
async fn the_alternate_form_adds_causes() {
    let addr = closed_port();
    let error = failure(&direct(), &format!("http://{addr}/")).await;
    let shown = format!("{error:#}");
    let mut lines = shown.lines();
    assert_eq!(lines.next().unwrap(), error.to_string());
    assert_eq!(lines.next().unwrap(), "  caused by: Connection refused (os error 111)");
}

#[test]
fn the_error_is_one_word_and_crosses_threads() {
    fn crosses<T: Send + Sync + Clone + 'static>() {}
    crosses::<oa_transport::TransportError>();
    assert_eq!(size_of::<oa_transport::TransportError>(), size_of::<usize>());
}

#[cfg(not(feature = "tls"))]
#[tokio::test]
async fn https_without_the_feature() {
    let error = failure(&direct(), "https://localhost/v1/chat/completions").await;
    assert_eq!(
        error.to_string(),
        "could not send the request: https needs the feature `tls` of oa-transport, which this program \
         was built without"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Request, TransportErrorKind::BadRequest));
}
