//! What a correction is shown to change, as a test wants it.

use crate::corrections::{Answering, Correction, Corrections, NotShown, Shown};
use schemas::ContentHash;
use serde_json::{Value, json};
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};

/// Shows a correction as its own words and a number, which a test may change; nothing while it is away.
#[derive(Default)]
pub(crate) struct Shows {
    pub(crate) number: AtomicU64,
    pub(crate) is_away: AtomicBool,
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
