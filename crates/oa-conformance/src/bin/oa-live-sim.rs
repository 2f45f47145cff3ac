//! A simulator as a process of its own, which can be killed and whose connections the system counts.
//!
//! ```text
//! oa-live-sim --port PORT [--idle-ms 5000] [--token-ms 0] [--close-every 0]
//! ```
//!
//! It prints `up` when it listens. A line `counts` on its input is answered by the number of its open
//! connections, and of requests that it closed the connection for: with `--close-every N`, each Nth of those
//! on a connection that has carried another before, as if it had been closed just then. It ends when the
//! input ends.

use oa_conformance::args::Args;
use oa_sim::{Answer, Recorded, Sim};
use std::{
    collections::HashSet,
    io::stdin,
    process::ExitCode,
    sync::{Arc, Mutex, PoisonError},
    thread::sleep,
    time::Duration,
};

fn main() -> ExitCode {
    let args = Args::of_process();
    let number = |name, default| args.number::<u64>(name, default);
    let (Ok(port), Ok(idle), Ok(token), Ok(every)) =
        (number("--port", 0), number("--idle-ms", 5000), number("--token-ms", 0), number("--close-every", 0))
    else {
        eprintln!("--port, --idle-ms, --token-ms and --close-every are numbers");
        return ExitCode::from(2);
    };
    let closing = Arc::new(Mutex::new(Closing { every, ..Closing::default() }));
    let (idle, token) = (Duration::from_millis(idle), Duration::from_millis(token));
    let Some(sim) = start(port as u16, idle, token, &closing) else {
        eprintln!("port {port} is taken");
        return ExitCode::FAILURE;
    };
    println!("up");
    for line in stdin().lines().map_while(Result::ok) {
        if line == "counts" {
            let closed = closing.lock().unwrap_or_else(PoisonError::into_inner).closed;
            println!("{} {closed}", sim.open_connections());
        }
    }
    ExitCode::SUCCESS
}

/// After a kill the system may hold the port for a moment.
fn start(port: u16, idle: Duration, token: Duration, closing: &Arc<Mutex<Closing>>) -> Option<Sim> {
    for _ in 0..50 {
        let closing = Arc::clone(closing);
        let decide = move |request: &Recorded| {
            let mut closing = closing.lock().unwrap_or_else(PoisonError::into_inner);
            closing.closes(request.connection).then(Answer::disconnect)
        };
        let sim = Sim::builder().port(port).idle_timeout(idle).token_delay(token).keep_requests(0);
        if let Ok(sim) = sim.handler(decide).start_blocking() {
            return Some(sim);
        }
        sleep(Duration::from_millis(100));
    }
    None
}

/// Which requests meet a connection that was just closed.
#[derive(Default)]
struct Closing {
    every: u64,
    /// Connections that have carried a request.
    used: HashSet<usize>,
    requests: u64,
    closed: usize,
}

impl Closing {
    fn closes(&mut self, connection: usize) -> bool {
        if self.every == 0 || self.used.insert(connection) {
            return false;
        }
        self.requests += 1;
        let closes = self.requests % self.every == 0;
        self.closed += usize::from(closes);
        closes
    }
}
