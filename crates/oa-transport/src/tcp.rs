//! How is a TCP connection opened? The name looked up, its addresses tried in order, the next one started
//! after 250 ms or as soon as the one before failed (RFC 8305, section 5, without the sorting that the
//! resolver has done).

use std::future::{Future, poll_fn};
use std::io;
use std::net::{IpAddr, SocketAddr};
use std::pin::Pin;
use std::task::Poll;
use std::time::Duration;

use tokio::net::TcpStream;
use tokio::time::{Instant, timeout_at};

use crate::error::Attempt;

const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Why no connection was opened.
pub(crate) enum Failure {
    /// The name could not be resolved.
    Dns(io::Error),
    /// The name was not resolved in time.
    DnsTimeout,
    /// Every address failed, or time ran out: then the last ones say so.
    Connect { attempts: Vec<Attempt>, timed_out: bool },
}

/// Opens a connection to a host, by name or address, before `deadline`.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    deadline: Instant,
    keepalive: Option<Duration>,
) -> Result<TcpStream, Failure> {
    let tcp = if let Ok(ip) = host.parse::<IpAddr>() {
        race(&[SocketAddr::new(ip, port)], deadline).await?
    } else {
        let found = timeout_at(deadline, tokio::net::lookup_host((host, port)));
        let addrs: Vec<_> = found.await.map_err(|_| Failure::DnsTimeout)?.map_err(Failure::Dns)?.collect();
        if addrs.is_empty() {
            return Err(Failure::Dns(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")));
        }
        race(&addrs, deadline).await?
    };
    // Both only make the connection better: without them it still works.
    let _ = tcp.set_nodelay(true);
    if let Some(after) = keepalive {
        let probes = socket2::TcpKeepalive::new().with_time(after);
        let _ = socket2::SockRef::from(&tcp).set_tcp_keepalive(&probes);
    }
    Ok(tcp)
}

type Connecting = Pin<Box<dyn Future<Output = io::Result<TcpStream>> + Send>>;

async fn race(addrs: &[SocketAddr], deadline: Instant) -> Result<TcpStream, Failure> {
    let mut waiting = addrs.iter();
    let mut running: Vec<(SocketAddr, Connecting)> = Vec::with_capacity(1);
    let mut attempts = Vec::new();
    loop {
        if let Some(&addr) = waiting.next() {
            running.push((addr, Box::pin(TcpStream::connect(addr))));
        } else if running.is_empty() {
            return Err(Failure::Connect { attempts, timed_out: false });
        }
        let patience =
            if waiting.len() == 0 { deadline } else { deadline.min(Instant::now() + NEXT_ADDRESS_AFTER) };
        match timeout_at(patience, first_of(&mut running)).await {
            Ok(Ok(tcp)) => return Ok(tcp),
            Ok(Err(attempt)) => attempts.push(attempt),
            Err(_) if patience < deadline => {}
            Err(_) => {
                attempts.extend(running.into_iter().map(|(addr, _)| Attempt { addr, error: out_of_time() }));
                return Err(Failure::Connect { attempts, timed_out: true });
            }
        }
    }
}

/// The first of the running attempts to end; a failed one is taken out.
async fn first_of(running: &mut Vec<(SocketAddr, Connecting)>) -> Result<TcpStream, Attempt> {
    poll_fn(|cx| {
        for i in 0..running.len() {
            if let Poll::Ready(result) = running[i].1.as_mut().poll(cx) {
                let (addr, _) = running.remove(i);
                return Poll::Ready(result.map_err(|error| Attempt { addr, error }));
            }
        }
        Poll::Pending
    })
    .await
}

fn out_of_time() -> io::Error {
    io::Error::new(io::ErrorKind::TimedOut, "no answer within the connect timeout")
}

#[cfg(test)]
mod tests {
    use super::*;

    fn closed() -> SocketAddr {
        std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap()
    }

    async fn run(addrs: &[SocketAddr]) -> Result<SocketAddr, Failure> {
        let deadline = Instant::now() + Duration::from_secs(10);
        race(addrs, deadline).await.map(|tcp| tcp.peer_addr().unwrap())
    }

    #[tokio::test]
    async fn after_a_refusal_the_next_address_is_tried() {
        let open = tokio::net::TcpListener::bind("127.0.0.1:0").await.unwrap();
        let open = open.local_addr().map(|addr| (addr, open)).unwrap();
        assert!(matches!(run(&[closed(), open.0]).await, Ok(addr) if addr == open.0));
    }

    #[tokio::test]
    async fn every_refusal_is_kept_in_order() {
        let (one, two) = (closed(), closed());
        let Err(Failure::Connect { attempts, timed_out: false }) = run(&[one, two]).await else {
            panic!("nobody listens");
        };
        assert_eq!(attempts.iter().map(Attempt::addr).collect::<Vec<_>>(), [one, two]);
        assert!(attempts.iter().all(|attempt| attempt.error.kind() == io::ErrorKind::ConnectionRefused));
    }

    #[tokio::test]
    async fn a_host_without_addresses_is_a_failure() {
        let Err(Failure::Connect { attempts, timed_out: false }) = run(&[]).await else {
            panic!("there is nothing to connect to");
        };
        assert!(attempts.is_empty());
    }

    /// An attempt that never ends, and a clock that runs only while everything waits.
    #[tokio::test(start_paused = true)]
    async fn a_silent_address_is_given_a_quarter_of_a_second_alone() {
        let started = Instant::now();
        let mut running: Vec<(SocketAddr, Connecting)> = vec![(closed(), Box::pin(std::future::pending()))];
        let patience = started + NEXT_ADDRESS_AFTER;
        assert!(timeout_at(patience, first_of(&mut running)).await.is_err());
        assert_eq!(started.elapsed(), Duration::from_millis(250));
        assert_eq!(running.len(), 1, "it goes on beside the next one");
        running.push((closed(), Box::pin(std::future::ready(Err(io::ErrorKind::HostUnreachable.into())))));
        let failed = first_of(&mut running).await.unwrap_err();
        assert_eq!((running.len(), failed.error.kind()), (1, io::ErrorKind::HostUnreachable));
    }
}
