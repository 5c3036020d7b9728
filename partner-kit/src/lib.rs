//! The partner's side: the reference wallet.

pub mod movement;
pub mod register;
