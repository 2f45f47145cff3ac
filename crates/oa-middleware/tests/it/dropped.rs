//! A server whose packets are dropped: no connection comes about, and no error tells why.

use oa_middleware::{AttemptLog, Backoff, BreakerPolicy, CollectStream, RetryPolicy, Servers, Stack};
use oa_provider::OpenAiProvider;
use oa_sim::Sim;
use oa_wire::{CompletionRequest, Error, Message};
use std::{
    net::{Ipv4Addr, SocketAddr},
    time::{Duration, Instant},
};
use tokio::{
    io::copy_bidirectional,
    net::{TcpListener, TcpSocket, TcpStream},
};
use tower::ServiceExt;

/// An address of this machine that swallows packets: its queue of connections is full, and Linux drops what
/// goes beyond. Once it is opened, it leads to a server.
struct Hole {
    listener: TcpListener,
    /// What fills the queue.
    queued: Vec<TcpStream>,
}

impl Hole {
    /// None where the system does not drop them.
    async fn new() -> std::io::Result<Option<Self>> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        let mut hole = Self { listener: socket.listen(1)?, queued: Vec::new() };
        let patience = Duration::from_millis(300);
        for _ in 0..8 {
            match tokio::time::timeout(patience, TcpStream::connect(hole.address()?)).await {
                Ok(connected) => hole.queued.push(connected?),
                Err(_) => return Ok(Some(hole)),
            }
        }
        eprintln!("skipped: the queue of a listener never fills");
        Ok(None)
    }

    fn address(&self) -> std::io::Result<SocketAddr> {
        self.listener.local_addr()
    }

    /// Lets the connections through, until the task is dropped with the test.
    fn open(self, to: SocketAddr) {
        drop(self.queued);
        let listener = self.listener;
        tokio::spawn(async move {
            while let Ok((mut client, _)) = listener.accept().await {
                tokio::spawn(async move {
                    let Ok(mut server) = TcpStream::connect(to).await else { return };
                    // Whoever hangs up first ends it.
                    let _ = copy_bidirectional(&mut client, &mut server).await;
                });
            }
        });
    }
}

type Make = fn([(&'static str, OpenAiProvider); 2]) -> Result<Servers<OpenAiProvider>, Error>;

const OPEN_FOR: Duration = Duration::from_secs(3);

async fn is_left_and_comes_back(policy: &str, make: Make) -> Result<(), Box<dyn std::error::Error>> {
    let Some(hole) = Hole::new().await? else { return Ok(()) };
    let (behind, good) = (Sim::start().await?, Sim::start().await?);
    let provider = |url: String| OpenAiProvider::builder(url, "oa-sim").build();
    let dropped = provider(format!("http://{}", hole.address()?))?;
    let servers = make([("dropped", dropped), ("good", provider(good.base_url())?)])?.seed(1);
    let servers = servers.breaker(BreakerPolicy::new().open_for(OPEN_FOR)).slow_start(Duration::ZERO);
    let stack = Stack::new(provider(good.base_url())?.profile())
        .retry(RetryPolicy::new().backoff(Backoff::fixed(Duration::ZERO)))
        .first_event_timeout(Duration::from_millis(200))
        .layer(servers);
    let ask = async |call: usize| {
        let log = AttemptLog::default();
        let mut request = CompletionRequest::new([Message::user(format!("call {call}"))]);
        request = request.with_stream(call % 2 == 1);
        request.extensions.insert(CollectStream::new());
        request.extensions.insert(log.clone());
        let answer = stack.clone().oneshot(request).await;
        assert!(answer.is_ok(), "{policy}, call {call}: {:?}", answer.err());
        let failed = log.attempts();
        // One attempt's limit, and no more.
        assert!(failed.len() <= 1, "{policy}, call {call}: {failed:?}");
        assert!(failed.iter().all(|attempt| attempt.server.as_deref() == Some("dropped")), "{failed:?}");
        failed.len()
    };

    let (started, mut failed) = (Instant::now(), 0);
    for call in 0..20 {
        failed += ask(call).await;
    }
    let trials = started.elapsed().as_secs() / OPEN_FOR.as_secs();
    assert!((1..=3 + trials as usize).contains(&failed), "{policy}: {failed} calls to the dropped one");

    let to = behind.base_url().trim_start_matches("http://").parse()?;
    hole.open(to);
    let opened = Instant::now();
    for call in 20.. {
        ask(call).await;
        if !behind.requests().is_empty() {
            break;
        }
        assert!(opened.elapsed() < Duration::from_secs(60), "{policy}: it did not come back");
        tokio::time::sleep(Duration::from_millis(10)).await;
    }
    Ok(())
}

#[tokio::test]
async fn a_server_whose_packets_are_dropped_is_left_and_comes_back() -> Result<(), Box<dyn std::error::Error>>
{
    tokio::try_join!(
        is_left_and_comes_back("failover", Servers::failover),
        is_left_and_comes_back("balance", Servers::balance),
        is_left_and_comes_back("affinity", Servers::affinity),
    )?;
    Ok(())
}
