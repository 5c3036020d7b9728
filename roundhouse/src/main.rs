//! The one binary: serve, demo, audit, wallet, bench. The library holds the logic.

use clap::Parser;
use mimalloc::MiMalloc;
use roundhouse::cli::Cli;
use std::process::ExitCode;

/// Records are made on one thread and let go on another, which the allocator of libc is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

#[tokio::main]
async fn main() -> ExitCode {
    Cli::parse().run().await
}
