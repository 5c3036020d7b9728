//! Rounds and results in, bets in: herald, bet placing, the HTTP API.

pub mod line;
pub mod rounds_view;

pub mod herald;
