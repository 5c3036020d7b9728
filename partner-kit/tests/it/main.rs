//! The wallet over real HTTP. Test names that begin with `c` and a number are items of the contract's
//! checklist.
#![expect(clippy::unwrap_used, reason = "tests")]

mod client;
mod contract;
mod durable;
mod faults;
mod misbehaviours;
mod recorded;
mod signatures;
