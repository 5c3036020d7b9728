//! What came back, read once: where calls are made, and not where they are judged, one after the other.

use super::{BUSY, Verdict, is_epoch};
use runtime::http::{self, CallError, HttpAnswer};
use schemas::contract::{Problem, StateResponse};
use serde::Deserialize;
use std::time::Duration;

/// What came back from one call.
pub type Came = Result<HttpAnswer, CallError>;

/// The same, read.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Answer {
    /// The status, or why there is none.
    pub(super) came: Result<u16, CallError>,
    /// How long the partner wants to be left alone, in ms: the longer of what header and problem body ask for.
    pub(super) retry_after_ms: Option<u64>,
    /// What a 200 says.
    said: Option<StateResponse>,
    /// How long the call took, in ms.
    took_ms: u32,
}

impl Answer {
    /// The same, which came after so long; without this it took no time.
    pub fn after(self, took: Duration) -> Self {
        Self { took_ms: u32::try_from(took.as_millis()).unwrap_or(u32::MAX), ..self }
    }

    /// The attempt that this was, for people: how long it took in ms, its status, and what became of the item that was
    /// judged so.
    pub(crate) fn attempt(&self, verdict: &Verdict) -> (u32, Option<u16>, &'static str) {
        let outcome = match self.came {
            Ok(200) => verdict.word(),
            other => http::ended(&other),
        };
        (self.took_ms, self.came.ok(), outcome)
    }

    /// Whether the partner says no more than "not now".
    pub(crate) fn is_busy(&self) -> bool {
        self.came.is_ok_and(|status| BUSY.contains(&status))
    }

    /// What it says of this chunk.
    pub(super) fn to(&self, chunk_id: &str) -> Option<&StateResponse> {
        self.said.as_ref().filter(|said| said.chunk_id == chunk_id)
    }
}

impl From<&Came> for Answer {
    fn from(came: &Came) -> Self {
        let answer = match came {
            Ok(answer) => answer,
            Err(error) => {
                return Self { came: Err(*error), retry_after_ms: None, said: None, took_ms: 0 };
            }
        };
        let said = if answer.status == 200 { read(&answer.body) } else { None };
        let problem = || serde_json::from_slice::<Problem>(&answer.body).ok()?.retry_after_ms;
        let asked = if said.is_some() { None } else { problem() };
        let retry_after_ms = answer.retry_after_ms.max(asked);
        Self { came: Ok(answer.status), retry_after_ms, said, took_ms: 0 }
    }
}

/// The body as the contract has it; items that are not are left out, and do not cost the others.
fn read(body: &[u8]) -> Option<StateResponse> {
    #[derive(Deserialize)]
    struct Loose {
        chunk_id: String,
        #[serde(default)]
        ledger_epoch: String,
        results: Vec<serde_json::Value>,
    }
    let body = match serde_json::from_slice(body) {
        Ok(strict) => strict,
        Err(_) => {
            let Loose { chunk_id, ledger_epoch, results } = serde_json::from_slice(body).ok()?;
            let results = results.into_iter().filter_map(|item| serde_json::from_value(item).ok());
            StateResponse { results: results.collect(), chunk_id, ledger_epoch }
        }
    };
    is_epoch(&body.ledger_epoch).then_some(body)
}
