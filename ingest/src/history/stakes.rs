//! How often a partner was asked for a stake, on its way into the story of the bet.
//!
//! `calls of bet placing -> memory -> rows`
//!
//! No record tells it: no answer is no record, and nobody who waits for a decision is to wait for a row. So the caller of bet
//! placing notes each attempt here, and all of a moment are written together.
//!
//! What a crash leaves: attempts of the last moment are not told. What it never does: write a row of money, keep a call
//! waiting, or take the engine for more than histories may.

use super::rows::asked;
use super::{GATHER_MS, REST_MS_MAX, REST_TIMES, WRITE_RECORDS_MAX};
use runtime::{Batch, Engine, EngineError, Millis};
use schemas::BetId;
use schemas::attempts::Attempt;
use schemas::outgoing::Partitions;
use std::collections::VecDeque;
use std::convert::Infallible;
use std::sync::{Mutex, MutexGuard, PoisonError};
use std::time::Duration;
use tokio::sync::Notify;
use tokio::time::{Instant, sleep};

/// Attempts that wait to be written, some 4 MB; those beyond are not told. It is four seconds of 5,000 bets.
const WAITING_MAX: usize = 20_000;

/// Attempts of the calls of one process.
#[derive(Debug, Default)]
pub struct StakeAttempts {
    waiting: Mutex<Waiting>,
    noted: Notify,
}

#[derive(Debug, Default)]
struct Waiting {
    attempts: VecDeque<(BetId, Attempt)>,
    lost: u64,
}

impl StakeAttempts {
    /// Takes an attempt, of which nobody hears again. Where too many wait it is forgotten, which is counted and logged.
    pub fn note(&self, bet: BetId, attempt: Attempt) {
        let mut waiting = self.waiting();
        if waiting.attempts.len() < WAITING_MAX {
            waiting.attempts.push_back((bet, attempt));
            drop(waiting);
            self.noted.notify_one();
        } else {
            waiting.lost = waiting.lost.saturating_add(1);
        }
    }

    /// Writes what is noted, for ever, and rests as histories do. What could not be written is tried again. Stopped at
    /// any time it loses nothing that [`flush`](Self::flush) cannot write.
    pub async fn keep<E: Engine>(&self, engine: &E, partitions: Partitions) -> Infallible {
        let ms = |ms: Millis| Duration::from_millis(ms.unsigned_abs());
        loop {
            if self.waiting().attempts.is_empty() {
                self.noted.notified().await;
            }
            if self.waiting().attempts.len() < WRITE_RECORDS_MAX {
                sleep(ms(GATHER_MS)).await;
            }
            let begun = Instant::now();
            let written = self.write(engine, partitions).await;
            let took = Millis::try_from(begun.elapsed().as_millis()).unwrap_or(REST_MS_MAX);
            let rest = match written {
                Ok(()) => took.saturating_mul(REST_TIMES).min(REST_MS_MAX),
                Err(error) => {
                    tracing::warn!(%error, "attempts for stakes are not written");
                    REST_MS_MAX
                }
            };
            sleep(ms(rest)).await;
        }
    }

    /// Writes all that is noted, once.
    pub async fn flush<E: Engine>(&self, engine: &E, partitions: Partitions) {
        while !self.waiting().attempts.is_empty() {
            if let Err(error) = self.write(engine, partitions).await {
                tracing::warn!(%error, "attempts for stakes are not written");
                return;
            }
        }
    }

    /// Writes some. They leave the memory when they are durable: written twice they are the same rows.
    async fn write<E: Engine>(
        &self,
        engine: &E,
        partitions: Partitions,
    ) -> Result<(), EngineError> {
        let (some, lost) = {
            let mut waiting = self.waiting();
            let some = waiting.attempts.iter().take(WRITE_RECORDS_MAX).cloned();
            (some.collect::<Vec<_>>(), std::mem::take(&mut waiting.lost))
        };
        if 0 < lost {
            tracing::warn!(lost, "attempts for stakes are not told: too many wait");
        }
        let count = some.len();
        if count == 0 {
            return Ok(());
        }
        let mut rows = Vec::with_capacity(count);
        for (bet, attempt) in some {
            match asked(&bet, attempt, partitions) {
                Ok(row) => rows.push(row),
                Err(error) => tracing::warn!(bet.id = %bet, %error, "an attempt cannot be written"),
            }
        }
        engine.apply(None, Batch { facts: vec![rows], ..Batch::default() }).await?;
        self.waiting().attempts.drain(..count);
        Ok(())
    }

    fn waiting(&self) -> MutexGuard<'_, Waiting> {
        self.waiting.lock().unwrap_or_else(PoisonError::into_inner)
    }
}
