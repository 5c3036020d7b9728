//! The partner's side: a reference wallet that implements the partner contract.
//!
//! **Guarantee.** Whatever arrives, however often and in whatever order, every bet ends at what its
//! highest revision says, and every answer is on disk before it leaves. **Reads** HTTP requests and its
//! own journal; **writes** the journal, one line per accepted change. **A crash** leaves whole lines;
//! what was answered is there again after the restart, what was not may be, and a repeat finds out.
//! **Never** moves money twice for one revision, and never holds a stake behind a void, unless it is told to
//! misbehave ([`misbehaviours`]).
//!
//! [`register`] is the ledger, pure; [`journal`] makes it last; [`wallet`] is the two together;
//! [`serve()`] puts it on a port, with [`faults`] around it if asked for. What the platform did not sign
//! changes nothing, and every answer is signed ([`WalletKeys`]).

pub mod args;
mod at_once;
mod connection;
pub mod faults;
mod form;
mod http;
pub mod journal;
mod misbehave;
pub mod misbehaviours;
pub mod movement;
mod problem;
pub mod register;
pub mod serve;
mod signed;
mod takes;
pub mod wallet;

pub use args::{MisbehaveArgs, WalletArgs};
pub use serve::{ServeError, misbehave, run, serve, serve_wallet};
pub use signed::{KeysError, WalletKeys};
pub use takes::Takes;
pub use wallet::{Keep, Orders, Wallet, WalletOptions, system_clock};
