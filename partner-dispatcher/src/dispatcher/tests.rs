//! The machine under scripted inputs: a rig plays log, store, clock and partners.

mod attempts;
mod bounds;
mod delivery;
mod outage;
mod property;
mod refusing;
mod retry;
mod rig;
mod superseding;
