//! Requests through proxies, requests around them, and the errors when that does not work.

use oa_transport::{HyperTransport, Proxies, Proxy, Stage, TransportErrorKind};
use tokio::sync::mpsc;

use crate::support::*;

fn through(proxy: std::net::SocketAddr) -> HyperTransport {
    HyperTransport::builder().proxy(&format!("http://me:pass-canary@{proxy}")).build().unwrap()
}

#[tokio::test]
async fn a_dead_proxy() {
    let addr = closed_port();
    let error = failure(&through(addr), "http://llm.example/v1/chat/completions").await;
    assert_eq!(
        line(&error, addr),
        "could not connect to http://llm.example through the proxy http://127.0.0.1:PORT: connection \
         refused (tried 127.0.0.1:PORT)"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Proxy, TransportErrorKind::ProxyRefused));
    assert_eq!(error.proxy().unwrap().url(), format!("http://{addr}"));
    assert_eq!(error.proxy_variable(), None);
    assert_eq!((error.host(), error.port()), ("llm.example", Some(80)));
}

/// One that takes the request and then closes.
#[tokio::test]
async fn a_proxy_that_gives_no_answer() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
    })
    .await;
    let error = failure(&through(server.addr), "http://llm.example/v1/chat/completions").await;
    assert_eq!(
        line(&error, server.addr),
        "no answer from http://llm.example through the proxy http://127.0.0.1:PORT: the server closed the \
         connection without an answer"
    );
    assert_eq!(error.kind(), TransportErrorKind::ClosedBeforeResponse);
}

#[tokio::test]
async fn plain_http_goes_in_absolute_form_with_the_proxys_password() {
    let (tell, mut told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, mut peer| {
        let tell = tell.clone();
        async move {
            tell.send(peer.request().await.unwrap().0).unwrap();
            peer.send(ok("fine")).await;
        }
    })
    .await;
    assert_eq!(text(&through(server.addr), "http://llm.example:8000/v1/models?a=b").await.unwrap(), "fine");
    let head = told.recv().await.unwrap();
    assert!(head.starts_with("POST http://llm.example:8000/v1/models?a=b HTTP/1.1\r\n"), "{head}");
    assert!(head.contains("\r\nhost: llm.example:8000\r\n"), "{head}");
    assert!(head.contains("\r\nproxy-authorization: Basic bWU6cGFzcy1jYW5hcnk=\r\n"), "{head}");
}

#[cfg(feature = "tls")]
mod tunnels {
    use super::*;

    async fn refused_with(answer: &'static str) -> (String, oa_transport::TransportError) {
        let server = Server::start(move |_, mut peer| async move {
            let (head, _) = peer.request().await.unwrap();
            assert_eq!(
                head,
                "CONNECT llm.example:443 HTTP/1.1\r\nHost: llm.example:443\r\nProxy-Authorization: Basic \
                 bWU6cGFzcy1jYW5hcnk=\r\n\r\n"
            );
            peer.send(answer).await;
        })
        .await;
        let error = failure(&through(server.addr), "https://llm.example/v1/chat/completions").await;
        assert_eq!(error.stage(), Stage::Proxy);
        (line(&error, server.addr), error)
    }

    #[tokio::test]
    async fn a_proxy_that_wants_a_password() {
        let (line, error) = refused_with("HTTP/1.1 407 Proxy Authentication Required\r\n\r\n").await;
        assert_eq!(
            line,
            "could not connect to https://llm.example through the proxy http://127.0.0.1:PORT: the proxy \
             refused the user name or password with 407 Proxy Authentication Required"
        );
        assert_eq!(error.kind(), TransportErrorKind::ProxyAuthentication);
    }

    #[tokio::test]
    async fn a_proxy_that_closes() {
        let (line, error) = refused_with("").await;
        assert_eq!(
            line,
            "could not connect to https://llm.example through the proxy http://127.0.0.1:PORT: the proxy \
             closed the connection when it was asked for a tunnel"
        );
        assert_eq!(error.kind(), TransportErrorKind::ProxyRefused);
    }

    #[tokio::test]
    async fn a_proxy_that_is_none() {
        let (line, error) = refused_with("SSH-2.0-OpenSSH\r\n\r\n").await;
        assert_eq!(
            line,
            "could not connect to https://llm.example through the proxy http://127.0.0.1:PORT: the \
             proxy's answer is not HTTP/1.1"
        );
        assert_eq!(error.kind(), TransportErrorKind::NotHttp);
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_when_the_transport_is_built() {
    let wrong = |url: &str| HyperTransport::builder().proxy(url).build().unwrap_err().to_string();
    let problem = |text: &str| format!("proxy: not a proxy that can be used: {text}");
    assert_eq!(wrong("not a url"), problem("it holds white space"));
    assert_eq!(wrong("\"http://h:1\""), problem("it is in quotes"));
}

/// What a SOCKS 5 proxy does, in the test: it takes no or one user, and connects to whom it was asked for.
async fn socks5(user: Option<(&'static str, &'static str)>) -> (Server, mpsc::UnboundedReceiver<Vec<u8>>) {
    use tokio::io::{AsyncReadExt, AsyncWriteExt};
    let (tell, told) = mpsc::unbounded_channel();
    let server = Server::start(move |_, peer| {
        let tell = tell.clone();
        async move {
            let mut stream = peer.stream;
            let mut greeting = [0; 3];
            stream.read_exact(&mut greeting).await.unwrap();
            if let Some((name, password)) = user {
                assert_eq!(greeting, [5, 1, 2]);
                stream.write_all(&[5, 2]).await.unwrap();
                let mut given = vec![0; 3 + name.len() + password.len()];
                stream.read_exact(&mut given).await.unwrap();
                let lengths = (name.len() as u8, password.len() as u8);
                let expected = [&[1, lengths.0], name.as_bytes(), &[lengths.1], password.as_bytes()].concat();
                let accepted = given == expected;
                stream.write_all(&[1, u8::from(!accepted)]).await.unwrap();
            } else {
                assert_eq!(greeting, [5, 1, 0]);
                stream.write_all(&[5, 0]).await.unwrap();
            }
            let mut head = [0; 4];
            if stream.read_exact(&mut head).await.is_err() {
                return;
            }
            let len = match head[3] {
                1 => 4,
                3 => usize::from(stream.read_u8().await.unwrap()),
                _ => 16,
            };
            let mut target = vec![0; len + 2];
            stream.read_exact(&mut target).await.unwrap();
            tell.send([&head[3..], &target].concat()).unwrap();
            stream.write_all(&[5, 0, 0, 1, 0, 0, 0, 0, 0, 0]).await.unwrap();
            let mut peer = Peer::new(stream);
            let (head, _) = peer.request().await.unwrap();
            assert!(head.starts_with("POST /v1/models HTTP/1.1\r\n"), "{head}");
            assert!(!head.contains("proxy-authorization"), "{head}");
            peer.send(ok("fine")).await;
        }
    })
    .await;
    (server, told)
}

#[tokio::test]
async fn a_socks5h_proxy_resolves_the_name_and_a_socks5_proxy_is_given_an_address() {
    for (scheme, host, kind) in [("socks5h", "llm.example", 3), ("socks5", "localhost", 1)] {
        let (server, mut told) = socks5(None).await;
        let transport =
            HyperTransport::builder().proxy(&format!("{scheme}://{}", server.addr)).build().unwrap();
        assert_eq!(text(&transport, &format!("http://{host}:8000/v1/models")).await.unwrap(), "fine");
        let target = told.recv().await.unwrap();
        // An address of either family: what `localhost` resolves to.
        assert!(target[0] == kind || kind == 1 && target[0] == 4, "{target:?}");
        assert_eq!(target[target.len() - 2..], 8000_u16.to_be_bytes());
        if kind == 3 {
            assert_eq!(&target[1..target.len() - 2], b"llm.example");
        }
    }
}

#[tokio::test]
async fn a_socks5_proxy_that_accepts_the_password_and_one_that_does_not() {
    let (server, _told) = socks5(Some(("me", "pass-canary"))).await;
    let through = |password: &str| {
        let url = format!("socks5h://me:{password}@{}", server.addr);
        HyperTransport::builder().proxy(&url).build().unwrap()
    };
    let url = "http://llm.example/v1/models";
    assert_eq!(text(&through("pass-canary"), url).await.unwrap(), "fine");
    let error = failure(&through("other-word!"), url).await;
    assert_eq!(
        line(&error, server.addr),
        "could not connect to http://llm.example through the proxy socks5h://127.0.0.1:PORT: the proxy \
         opened no tunnel (SOCKS error: credentials not accepted)"
    );
    assert_eq!((error.stage(), error.kind()), (Stage::Proxy, TransportErrorKind::ProxyRefused));
}

#[tokio::test]
async fn a_socks4a_proxy_is_given_the_name() {
    use tokio::io::AsyncReadExt;
    let server = Server::start(|_, mut peer| async move {
        let mut head = [0; 8];
        peer.stream.read_exact(&mut head).await.unwrap();
        assert_eq!(head[..4], [4, 1, 0, 80]);
        let mut rest = vec![0; "\0llm.example\0".len()];
        peer.stream.read_exact(&mut rest).await.unwrap();
        assert_eq!(rest, b"\0llm.example\0");
        peer.send([0, 90, 0, 0, 0, 0, 0, 0]).await;
        peer.request().await.unwrap();
        peer.send(ok("fine")).await;
    })
    .await;
    let transport = HyperTransport::builder().proxy(&format!("socks4a://{}", server.addr)).build().unwrap();
    assert_eq!(text(&transport, "http://llm.example/v1/models").await.unwrap(), "fine");
}

/// What a provider puts into an error that came as an HTTP answer.
#[tokio::test]
async fn a_response_knows_the_proxy_that_it_came_through() {
    let server = Server::start(|_, mut peer| async move {
        peer.request().await;
        peer.send("HTTP/1.1 403 Forbidden\r\ncontent-length: 0\r\n\r\n").await;
    })
    .await;
    let address = server.addr;
    let proxies = Proxies::from_lookup(move |name| (name == "http_proxy").then(|| address.to_string()));
    let transport = HyperTransport::builder().proxies(proxies).build().unwrap();
    let response = send(&transport, post("http://llm.example/", "")).await.unwrap();
    let proxy = response.extensions().get::<Proxy>().unwrap();
    assert_eq!((proxy.url(), proxy.variable()), (&*format!("http://{address}"), Some("http_proxy")));
    let response = send(&direct(), post(&server.url(), "")).await.unwrap();
    assert!(response.extensions().get::<Proxy>().is_none());
}
