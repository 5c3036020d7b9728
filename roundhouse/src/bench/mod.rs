//! The bench: the server over real HTTP, and beside it, in the same run, a plain program that does the
//! same posts, bytes and fsyncs with no logic.
//!
//! Absolute figures move from machine to machine and from hour to hour; the ratio to the plain program
//! says what the logic costs. A speed below a floor is shown, and is no failure. Times are whole µs and
//! ratios per mille, so that nothing here computes with floats.
//!
//! A bench is written once for all engines: what it needs of one is a ground ([`Grounds`]).

mod client;
#[cfg(feature = "cluster")]
pub mod cluster;
mod directory;
mod doors;
mod events;
mod ground;
mod growth;
mod held;
mod house;
mod illness;
mod isolation;
mod journal;
mod load;
mod outage;
mod plain;
mod plain_deliver;
mod plain_file;
mod plain_post;
mod plain_street;
mod post_bet;
mod progress;
mod report;
mod result;
mod returning;
mod rounds;
mod settle;
mod settling;
mod street;
mod tail;
mod timelines;
mod topic;
pub mod trial;
mod wallets;

pub use directory::Directory;
pub use events::{EventsPlan, EventsReport};
pub use ground::{Bench, Grounds};
pub use growth::{GrowthPlan, GrowthReport};
pub use illness::{Illness, Seen};
pub use isolation::{IsolationPlan, IsolationReport};
pub use outage::{OutagePlan, OutageReport};
pub use post_bet::{PostBetPlan, PostBetReport, post_bet};
pub use result::{ResultPlan, ResultReport, Said};
pub use returning::{ReturningPlan, ReturningReport};
pub use settle::{SettlePlan, SettleReport};
pub use topic::{TopicPlan, TopicReport};
