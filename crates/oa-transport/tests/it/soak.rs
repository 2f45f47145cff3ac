//! Many calls against a server that does everything that servers do to connections, with cancellations: no
//! call is lost, no answer is another call's, no connection is left over. The behavior is drawn from a fixed
//! seed.

use std::{
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
    time::Duration,
};

use http_body_util::BodyExt;
use oa_transport::HyperTransport;
use tokio::time::{sleep, timeout};

use crate::support::*;

const WORKERS: u64 = 8;
const CALLS: u64 = 300;
const MAX_IDLE: usize = 4;
/// Of the client and of the server: so near to each other that they race.
const IDLE: (Duration, Duration) = (Duration::from_millis(20), Duration::from_millis(25));

/// A small generator of numbers (splitmix64): the same seed gives the same numbers.
struct Random(u64);

impl Random {
    fn below(&mut self, limit: u64) -> u64 {
        self.0 = self.0.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mut z = self.0;
        z = (z ^ (z >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        z = (z ^ (z >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (z ^ (z >> 31)) % limit
    }
}

/// Counts connections that stand.
struct Standing(Arc<AtomicUsize>);

impl Standing {
    fn new(count: &Arc<AtomicUsize>) -> Self {
        count.fetch_add(1, Ordering::SeqCst);
        Self(Arc::clone(count))
    }
}

impl Drop for Standing {
    fn drop(&mut self) {
        self.0.fetch_sub(1, Ordering::SeqCst);
    }
}

/// Serves one connection. The first request of each is answered whole.
async fn serve(number: usize, mut peer: Peer<tokio::net::TcpStream>) {
    let mut random = Random(number as u64);
    let mut served = 0;
    loop {
        let limit = if served == 0 { Duration::from_secs(60) } else { IDLE.1 };
        let Ok(Some((_, body))) = timeout(limit, peer.request()).await else { return };
        let body = String::from_utf8(body).unwrap();
        served += 1;
        let whole = ok(&body);
        let pieces: Vec<String> = match random.below(20) {
            0 if served > 1 => return,
            1 if served > 1 => return peer.reset(),
            2 => {
                peer.try_send(whole).await;
                return;
            }
            3 => vec![whole.replacen("\r\n", "\r\nconnection: close\r\n", 1)],
            4 => {
                peer.try_send(whole + "HTTP/1.1 408 Request Timeout\r\ncontent-length: 0\r\n\r\n").await;
                return;
            }
            5..=9 => {
                let head = "HTTP/1.1 200 OK\r\ntransfer-encoding: chunked\r\n\r\n".to_owned();
                let (start, end) = body.split_at(body.len() / 2);
                let chunk = |text: &str| format!("{:x}\r\n{text}\r\n", text.len());
                vec![head, chunk(start), chunk(end), "0\r\n\r\n".to_owned()]
            }
            _ => vec![whole],
        };
        for piece in pieces {
            if !peer.try_send(piece).await {
                return;
            }
            tokio::task::yield_now().await;
        }
    }
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn no_call_is_lost_and_no_connection_is_left() {
    let standing = Arc::<AtomicUsize>::default();
    let count = Arc::clone(&standing);
    let server = Server::start(move |number, peer| {
        let standing = Standing::new(&count);
        async move {
            serve(number, peer).await;
            drop(standing);
        }
    })
    .await;
    let transport = HyperTransport::builder()
        .no_proxy()
        .pool_idle_timeout(IDLE.0)
        .max_idle_per_host(MAX_IDLE)
        .build()
        .unwrap();
    let workers = (0..WORKERS).map(|worker| {
        let (transport, url) = (transport.clone(), server.url());
        tokio::spawn(async move {
            let mut random = Random(1_000_000 + worker);
            for call in 0..CALLS {
                let id = format!("{worker}/{call}/{}", "x".repeat(random.below(2000) as usize));
                let mut sent = Box::pin(send(&transport, post(&url, id.clone())));
                match random.below(10) {
                    // The caller goes away before the head, or in the body.
                    0 => drop(timeout(Duration::from_micros(random.below(500)), &mut sent).await),
                    1 => drop(sent.await.unwrap().into_body().frame().await),
                    _ => assert_eq!(read(sent.await.unwrap()).await.unwrap(), id),
                }
                if random.below(20) == 0 {
                    sleep(Duration::from_millis(random.below(40))).await;
                }
            }
        })
    });
    for worker in workers.collect::<Vec<_>>() {
        worker.await.unwrap();
    }
    let until = async |limit: usize| {
        while standing.load(Ordering::SeqCst) > limit {
            tokio::task::yield_now().await;
        }
    };
    timeout(Duration::from_secs(20), until(MAX_IDLE)).await.expect("no more are kept than allowed");
    drop(transport);
    timeout(Duration::from_secs(20), until(0)).await.expect("the last ones are closed");
}
