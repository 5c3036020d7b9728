//! Harness of the pipeline: the simulation, and the oracle that judges it.
//!
//! One thread and one seed run the production machines on a simulated log, store, clock and wallet
//! ([`world`]). What the log means is said by an [`oracle`] that shares no code with them.
#![expect(missing_docs, reason = "a test crate: names say what fields are, comments say why")]

pub mod oracle;
pub mod rng;
pub mod world;
