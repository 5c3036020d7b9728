//! What came back, read once: where calls are made, and not where they are judged, one after the other.

use super::{BUSY, is_epoch};
use runtime::http::{CallError, HttpAnswer};
use schemas::contract::{Problem, StateResponse};
use serde::Deserialize;

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
}

impl Answer {
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
                return Self { came: Err(*error), retry_after_ms: None, said: None };
            }
        };
        let said = if answer.status == 200 { read(&answer.body) } else { None };
        let problem = || serde_json::from_slice::<Problem>(&answer.body).ok()?.retry_after_ms;
        let asked = if said.is_some() { None } else { problem() };
        let retry_after_ms = answer.retry_after_ms.max(asked);
        Self { came: Ok(answer.status), retry_after_ms, said }
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
