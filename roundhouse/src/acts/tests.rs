//! Who said what, in a data directory of its own.

use super::*;
use runtime::embedded::{Embedded, Options};
use runtime::{Append, RecordLog, SystemClock};
use schemas::ContentHash;
use schemas::outgoing::{self, Outgoing, Partitions};
use schemas::rounds::{Outcome, Verdict};
use schemas::wire::RoundKind;

fn event(actor: &str, request: RequestId, said_at: Millis, said: RoundSaid) -> Outgoing {
    let event = RoundEvent {
        round: "r_1".parse().unwrap(),
        request,
        actor: actor.to_owned(),
        said_at,
        said,
    };
    outgoing::round(&event, Partitions::EMBEDDED).unwrap()
}

fn verdict(judged: u64, refused: Option<&str>) -> Outgoing {
    let refused = refused.map(ToOwned::to_owned);
    let verdict = Verdict { judged, kind: RoundKind::Result, refused, number: 0, version: 1 };
    event("herald", format!("v-{judged}").parse().unwrap(), 90, RoundSaid::Verdict(verdict))
}

fn of_partner(what: PartnerWord, said_at: Millis) -> Outgoing {
    let (reason, actor) = ("their wallet is down".to_owned(), "desk".to_owned());
    let (partner, by) =
        ("acme".parse().unwrap(), schemas::partners::Said { reason, actor, said_at });
    outgoing::partner(&PartnerSaid { partner, what, by }, 1).unwrap()
}

#[tokio::test]
async fn what_was_said_stands_with_its_verdict() {
    let directory = tempfile::tempdir().unwrap();
    let options = Options::new(directory.path());
    let engine = Embedded::open(&options, crate::engine::catalogue(), SystemClock).unwrap();
    let version = |reason: &str| RoundSaid::Version {
        replaces: 0,
        outcome: Outcome::Voided,
        reason: reason.to_owned(),
    };
    let plain = |name: &str| name.parse().unwrap();
    let approved = proposal::Step::Approved.request(ContentHash::of(&["shown"]));
    let said = [
        event("early", plain("e"), 9, version("too long ago")),
        event("feed", plain("a"), 40, version("")),
        event("herald", plain("timer"), 41, RoundSaid::Closing),
        event("desk", plain("b"), 30, version("abandoned")),
        event("night", approved.clone(), 50, version("swapped")),
        event("slow", plain("c"), 60, version("not judged yet")),
        verdict(0, None),
        verdict(1, None),
        verdict(2, None),
        verdict(3, Some("version_conflict")),
        verdict(3, Some("version_conflict")),
        verdict(4, None),
        of_partner(PartnerWord::Paused(Pauser::Operator, true), 45),
        of_partner(PartnerWord::Paused(Pauser::Deliveries, true), 46),
        of_partner(PartnerWord::Paused(Pauser::Stakes, true), 47),
        of_partner(PartnerWord::Paused(Pauser::Operator, false), 70),
    ];
    for said in said {
        engine.append(vec![Append::from(said.into_parts())]).await.unwrap();
    }
    let found = since(&engine, 10).await.unwrap();
    let lines: Vec<_> = found
        .acts
        .iter()
        .map(|act| (act.at, act.actor.as_str(), act.what, act.of.as_str(), act.refused.as_deref()))
        .collect();
    assert_eq!(
        lines,
        [
            (30, "desk", "voided", "r_1", Some("version_conflict")),
            (40, "feed", "voided", "r_1", None),
            (45, "desk", "paused", "acme", None),
            (50, "night", "approved", "r_1", None),
            (70, "desk", "resumed", "acme", None),
        ]
    );
    let reasons: Vec<_> = found.acts.iter().map(|act| act.reason.as_deref()).collect();
    let down = Some("their wallet is down");
    assert_eq!(reasons, [Some("abandoned"), None, down, Some("swapped"), down]);
    assert_eq!(found.acts[3].request.as_ref(), Some(&approved));
    assert_eq!(found.unreadable, 0);
    engine.close().await;
}
