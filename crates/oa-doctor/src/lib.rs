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
//! [`no_completion`](Doctor::no_completion) is said, four completions of a few tokens each. Everything is bounded in
//! time, and dropping the future ends it all. No key, header value or password is shown in any step.
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
//!
//! All thirteen are in every [`Report`], in this order. What cannot be asked any more, or was not to be, is
//! [`Skipped`](Status::Skipped), and says why.
//!
//! A server that merely lacks tools, schemas or token counts gets a [`Warning`](Status::Warning): an application may
//! not need them. What keeps a plain completion from working is [`Failed`](Status::Failed).

pub mod advice;
mod calls;
mod client;
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
mod text;

pub use doctor::Doctor;
pub use log::Progress;
pub use ports::WELL_KNOWN_PORTS;
pub use report::{Report, Status, Step};
