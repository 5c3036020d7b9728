//! What is said of attempts, wherever the settlement stands.

use super::outage::{down, due_in_vain};
use super::retry::in_the_tier;
use super::rig::{Rig, TIER};
use crate::fixtures::{applied, rejected, superseded, won};
use runtime::Record;
use runtime::http::CallError;
use schemas::attempts::Attempts;
use schemas::catalogue::{DELIVERIES, PARKED, RETRY_5S, RETRY_30S};
use schemas::contract::{ItemOutcome, StateItem, StateResult};
use schemas::facts::{HEADER_ATTEMPT, HEADER_ATTEMPT_LOG, HEADER_TRIED};

/// Number, status and outcome of each attempt, and whether it was news to whoever reads tiers.
fn told(record: &Record) -> (Vec<String>, bool) {
    let log = Attempts::read(record.header(HEADER_ATTEMPT_LOG).unwrap_or_default());
    assert!(log.iter().all(|attempt| attempt.latency_ms == 7), "as the caller measured it");
    let times: Vec<i64> = log.iter().map(|attempt| attempt.at).collect();
    assert!(times.is_sorted_by(|one, next| one < next), "{times:?}");
    let word = |status: Option<u16>| status.map_or("-".to_owned(), |status| status.to_string());
    let log = log.iter().map(|one| format!("{} {} {}", one.number, word(one.status), one.outcome));
    (log.collect(), record.header(HEADER_TRIED).is_some())
}

fn last(rig: &Rig, topic: &'static str) -> (Vec<String>, bool) {
    told(rig.records(topic).last().unwrap())
}

#[test]
fn each_is_told_with_the_record_that_stands() {
    let mut rig = in_the_tier();
    let failed = ["1 - timeout", "2 500 server_error"];
    assert_eq!(last(&rig, RETRY_5S), (failed.map(str::to_owned).to_vec(), true));
    // Another owner goes on where the record ends.
    rig.crash();
    rig.read(TIER);
    rig.advance(5_000);
    rig.load();
    rig.answer_with(|_| Err(CallError::Connect));
    rig.advance(250);
    rig.answer(|item| StateResult { outcome: ItemOutcome::Pending, ..applied(item) });
    rig.apply();
    let more = [failed[0], failed[1], "3 - no_connection", "4 200 pending"];
    assert_eq!(last(&rig, RETRY_30S), (more.map(str::to_owned).to_vec(), true));
}

/// Answered so, a settlement ends in `topic`, and its only attempt is told in these words.
#[track_caller]
fn ends(say: impl Fn(&StateItem) -> StateResult, topic: &'static str, words: &str) {
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3)]);
    rig.answer(say);
    rig.apply();
    assert_eq!(last(&rig, DELIVERIES), (vec![words.to_owned()], false));
    assert!(!rig.records(topic).is_empty());
    assert_eq!(rig.records(DELIVERIES)[0].header(HEADER_ATTEMPT), Some("1"));
}

#[test]
fn what_an_answer_is_worth_is_its_word() {
    let unmoved =
        |item: &StateItem| StateResult { collected_net: Some("0".into()), ..applied(item) };
    ends(applied, DELIVERIES, "1 200 applied");
    ends(|item| rejected(item, "unknown_bet"), PARKED, "1 200 unknown_bet");
    ends(unmoved, PARKED, "1 200 collected_net");
    let mut rig = Rig::new();
    rig.settle(&[won("a", 3), won("a", 4)]);
    rig.answer(|item| superseded(item, 9));
    // Nobody has read a revision 9: the claim is none.
    rig.load();
    rig.advance(250);
    rig.answer(|item| rejected(item, "holiday"));
    rig.apply();
    let words = ["1 200 superseded", "2 200 nonsense"].map(str::to_owned).to_vec();
    assert_eq!(last(&rig, RETRY_5S), (words, true));
}

/// A partner that is down costs no rows: what moves on untried is no news, and keeps what was told of it.
#[test]
fn what_moves_on_untried_is_no_news() {
    let mut rig = down(40);
    due_in_vain(&mut rig);
    let before = rig.records(RETRY_5S);
    let moved = rig.records(RETRY_30S);
    let first = |record: &Record| before.iter().find(|first| first.key == record.key).copied();
    let mut untried = 0;
    for (first, next) in moved.iter().filter_map(|next| Some((first(next)?, next))) {
        let ((log, _), (more, news)) = (told(first), told(next));
        assert_eq!(news, log != more, "{log:?}, {more:?}");
        untried += usize::from(!news && !log.is_empty());
    }
    assert!(20 < untried, "{untried} of {}", moved.len());
}
