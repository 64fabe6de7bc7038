//! `mynah completions` and `mynah man`: the command line told to shells and to `man`. Knows no command by name.

use std::path::PathBuf;

use clap::Args;
use clap_complete::Shell;

use super::terminal::{Failure, Outcome, say, say_text};

/// What `completions` takes.
#[derive(Debug, Args)]
#[command(after_help = "Examples:
  mynah completions bash > ~/.local/share/bash-completion/completions/mynah
  mynah completions zsh > ~/.zfunc/_mynah
  mynah completions fish > ~/.config/fish/completions/mynah.fish")]
pub struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// What `man` takes.
#[derive(Debug, Args)]
pub struct Man {
    /// The folder to write to; it is made where there is none
    #[arg(value_name = "FOLDER")]
    folder: PathBuf,
}

/// Prints the completions of a shell.
pub fn completions(a: &Completions, command: &mut clap::Command) -> Outcome {
    let mut text = Vec::new();
    clap_complete::generate(a.shell, command, "mynah", &mut text);
    say_text(&String::from_utf8_lossy(&text))
}

/// Writes a page for the program and one for each command.
pub fn man(a: &Man, command: clap::Command) -> Outcome {
    let write = || std::fs::create_dir_all(&a.folder).and_then(|()| clap_mangen::generate_to(command, &a.folder));
    write().map_err(|e| {
        Failure::Other(format!("the pages can't be written to `{}`: {e}; choose another folder", a.folder.display()))
    })?;
    say(&format!("the pages are in {}; see `man -l {}`", a.folder.display(), a.folder.join("mynah.1").display()))
}
