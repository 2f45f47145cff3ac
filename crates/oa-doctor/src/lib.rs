//! Diagnoses an OpenAI-compatible chat server: what works, what does not, the likely cause, the next command.
//!
//! ```no_run
//! # async fn example() {
//! use oa_doctor::Doctor;
//!
//! let report = Doctor::new().url("http://localhost:8000").run().await;
//! println!("{report}");
//! if let Some(step) = report.first_failure() {
//!     eprintln!("{}: {}", step.name, step.cause.as_deref().unwrap_or("no cause is known"));
//! }
//! # }
//! ```
//!
//! It reads, and changes nothing: lists of models, health and version pages, and unless
//! [`no_completion`](Doctor::no_completion) is set, five to six completions of a few tokens each. Everything
//! is bounded in time, and dropping the future ends it all. No key, header value or password is shown in any
//! step.
//!
//! # Steps
//!
//! | step | what is asked |
//! |---|---|
//! | `environment` | which variable names the server, which key and model go with it, and what contradicts it |
//! | `proxy` | whether a proxy stands between, which variable names it, and whether it answers |
//! | `dns` | the addresses of the host |
//! | `tcp` | whether each address takes a connection, and where it is refused, which well-known port answers |
//! | `tls` | the handshake and the certificate, or that the other protocol is spoken |
//! | `identity` | what the server declares itself to be; nothing is guessed from the URL |
//! | `models` | the list of models, and whether the bound one is on it |
//! | `load` | whether the model is loaded, by the server's own signal |
//! | `completion` | one token |
//! | `stream` | a short stream, and whether something on the way holds it back |
//! | `tools` | a forced tool call |
//! | `schema` | an answer by a JSON Schema |
//! | `usage` | whether tokens are counted, those of the cache too |
//! | `messages` | a short stream of `/v1/messages`, Anthropic's form, where the server has it |
//!
//! The steps are judged together: a completion that works makes a list that is missing, or lacks the model,
//! or a health page that complains, a warning; a health page is no proof while completions hang.
//!
//! All fourteen are in every [`Report`], in this order. What cannot be asked any more, or was not to be, is
//! [`Skipped`](Status::Skipped), and says why.
//!
//! A server that merely lacks tools, schemas, token counts or a working `/v1/messages` gets a
//! [`Warning`](Status::Warning): an application may not need them. What keeps a plain completion from working
//! is [`Failed`](Status::Failed).
//!
//! # Replicas
//!
//! [`Comparison::of`] puts the reports of several servers side by side: which one fails, which is of another
//! version, lists other models, refuses the key, or is slow to its first token.
//!
//! # Connection refused, and its kin
//!
//! What pages on refused connections advise to look at, the step that looks, and words of its answer.
//!
//! | advice | step | words of the answer |
//! |---|---|---|
//! | is the server running | `tcp` | nobody listens on port |
//! | which process has the port | `tcp` | ss -ltnp |
//! | does it listen on another port | `tcp` | answers: the model |
//! | is `LITELLM_PORT` or `PORT` set to another port | `tcp` | (LITELLM_PORT) answers |
//! | did LiteLLM take another port because 4000 was taken | `tcp` | LiteLLM takes a random port where 4000 is taken |
//! | is it bound to `127.0.0.1`, and asked from elsewhere | `tcp` | start it with --host 0.0.0.0 |
//! | is `localhost` the other loopback address | `tcp` | the server listens on 127.0.0.1 alone |
//! | do two programs share the port | `tcp` | two programs have port |
//! | is `localhost` that of a container | `tcp` | host.docker.internal |
//! | is the name of a container or service known here | `dns` | a container's or service's name outside of its network |
//! | does a firewall drop what is sent | `tcp` | a firewall drops what is sent |
//! | does a firewall reject what is sent | `tcp` | a firewall that rejects what is sent |
//! | does SELinux or another policy forbid it | `tcp` | SELinux |
//! | is a proxy variable set that is not meant for the server | `proxy` | is not meant for it |
//! | is the server among those of `NO_PROXY` | `proxy` | excepts the host by |
//! | can the proxy variable be read | `proxy` | does not name a proxy that can be used |
//! | is it `https` | `tls` | the server speaks TLS on this port |
//! | is it `http` | `tls` | the server speaks plain HTTP on this port |
//! | is the base URL right | `environment` | ends in /v1, which is appended to it |
//! | is the base URL's variable the one that is read | `environment` | OPENAI_API_BASE is set, and is not read |
//! | is the key right | `models` | is not one of this server |
//! | does the model still load | `models` | still loads its model |
//! | does the proxy reach its upstream | `completion` | the proxy is up, and its upstream |
//! | does a cooldown hide the upstream's failure | `completion` | which this 429 hides |

#![cfg_attr(docsrs, feature(doc_cfg))]

pub mod advice;
mod calls;
mod causes;
mod client;
mod comparison;
mod connection;
mod doctor;
mod environment;
mod finding;
mod hints;
mod identity;
mod judgement;
mod load;
mod log;
mod models;
mod ports;
mod proxy;
mod redact;
mod report;
mod step_kind;
mod text;

pub use comparison::{Comparison, Replica};
pub use doctor::Doctor;
pub use log::Progress;
pub use ports::WELL_KNOWN_PORTS;
pub use report::{Report, Status, Step};

/// The programs of the README are tests.
#[cfg(doctest)]
#[doc = include_str!("../README.md")]
struct Readme;
