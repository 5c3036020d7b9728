//! How often a peer may be called: at once, and in a second. Decisions without IO; whoever calls asks them.

mod concurrency;
mod rate;

pub use concurrency::{Concurrency, Sent};
pub use rate::Rate;
