//! Opens TCP connections: the name is looked up, its addresses are tried in order, the next one after 250 ms
//! or as soon as the one before failed (RFC 8305, section 5, without the sorting that the resolver has done).

use std::{
    future::{Future, poll_fn},
    io,
    net::{IpAddr, SocketAddr},
    pin::Pin,
    task::Poll,
    time::Duration,
};

use tokio::{
    net::TcpStream,
    time::{Instant, timeout_at},
};

use crate::error::ConnectAttempt;

const NEXT_ADDRESS_AFTER: Duration = Duration::from_millis(250);

/// Why no connection was opened.
pub(crate) enum DialError {
    /// The name could not be resolved.
    Dns(io::Error),
    /// The name was not resolved in time.
    DnsTimeout,
    /// Every address failed, or time ran out: then the last ones say so.
    Connect { attempts: Vec<ConnectAttempt>, timed_out: bool },
}

/// Opens a connection to a host, by name or address, before `deadline`.
pub(crate) async fn dial(
    host: &str,
    port: u16,
    deadline: Instant,
    keepalive: Option<Duration>,
) -> Result<TcpStream, DialError> {
    let tcp = if let Ok(ip) = host.parse::<IpAddr>() {
        race(&[SocketAddr::new(ip, port)], deadline, TcpStream::connect).await?
    } else {
        let found = timeout_at(deadline, tokio::net::lookup_host((host, port)));
        let addrs: Vec<_> =
            found.await.map_err(|_| DialError::DnsTimeout)?.map_err(DialError::Dns)?.collect();
        if addrs.is_empty() {
            return Err(DialError::Dns(io::Error::new(io::ErrorKind::NotFound, "the name has no addresses")));
        }
        race(&addrs, deadline, TcpStream::connect).await?
    };
    // Both only make the connection better: without them it still works.
    let _ = tcp.set_nodelay(true);
    if let Some(after) = keepalive {
        let probes = socket2::TcpKeepalive::new().with_time(after);
        let _ = socket2::SockRef::from(&tcp).set_tcp_keepalive(&probes);
    }
    Ok(tcp)
}

/// An attempt under way.
type Running<F> = (SocketAddr, Pin<Box<F>>);

async fn race<T, F: Future<Output = io::Result<T>>>(
    addrs: &[SocketAddr],
    deadline: Instant,
    connect: impl Fn(SocketAddr) -> F,
) -> Result<T, DialError> {
    let mut waiting = addrs.iter();
    let mut running: Vec<Running<F>> = Vec::with_capacity(1);
    let mut attempts = Vec::new();
    loop {
        if let Some(&addr) = waiting.next() {
            running.push((addr, Box::pin(connect(addr))));
        } else if running.is_empty() {
            return Err(DialError::Connect { attempts, timed_out: false });
        }
        let attempt_timeout =
            if waiting.len() == 0 { deadline } else { deadline.min(Instant::now() + NEXT_ADDRESS_AFTER) };
        match timeout_at(attempt_timeout, first_of(&mut running)).await {
            Ok(Ok(connected)) => return Ok(connected),
            Ok(Err(attempt)) => attempts.push(attempt),
            Err(_) if attempt_timeout < deadline => {}
            Err(_) => {
                attempts.extend(
                    running.into_iter().map(|(addr, _)| ConnectAttempt { addr, error: out_of_time() }),
                );
                return Err(DialError::Connect { attempts, timed_out: true });
            }
        }
    }
}

/// The first of the running attempts to end; a failed one is taken out.
async fn first_of<T, F: Future<Output = io::Result<T>>>(
    running: &mut Vec<Running<F>>,
) -> Result<T, ConnectAttempt> {
    poll_fn(|cx| {
        for i in 0..running.len() {
            if let Poll::Ready(result) = running[i].1.as_mut().poll(cx) {
                let (addr, _) = running.remove(i);
                return Poll::Ready(result.map_err(|error| ConnectAttempt { addr, error }));
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

    /// What becomes of an attempt, by the address's port; the winner is known by when it was started.
    async fn run(ports: &[u16]) -> Result<(u16, Duration), DialError> {
        let addrs: Vec<_> = ports.iter().map(|port| SocketAddr::from(([127, 0, 0, 1], *port))).collect();
        let begin = Instant::now();
        race(&addrs, begin + Duration::from_secs(10), |addr| async move {
            let started = begin.elapsed();
            match addr.port() {
                SILENT => std::future::pending().await,
                REFUSES => return Err(io::ErrorKind::ConnectionRefused.into()),
                SLOW => tokio::time::sleep(Duration::from_secs(1)).await,
                _ => {}
            }
            Ok((addr.port(), started))
        })
        .await
    }

    const SILENT: u16 = 1;
    const REFUSES: u16 = 2;
    const SLOW: u16 = 3;
    const ANSWERS: u16 = 4;

    #[tokio::test(start_paused = true)]
    async fn the_first_address_that_answers_is_the_only_one_tried() {
        assert!(matches!(run(&[ANSWERS, SLOW]).await, Ok((ANSWERS, Duration::ZERO))));
    }

    #[tokio::test(start_paused = true)]
    async fn after_a_refusal_the_next_address_is_tried_at_once() {
        assert!(matches!(run(&[REFUSES, ANSWERS]).await, Ok((ANSWERS, Duration::ZERO))));
    }

    #[tokio::test(start_paused = true)]
    async fn beside_a_silent_address_the_next_is_tried_after_a_quarter_of_a_second() {
        assert!(matches!(run(&[SILENT, ANSWERS]).await, Ok((ANSWERS, NEXT_ADDRESS_AFTER))));
    }

    #[tokio::test(start_paused = true)]
    async fn a_slow_address_may_still_win() {
        assert!(matches!(run(&[SLOW, SILENT, REFUSES]).await, Ok((SLOW, Duration::ZERO))));
    }

    #[tokio::test(start_paused = true)]
    async fn at_the_deadline_every_attempt_has_its_own_error() {
        let begin = Instant::now();
        let Err(DialError::Connect { attempts, timed_out: true }) = run(&[SILENT, REFUSES]).await else {
            panic!("nobody answers");
        };
        assert_eq!(begin.elapsed(), Duration::from_secs(10));
        let errors: Vec<_> =
            attempts.iter().map(|attempt| (attempt.addr.port(), attempt.error.kind())).collect();
        assert_eq!(errors, [(REFUSES, io::ErrorKind::ConnectionRefused), (SILENT, io::ErrorKind::TimedOut)]);
    }

    #[tokio::test(start_paused = true)]
    async fn when_every_address_refuses_there_is_nothing_to_wait_for() {
        let begin = Instant::now();
        let Err(DialError::Connect { attempts, timed_out: false }) = run(&[REFUSES, REFUSES]).await else {
            panic!("nobody answers");
        };
        assert_eq!((attempts.len(), begin.elapsed()), (2, Duration::ZERO));
    }
}
