//! `roundhouse token`.

use super::EXIT_OK;
use crate::sandbox::{PLAYER, Sandbox};
use std::path::PathBuf;

/// Print a player's token of the sandbox, valid for 15 minutes.
#[derive(Debug, clap::Args)]
pub(super) struct Args {
    /// The directory that `serve --sandbox` was given
    #[arg(long, value_name = "DIR", default_value = "./data")]
    data_dir: PathBuf,
    /// The player
    #[arg(long, value_name = "NAME", default_value = PLAYER)]
    player: String,
}

pub(super) fn run(args: &Args) -> anyhow::Result<u8> {
    println!("{}", Sandbox::token(&args.data_dir, &args.player)?);
    Ok(EXIT_OK)
}
