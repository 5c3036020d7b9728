//! What operators, feeds and those who run commands said and had done, as facts: for ever, found by time.
//!
//! The facts of an hour stand together, whatever they are about: who asks what one operator did, or what was done in a
//! night, reads the hours in question.

use crate::ContentHash;
use crate::catalogue::ROUNDS;
use crate::facts::ACT;
use crate::frame::{self, FrameError};
use crate::outgoing::FactRow;
use crate::partners::{LedgerWord, PartnerSaid, PartnerWord, Pauser};
use crate::proposal;
use crate::rounds::{RoundEvent, RoundSaid};
use crate::wire::ActRecord;

/// Ms of an hour.
const HOUR_MS: i64 = 3_600_000;
/// Who judges rounds, and closes them in time: no act.
pub const HERALD: &str = "herald";

/// The hour of a moment, in hours since the Unix epoch.
pub fn hour(at_ms: i64) -> i64 {
    at_ms.div_euclid(HOUR_MS)
}

/// Where the acts of an hour stand: group, topic and partition of their scope. The topic is the one that most of them
/// are said in; the partition is no partition of it.
pub fn place(hour: i64) -> (String, &'static str, u32) {
    (format!("acts/{hour}"), ROUNDS, 0)
}

/// What was said of a round and judged; `None` if nobody said it.
pub fn of_round(event: &RoundEvent, refused: Option<&str>) -> Option<ActRecord> {
    if event.actor == HERALD {
        return None;
    }
    let what = match (&event.said, proposal::Step::of(&event.request)) {
        (RoundSaid::Version { .. }, Some(_)) => "approved",
        _ => event.kind().name(),
    };
    Some(ActRecord {
        said_at: event.said_at,
        actor: event.actor.clone(),
        what: what.to_owned(),
        of: event.round.to_string(),
        reason: reason(&event.said),
        request_id: Some(event.request.to_string()),
        refused: refused.map(ToOwned::to_owned),
    })
}

fn reason(said: &RoundSaid) -> Option<String> {
    match said {
        RoundSaid::Version { reason, .. }
        | RoundSaid::Proposed { reason, .. }
        | RoundSaid::Rejected { reason } => Some(reason.clone()).filter(|text| !text.is_empty()),
        RoundSaid::Opened(_)
        | RoundSaid::Amended { .. }
        | RoundSaid::Closing
        | RoundSaid::Closed
        | RoundSaid::Sealed
        | RoundSaid::Verdict(_) => None,
    }
}

/// What was said of a partner; `None` if it happened by itself.
pub fn of_partner(said: &PartnerSaid) -> Option<ActRecord> {
    let what = match &said.what {
        PartnerWord::Paused(Pauser::Restore | Pauser::Deliveries | Pauser::Stakes, _)
        | PartnerWord::Ledger(LedgerWord { restored: false, .. }) => return None,
        PartnerWord::Paused(Pauser::Operator, true) => "paused",
        PartnerWord::Paused(Pauser::Operator, false) => "resumed",
        PartnerWord::Profile(_) => "set",
        PartnerWord::Ledger(LedgerWord { restored: true, .. }) => "restored",
    };
    let (of, by) = (said.partner.to_string(), &said.by);
    Some(by_hand((&by.actor, by.said_at), what, of, &by.reason))
}

/// What somebody did at a time, of something, for a reason.
pub fn by_hand((actor, at): (&str, i64), what: &str, of: String, reason: &str) -> ActRecord {
    ActRecord {
        said_at: at,
        actor: actor.to_owned(),
        what: what.to_owned(),
        of,
        reason: Some(reason.to_owned()),
        request_id: None,
        refused: None,
    }
}

/// The act as a fact. `at` is the offset of the record that says it, or the time where there is none: twice the same is
/// one fact.
///
/// # Errors
/// [`FrameError`] if it does not survive its own encoding.
pub fn fact(act: &ActRecord, at: u64) -> Result<FactRow, FrameError> {
    let (round, topic, partition) = place(hour(act.said_at));
    let body = frame::encode(act)?;
    let optional = |text: &Option<String>| text.clone().unwrap_or_default();
    let (reason, request) = (optional(&act.reason), optional(&act.request_id));
    let refused = optional(&act.refused);
    let said_at = act.said_at.to_string();
    let parts = [&*said_at, &act.actor, &act.what, &act.of, &reason, &request, &refused];
    Ok(FactRow {
        round,
        topic,
        partition,
        lane: String::new(),
        bet: act.of.clone(),
        kind: ACT,
        at,
        hash: ContentHash::of(&parts).0,
        body,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_acts_of_an_hour_stand_together() {
        let at = |said_at| by_hand(("ann", said_at), "paused", "acme".to_owned(), "ticket 1");
        let place = |act: &ActRecord| fact(act, 1).unwrap().round;
        let (first, last) = (at(7 * HOUR_MS), at(8 * HOUR_MS - 1));
        assert_eq!((place(&first), place(&last)), ("acts/7".to_owned(), "acts/7".to_owned()));
        assert_eq!(place(&at(8 * HOUR_MS)), "acts/8");
        assert_ne!(fact(&first, 1).unwrap().hash, fact(&last, 1).unwrap().hash);
    }

    #[test]
    fn an_act_is_what_somebody_says() {
        let event = |actor: &str, request: crate::RequestId, reason: &str| RoundEvent {
            round: "r_1".parse().unwrap(),
            request,
            actor: actor.to_owned(),
            said_at: 5,
            said: RoundSaid::Version {
                replaces: 0,
                outcome: crate::rounds::Outcome::Voided,
                reason: reason.to_owned(),
            },
        };
        let plain = || "a".parse().unwrap();
        let approved = proposal::Step::Approved.request(ContentHash::of(&["shown"]));
        let of = |event: RoundEvent| of_round(&event, None).map(|act| (act.what, act.reason));
        let voided = |reason: Option<&str>| Some(("voided".to_owned(), reason.map(str::to_owned)));
        assert_eq!(of(event("desk", plain(), "abandoned")), voided(Some("abandoned")));
        assert_eq!(of(event("feed", plain(), "")), voided(None));
        assert_eq!(of(event(HERALD, plain(), "")), None);
        let (what, _) = of(event("night", approved.clone(), "swapped")).unwrap();
        assert_eq!(what, "approved");
        let refused = of_round(&event("night", approved.clone(), ""), Some("too_late")).unwrap();
        assert_eq!(refused.refused.as_deref(), Some("too_late"));
        assert_eq!(refused.request_id, Some(approved.to_string()));
    }

    #[test]
    fn what_happens_to_a_partner_by_itself_is_no_act() {
        let of = |what| {
            let by = crate::partners::Said {
                reason: "ticket 1".to_owned(),
                actor: "ann".to_owned(),
                said_at: 7,
            };
            let said = PartnerSaid { partner: "acme".parse().unwrap(), what, by };
            of_partner(&said).map(|act| act.what)
        };
        let ledger = |restored| PartnerWord::Ledger(LedgerWord { epoch: "2".to_owned(), restored });
        assert_eq!(of(PartnerWord::Paused(Pauser::Operator, true)).unwrap(), "paused");
        assert_eq!(of(PartnerWord::Paused(Pauser::Operator, false)).unwrap(), "resumed");
        assert_eq!(of(ledger(true)).unwrap(), "restored");
        for by in [Pauser::Restore, Pauser::Deliveries, Pauser::Stakes] {
            assert_eq!(of(PartnerWord::Paused(by, true)), None);
        }
        assert_eq!(of(ledger(false)), None);
    }
}
