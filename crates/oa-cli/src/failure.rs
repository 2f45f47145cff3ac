//! Failures of a command: what goes to standard error, and the exit code.

use crate::{explain, screen};
use clap::error::ErrorKind;
use oa_wire::{Category, Error};
use std::{io, process::ExitCode};

/// Why a command ended early.
pub(crate) enum Failure {
    /// The call failed, or was refused before it was made.
    Call(Error),
    /// A report was printed; the exit code.
    Reported(u8),
    /// The output could not be written.
    Output(io::Error),
    /// Wrong usage of the command: its name, and what is wrong.
    Usage(&'static str, String),
    /// Ctrl-C.
    Interrupted,
}

impl Failure {
    /// Prints it to standard error, and gives the exit code. `command_line` describes what can be typed.
    pub(crate) fn report(self, mut command_line: clap::Command) -> ExitCode {
        match self {
            Self::Call(error) => {
                screen::note(&explain::text(&error));
                exit_code(error.category()).into()
            }
            Self::Reported(code) => code.into(),
            // Whoever read the output has seen enough: nothing is wrong.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                screen::note(&format!("the output could not be written: {error}"));
                ExitCode::FAILURE
            }
            Self::Usage(name, text) => {
                command_line.build();
                let command = command_line.find_subcommand_mut(name);
                let error = command.map(|command| command.error(ErrorKind::MissingRequiredArgument, text));
                // Nobody is left to be told when even this fails.
                let _ = error.map(|error| error.print());
                WRONG_USAGE.into()
            }
            Self::Interrupted => {
                screen::clear_interrupt();
                130.into()
            }
        }
    }
}

/// The exit code of a command line that cannot be carried out.
pub(crate) const WRONG_USAGE: u8 = 2;

/// The exit code of a category: stable, as scripts rely on it.
pub(crate) fn exit_code(category: Category) -> u8 {
    match category {
        Category::Authentication => 10,
        Category::Unavailable => 11,
        Category::InvalidModel => 12,
        Category::ModelNotLoaded => 13,
        Category::RateLimit => 14,
        Category::InvalidResponse => 15,
        Category::InvalidRequest => 16,
        Category::UnsupportedContentBlock => 17,
        Category::StructuredOutputInvalid => 18,
        // A category of a later version of the wire crate, which this one does not know.
        _ => 1,
    }
}

impl From<Error> for Failure {
    fn from(error: Error) -> Self {
        Self::Call(explain::with_flags(error))
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
