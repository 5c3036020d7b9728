//! The bench: the server over real HTTP, and beside it, in the same run, a plain program that does the
//! same posts, bytes and fsyncs with no logic.
//!
//! Absolute figures move from machine to machine and from hour to hour; the ratio to the plain program
//! says what the logic costs. A speed below a floor is shown, and is no failure. Times are whole µs and
//! ratios per mille, so that nothing here computes with floats.

mod client;
#[cfg(feature = "cluster")]
pub mod cluster;
mod events;
mod house;
mod isolation;
mod journal;
mod load;
mod outage;
mod plain_deliver;
mod plain_post;
mod post_bet;
mod report;
mod result;
mod street;
mod tail;
mod timelines;
pub mod trial;
mod wallets;

pub use events::{EventsPlan, EventsReport, events};
pub use isolation::{IsolationPlan, IsolationReport};
pub use outage::{OutagePlan, OutageReport};
pub use post_bet::{PostBetPlan, PostBetReport, post_bet};
pub use result::{ResultPlan, ResultReport, result_to_confirmed};
