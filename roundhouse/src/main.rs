//! The one binary: serve, demo, audit, wallet, bench.

fn main() {}
