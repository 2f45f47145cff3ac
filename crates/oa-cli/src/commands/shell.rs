//! `oa completions` and `oa man`: what a shell and a manual know of the command.

use crate::{failure::Failure, screen::Screen};
use clap::Command;
use clap_complete::Shell;

#[derive(clap::Args)]
pub(crate) struct CompletionsArgs {
    /// The shell to complete for
    #[arg(value_enum)]
    shell: Shell,
}

/// Prints the completions of a shell.
pub(crate) fn completions(args: &CompletionsArgs, mut command: Command) -> Result<(), Failure> {
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "oa", &mut script);
    Ok(Screen::new(false).bytes(&script)?)
}

/// Prints the manual page.
pub(crate) fn man(command: Command) -> Result<(), Failure> {
    let mut page = Vec::new();
    clap_mangen::Man::new(command).render(&mut page)?;
    Ok(Screen::new(false).bytes(&page)?)
}
