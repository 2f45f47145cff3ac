//! The server that these programs talk to: the one that the environment names, or else a simulator.
//!
//! A program of your own needs nothing of this file: it says `OpenAiProvider::from_env()?`, or names its
//! server with `OpenAiProvider::builder("http://localhost:8000", "my-model").build()?`.

#![allow(dead_code, reason = "each program takes what it needs")]

use oa_provider::{Environment, OpenAiProvider};
use oa_sim::Sim;
use oa_wire::ApiKey;
use std::error::Error;

/// A provider of `OA_BASE_URL`, `OA_MODEL` and `OA_API_KEY`, or of a simulator, which ends when dropped.
pub(crate) fn provider() -> Result<(OpenAiProvider, Option<Sim>), Box<dyn Error>> {
    if Environment::from_process().root().is_some() {
        return Ok((OpenAiProvider::from_env()?, None));
    }
    let simulator = simulator()?;
    Ok((OpenAiProvider::builder(simulator.base_url(), MODEL).build()?, Some(simulator)))
}

/// The same for the programs that use the wire crate alone, and so have no provider.
pub(crate) struct Named {
    pub(crate) base_url: String,
    pub(crate) model: String,
    pub(crate) api_key: Option<ApiKey>,
    simulator: Option<Sim>,
}

pub(crate) fn named() -> Result<Named, Box<dyn Error>> {
    let environment = Environment::from_process();
    let Some(base_url) = environment.root() else {
        let simulator = simulator()?;
        return Ok(Named {
            base_url: simulator.base_url(),
            model: MODEL.to_owned(),
            api_key: None,
            simulator: Some(simulator),
        });
    };
    let (model, _) = environment.model.ok_or("no model is named: set OA_MODEL")?;
    let api_key = environment.api_key.map(|(key, _)| ApiKey::new(&key)).transpose()?;
    Ok(Named { base_url, model, api_key, simulator: None })
}

/// Providers, each with its URL.
pub(crate) type Providers = Vec<(String, OpenAiProvider)>;

/// A provider, with its URL, for each server of `OA_BASE_URLS`, which are separated by commas and have
/// `OA_MODEL` and `OA_API_KEY` in common; or for each of so many simulators.
pub(crate) fn providers(simulators: usize) -> Result<(Providers, Vec<Sim>), Box<dyn Error>> {
    let Ok(urls) = std::env::var("OA_BASE_URLS") else {
        eprintln!(
            "(simulators answer; for real servers: OA_BASE_URLS=http://one:8000,http://two:8000 \
             OA_MODEL=my-model)"
        );
        let simulators = (0..simulators).map(|_| Sim::start_blocking()).collect::<Result<Vec<_>, _>>()?;
        let provider = |url: String| Ok((url.clone(), OpenAiProvider::builder(url, MODEL).build()?));
        let providers = simulators.iter().map(|simulator| provider(simulator.base_url()));
        return Ok((providers.collect::<Result<_, oa_wire::Error>>()?, simulators));
    };
    let provider = |url: &str| {
        let variable = |name: &str| match name {
            "OA_BASE_URL" => Some(url.to_owned()),
            other => std::env::var(other).ok(),
        };
        Ok((url.to_owned(), Environment::from_lookup(variable).builder()?.build()?))
    };
    Ok((urls.split(',').map(str::trim).map(provider).collect::<Result<_, oa_wire::Error>>()?, Vec::new()))
}

const MODEL: &str = "oa-sim";

/// On a thread of its own, so that it serves blocking programs too.
fn simulator() -> Result<Sim, Box<dyn Error>> {
    eprintln!(
        "(a simulator answers; for a real server: OA_BASE_URL=http://localhost:8000 OA_MODEL=my-model)"
    );
    Ok(Sim::start_blocking()?)
}
