//! What goes through a proxy, how, and what is said when it does not work.

use oa_transport::{Diagnosis, HyperTransport, Stage};
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
    assert_eq!((error.stage(), error.kind()), (Stage::Proxy, Diagnosis::ProxyRefused));
    assert_eq!(error.proxy(), Some(&*format!("http://{addr}")));
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
    assert_eq!(error.kind(), Diagnosis::ClosedBeforeResponse);
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
             refused the tunnel with 407 Proxy Authentication Required"
        );
        assert_eq!(error.kind(), Diagnosis::ProxyRefused);
    }

    #[tokio::test]
    async fn a_proxy_that_closes() {
        let (line, error) = refused_with("").await;
        assert_eq!(
            line,
            "could not connect to https://llm.example through the proxy http://127.0.0.1:PORT: the proxy \
             closed the connection when it was asked for a tunnel"
        );
        assert_eq!(error.kind(), Diagnosis::ProxyRefused);
    }

    #[tokio::test]
    async fn a_proxy_that_is_none() {
        let (line, error) = refused_with("SSH-2.0-OpenSSH\r\n\r\n").await;
        assert_eq!(
            line,
            "could not connect to https://llm.example through the proxy http://127.0.0.1:PORT: the \
             proxy's answer is not HTTP/1.1"
        );
        assert_eq!(error.kind(), Diagnosis::NotHttp);
    }
}

#[test]
fn a_proxy_that_cannot_be_used_is_refused_when_the_transport_is_built() {
    let wrong = |url: &str| HyperTransport::builder().proxy(url).build().unwrap_err().to_string();
    assert_eq!(wrong("not a url"), "proxy: not a proxy's URL such as http://host:3128");
    assert_eq!(wrong("socks5://h:1"), "proxy: SOCKS proxies are not supported, only http and https ones");
}
