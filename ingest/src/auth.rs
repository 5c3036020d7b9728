//! Who is calling: operators by key, players by a token that their partner signed.
//!
//! Keys and tokens are never logged, stored or shown. The partner of a player comes from the signed
//! token, never from a body, so nobody can act for another partner's players.

mod operators;
#[cfg(test)]
mod tests;
mod tokens;

pub use operators::{Changes, Duty, InForce, KEY_CHARS_MIN, KeyTooShort, Operators};
pub use tokens::{
    AUDIENCE, Audience, CACHED_MAX, Claims, LIFETIME_S_MAX, Player, TokenError, TokenKeyError,
    Tokens, issue,
};
