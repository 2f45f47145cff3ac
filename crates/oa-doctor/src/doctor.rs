//! An examination: its settings, and its steps in order.

use crate::{
    calls::Calls,
    client::{Client, Page},
    connection,
    environment::{self, Overrides, Target, Variables},
    finding::Finding,
    hints::Hints,
    identity,
    judgement::Facts,
    load,
    log::{Head, Log, Progress},
    models, ports, proxy,
    redact::Secrets,
    report::Report,
    step_kind::{
        COMPLETION, DNS, ENVIRONMENT, IDENTITY, LOAD, MESSAGES, MODELS, PROXY, SCHEMA, STREAM, StepKind, TCP,
        TLS, TOOLS, USAGE,
    },
    text,
};
use http::{HeaderName, HeaderValue};
use oa_transport::{HyperTransport, Proxies};
use oa_wire::{Category, Error};
use std::{fmt, time::Duration};

/// Examines a server. See the [crate](crate) for the steps.
///
/// What is not set comes from the environment, by the rules of [`oa_provider::Environment`].
#[must_use = "a doctor does nothing until `run` is awaited"]
pub struct Doctor {
    given: Overrides,
    variables: Variables,
    headers: Vec<(String, String)>,
    no_completion: bool,
    time_limit: Duration,
    ports: Vec<(u16, String)>,
    transport: Option<HyperTransport>,
    #[cfg(feature = "tls")]
    roots: Vec<Vec<u8>>,
    proxy: Option<String>,
    connect_timeout: Duration,
    command: Option<String>,
}

impl Doctor {
    /// An examination of the server that the process's environment names.
    pub fn new() -> Self {
        Self {
            given: Overrides::default(),
            variables: Variables::of_process(),
            headers: Vec::new(),
            no_completion: false,
            time_limit: Duration::from_secs(60),
            ports: ports::WELL_KNOWN_PORTS.map(|(port, whose)| (port, whose.to_owned())).into(),
            transport: None,
            #[cfg(feature = "tls")]
            roots: Vec::new(),
            proxy: None,
            // Less than the steps that connect, so that it is known to be what takes long.
            connect_timeout: Duration::from_secs(5),
            command: None,
        }
    }

    /// The command line that asks for it, to be kept in the report. Keys, the values of headers and passwords
    /// that this doctor was given are redacted.
    pub fn command_line(mut self, command: impl Into<String>) -> Self {
        self.command = Some(command.into());
        self
    }

    /// Examines this server, in place of the one that the environment names. A missing scheme, and a `/v1` at
    /// the end, are corrected and reported.
    pub fn url(mut self, url: impl Into<String>) -> Self {
        self.given.url = Some(url.into());
        self
    }

    /// The model to ask for. Default: `OA_MODEL`, or else the first one that the server lists.
    pub fn model(mut self, model: impl Into<String>) -> Self {
        self.given.model = Some(model.into());
        self
    }

    /// The key to send. It is in no report.
    pub fn api_key(mut self, key: impl Into<String>) -> Self {
        self.given.api_key = Some(key.into());
        self
    }

    /// Adds a header to every request. Its value is in no report.
    pub fn header(mut self, name: impl Into<String>, value: impl Into<String>) -> Self {
        self.headers.push((name.into(), value.into()));
        self
    }

    /// Makes no completion: for servers whose tokens cost money. Default: off.
    pub fn no_completion(mut self, on: bool) -> Self {
        self.no_completion = on;
        self
    }

    /// How long all steps together may take; each has a bound of its own besides. Default: 60 s.
    pub fn time_limit(mut self, limit: Duration) -> Self {
        self.time_limit = limit;
        self
    }

    /// The ports to look at on the server's host when its own is closed, and whose they are. Default:
    /// [`WELL_KNOWN_PORTS`](crate::WELL_KNOWN_PORTS). Those that `LITELLM_PORT` and `PORT` name are looked at
    /// too.
    pub fn ports<T: Into<String>>(mut self, ports: impl IntoIterator<Item = (u16, T)>) -> Self {
        self.ports = ports.into_iter().map(|(port, whose)| (port, whose.into())).collect();
        self
    }

    /// Takes these variables, names and values, in place of the process's environment.
    pub fn environment(mut self, variables: impl IntoIterator<Item = (String, String)>) -> Self {
        self.variables = Variables::new(variables);
        self
    }

    /// Trusts these certificates too: one or more in PEM.
    #[cfg(feature = "tls")]
    pub fn root_pem(mut self, pem: impl Into<Vec<u8>>) -> Self {
        self.roots.push(pem.into());
        self
    }

    /// Sends everything through this proxy, in place of those of the environment.
    pub fn proxy(mut self, url: impl Into<String>) -> Self {
        self.proxy = Some(url.into());
        self
    }

    /// How long opening a connection may take. Default: 5 s.
    pub fn connect_timeout(mut self, limit: Duration) -> Self {
        self.connect_timeout = limit;
        self
    }

    /// Flags that the next commands in the report are to carry, as a shell takes them, such as `--ca-file
    /// own.pem`.
    pub fn flags(mut self, flags: impl Into<String>) -> Self {
        self.given.flags = flags.into();
        self
    }

    /// Uses this transport, with authorities, a client certificate or a proxy of its own. The proxies of the
    /// environment are then not looked at.
    pub fn transport(mut self, transport: HyperTransport) -> Self {
        self.transport = Some(transport);
        self
    }

    /// Makes the examination. Never fails: what is wrong is in the report.
    pub async fn run(&self) -> Report {
        self.run_with(|_| ()).await
    }

    /// [`run`](Self::run) that tells of each step when it starts and when it has ended. Dropping the future
    /// ends the examination and its connections.
    pub async fn run_with(&self, mut progress: impl FnMut(Progress<'_>) + Send) -> Report {
        let mut log = Log::new(self.time_limit, self.secrets(), &mut progress);
        let mut head = Head { command: self.command.clone(), ..Head::default() };
        let mut facts = Facts::default();
        // The steps hold the futures of every call: boxed, the caller's own stays small.
        if let Err((rest, why)) = Box::pin(self.make_steps(&mut log, &mut head, &mut facts)).await {
            log.skip_all(rest, &why);
        }
        log.report(head, &facts)
    }

    fn secrets(&self) -> Secrets {
        let mut secrets = Secrets::default();
        self.variables.secrets(&mut secrets);
        self.given.api_key.iter().for_each(|key| secrets.add(key));
        self.given.url.iter().chain(&self.proxy).for_each(|url| secrets.add_userinfo(url));
        // A short value is a tenant or a flag, and no secret.
        self.headers.iter().filter(|(_, value)| value.len() >= 8).for_each(|(_, value)| secrets.add(value));
        secrets
    }

    /// Makes the steps in order. Where it is no use to go on, gives those that are left, and why.
    async fn make_steps(&self, log: &mut Log<'_>, head: &mut Head, facts: &mut Facts) -> Result<(), Stop> {
        let Some(Some(target)) = log.run(&ENVIRONMENT, self.resolve()).await else {
            return Err(stop(&ENVIRONMENT, "no server to ask"));
        };
        log.when_late(format!("curl -v --max-time 60 {}", text::word(&target.models_url())));
        head.url = Some(target.url().to_owned());
        head.model.clone_from(&target.model);
        let (client, hello) = self.connect(log, &target).await?;

        let identity = log.run(&IDENTITY, identity::ask(&client, &hello)).await.unwrap_or_default();
        head.server = identity.shown();
        let hints = Hints { target: &target, identity: &identity, model: target.model.as_deref() };
        let listing = async { models::judge(&target, &hints, client.models().await) };
        let models = log.run(&MODELS, listing).await.unwrap_or_else(|| models::Models::of(&target));
        head.model.clone_from(&models.model);
        facts.listing = Some(models.listing);
        facts.models = models.list.as_ref().map(|list| list.ids().map(str::to_owned).collect());
        if let Some(why) = models.refused {
            return Err(stop(&MODELS, why));
        }
        let load = async { (load::ask(&client, &target, &identity, &models, !self.no_completion).await, ()) };
        log.run(&LOAD, load).await;
        if self.no_completion {
            return Err(stop(&LOAD, "no completion is to be made"));
        }
        if log.failed_with(Category::ModelNotLoaded) {
            return Err(stop(&LOAD, "the server is not ready"));
        }
        let Some(model) = &models.model else { return Err(stop(&LOAD, "no model to ask for")) };
        let hints = Hints { target: &target, identity: &identity, model: Some(model) };
        facts.chat_probe = hints.ready("chat");
        log.when_late(format!("{} --timeout 5m", hints.chat()));

        let mut calls = Calls::new(&client, &target, &identity, &models, model);
        let completes = log.run(&COMPLETION, calls.completion()).await;
        facts.completion_hangs = completes.is_none();
        facts.another_model_answers = calls.another_model_answers();
        if completes != Some(true) {
            return Err(stop(&COMPLETION, "no completion works"));
        }
        let streams = log.run(&STREAM, calls.stream()).await;
        facts.first_token = calls.first_token();
        if streams == Some(false) {
            return Err(stop(&STREAM, "the server takes no more requests"));
        }
        if log.run(&TOOLS, calls.tools()).await == Some(false) {
            return Err(stop(&TOOLS, "the server takes no more requests"));
        }
        log.run(&SCHEMA, calls.schema()).await;
        log.push(&USAGE, Duration::ZERO, calls.usage());
        // An application that speaks chat completions does not need it, so that it is never a failure.
        let (messages, took) = log.measure(&MESSAGES, calls.messages()).await;
        log.push(&MESSAGES, took, messages.unwrap_or_else(Finding::only_a_warning));
        Ok(())
    }

    /// The target. Where none is named, the well-known ports of this machine are tried.
    async fn resolve(&self) -> (Finding, Option<Target>) {
        let (finding, target) = environment::resolve(&self.given, &self.variables);
        let Some(mut target) = target else {
            if finding.next.is_some() || self.given.url.is_some() {
                return (finding, None);
            }
            let elsewhere = ports::look("127.0.0.1", &self.ports).await;
            let finding = match elsewhere.first() {
                Some(first) => finding
                    .cause(format!("on this machine {}", connection::described(&elsewhere)))
                    .next(format!("oa doctor {}", text::word(&first.url))),
                None => finding.next("oa doctor http://HOST:PORT"),
            };
            return (finding, None);
        };
        for (name, value) in &self.headers {
            let header = HeaderName::try_from(name.as_str()).ok().zip(HeaderValue::try_from(value).ok());
            let Some((key, mut value)) = header else {
                let why = format!("the header {} cannot be sent", text::one_line(name, 60));
                return (Finding::failed(Category::InvalidRequest, why), None);
            };
            value.set_sensitive(true);
            if key == http::header::AUTHORIZATION {
                // It takes the place of the key.
                target.key = Some("--header");
            }
            target.messages = target.messages.with_header(key.clone(), value.clone());
            target.endpoint = target.endpoint.with_header(key, value);
        }
        (finding, Some(target))
    }

    /// From the proxy to the first exchange.
    async fn connect(&self, log: &mut Log<'_>, target: &Target) -> Result<(Client, Page), Stop> {
        let made = self.proxies().and_then(|proxies| Ok((proxies, self.client(target)?)));
        let (proxies, client) = match made {
            Ok(made) => made,
            Err(error) => {
                let finding = Finding::failed(error.category(), error.message());
                log.push(&PROXY, Duration::ZERO, finding);
                return Err(stop(&PROXY, "no transport"));
            }
        };
        let mut hello = None;
        if self.transport.is_some() {
            log.skip(&PROXY, "the transport was given, and its proxy with it");
        } else {
            let made = log.run(&PROXY, proxy::step(target, &proxies, &client)).await;
            if made.is_none() || log.failed() {
                return Err(stop(&PROXY, "the proxy does not let it through"));
            }
            hello = made.flatten();
        }
        if hello.is_some() {
            log.skip(&DNS, "the proxy looks the host up");
            log.skip(&TCP, "the proxy connects");
        } else if let Some(host) = target.host() {
            self.reach(log, target, host, &client).await?;
        } else {
            log.skip(&DNS, "a Unix socket has no name");
            let made = log.run(&TCP, connection::unix(target, &client)).await;
            if made.is_none() || log.failed() {
                return Err(stop(&TCP, "no connection"));
            }
            hello = made.flatten();
        }
        let greeting = async {
            let hello = match hello {
                Some(hello) => hello,
                None => client.get("/").await,
            };
            (connection::tls(target, Some(&hello)).await, hello)
        };
        let (greeted, took) = log.measure(&TLS, greeting).await;
        let (tls, hello) = match greeted {
            Ok((tls, hello)) => (tls, Ok(hello)),
            // TLS has a shorter bound, so that it is not TLS that is late.
            Err(late) => (connection::tls(target, None).await, Err(late)),
        };
        match tls {
            Some(finding) => log.push(&TLS, took, finding),
            None => log.skip(&TLS, "the URL does not ask for it"),
        }
        if log.failed() {
            return Err(stop(&TLS, "no connection"));
        }
        match hello {
            Ok(Ok(page)) => return Ok((client, page)),
            Ok(Err(error)) => log.push(&IDENTITY, took, connection::no_answer(target, &error)),
            Err(late) => log.push(&IDENTITY, took, late),
        }
        Err(stop(&IDENTITY, "no answer"))
    }

    /// Names and addresses.
    async fn reach(
        &self,
        log: &mut Log<'_>,
        target: &Target,
        host: &str,
        client: &Client,
    ) -> Result<(), Stop> {
        let addresses = if let Ok(ip) = host.parse::<std::net::IpAddr>() {
            log.skip(&DNS, "an address needs no looking up");
            vec![(ip, target.port()).into()]
        } else {
            let looked_up = log.run(&DNS, connection::dns(target, host)).await.flatten();
            looked_up.ok_or_else(|| stop(&DNS, "the host has no address"))?
        };
        match log.run(&TCP, connection::tcp(target, host, addresses, &self.ports, client)).await {
            Some(true) => Ok(()),
            _ => Err(stop(&TCP, "no connection")),
        }
    }

    /// The proxies of the environment, or the one that was given.
    fn proxies(&self) -> Result<Proxies, Error> {
        match (&self.transport, &self.proxy) {
            (Some(_), _) => Ok(Proxies::none()),
            (None, None) => Ok(proxy::of(&self.variables)),
            (None, Some(url)) => Proxies::all(url).map_err(|error| Error::invalid_request(error.to_string())),
        }
    }

    fn client(&self, target: &Target) -> Result<Client, Error> {
        let transport = if let Some(transport) = &self.transport {
            transport.clone()
        } else {
            let builder =
                HyperTransport::builder().connect_timeout(self.connect_timeout).proxies(self.proxies()?);
            #[cfg(feature = "tls")]
            let builder = self.roots.iter().fold(builder, oa_transport::HyperTransportBuilder::add_root_pem);
            builder.build().map_err(|error| Error::invalid_request(error.to_string()))?
        };
        Ok(Client::new(transport, target.endpoint.clone()))
    }
}

/// The steps that are not made any more, and why.
type Stop = (&'static [&'static StepKind], String);

const STEPS: &[&StepKind] = &[
    &ENVIRONMENT,
    &PROXY,
    &DNS,
    &TCP,
    &TLS,
    &IDENTITY,
    &MODELS,
    &LOAD,
    &COMPLETION,
    &STREAM,
    &TOOLS,
    &SCHEMA,
    &USAGE,
    &MESSAGES,
];

/// Stops after this step.
fn stop(after: &StepKind, why: &str) -> Stop {
    let made = STEPS.iter().position(|kind| kind.name == after.name).map_or(0, |at| at + 1);
    (&STEPS[made..], why.to_owned())
}

impl Default for Doctor {
    fn default() -> Self {
        Self::new()
    }
}

/// Shows what is asked for, and no secret.
impl fmt::Debug for Doctor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let url = self.given.url.as_ref().map(|url| self.secrets().redact(url));
        f.debug_struct("Doctor")
            .field("url", &url)
            .field("model", &self.given.model)
            .field("no_completion", &self.no_completion)
            .field("time_limit", &self.time_limit)
            .finish_non_exhaustive()
    }
}
