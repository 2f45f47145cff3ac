//! The command line: the commands, and the help that they have in common.

use crate::{
    commands::{chat, doctor, models, ready, shell},
    failure::Failure,
};
use clap::{CommandFactory, Parser, Subcommand};

/// Talk to any OpenAI-compatible chat server: vLLM, SGLang, llama.cpp, LM Studio, Ollama, LiteLLM, OpenAI.
#[derive(Parser)]
#[command(name = "oa", version, propagate_version = true, after_help = AFTER_HELP)]
pub(crate) struct Cli {
    #[command(subcommand)]
    pub(crate) command: Command,
}

#[derive(Subcommand)]
pub(crate) enum Command {
    /// Ask for a completion and print it
    #[command(after_long_help = AFTER_HELP)]
    Chat(Box<chat::Args>),
    /// List the models of the server
    #[command(after_long_help = AFTER_HELP)]
    Models(models::Args),
    /// Say whether the next completion is expected to work
    #[command(after_long_help = AFTER_HELP)]
    Ready(ready::Args),
    /// Find out what works, what does not, and why
    #[command(after_long_help = AFTER_HELP)]
    Doctor(Box<doctor::Args>),
    /// Print the completions of a shell, such as `source <(oa completions bash)`
    Completions(shell::CompletionsArgs),
    /// Print the manual page, such as `oa man | man -l -`
    Man,
}

impl Command {
    pub(crate) fn run(self) -> Result<(), Failure> {
        match self {
            Self::Chat(args) => chat::run(&args),
            Self::Models(args) => models::run(&args),
            Self::Ready(args) => ready::run(&args),
            Self::Doctor(args) => doctor::run(&args),
            Self::Completions(args) => shell::completions(&args, Cli::command()),
            Self::Man => shell::man(Cli::command()),
        }
    }
}

const AFTER_HELP: &str = "\
Environment (flags win):
  OA_BASE_URL      root of the server, such as http://localhost:8000
  OA_MODEL         name of the model
  OA_API_KEY       key of the server
  OPENAI_BASE_URL  where OA_BASE_URL is not set; its /v1 is cut off
  OPENAI_API_KEY   where OA_API_KEY is not set, but never sent to the server of
                   OA_BASE_URL or --base-url; alone, it means https://api.openai.com
  SSL_CERT_FILE, SSL_CERT_DIR
                   certificates to trust in place of the system's
  HTTP_PROXY, HTTPS_PROXY, ALL_PROXY, NO_PROXY
                   proxies, and the hosts that are reached without one

Exit codes:
  0    done
  1    the output could not be written
  2    wrong usage
  10   provider_authentication: the key is missing or refused
  11   provider_unavailable: not reachable, too slow, cut off, failing
  12   provider_invalid_model: the server does not know the model
  13   provider_model_not_loaded: the model is loading or not loaded
  14   provider_rate_limit: too many requests, or a spent quota
  15   provider_invalid_response: the answer is no completion
  16   provider_invalid_request: refused by the server, or before sending
  17   provider_unsupported_content_block: the model cannot take an image
  18   structured_output_invalid: the answer does not satisfy the schema
  130  interrupted by Ctrl-C";

#[cfg(test)]
mod tests {
    use super::*;
    use crate::failure::exit_code;
    use oa_wire::Category;

    #[test]
    fn the_command_line_is_consistent() {
        Cli::command().debug_assert();
    }

    #[test]
    fn the_help_lists_the_code_of_every_category() {
        for category in Category::ALL {
            let line = format!("\n  {:<4} {category}:", exit_code(category));
            assert!(AFTER_HELP.contains(&line), "{line}");
        }
    }
}
