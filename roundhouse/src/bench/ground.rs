//! Where a bench keeps what it makes: a ground of its own for everything that is measured. What a bench needs
//! of an engine beside the traits of the runtime stands here, so that a bench is written once.

use super::plain::{Plain, PlainSettler};
use super::settling::Settled;
use crate::config::Config;
use crate::serve::Opened;
use serde::Serialize;
use std::fmt::Display;
use std::path::Path;
use std::time::Duration;
use tokio::time::Instant;

/// What must be reached, and what is aimed at.
#[derive(Clone, Copy, Debug)]
pub struct Bound {
    /// What must be reached.
    pub floor: u64,
    /// What is aimed at.
    pub goal: u64,
}

/// The floors that are another on each engine.
#[derive(Clone, Copy, Debug)]
pub struct Floors {
    /// From the result of 10,000 bets to the last confirmation by 20 partners that answer in 20 ms, in µs; less is
    /// better.
    pub confirmed_us: u64,
    /// From the result of 10,000 bets to the last settlement in the topic, in µs; less is better.
    pub topic_us: Option<Bound>,
    /// Bets in and settlements out by a core-second of a settler; more is better.
    pub outcomes_per_core_s: Option<Bound>,
}

/// Makes grounds.
pub trait Grounds {
    /// What it makes.
    type Ground: Ground;

    /// The engine, in a report: of servers, what answers there.
    ///
    /// # Errors
    /// If nothing does.
    fn engine(&self) -> impl Future<Output = anyhow::Result<String>>;

    /// An empty ground that nobody else uses.
    ///
    /// # Errors
    /// If there is no room for it.
    fn make(&self) -> impl Future<Output = anyhow::Result<Self::Ground>>;
}

/// What is an engine's own.
pub trait Ground {
    /// Its floors.
    const FLOORS: Floors;
    /// How often ends of the log are looked at: as often as it costs nothing.
    const LOOK_PERIOD: Duration;
    /// The engine.
    type Engine: Opened;
    /// The plain programs beside rounds.
    type Plain: Plain<Self::Engine>;
    /// The plain program beside a settler.
    type PlainSettler: PlainSettler;

    /// The consumer that sees records come.
    type Watcher: Watcher;

    /// Sets in a server's configuration where this is.
    fn configure(&self, config: &mut Config);

    /// Opens the engine.
    ///
    /// # Errors
    /// If it cannot be had.
    fn open(&self) -> impl Future<Output = anyhow::Result<Self::Engine>>;

    /// Sees what comes to `topic` from here on.
    ///
    /// # Errors
    /// If it cannot be read.
    fn watch(
        &self,
        engine: &Self::Engine,
        topic: &'static str,
    ) -> impl Future<Output = anyhow::Result<Self::Watcher>>;

    /// The plain programs beside rounds.
    ///
    /// # Errors
    /// If they cannot have what they write to.
    fn plain(&self) -> impl Future<Output = anyhow::Result<Self::Plain>>;

    /// The plain program beside a settler that did this on `engine`.
    ///
    /// # Errors
    /// If it cannot have what it reads or writes.
    fn plain_settler(
        &self,
        engine: &Self::Engine,
        settled: Settled,
    ) -> impl Future<Output = anyhow::Result<Self::PlainSettler>>;

    /// Removes everything; says so where it cannot.
    fn drop_all(self) -> impl Future<Output = ()>;

    /// Goes when all is measured. What stands on servers is removed, unless something is `amiss` and is to be
    /// looked at, with the `journals`; a directory is left to whoever gave it.
    fn leave(self, amiss: bool, journals: &Path) -> impl Future<Output = ()>;
}

/// A consumer that does nothing with records: what it would do takes time from what is measured.
pub trait Watcher {
    /// Waits for `count` more records; when the last was seen.
    ///
    /// # Errors
    /// If they do not come.
    fn seen(&mut self, count: usize) -> impl Future<Output = anyhow::Result<Instant>>;
}

/// What is measured on any engine.
pub trait Bench {
    /// What is told of it.
    type Report: Serialize + Display;

    /// Measures.
    ///
    /// # Errors
    /// If a part cannot be started, or something does not come to its end.
    fn measure<G: Grounds>(
        &self,
        grounds: &G,
    ) -> impl Future<Output = anyhow::Result<Self::Report>>;
}
