//! Calls of machines to partners, and what comes back, as the wire carries them.

use bytes::Bytes;
use schemas::PartnerId;

/// Which endpoint a call is for.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Endpoint {
    Authorize,
    State,
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
    Http { status: u16, body: Bytes },
    Nothing,
}
