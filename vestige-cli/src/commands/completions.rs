//! `vestige completions`.

use std::io::Write;

use clap::{Args, Command};
use clap_complete::Shell;

use crate::failure::{CommandResult, Failure};
use crate::output::raw_stdout;

/// Print a completion script for a shell
#[derive(Args, Debug)]
#[command(after_help = "Examples:
  vestige completions bash > ~/.local/share/bash-completion/completions/vestige
  vestige completions zsh > ~/.zfunc/_vestige
  vestige completions fish > ~/.config/fish/completions/vestige.fish")]
pub(crate) struct CompletionsArgs {
    /// The shell
    shell: Shell,
}

/// Prints the completions of `command`, the whole command line.
pub(crate) fn run(args: &CompletionsArgs, mut command: Command) -> CommandResult {
    // Written at once, since the generator panics where a reader goes away.
    let mut script = Vec::new();
    clap_complete::generate(args.shell, &mut command, "vestige", &mut script);
    raw_stdout().write_all(&script).map_err(Failure::io("stdout"))
}
