//! What stands around a server in a sandbox, a demo, a bench and the tests of whole processes: partners'
//! keys and wallets, players' tokens, a client of the API.

pub mod api;
pub mod keys;
pub mod players;
pub mod processes;
pub mod setup;
pub mod watch;
