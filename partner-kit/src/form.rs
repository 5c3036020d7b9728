//! The form of what is asked, looked at before the ledger is: of what is given back, of what is listed, and of times.
//! What is wrong with a single item of a chunk is said in its result.

use crate::problem::Problem;
use schemas::contract::{
    AuthorizeRequest, CloseRequest, QueryRequest, ROUND_BETS_MAX, StateRequest, parse_timestamp,
};
use schemas::{BetId, RoundId};

/// Longest id of a message.
const MESSAGE_CHARS_MAX: usize = 64;

fn is_bet(text: &str) -> bool {
    text.parse::<BetId>().is_ok()
}

fn is_round(text: &str) -> bool {
    text.parse::<RoundId>().is_ok()
}

fn is_message(text: &str) -> bool {
    let of_id = |byte: u8| byte.is_ascii_alphanumeric() || b"_:-".contains(&byte);
    (1..=MESSAGE_CHARS_MAX).contains(&text.len()) && text.bytes().all(of_id)
}

/// Refuses the first field that is not of its form.
fn all(fields: &[(&str, bool)]) -> Result<(), Problem> {
    match fields.iter().find(|(_, is_right)| !is_right) {
        None => Ok(()),
        Some((field, _)) => Err(Problem::bad_request(format!("{field} is not of its form"))),
    }
}

pub(crate) fn authorize(asked: &AuthorizeRequest) -> Result<(), Problem> {
    all(&[
        ("message_id", asked.message_id.strip_suffix(":1").is_some_and(is_bet)),
        ("bet_id", is_bet(&asked.bet_id)),
        ("placed_at", parse_timestamp(&asked.placed_at).is_some()),
        ("expires_at", parse_timestamp(&asked.expires_at).is_some()),
    ])
}

pub(crate) fn state(asked: &StateRequest) -> Result<(), Problem> {
    // An item that has no name has no result.
    let are_named = asked.items.iter().all(|item| is_bet(&item.bet_id) && 0 < item.revision);
    all(&[("chunk_id", is_message(&asked.chunk_id)), ("bet_id or revision", are_named)])
}

pub(crate) fn close(asked: &CloseRequest) -> Result<(), Problem> {
    let version = ("result_version", 0 < asked.result_version);
    all(&[("round_id", is_round(&asked.round_id)), version])
}

pub(crate) fn query(asked: &QueryRequest) -> Result<(), Problem> {
    let are_bets = asked.bet_ids.iter().all(|bet| is_bet(bet));
    all(&[("bet_ids", !asked.bet_ids.is_empty() && are_bets)])
}

pub(crate) fn round_bets(round: &str, after: &str, limit: usize) -> Result<(), Problem> {
    all(&[
        ("the round", is_round(round)),
        ("after", after.is_empty() || is_bet(after)),
        ("limit", (1..=ROUND_BETS_MAX).contains(&limit)),
    ])
}
