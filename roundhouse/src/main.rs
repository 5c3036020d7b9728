//! The one binary: serve, demo, audit, wallet, bench. The library holds the logic.

use clap::Parser;
use roundhouse::cli::Cli;
use std::process::ExitCode;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
