//! What the API asks of whoever can read bets: what a correction would change, and how far it has come.
//!
//! This crate knows no game and loads no bets; the answers come in as JSON and go out as they are. Only the
//! hash of what is shown matters here: a proposal is named by it.

use schemas::rounds::Outcome;
use schemas::{ContentHash, RoundId};
use serde_json::Value;
use std::future::Future;
use std::pin::Pin;
use thiserror::Error;

/// A result version that somebody has in mind.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Correction {
    /// The round.
    pub round: RoundId,
    /// The version it would replace, 1 or above.
    pub replaces: u32,
    /// What it would say.
    pub outcome: Outcome,
    /// Why, in words.
    pub reason: String,
}

/// What a correction would change.
#[derive(Clone, Debug, PartialEq)]
pub struct Shown {
    /// Over all that would happen.
    pub hash: ContentHash,
    /// For people.
    pub body: Value,
}

/// Why nothing can be shown now; later it may be. The text says what is amiss.
#[derive(Debug, Error)]
#[error("{0}")]
pub struct NotShown(pub String);

/// An answer that takes a while.
pub type Answering<'a, T> = Pin<Box<dyn Future<Output = Result<T, NotShown>> + Send + 'a>>;

/// Reads rounds from their facts.
pub trait Corrections: Send + Sync {
    /// What `correction` would change, were it admitted now.
    fn preview(&self, correction: Correction) -> Answering<'_, Shown>;

    /// How far `correction`, which was admitted, has come.
    fn progress(&self, correction: Correction) -> Answering<'_, Value>;
}
