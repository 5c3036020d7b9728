//! What bet placing is told at start.

use crate::tail::Tail;
use runtime::Millis;
use schemas::outgoing::Partitions;
use schemas::partners::CurrencyLimits;
use schemas::{Currency, PartnerId};
use std::collections::BTreeMap;
use std::num::NonZeroU32;

/// Everything bet placing is told from outside.
#[derive(Clone, Debug)]
pub struct PlacingOptions {
    /// How many partitions the topics have.
    pub partitions: Partitions,
    /// The partitions of `rounds.v1`, low enough to see every round that is open, and of `decisions.v1`:
    /// begun lower, more repeats are answered without an intent; none is answered wrongly.
    pub tails: Vec<Tail>,
    /// The partners.
    pub partners: PartnerBook,
    /// Times and bounds.
    pub limits: Limits,
}

impl PlacingOptions {
    /// Stakes that `partner` is asked for in a second, if that is limited.
    pub(super) fn stakes_per_s(&self, partner: &PartnerId) -> Option<NonZeroU32> {
        let own = self.partners.get(partner).and_then(|entry| entry.stakes_per_s);
        own.or(self.limits.stakes_per_s_max)
    }
}

/// The partners that may place bets.
pub type PartnerBook = BTreeMap<PartnerId, PartnerEntry>;

/// What bet placing knows of a partner.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct PartnerEntry {
    /// Why betting is paused, if it is.
    pub betting_paused: Option<String>,
    /// The currencies the partner takes bets in.
    pub currencies: BTreeMap<Currency, CurrencyLimits>,
    /// Stakes that it is asked for in a second; none for what the limits say.
    pub stakes_per_s: Option<NonZeroU32>,
}

/// Times and bounds of bet placing.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Limits {
    /// How long the partner may hold a new stake after the bet was placed, in ms (R8).
    pub hold_within_ms: Millis,
    /// How long before the cut-off that ends, in ms (R8).
    pub hold_margin_ms: Millis,
    /// Budget of one authorize, in ms.
    pub attempt_ms: u32,
    /// Authorizes of one bet: the first and its repeats.
    pub attempts_max: u32,
    /// Wait before an authorize or an append is repeated, in ms.
    pub repeat_after_ms: Millis,
    /// Appends of one hold answer: the first and its repeats.
    pub answer_appends_max: u32,
    /// How long an asker waits for a decision, in ms from the intent or the cancel.
    pub answer_within_ms: Millis,
    /// Bets and cancels in flight.
    pub in_flight_max: usize,
    /// Bets and cancels in flight of one partner, so that a slow one leaves room for the others.
    pub partner_in_flight_max: usize,
    /// Stakes that a partner without a rate of its own is asked for in a second; none for no limit.
    pub stakes_per_s_max: Option<NonZeroU32>,
    /// Askers that may wait for the same bet, and cancels of one bet in flight.
    pub waiters_max: usize,
    /// Decisions kept for repeats.
    pub decisions_kept_max: usize,
    /// The largest offset of this machine's clock at which bets are taken, in ms.
    pub clock_offset_max_ms: Millis,
}

impl Limits {
    /// The values of the design; the bounds suit one machine.
    pub const STANDARD: Self = Self {
        hold_within_ms: 4_000,
        hold_margin_ms: 500,
        attempt_ms: 1_500,
        attempts_max: 3,
        repeat_after_ms: 100,
        answer_appends_max: 5,
        answer_within_ms: 6_000,
        in_flight_max: 50_000,
        partner_in_flight_max: 20_000,
        stakes_per_s_max: None,
        waiters_max: 16,
        decisions_kept_max: 50_000,
        clock_offset_max_ms: 500,
    };
}
