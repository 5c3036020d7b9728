//! Tests of bet placing: scripted paths, the interleavings of the protocol notes, and random orders.

mod checks;
mod interleavings;
mod judging;
mod paths;
mod property;
mod script;
