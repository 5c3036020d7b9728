use super::kept::Secret;
use super::*;
use base64::Engine as _;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::collections::BTreeMap;

fn plan() -> TablePlan {
    let odds = |text: &str| text.parse().unwrap();
    TablePlan {
        every_ms: 17_000,
        betting_ms: 12_000,
        number_odds: odds("5.70"),
        half_odds: odds("1.90"),
    }
}

fn seen(status: &str, version: u32, outcome: Option<&str>, sealed_at: Option<i64>) -> RoundSeen {
    let outcome = outcome.map(str::to_owned);
    RoundSeen { status: status.to_owned(), version, outcome, sealed_at }
}

/// The numbers of `docs/rules/die-table.md`, which anyone can reckon with other tools.
#[test]
fn a_known_draw() {
    let drawn = Secret([7; 32]).seed(0).draw(1_795_284_001_500);
    assert_eq!(drawn.check(), Ok(()));
    let hash = Sha256::digest(drawn.seed.as_bytes());
    let named = URL_SAFE_NO_PAD.encode(hash);
    assert_eq!(drawn.round_id.as_str(), format!("d_{}", &named[..34]));
    let example = include_str!("../../../docs/rules/die-table.md");
    let line = serde_json::to_string(&drawn).unwrap();
    assert!(example.contains(&line), "the page must show {line}");
}

#[test]
fn a_proof_with_one_word_changed_is_no_proof() {
    let drawn = Secret([1; 32]).seed(3).draw(5);
    let later = Drawn { sealed_at: 6, ..drawn.clone() };
    let outcomes = [1, 2, 3, 4, 5, 6].into_iter().filter(|it| *it != drawn.outcome);
    for outcome in outcomes {
        let told = Drawn { outcome, ..drawn.clone() };
        assert_eq!(told.check(), Err(ProofError::Outcome(drawn.outcome)));
    }
    let other = Secret([1; 32]).seed(4);
    let swapped = Drawn { seed: other.draw(5).seed, ..drawn.clone() };
    assert_eq!(swapped.check(), Err(ProofError::Seed(other.commitment())));
    let unlike = (6..60).map(|at| Secret([1; 32]).seed(3).draw(at).outcome);
    assert!(unlike.into_iter().any(|it| it != drawn.outcome), "the seal's time counts");
    assert_eq!(later.seed, drawn.seed);
}

/// 60,000 throws: each side comes 10,000 times, give or take five standard deviations (91).
#[test]
fn the_die_is_fair() {
    let mut sides = BTreeMap::new();
    for number in 0..60_000 {
        *sides.entry(Secret([9; 32]).seed(number).draw(77).outcome).or_insert(0_u32) += 1;
    }
    assert_eq!(sides.keys().copied().collect::<Vec<_>>(), [1, 2, 3, 4, 5, 6]);
    assert!(sides.values().all(|count| (9_544..=10_456).contains(count)), "{sides:?}");
}

#[test]
fn secrets_do_not_show() {
    let secret = Secret([0xab; 32]);
    let shown = format!("{secret:?} {:?}", secret.seed(0));
    assert_eq!(shown, "Secret(..) Seed(..)");
}

#[test]
fn a_round_is_opened_when_its_time_has_come() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut table) = Keeper::open(directory.path(), plan()).unwrap();
    assert_eq!(table.due(1_000), Some(0));
    assert_eq!(table.due(1_000 + 16_999), None);
    assert_eq!(table.due(1_000 + 17_000), Some(1));
    assert_eq!(table.due(500), Some(2), "a clock set back");
    let body = table.opening(1);
    assert_eq!(body["round_id"], table.seed(1).commitment().as_str());
    assert_eq!(body["selections"].as_array().map(Vec::len), Some(10));
    assert_eq!(body["selections"][0], json!({"id": "1", "odds": "5.70"}));
    assert_eq!(table.opening(1), body, "the same call each time");
}

#[test]
fn nothing_is_drawn_before_the_seal() {
    let directory = tempfile::tempdir().unwrap();
    let (_, mut table) = Keeper::open(directory.path(), plan()).unwrap();
    let number = table.due(0).unwrap();
    let drawn = table.seed(number).draw(50);
    let same = drawn.outcome.to_string();
    let other = (drawn.outcome % 6 + 1).to_string();
    for (seen, next) in [
        (None, Next::Open),
        (Some(seen("betting", 0, None, None)), Next::Wait),
        (Some(seen("closing", 0, None, None)), Next::Wait),
        (Some(seen("closed", 0, None, None)), Next::Wait),
        (Some(seen("sealed", 0, None, None)), Next::Wait),
        (Some(seen("sealed", 0, None, Some(50))), Next::Draw(drawn.clone())),
        (Some(seen("resulted", 1, Some(&same), Some(50))), Next::Drawn(drawn.clone())),
        (Some(seen("resulted", 1, Some(&other), Some(50))), Next::Over),
        (Some(seen("sealed", 1, None, Some(50))), Next::Over),
        (Some(seen("voided", 1, None, Some(50))), Next::Over),
        (Some(seen("voided", 1, None, None)), Next::Over),
    ] {
        assert_eq!(table.next(number, seen.as_ref()), next, "{seen:?}");
    }
}

#[test]
fn a_table_that_died_knows_its_rounds_and_seeds() {
    let directory = tempfile::tempdir().unwrap();
    let (keeper, mut table) = Keeper::open(directory.path(), plan()).unwrap();
    let (first, second) = (table.due(0).unwrap(), table.due(20_000).unwrap());
    table.over(first);
    keeper.save(&table).unwrap();
    let round = table.seed(second).commitment();
    let (_, mut again) = Keeper::open(directory.path(), plan()).unwrap();
    assert_eq!(again.kept, table.kept);
    assert_eq!(again.seed(second).commitment(), round);
    assert_eq!(again.due(0), Some(2), "no number comes twice");
    let other = tempfile::tempdir().unwrap();
    let (_, other) = Keeper::open(other.path(), plan()).unwrap();
    assert_ne!(other.seed(second).commitment(), round, "another table, other seeds");
}

#[test]
fn a_directory_that_lost_its_secret_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let (keeper, mut table) = Keeper::open(directory.path(), plan()).unwrap();
    table.due(0).unwrap();
    keeper.save(&table).unwrap();
    std::fs::write(directory.path().join("table.secret"), "short").unwrap();
    assert!(matches!(Keeper::open(directory.path(), plan()), Err(KeptError::Broken(_))));
    std::fs::remove_file(directory.path().join("table.secret")).unwrap();
    assert!(matches!(Keeper::open(directory.path(), plan()), Err(KeptError::Broken(_))));
}

proptest! {
    #[test]
    fn every_draw_proves_itself(secret: [u8; 32], number: u64, sealed_at: i64) {
        let drawn = Secret(secret).seed(number).draw(sealed_at);
        prop_assert_eq!(drawn.check(), Ok(()));
        prop_assert!((1..=6).contains(&drawn.outcome));
    }
}
