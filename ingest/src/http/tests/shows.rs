//! What a correction is shown to change, and what is told again, as a test wants it.

use crate::corrections::{Answering, Correction, Corrections, NotShown, Shown};
use crate::replays::{NotReplayed, Replay, Replayed, Replaying, Replays};
use schemas::ContentHash;
use serde_json::{Value, json};
use std::sync::Mutex;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shows a correction as its own words and a number, which a test may change; nothing while it is away.
#[derive(Default)]
pub(crate) struct Shows {
    pub(crate) number: AtomicU64,
    pub(crate) is_away: AtomicBool,
    /// What was asked to be told again.
    pub(crate) replays: Mutex<Vec<Replay>>,
}

impl Corrections for Shows {
    fn preview(&self, correction: Correction) -> Answering<'_, Shown> {
        Box::pin(async move {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(NotShown("partition 3 is not there yet".to_owned()));
            }
            let number = self.number.load(Ordering::Relaxed).to_string();
            let hash = ContentHash::of(&[&format!("{correction:?}"), &number]);
            Ok(Shown { hash, body: json!({"changed": number}) })
        })
    }

    fn progress(&self, correction: Correction) -> Answering<'_, Value> {
        Box::pin(async move { Ok(json!({"acme": {"changed": correction.replaces}})) })
    }
}

/// Rounds and bets called `theirs` are another partner's.
impl Replays for Shows {
    fn say_again(&self, replay: Replay) -> Replaying<'_> {
        Box::pin(async move {
            if self.is_away.load(Ordering::Relaxed) {
                return Err(NotReplayed::Later(NotShown("not there yet".to_owned())));
            }
            for (round, bets) in &replay.rounds {
                if round.as_str() == "theirs" {
                    return Err(NotReplayed::Round(round.clone()));
                }
                if let Some(bet) = bets.iter().find(|bet| bet.as_str().ends_with(":theirs")) {
                    return Err(NotReplayed::Bet(bet.clone()));
                }
            }
            let told_again = u64::try_from(replay.rounds.len()).unwrap();
            self.replays.lock().unwrap().push(replay);
            Ok(Replayed { told_again, held: 1, ..Replayed::default() })
        })
    }
}
