//! The handle of a simulator: how it is configured, started, watched and stopped.

use crate::{
    answer::Answer,
    generate::{ImageRefusal, Model, Reasoning, Reply},
    http::Limits,
    recorded::Recorded,
    server::serve,
    state::{Handler, Loading, Shared, State, Stats},
};
use std::{
    fmt, io,
    net::{Ipv4Addr, SocketAddr, TcpListener as StdListener},
    sync::Arc,
    thread::{self, JoinHandle as Thread},
    time::Duration,
};
use tokio::{
    net::{TcpListener, TcpSocket},
    runtime,
    sync::watch,
    task::JoinHandle as Task,
};

/// A running simulator. Dropping it closes its port and all its connections.
///
/// ```
/// # #[tokio::main(flavor = "current_thread")] async fn main() -> std::io::Result<()> {
/// use oa_sim::{Answer, Sim};
/// use serde_json::json;
///
/// let sim = Sim::start().await?;
/// sim.push(Answer::json(429, json!({"error": {"message": "slow down"}})));
/// // ... give `sim.base_url()` to the program under test, and then:
/// assert_eq!(sim.requests().len(), 0);
/// sim.shutdown().await;
/// # Ok(()) }
/// ```
pub struct Sim {
    addr: SocketAddr,
    shared: Arc<Shared>,
    stop: watch::Sender<bool>,
    runs: Option<Runs>,
}

enum Runs {
    Task(Task<()>),
    Thread(Thread<()>),
}

impl Sim {
    /// A simulator with all defaults, in the running tokio runtime: it answers as a small model would.
    ///
    /// # Errors
    ///
    /// As [`SimBuilder::start`].
    pub async fn start() -> io::Result<Self> {
        Self::builder().start().await
    }

    /// A simulator with all defaults, on a thread of its own: for tests without tokio.
    ///
    /// # Errors
    ///
    /// As [`SimBuilder::start_blocking`].
    pub fn start_blocking() -> io::Result<Self> {
        Self::builder().start_blocking()
    }

    /// Everything that can be set.
    pub fn builder() -> SimBuilder {
        SimBuilder::default()
    }

    /// `http://127.0.0.1:PORT`: the host root, without `/v1` and without a slash at the end.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }

    /// Where it listens.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// The requests that arrived whole, in the order of arrival: the last 10,000 of them, or as many as
    /// [`keep_requests`](SimBuilder::keep_requests) says. All are counted in [`stats`](Sim::stats).
    pub fn requests(&self) -> Vec<Recorded> {
        self.shared.read(|state| state.requests.iter().cloned().collect())
    }

    /// The last request that arrived.
    pub fn last_request(&self) -> Option<Recorded> {
        self.shared.read(|state| state.requests.back().cloned())
    }

    /// All counters.
    pub fn stats(&self) -> Stats {
        self.shared.read(|state| state.stats)
    }

    /// How many connections were opened since the start.
    pub fn connections(&self) -> usize {
        self.stats().connections
    }

    /// How many connections are open now.
    pub fn open_connections(&self) -> usize {
        self.stats().open
    }

    /// Adds an answer to the end of the script. From the first one on, a request for which the script has
    /// nothing is answered by 500 `simulator: script exhausted` and `x-should-retry: false`, unless
    /// [`then_generate`](SimBuilder::then_generate) was set.
    pub fn push(&self, answer: Answer) {
        self.shared.change(|state| {
            state.scripted = true;
            state.script.push_back(answer);
        });
    }

    /// How many answers of the script were not used yet; those that stay [`forever`](Answer::forever) do not
    /// count.
    pub fn unused(&self) -> usize {
        self.shared.read(|state| state.script.iter().filter(|answer| !answer.forever).count())
    }

    /// While true, every request is answered as llama.cpp does while it loads its model: 503 `Loading model`.
    pub fn set_loading(&self, loading: bool) {
        self.shared.change(|state| {
            state.loading = if loading { Loading::Indefinitely } else { Loading::Done };
        });
    }

    /// Closes every connection that waits for a request, as a server does with idle ones after some seconds.
    /// A request that is on its way meets the closed connection: the keep-alive race. To avoid it, wait for
    /// `open == 0` in [`wait_for`](Sim::wait_for) first.
    pub fn close_idle(&self) {
        self.shared.close_idle.send_modify(|times| *times += 1);
    }

    /// Waits until the counters satisfy `reached`. Works in any async runtime; put a timeout of your runtime
    /// around it where the condition may never come.
    ///
    /// ```
    /// # async fn example(sim: &oa_sim::Sim) {
    /// sim.wait_for(|stats| stats.requests == 3 && stats.open == 1).await;
    /// # }
    /// ```
    pub async fn wait_for(&self, mut reached: impl FnMut(&Stats) -> bool) {
        self.shared.wait_for(|state| reached(&state.stats)).await;
    }

    /// [`wait_for`](Sim::wait_for) without async; false when `limit` has passed before.
    pub fn wait_for_blocking(&self, limit: Duration, mut reached: impl FnMut(&Stats) -> bool) -> bool {
        self.shared.wait_for_blocking(limit, |state| reached(&state.stats))
    }

    /// Waits until the client has left an answer before its end: what a dropped or cancelled call looks like
    /// to a server.
    pub async fn closed_by_client(&self) {
        self.wait_for(|stats| stats.client_left > 0).await;
    }

    /// Closes the port and all connections, and returns when that is done.
    pub async fn shutdown(mut self) {
        self.stop.send_replace(true);
        self.shared.wait_for(|state| state.stopped).await;
        self.runs = None;
    }

    /// [`shutdown`](Sim::shutdown) without async, for a simulator from
    /// [`start_blocking`](Sim::start_blocking). Dropping such a one does the same.
    pub fn shutdown_blocking(self) {
        drop(self);
    }

    /// An address where a connection is refused, and stays refused as long as the value lives.
    ///
    /// A port that was just closed may be given to another process at any time. This one stays taken: its
    /// socket is bound, but never listens.
    ///
    /// # Errors
    ///
    /// If no socket can be made or no port is free.
    pub fn closed_port() -> io::Result<ClosedPort> {
        let socket = TcpSocket::new_v4()?;
        socket.bind(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)))?;
        Ok(ClosedPort { addr: socket.local_addr()?, _socket: socket })
    }
}

/// Shows the address and the counters.
impl fmt::Debug for Sim {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("Sim")
            .field("addr", &self.addr)
            .field("stats", &self.stats())
            .finish_non_exhaustive()
    }
}

impl Drop for Sim {
    fn drop(&mut self) {
        self.stop.send_replace(true);
        match self.runs.take() {
            // Its connections are children of the task and end with it.
            Some(Runs::Task(task)) => task.abort(),
            Some(Runs::Thread(thread)) => {
                let _ = thread.join();
            }
            None => {}
        }
    }
}

/// A port that refuses connections; see [`Sim::closed_port`].
#[derive(Debug)]
pub struct ClosedPort {
    addr: SocketAddr,
    _socket: TcpSocket,
}

impl ClosedPort {
    /// The address that refuses.
    pub fn addr(&self) -> SocketAddr {
        self.addr
    }

    /// `http://127.0.0.1:PORT`.
    pub fn base_url(&self) -> String {
        format!("http://{}", self.addr)
    }
}

/// The settings of a [`Sim`]. The defaults: a model named `oa-sim` that echoes, no key, no delays, no script.
pub struct SimBuilder {
    model: Model,
    limits: Limits,
    port: u16,
    keep: usize,
    handler: Option<Box<Handler>>,
    state: State,
}

impl SimBuilder {
    /// Listens on this port of 127.0.0.1, for a program whose address cannot be set by the test. Default 0: a
    /// free one, so that tests can run at the same time.
    ///
    /// ```
    /// # fn main() -> std::io::Result<()> {
    /// # let free = oa_sim::Sim::start_blocking()?.addr().port();
    /// let sim = oa_sim::Sim::builder().port(free).start_blocking()?;
    /// assert_eq!(sim.addr().port(), free);
    /// # Ok(()) }
    /// ```
    #[must_use]
    pub fn port(mut self, port: u16) -> Self {
        self.port = port;
        self
    }

    /// The name of the model, instead of `oa-sim`.
    #[must_use]
    pub fn model(self, name: impl Into<String>) -> Self {
        self.models([name])
    }

    /// Several names under which it serves. The first answers a request that names none. An empty list counts
    /// as the default.
    #[must_use]
    pub fn models(mut self, names: impl IntoIterator<Item = impl Into<String>>) -> Self {
        let names: Vec<String> = names.into_iter().map(Into::into).collect();
        if !names.is_empty() {
            self.model.names = names;
        }
        self
    }

    /// Adds a `status` of this value (such as `loading`) to every entry of `/v1/models`.
    #[must_use]
    pub fn model_status(mut self, status: impl Into<String>) -> Self {
        self.model.status = Some(status.into());
        self
    }

    /// Requires `Authorization: Bearer KEY` on every path under `/v1`.
    #[must_use]
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.model.api_key = Some(key.into());
        self
    }

    /// What text it makes; default [`Reply::Echo`].
    #[must_use]
    pub fn reply(mut self, reply: Reply) -> Self {
        self.model.reply = reply;
        self
    }

    /// Thinks before it answers: this text comes as reasoning, in the fields that `fields` names.
    #[must_use]
    pub fn reasoning(mut self, fields: Reasoning, text: impl Into<String>) -> Self {
        self.model.reasoning = Some((fields, text.into()));
        self
    }

    /// Refuses images in the words of that server. Default: images are taken, and counted in the echo.
    #[must_use]
    pub fn refuse_images(mut self, words: ImageRefusal) -> Self {
        self.model.image_refusal = Some(words);
        self
    }

    /// Waits this long before each token of a stream, and as long as all tokens together before an answer
    /// that is not streamed.
    #[must_use]
    pub fn token_delay(mut self, delay: Duration) -> Self {
        self.model.token_delay = delay;
        self
    }

    /// Refuses a prompt of more than this many tokens, as vLLM does. A token is a word.
    #[must_use]
    pub fn context_length(mut self, tokens: usize) -> Self {
        self.model.context_length = Some(tokens);
        self
    }

    /// Reports this many prompt tokens (at most all of them) as read from the cache.
    #[must_use]
    pub fn cached_tokens(mut self, tokens: usize) -> Self {
        self.model.cached_tokens = Some(tokens);
        self
    }

    /// Sends `usage` in a stream also when it was not asked for.
    #[must_use]
    pub fn always_usage(mut self) -> Self {
        self.model.always_usage = true;
        self
    }

    /// Answers the first `requests` requests as llama.cpp does while it loads: 503 `Loading model`. They are
    /// not taken from the script.
    #[must_use]
    pub fn loading_for(mut self, requests: usize) -> Self {
        self.state.loading = Loading::For(requests);
        self
    }

    /// The answers to give, in this order: each request takes the first one that matches it.
    #[must_use]
    pub fn script(mut self, answers: impl IntoIterator<Item = Answer>) -> Self {
        self.state.scripted = true;
        self.state.script.extend(answers);
        self
    }

    /// Lets the generative mode answer where the script has nothing (left).
    #[must_use]
    pub fn then_generate(mut self) -> Self {
        self.state.then_generate = true;
        self
    }

    /// Asks this function about each request for which the script has nothing; `None` goes on as without it.
    ///
    /// ```
    /// use oa_sim::{Answer, Sim};
    ///
    /// let builder = Sim::builder()
    ///     .handler(|request| (request.header("x-tenant") == Some("b")).then(|| Answer::text(403, "no")));
    /// # let _ = builder;
    /// ```
    #[must_use]
    pub fn handler(mut self, handler: impl Fn(&Recorded) -> Option<Answer> + Send + Sync + 'static) -> Self {
        self.handler = Some(Box::new(handler));
        self
    }

    /// How many requests [`Sim::requests`] keeps, the last ones; default 10,000. A long-running simulator, as
    /// under a benchmark, had better keep none.
    #[must_use]
    pub fn keep_requests(mut self, requests: usize) -> Self {
        self.keep = requests;
        self
    }

    /// Closes a connection that has waited this long for a request, without a word, as servers do. Default:
    /// none does; uvicorn and llama.cpp close after 5 s.
    #[must_use]
    pub fn idle_timeout(mut self, limit: Duration) -> Self {
        self.limits.idle = Some(limit);
        self
    }

    /// The largest request body in bytes; a larger one is answered by 413. Default 64 MiB.
    #[must_use]
    pub fn max_body(mut self, bytes: usize) -> Self {
        self.limits.body = bytes;
        self
    }

    /// The largest request head in bytes; a larger one is answered by 431. Default 64 KiB.
    #[must_use]
    pub fn max_head(mut self, bytes: usize) -> Self {
        self.limits.head = bytes;
        self
    }

    /// Starts it on 127.0.0.1 in the running tokio runtime, which needs its network and time
    /// drivers. It shares the clock of that runtime, a paused one too.
    ///
    /// # Errors
    ///
    /// If no port is free, [`port`](Self::port) is taken or sockets are used up.
    ///
    /// # Panics
    ///
    /// Outside of a tokio runtime; there use [`start_blocking`](SimBuilder::start_blocking).
    pub async fn start(self) -> io::Result<Sim> {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, self.port)).await?;
        let addr = listener.local_addr()?;
        let (stop, stopped) = watch::channel(false);
        let shared = self.share();
        let task = tokio::spawn(serve(listener, Arc::clone(&shared), stopped));
        Ok(Sim { addr, shared, stop, runs: Some(Runs::Task(task)) })
    }

    /// Starts it on 127.0.0.1 on a thread of its own, for tests and programs without tokio.
    ///
    /// # Errors
    ///
    /// If no port is free, [`port`](Self::port) is taken, sockets are used up or the thread cannot be made.
    pub fn start_blocking(self) -> io::Result<Sim> {
        let listener = StdListener::bind((Ipv4Addr::LOCALHOST, self.port))?;
        listener.set_nonblocking(true)?;
        let addr = listener.local_addr()?;
        let runtime = runtime::Builder::new_current_thread().enable_all().build()?;
        let (stop, stopped) = watch::channel(false);
        let shared = self.share();
        let served = Arc::clone(&shared);
        let listener = {
            let _inside = runtime.enter();
            TcpListener::from_std(listener)?
        };
        let thread = thread::Builder::new()
            .name("oa-sim".to_owned())
            .spawn(move || runtime.block_on(serve(listener, served, stopped)))?;
        Ok(Sim { addr, shared, stop, runs: Some(Runs::Thread(thread)) })
    }

    fn share(self) -> Arc<Shared> {
        Shared::new(self.limits, self.keep, self.model, self.handler, self.state)
    }
}

impl Default for SimBuilder {
    fn default() -> Self {
        Self {
            model: Model::default(),
            limits: Limits { head: 64 * 1024, body: 64 * 1024 * 1024, idle: None },
            port: 0,
            keep: 10_000,
            handler: None,
            state: State::default(),
        }
    }
}

/// Shows the model; a key is left out.
impl fmt::Debug for SimBuilder {
    fn fmt(&self, out: &mut fmt::Formatter<'_>) -> fmt::Result {
        out.debug_struct("SimBuilder").field("models", &self.model.names).finish_non_exhaustive()
    }
}
