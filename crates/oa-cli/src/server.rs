//! The server, model and key of a command: from its flags, then the environment, then the simulator.

// Doc comments of flags are the text of the help.
#![allow(clippy::doc_markdown)]

use crate::{failure::Failure, screen, transport::TransportArgs, values};
use oa_provider::{
    Environment, HttpProvider, HttpProviderBuilder, HyperTransport, OpenAiProviderBuilder, Probe,
};
use oa_sim::Sim;
use oa_wire::{Error, Mapping};
use std::time::Duration;

/// How long a probe may take where `--timeout` does not say it.
const PROBE_TIMEOUT: Duration = Duration::from_secs(30);

const BASE_URL_HELP: &str = "\
Root of the server, without /v1 [env: OA_BASE_URL]

Such as http://localhost:8000, https://gateway.example/prefix or unix:///run/server.sock.
For a server whose path is not /v1/..., such as a deployment of Azure: exact:URL with the whole
URL of its chat completions, query included.";

/// How many models an error lists.
const LISTED: usize = 20;

// No `Debug`: it holds a key.
#[derive(clap::Args)]
#[command(next_help_heading = "Server")]
pub(crate) struct ServerArgs {
    /// Root of the server, without /v1 [env: OA_BASE_URL]
    #[arg(long, value_name = "URL", long_help = BASE_URL_HELP)]
    base_url: Option<String>,
    /// Key of the server [env: OA_API_KEY]
    ///
    /// Better set the variable: other users of this machine can see the arguments of a command, and the shell
    /// keeps them. The key is never printed.
    #[arg(long, value_name = "KEY")]
    api_key: Option<String>,
    /// Header to send with every request, may be repeated
    #[arg(long = "header", value_name = "NAME: VALUE")]
    headers: Vec<String>,
    /// Longest wait: for a whole answer, or for the next piece of a stream
    ///
    /// Such as 30, 30s, 500ms or 2m. Default: none for a completion, 30s for a probe and for the list of
    /// models.
    #[arg(long, value_name = "DURATION", value_parser = values::duration)]
    pub(crate) timeout: Option<Duration>,
    /// Use the built-in simulator, whatever the environment says
    #[arg(long, conflicts_with = "base_url")]
    sim: bool,
    #[command(flatten)]
    transport: TransportArgs,
}

#[derive(clap::Args)]
#[command(next_help_heading = "Model")]
pub(crate) struct ModelArgs {
    /// Name of the model [env: OA_MODEL] [default: the only one that the server lists]
    #[arg(short, long, value_name = "NAME")]
    model: Option<String>,
    /// What the server is, for telemetry: openai, vllm, sglang, llamacpp, lmstudio, ollama, litellm
    #[arg(long, value_name = "SYSTEM")]
    genai_system: Option<String>,
}

/// A server that was found.
pub(crate) struct Server {
    base_url: String,
    model: Option<String>,
    api_key: Option<String>,
    headers: Vec<(String, String)>,
    pub(crate) probe_timeout: Duration,
    transport: HyperTransport,
    hint: Option<&'static str>,
    /// Ends with this value.
    _sim: Option<Sim>,
}

impl ServerArgs {
    /// Finds the server of this command, which is wrong usage where none is named.
    pub(crate) async fn find(
        &self,
        command: &'static str,
        model: Option<&ModelArgs>,
    ) -> Result<Server, Failure> {
        let found = self.environment(model)?;
        if found.root().is_none() && !self.sim {
            let text = format!(
                "{}; give --base-url URL or set OA_BASE_URL, such as http://localhost:8000, or try the \
                 simulator with \
                 --sim",
                found.no_server()
            );
            return Err(Failure::Usage(command, text));
        }
        self.server(found).await
    }

    /// Finds the server, and starts the simulator where none is named.
    pub(crate) async fn find_or_simulate(&self, model: &ModelArgs) -> Result<Server, Failure> {
        self.server(self.environment(Some(model))?).await
    }

    /// The environment with the flags in the place of its variables.
    fn environment(&self, model: Option<&ModelArgs>) -> Result<Environment, Error> {
        let mut found = if self.sim { Environment::default() } else { Environment::from_process() };
        if let Some(url) = &self.base_url {
            found = found.with_base_url(url, "--base-url");
        }
        if let Some(model) = model.and_then(|args| args.model.as_ref()) {
            found = found.with_model(model, "--model");
        }
        if let Some(key) = &self.api_key {
            found = found.with_api_key(key, "--api-key");
        }
        found.check()?;
        Ok(found)
    }

    async fn server(&self, found: Environment) -> Result<Server, Failure> {
        let headers =
            self.headers.iter().map(|header| values::header(header)).collect::<Result<Vec<_>, _>>()?;
        let (base_url, sim) = if let Some(root) = found.root() {
            (root, None)
        } else {
            let sim = self.simulator(&found).await?;
            (sim.base_url(), Some(sim))
        };
        let by_key_alone = found.base_url.is_none() && sim.is_none();
        Ok(Server {
            base_url,
            model: found
                .model
                .map(|(model, _)| model)
                .or_else(|| sim.is_some().then(|| SIMULATED.to_owned())),
            api_key: found.api_key.map(|(key, _)| key),
            headers: headers.into_iter().map(|(name, value)| (name.to_owned(), value.to_owned())).collect(),
            probe_timeout: self.timeout.unwrap_or(PROBE_TIMEOUT),
            transport: self.transport.transport()?,
            hint: by_key_alone.then_some(
                "OPENAI_API_KEY is set, so the server is https://api.openai.com; name another with \
                 --base-url, or try the simulator with \
                 --sim",
            ),
            _sim: sim,
        })
    }

    async fn simulator(&self, found: &Environment) -> Result<Sim, Error> {
        let started = Sim::builder().model(SIMULATED).start().await;
        let sim = started.map_err(|error| {
            Error::invalid_request("no server is named, and the simulator does not start").with_source(error)
        })?;
        if self.sim {
            screen::note("this is the built-in simulator");
        } else {
            screen::note(&format!(
                "{}, so this is the built-in simulator; name a server with --base-url http://localhost:8000 \
                 or \
                 OA_BASE_URL",
                found.no_server()
            ));
        }
        Ok(sim)
    }
}

const SIMULATED: &str = "oa-sim";

impl Server {
    /// Where it is.
    pub(crate) fn base_url(&self) -> &str {
        &self.base_url
    }

    /// The model that was named.
    pub(crate) fn named_model(&self) -> Option<&str> {
        self.model.as_deref()
    }

    /// A provider of the model that was named, or else of the only one that the server lists.
    pub(crate) async fn builder<M: Mapping>(
        &self,
        args: &ModelArgs,
    ) -> Result<HttpProviderBuilder<M>, Error> {
        let builder = match &self.model {
            Some(model) => self.of_model(model),
            None => self.of_model(&self.only_model().await?),
        };
        Ok(match &args.genai_system {
            Some(system) => builder.genai_system(system),
            None => builder,
        })
    }

    /// A provider whose model does not matter, for the list of models.
    pub(crate) fn of_any_model(&self) -> OpenAiProviderBuilder {
        self.of_model("any").probe(Probe::Models)
    }

    fn of_model<M: Mapping>(&self, model: &str) -> HttpProviderBuilder<M> {
        let builder = HttpProvider::<M>::builder(&self.base_url, model)
            .probe_timeout(self.probe_timeout)
            .transport(self.transport.clone());
        let builder = match &self.api_key {
            Some(key) => builder.api_key(key),
            None => builder,
        };
        self.headers.iter().fold(builder, |builder, (name, value)| builder.header(name, value))
    }

    async fn only_model(&self) -> Result<String, Error> {
        let catalogue = self.of_any_model().build()?.models().await?;
        let mut ids: Vec<&str> = Vec::new();
        for id in catalogue.ids() {
            if !ids.contains(&id) {
                ids.push(id);
            }
        }
        match ids[..] {
            // One that ends so is a pattern and no name.
            [only] if !only.ends_with('*') => {
                screen::note(&format!("no model named, so this is the server's only one: {only}"));
                Ok(only.to_owned())
            }
            [] => Err(self.which("the server lists none")),
            _ => {
                let more = match ids.len().saturating_sub(LISTED) {
                    0 => String::new(),
                    more => format!(" and {more} more (`oa models` lists them)"),
                };
                let shown = ids[..ids.len().min(LISTED)].join(", ");
                Err(self.which(&format!("the server lists {}: {shown}{more}", ids.len())))
            }
        }
    }

    fn which(&self, listed: &str) -> Error {
        let error = Error::invalid_request(format!(
            "no model is named, and {listed}; name one with --model or OA_MODEL"
        ));
        match self.hint {
            Some(hint) => error.with_hint(hint),
            None => error,
        }
    }
}
