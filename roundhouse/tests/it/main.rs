//! Whole processes: a server, wallets, players over real HTTP, and the audit at the end.
#![expect(clippy::unwrap_used, reason = "a test that cannot go on fails")]

#[cfg(feature = "cluster")]
mod consumer;
mod corrections;
mod deadline;
mod demo;
mod house;
mod kill;
mod roles;
mod second;
mod smoke;
