//! Topics as code: what Kafka must be set to so that no money can be lost, and the refusal to start on
//! anything else.
//!
//! [`Wanted`] says what the catalogue needs, [`read`] what Kafka has, [`check`] compares the two and says
//! for every difference why it could lose money; all of it pure but `read`. [`apply`] creates what is
//! missing and alters what refuses. It never deletes a topic, never changes a partition count, moves no
//! replica and shortens no retention: that is left to a person, by name.

mod admin;
mod check;
mod client;
mod errors;
mod plan;
mod properties;
mod wanted;

#[cfg(test)]
mod tests;

pub use admin::{Applied, apply, check_at_start, leaders_answer, read};
pub use check::{Finding, Found, FoundBroker, FoundTopic, Mended, Setting, Severity, check};
pub use client::Kafka;
pub use errors::{TopicsError, TopicsRefused};
pub use plan::{Alter, Change, Create, Plan, plan};
pub use properties::{PropertyRefused, check_properties};
pub use wanted::{Wanted, WantedTopic};
