//! `roundhouse completions` and `roundhouse man`.

use super::{Cli, EXIT_OK};
use anyhow::Context;
use clap::CommandFactory;
use clap_complete::Shell;
use std::io::Write;
use std::path::PathBuf;

/// Print the completions of a shell:
/// `roundhouse completions bash > /usr/share/bash-completion/completions/roundhouse`.
#[derive(Debug, clap::Args)]
pub(super) struct Completions {
    /// The shell
    #[arg(value_enum)]
    shell: Shell,
}

/// Write manual pages, one for each command: `roundhouse man /usr/local/share/man/man1`.
#[derive(Debug, clap::Args)]
pub(super) struct Man {
    /// A directory; made if it is not there
    #[arg(value_name = "DIR")]
    directory: PathBuf,
}

pub(super) fn completions(args: &Completions) -> anyhow::Result<u8> {
    // Into memory first: a reader that goes early, such as `head`, must not end in a panic.
    let mut text = Vec::new();
    clap_complete::generate(args.shell, &mut Cli::command(), "roundhouse", &mut text);
    super::lines::ends_well(std::io::stdout().lock().write_all(&text))?;
    Ok(EXIT_OK)
}

pub(super) fn man(args: &Man) -> anyhow::Result<u8> {
    let directory = args.directory.display();
    std::fs::create_dir_all(&args.directory)
        .and_then(|()| clap_mangen::generate_to(Cli::command(), &args.directory))
        .with_context(|| format!("manual pages cannot be written to {directory}"))?;
    Ok(EXIT_OK)
}
