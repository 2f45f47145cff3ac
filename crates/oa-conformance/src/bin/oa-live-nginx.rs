//! Three hundred streams at once through nginx, over TLS with HTTP/2 by ALPN: all have begun before one ends.
//!
//! ```text
//! oa-live-nginx [--nginx nginx] [--streams 300]
//! ```
//!
//! nginx is started with a configuration, a certificate and a port of its own, before a simulator in this
//! process, and stopped in every case. Which protocol was spoken, and over how many connections, is what
//! nginx says in its log. Its own connections to the simulator are one for each stream, of which the
//! simulator's system queues 128: the others may be opened a second later.

use oa_conformance::args::Args;
use oa_provider::{CompletionRequest, Event, HyperTransport, Message, OpenAiProvider, Provider};
use oa_sim::{Answer, Gate, Piece, Sim};
use oa_transport::Http2;
use std::{
    collections::BTreeSet,
    env,
    error::Error,
    fs,
    net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream},
    path::PathBuf,
    process::{Child, Command, ExitCode, Stdio},
    sync::Arc,
    thread,
    time::{Duration, Instant},
};
use tokio::{sync::Barrier, task::JoinSet, time::timeout};

/// What nginx takes on one connection.
const LIMIT: usize = 100;
const PATIENCE: Duration = Duration::from_secs(30);

type Failure = Box<dyn Error + Send + Sync>;

#[tokio::main]
async fn main() -> ExitCode {
    match run().await {
        Ok(()) => ExitCode::SUCCESS,
        Err(error) => {
            eprintln!("oa-live-nginx: {error}");
            ExitCode::FAILURE
        }
    }
}

async fn run() -> Result<(), Failure> {
    let args = Args::of_process();
    let program = args.value("--nginx").unwrap_or_else(|| "nginx".to_owned());
    let streams: usize = args.number("--streams", 300)?;

    let gate = Gate::new();
    let held = gate.clone();
    let sim = Sim::builder().keep_requests(0).handler(move |_| Some(answer(&held))).start().await?;
    let nginx = Nginx::start(&program, sim.addr())?;
    let transport = HyperTransport::builder()
        .no_proxy()
        .http2(Http2::Negotiated)
        .without_platform_roots()
        .add_root_pem(&nginx.certificate)
        .build()?;
    let url = format!("https://localhost:{}", nginx.port);
    let provider = Arc::new(OpenAiProvider::builder(url, "oa-sim").transport(transport).build()?);

    let started = Instant::now();
    let all = Arc::new(Barrier::new(streams));
    let mut calls = JoinSet::new();
    for _ in 0..streams {
        calls.spawn(call(Arc::clone(&provider), Arc::clone(&all), gate.clone(), started));
    }
    let mut begun = Duration::ZERO;
    let run = timeout(PATIENCE, async {
        while let Some(call) = calls.join_next().await {
            begun = begun.max(call??);
        }
        Ok::<_, Failure>(())
    });
    run.await.map_err(|_| {
        let open = sim.open_connections();
        format!("not all of {streams} streams have begun after {PATIENCE:?}: {open} reach the simulator")
    })??;
    let took = started.elapsed();
    drop(provider);
    let log = nginx.log(streams)?;
    drop(nginx);
    let (mut protocols, mut connections) = (BTreeSet::new(), BTreeSet::new());
    for line in log.lines() {
        let (protocol, connection) = line.split_once(' ').unwrap_or((line, ""));
        protocols.insert(protocol.to_owned());
        connections.insert(connection.to_owned());
    }
    let protocols: Vec<_> = protocols.into_iter().collect();
    println!("streams at once        {streams}, {} in nginx's log", log.lines().count());
    println!(
        "all had begun after    {:.2} s; all had ended after {:.2} s",
        begun.as_secs_f64(),
        took.as_secs_f64()
    );
    println!("protocol               {}", protocols.join(", "));
    println!("connections            {}, {LIMIT} streams each at most", connections.len());
    if protocols != ["HTTP/2.0"] || log.lines().count() != streams {
        return Err("nginx has not seen each stream over HTTP/2".into());
    }
    let least = streams.div_ceil(LIMIT);
    if !(least..=2 * least).contains(&connections.len()) {
        return Err(format!("{} connections, where {least} are enough", connections.len()).into());
    }
    Ok(())
}

/// A stream whose first event comes at once, and whose end comes when the gate is open.
fn answer(gate: &Gate) -> Answer {
    let chunk = |delta: &str, reason: &str| {
        let choice = format!(r#"{{"index":0,"delta":{delta},"finish_reason":{reason}}}"#);
        let head = r#""id":"c","object":"chat.completion.chunk","created":1,"model":"oa-sim""#;
        Piece::from(format!("data: {{{head},\"choices\":[{choice}]}}\n\n"))
    };
    Answer::stream([
        chunk(r#"{"role":"assistant","content":"first"}"#, "null"),
        Piece::Wait(gate.clone()),
        chunk(r#"{"content":" and last"}"#, "null"),
        chunk("{}", r#""stop""#),
        Piece::from("data: [DONE]\n\n"),
    ])
}

/// One stream: when all had begun.
async fn call(
    provider: Arc<impl Provider>,
    all: Arc<Barrier>,
    gate: Gate,
    started: Instant,
) -> Result<Duration, Failure> {
    let mut stream = provider.stream(&CompletionRequest::new([Message::user("Hello!")])).await?;
    match stream.next().await {
        Some(Ok(Event::Content(text))) if &*text == "first" => {}
        other => return Err(format!("the first event is {other:?}").into()),
    }
    all.wait().await;
    let begun = started.elapsed();
    gate.open();
    let response = stream.into_response().await?;
    if response.text() != "first and last" {
        return Err(format!("an answer {:?}", response.text()).into());
    }
    Ok(begun)
}

/// An nginx in a folder of its own. Dropping it stops it, and so does the end of this process.
struct Nginx {
    shell: Child,
    folder: PathBuf,
    port: u16,
    /// In PEM.
    certificate: String,
}

impl Nginx {
    fn start(program: &str, upstream: SocketAddr) -> Result<Self, Failure> {
        let folder = env::temp_dir().join(format!("oa-live-nginx-{}", std::process::id()));
        fs::create_dir_all(&folder)?;
        let made = rcgen::generate_simple_self_signed(["localhost".to_owned()])?;
        let certificate = made.cert.pem();
        fs::write(folder.join("cert.pem"), &certificate)?;
        fs::write(folder.join("key.pem"), made.signing_key.serialize_pem())?;
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
        let config = folder.join("nginx.conf");
        fs::write(&config, configuration(port, upstream, has_http2_directive(program)?))?;
        // The shell's input is a pipe that only this process holds: it ends with it.
        let script =
            "trap '' INT; \"$0\" -p \"$1\" -c \"$2\" 2>\"$1/start.log\" & cat >/dev/null; kill $!; wait";
        let mut shell = Command::new("sh");
        shell.args(["-c", script, program]).arg(&folder).arg(config).stdin(Stdio::piped());
        let nginx = Self { shell: shell.spawn()?, folder, port, certificate };
        let started = Instant::now();
        while TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_err() {
            if started.elapsed() > Duration::from_secs(10) {
                let log = |name| fs::read_to_string(nginx.folder.join(name)).unwrap_or_default();
                return Err(format!("nginx is not up: {}{}", log("start.log"), log("error.log")).into());
            }
            thread::sleep(Duration::from_millis(50));
        }
        Ok(nginx)
    }

    /// Its log, protocol and connection of each request, once it has so many. nginx ends a request a moment
    /// after its client has read the last event.
    fn log(&self, requests: usize) -> Result<String, Failure> {
        let started = Instant::now();
        loop {
            let log = fs::read_to_string(self.folder.join("access.log"))?;
            if log.lines().count() >= requests || started.elapsed() > Duration::from_secs(10) {
                return Ok(log);
            }
            thread::sleep(Duration::from_millis(20));
        }
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        drop(self.shell.stdin.take());
        let _ = self.shell.wait();
        let _ = fs::remove_dir_all(&self.folder);
    }
}

fn configuration(port: u16, upstream: SocketAddr, has_http2_directive: bool) -> String {
    let (listen, http2) = if has_http2_directive { ("ssl", "http2 on;") } else { ("ssl http2", "") };
    format!(
        "daemon off;
master_process off;
pid nginx.pid;
error_log error.log;
events {{ worker_connections 4096; }}
http {{
    log_format streams '$server_protocol $connection';
    access_log access.log streams;
    client_body_temp_path body;
    proxy_temp_path proxy;
    fastcgi_temp_path fastcgi;
    uwsgi_temp_path uwsgi;
    scgi_temp_path scgi;
    server {{
        listen 127.0.0.1:{port} {listen};
        {http2}
        http2_max_concurrent_streams {LIMIT};
        server_name localhost;
        ssl_certificate cert.pem;
        ssl_certificate_key key.pem;
        location / {{
            proxy_pass http://{upstream};
            proxy_http_version 1.1;
            proxy_set_header Connection '';
            proxy_buffering off;
        }}
    }}
}}
"
    )
}

/// nginx has the directive `http2` since 1.25.1, and wants it in the place of the parameter of `listen`.
fn has_http2_directive(program: &str) -> Result<bool, Failure> {
    let output = Command::new(program).arg("-v").output()?;
    let text = String::from_utf8_lossy(&output.stderr).into_owned();
    let version = text.trim().rsplit('/').next().unwrap_or_default().split(' ').next().unwrap_or_default();
    let numbers: Vec<u32> = version.split('.').map_while(|number| number.parse().ok()).collect();
    Ok(numbers >= vec![1, 25, 1])
}
