//! Rounds and results in, bets in: herald, bet placing, the HTTP API.

pub mod auth;
pub mod authorize;
pub mod bet_view;
pub mod corrections;
pub mod history;
pub mod http;
pub mod line;
pub mod partners;
pub mod placing;
pub mod problem;
pub mod replays;
pub mod rounds_view;
pub mod simple;
pub mod stakes;
pub mod tail;
pub mod wallet_check;

mod docs;
pub mod herald;
