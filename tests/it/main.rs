//! Scripted interleavings on the production machines, by the names of `docs/risks.md`, and the
//! simulation in small. Each test that has a planted bug also asserts that it would notice it.
#![allow(clippy::unwrap_used, reason = "tests")]

mod documents;
mod edges;
mod heralds;
mod house;
mod lane;
mod simulated;
mod stage;
mod takeovers;
