//! The steps of an examination: their names, how long each may take, and what it means that one took longer.

use std::time::Duration;

/// A step that can be made.
pub(crate) struct StepKind {
    pub(crate) name: &'static str,
    /// How long it may take at most.
    pub(crate) bound: Duration,
    /// What it means that it took longer.
    pub(crate) late: &'static str,
}

const fn kind(name: &'static str, seconds: u64, late: &'static str) -> StepKind {
    StepKind { name, bound: Duration::from_secs(seconds), late }
}

const HANGS: &str = "the server takes connections but does not answer: it hangs, is stopped, or nothing \
                     stands behind a forwarded \
                     port";
const SLOW: &str = "the server takes requests but does not answer in time: its queue is full, its engine \
                    hangs, or it still loads or \
                    compiles";

pub(crate) const ENVIRONMENT: StepKind = kind("environment", 5, HANGS);
pub(crate) const PROXY: StepKind = kind("proxy", 10, "the proxy does not answer");
pub(crate) const DNS: StepKind =
    kind("dns", 5, "the name servers do not answer: no network, or a VPN that is off");
pub(crate) const TCP: StepKind =
    kind("tcp", 10, "nothing comes back: a firewall drops what is sent, or the host is off");
pub(crate) const TLS: StepKind = kind("tls", 10, HANGS);
pub(crate) const IDENTITY: StepKind = kind("identity", 10, HANGS);
pub(crate) const MODELS: StepKind = kind("models", 10, HANGS);
pub(crate) const LOAD: StepKind = kind("load", 15, HANGS);
pub(crate) const COMPLETION: StepKind = kind("completion", 45, SLOW);
pub(crate) const STREAM: StepKind = kind("stream", 30, SLOW);
pub(crate) const TOOLS: StepKind = kind("tools", 30, SLOW);
pub(crate) const SCHEMA: StepKind = kind("schema", 30, SLOW);
pub(crate) const USAGE: StepKind = kind("usage", 5, SLOW);
pub(crate) const MESSAGES: StepKind = kind("messages", 20, SLOW);
