//! The second opinion on what partners must hold: the oracle of the simulation, fed from the log.

#[expect(unreachable_pub, reason = "written for a crate of its own")]
#[path = "../../../tests/src/oracle.rs"]
mod oracle;

use crate::house::{bet_events, nets, wins};
use oracle::{Event, Judged, Said, judge};
use roundhouse::audit::books::Books;
use schemas::bets::{BetEvent, BetSaid, HoldAnswer, MarkerBody};
use schemas::rounds::Outcome;
use std::collections::BTreeMap;

const SELECTIONS: &[&str] = roundhouse::rig::api::DIE;

/// Every bet of the log, judged; the wallets must have moved exactly that.
#[track_caller]
pub(crate) fn agrees(books: &Books) {
    let nets = nets(books);
    let mut judged = BTreeMap::new();
    for partition in 0..books.bets.len() {
        let here = bet_events(books).filter(|(at, _, _)| *at == partition);
        let log: Vec<Event> = here.filter_map(|(_, at, event)| plain(at, event)).collect();
        judged.extend(judge(&log));
    }
    assert!(!judged.is_empty(), "no bet was placed");
    for (bet, Judged { accepted, rejected, cancelled, .. }) in &judged {
        let decided = accepted.or(*rejected).or(*cancelled);
        assert!(decided.is_some(), "{bet} is undecided");
        let net = nets.get(bet).copied().unwrap_or_default();
        assert_eq!(net, judged[bet].net(), "{bet}: left the wallet's, right the oracle's");
    }
    for (bet, net) in nets {
        assert!(judged.contains_key(&bet) || net == 0, "{net} moved on {bet}, which nobody placed");
    }
}

fn plain(at: u64, event: &BetEvent) -> Option<Event> {
    let (bet, said) = match &event.said {
        BetSaid::Intent(intent) => {
            let bet = &intent.bet;
            let (hash, selection) = (bet.content_hash().to_string(), bet.selection.to_string());
            let said = Said::Intent(hash, bet.stake.units, bet.odds.hundredths(), selection);
            (bet.id.to_string(), said)
        }
        BetSaid::Answer { bet, content, answer, .. } => {
            let said = match answer {
                HoldAnswer::Approved => Said::Approved(content.to_string()),
                HoldAnswer::Declined(_) => Said::Declined(content.to_string()),
            };
            (bet.to_string(), said)
        }
        BetSaid::Cancel { bet, .. } => (bet.to_string(), Said::Cancel),
        BetSaid::Tick => (String::new(), Said::Tick),
        BetSaid::Marker(marker) => {
            let said = match &marker.body {
                MarkerBody::Opened { .. } => Said::Opened,
                MarkerBody::Closed => Said::Closed,
                MarkerBody::Version { version, outcome } => Said::Version(*version, meant(outcome)),
            };
            (String::new(), said)
        }
        BetSaid::Thaw { .. } => return None,
    };
    let round = event.round.as_ref().map(ToString::to_string).unwrap_or_default();
    Some(Event { at, round, bet, said })
}

fn meant(outcome: &Outcome) -> oracle::Outcome {
    let text = |list: &[schemas::Selection]| list.iter().map(ToString::to_string).collect();
    match outcome {
        Outcome::Game(number) => {
            let thrown = number.parse().unwrap();
            let won = SELECTIONS.iter().filter(|selection| wins(selection, thrown));
            oracle::Outcome::Named(won.map(ToString::to_string).collect(), Vec::new())
        }
        Outcome::Named { won, void } => oracle::Outcome::Named(text(won), text(void)),
        Outcome::Withdrawn => oracle::Outcome::Withdrawn,
        Outcome::Voided => oracle::Outcome::Voided,
    }
}
