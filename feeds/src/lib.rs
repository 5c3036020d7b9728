//! Feeds: programs that say what happens in rounds.
//!
//! They are clients of the public rounds API with an operator's key, and have no other door into the
//! house. [`table`] plays a game of our own, a die whose draws anyone can check. [`relay`] carries what
//! somebody else says over HTTP.

pub mod api;
mod files;
pub mod relay;
pub mod table;
