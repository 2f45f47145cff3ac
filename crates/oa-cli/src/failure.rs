//! How a command fails: what standard error says, and the exit code.

use crate::screen;
use oa_wire::{Category, Error};
use std::{io, process::ExitCode};

/// Why a command ended early.
pub(crate) enum Failure {
    /// The call failed, or was refused before it was made.
    Call(Error),
    /// The report that was printed says it.
    Reported(Category),
    /// The output could not be written.
    Output(io::Error),
    /// The command line asks for what cannot be.
    Usage(clap::Error),
    /// Ctrl-C.
    Interrupted,
}

impl Failure {
    /// Tells it on standard error, and gives the exit code.
    pub(crate) fn report(self) -> ExitCode {
        match self {
            Self::Call(error) => {
                screen::note(&format!("{error:#}"));
                exit_code(error.category()).into()
            }
            Self::Reported(category) => exit_code(category).into(),
            // Whoever read the output has seen enough: nothing is wrong.
            Self::Output(error) if error.kind() == io::ErrorKind::BrokenPipe => ExitCode::SUCCESS,
            Self::Output(error) => {
                screen::note(&format!("the output could not be written: {error}"));
                ExitCode::FAILURE
            }
            Self::Usage(error) => {
                // Nobody is left to be told when even this fails.
                let _ = error.print();
                2.into()
            }
            Self::Interrupted => {
                screen::clear_interrupt();
                130.into()
            }
        }
    }
}

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
        Self::Call(error)
    }
}

impl From<io::Error> for Failure {
    fn from(error: io::Error) -> Self {
        Self::Output(error)
    }
}
