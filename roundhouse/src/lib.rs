//! The one binary's parts: the audit, the configuration, the server, the demo, the bench, and the reading of
//! topics.

pub mod acts;
pub mod audit;
pub mod bench;
pub mod cli;
pub mod config;
pub mod demo;
pub mod engine;
pub mod frozen;
pub mod parked;
pub mod restored;
pub mod rig;
pub mod sandbox;
pub mod serve;
pub mod topics;
