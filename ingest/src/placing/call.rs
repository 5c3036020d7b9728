//! The call to the partner's wallet.

use super::ask::SessionToken;
use bytes::Bytes;
use runtime::Millis;
use schemas::bets::Intent;
use schemas::contract::{AuthorizeRequest, timestamp};
use schemas::{BetId, PartnerId};
use std::fmt;

/// Ask the partner to hold a stake.
#[derive(Clone, PartialEq, Eq)]
pub struct AuthorizeCall {
    /// Whom to ask.
    pub partner: PartnerId,
    /// The bet.
    pub bet: BetId,
    /// The body: the same bytes at every attempt.
    pub body: Bytes,
    /// 1, 2, ...; goes into a header.
    pub attempt: u32,
    /// How long the attempt may take, in ms.
    pub budget_ms: u32,
}

/// Shows no body: it carries the player's token.
impl fmt::Debug for AuthorizeCall {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("AuthorizeCall")
            .field("partner", &self.partner)
            .field("bet", &self.bet)
            .field("attempt", &self.attempt)
            .field("budget_ms", &self.budget_ms)
            .finish_non_exhaustive()
    }
}

/// What came back.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum HoldReply {
    /// An HTTP answer, read to its end.
    Http {
        /// The status.
        status: u16,
        /// The body.
        body: Bytes,
    },
    /// The partner is busy, and asked to be left alone for so long, in ms.
    Busy {
        /// Within the bounds of [`Authorize`](crate::authorize::Authorize).
        rest_ms: Millis,
    },
    /// No answer: a timeout, a broken connection, too long a body.
    Nothing {
        /// What happened, for people.
        why: String,
    },
    /// Nothing was sent: too many calls to the partner were on their way, or it wants to be left alone.
    Unsent,
}

/// The body of the authorize of `intent`.
///
/// # Errors
/// What the JSON writer says; there is no known text that it refuses.
pub(super) fn authorize_body(
    intent: &Intent,
    token: SessionToken,
) -> Result<Bytes, serde_json::Error> {
    let bet = &intent.bet;
    let request = AuthorizeRequest {
        op: "authorize".to_owned(),
        message_id: format!("{}:1", bet.id),
        bet_id: bet.id.to_string(),
        revision: 1,
        round_id: bet.id.round_str().to_owned(),
        partner_id: bet.partner.to_string(),
        partner_player_id: bet.player.to_string(),
        session_token: token.into_inner(),
        stake: bet.stake.into(),
        selection: Some(bet.selection.to_string()),
        placed_at: timestamp(bet.placed_at),
        expires_at: timestamp(intent.expires_at),
    };
    serde_json::to_vec(&request).map(Bytes::from)
}
