//! The player's token, as far as the reference wallet looks at it.

use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use serde::Deserialize;

#[derive(Deserialize)]
struct Claims {
    /// Seconds since the Unix epoch.
    #[serde(default)]
    exp: Option<i64>,
}

/// Whether `token` is a JWT whose `exp` is not after `now` (ms since the Unix epoch).
///
/// The signature is not looked at, and a token of any other form counts as good: this wallet has no
/// players of its own to protect.
pub(super) fn expired(token: &str, now: i64) -> bool {
    exp_ms(token).is_some_and(|exp| exp <= now)
}

fn exp_ms(token: &str) -> Option<i64> {
    let mut parts = token.split('.');
    let (_header, payload, _signature) = (parts.next()?, parts.next()?, parts.next()?);
    let payload = URL_SAFE_NO_PAD.decode(payload).ok()?;
    let claims: Claims = serde_json::from_slice(&payload).ok()?;
    claims.exp?.checked_mul(1000)
}
