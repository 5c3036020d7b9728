//! Calls of machines to partners, and what comes back, as the wire carries them.

use bytes::Bytes;
use runtime::http::{CallError, HttpAnswer};
use schemas::{PartnerId, RoundId};

/// Which endpoint a call is for.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Authorize,
    State,
    Close,
    /// The rows of a round behind a bet.
    Rows {
        round: RoundId,
        after: String,
    },
    /// Some bets.
    Query,
}

/// A call: a body for an endpoint of a partner.
#[derive(Clone, Debug)]
pub struct Call {
    pub partner: PartnerId,
    pub endpoint: Endpoint,
    pub body: Bytes,
    /// When the caller gives up, in ms from now.
    pub budget_ms: i64,
}

/// What came back.
#[derive(Clone, Debug)]
pub enum Answer {
    Http { status: u16, retry_after_ms: Option<u64>, body: Bytes },
    Nothing,
}

impl Answer {
    /// A status that does not ask for a rest.
    pub fn of(status: u16, body: Bytes) -> Self {
        Self::Http { status, retry_after_ms: None, body }
    }

    /// As a client of production has it.
    pub fn http(self) -> Result<HttpAnswer, CallError> {
        match self {
            Self::Http { status, retry_after_ms, body } => {
                Ok(HttpAnswer { status, retry_after_ms, body })
            }
            Self::Nothing => Err(CallError::Timeout),
        }
    }
}
