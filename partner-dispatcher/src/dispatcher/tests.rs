//! The machine under scripted inputs: a rig plays log, store, clock and partners.

mod attempts;
mod bounds;
mod delivery;
mod narrow;
mod outage;
mod property;
mod refusing;
mod retry;
mod returning;
mod rig;
mod superseding;
