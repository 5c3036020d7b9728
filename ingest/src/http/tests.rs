//! The API over the router, in front of a house of real machines.

mod bad_input;
mod bets;
mod corrections;
mod histories;
pub(crate) mod house;
mod ops;
mod partner_api;
mod partner_docs;
mod partners;
mod roles;
mod rounds;
mod shows;
