//! The one binary: serve, demo, audit, wallet, bench. The library holds the logic.

use mimalloc::MiMalloc;
use std::process::ExitCode;

/// Records are made on one thread and let go on another, which the allocator of libc is slow at.
#[global_allocator]
static ALLOCATOR: MiMalloc = MiMalloc;

fn main() -> ExitCode {
    roundhouse::cli::main()
}
