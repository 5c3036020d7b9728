//! The two small APIs: `/line-provider`, through which events are offered and finished, and `/bet-maker`,
//! through which bets are placed on their first team.
//!
//! Both are adapters of the core and keep no books of their own. An event is a round of the game `two_way`
//! that offers `first`; a bet is a bet of one player of one partner, and rides the same path as all others:
//! intent, hold, decision, settlement, delivery. line-provider appends to `rounds.v1` through the line and
//! tells the herald's verdicts. bet-maker asks bet placing, and shows what `rounds.v1`, `bets.v1` and
//! `decisions.v1` say. They meet at those topics alone: each runs without the other.
//!
//! What a crash leaves is what it leaves of the core. What they never do: say a result before the round is
//! sealed, decide a bet, move money, or pass a number through a float.

pub mod bet_maker;
pub mod event;
pub mod line_provider;

pub(crate) mod bodies;
mod docs;
mod pages;
mod routes;
mod values;

#[cfg(test)]
mod tests;
