//! The one binary's parts: the audit, the configuration, the server, the demo and the bench.

pub mod audit;
pub mod cli;
pub mod engine;
