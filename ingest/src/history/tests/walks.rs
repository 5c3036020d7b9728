//! Walking down a list.

use super::*;
use proptest::prelude::*;
use schemas::{PartnerId, PlayerId};

const DAY_MS: i64 = 24 * 60 * 60 * 1_000;

fn placed(client_ref: &str, placed_at: i64) -> Bet {
    Bet { placed_at, ..bet(client_ref) }
}

fn rows(bets: &[Bet]) -> Rows {
    let mut log = Log::default();
    bets.iter().for_each(|bet| log.decide(bet, Verdict::Accepted));
    log.all_rows()
}

fn names() -> (PartnerId, PlayerId) {
    ("acme".parse().unwrap(), "p_9".parse().unwrap())
}

fn ms(at: i64) -> u64 {
    u64::try_from(at).unwrap()
}

/// A page of at most `limit`, and where to go on.
async fn page(
    rows: &Rows,
    (list, known): (List<'_>, BTreeSet<Place>),
    (from, below): (i64, Place),
    limit: usize,
) -> (Vec<Place>, Option<Place>) {
    let mut walk = Walk::new((rows, PARTITIONS), list, (ms(from), below), known);
    let mut places = Vec::new();
    while places.len() < limit {
        match walk.next().await.unwrap() {
            Step::Place(place) => places.push(place),
            Step::Tired(below) => return (places, Some(below)),
            Step::End => return (places, None),
        }
    }
    let last = places.last().cloned();
    (places, last)
}

proptest! {
    /// Pages together are the list, newest first and each place once, whatever their size, also while
    /// rows come and where some are known before they stand.
    #[test]
    fn pages_are_the_list(
        times in prop::collection::vec(0..400 * DAY_MS, 1..40),
        late in prop::collection::vec(0..400 * DAY_MS, 0..10),
        (from, limit, known_count) in (0..200 * DAY_MS, 1..7usize, 0..4usize),
    ) {
        let runtime = tokio::runtime::Builder::new_current_thread().build().unwrap();
        let begin = PLACED_AT - 400 * DAY_MS;
        let of = |prefix: &str, times: &[i64]| -> Vec<Bet> {
            let named = times.iter().enumerate();
            named.map(|(n, at)| placed(&format!("{prefix}{n}"), begin + at)).collect()
        };
        let (bets, late) = (of("a", &times), of("b", &late));
        let (partner, player) = names();
        for list in [List::Player(&partner, &player), List::Partner(&partner)] {
            let place = |bet: &Bet| match list {
                List::Player(..) => Place::of_bet(bet.placed_at, &bet.id),
                List::Partner(_) => Place::of_revision(bet.placed_at, &bet.id, 1),
            };
            let known: BTreeSet<Place> = bets.iter().take(known_count).map(place).collect();
            // Half of what is known stands already.
            let mut rows = rows(&bets[bets.len().min(known_count / 2)..]);
            let counts = |place: &Place| ms(begin + from) <= place.at;
            let wanted: BTreeSet<Place> = bets.iter().map(place).filter(counts).collect();
            let (mut below, mut found) = (Place::before(ms(PLACED_AT)), Vec::new());
            let places_max = bets.len() + late.len();
            let mut late = late.iter();
            loop {
                let asked = (list, known.clone());
                let (places, next) =
                    runtime.block_on(page(&rows, asked, (begin + from, below), limit));
                found.extend(places);
                prop_assert!(found.len() <= places_max, "it has no end");
                let Some(next) = next else { break };
                below = next;
                if let Some(bet) = late.next() {
                    rows.write(super::walks::rows(std::slice::from_ref(bet)).of(|_| true));
                }
            }
            prop_assert!(found.is_sorted_by(|newer, older| older < newer));
            let stood: Vec<&Place> = found.iter().filter(|place| wanted.contains(place)).collect();
            prop_assert_eq!(stood, wanted.iter().rev().collect::<Vec<_>>());
        }
    }
}

/// A page reads a bounded number of scopes and says where to go on; the next ones find the rest.
#[tokio::test]
async fn a_long_empty_stretch_is_read_in_pieces() {
    let (partner, _) = names();
    let old = placed("old", PLACED_AT - 350 * DAY_MS);
    let rows = rows(std::slice::from_ref(&old));
    let mut below = Place::before(ms(PLACED_AT));
    let mut pages = 0;
    loop {
        let asked = (List::Partner(&partner), BTreeSet::new());
        let asked_for = (PLACED_AT - 366 * DAY_MS, below.clone());
        let (places, next) = page(&rows, asked, asked_for, 10).await;
        pages += 1;
        if !places.is_empty() {
            assert_eq!(places, [Place::of_revision(old.placed_at, &old.id, 1)]);
            break;
        }
        let next = next.unwrap();
        assert!(next < below, "it comes on");
        below = next;
    }
    assert_eq!(pages, 2, "350 days, an index each");
}

/// Whatever players are called, none sees another's.
#[tokio::test]
async fn players_share_no_list() {
    let players = ["a", "a/5", "a/20752", "index", "p_9"];
    let mut log = Log::default();
    for player in players {
        let player: PlayerId = player.parse().unwrap();
        let bet = bet("ref");
        let id = BetId::of(&bet.id.round(), &bet.partner, &player, &bet.client_ref);
        log.decide(&Bet { player, id, ..bet }, Verdict::Accepted);
    }
    let (rows, (partner, _)) = (log.all_rows(), names());
    let mut seen = BTreeSet::new();
    for player in players {
        let list = rows.list(List::Player(&partner, &player.parse().unwrap())).await;
        assert_eq!(list.len(), 1, "{player}");
        seen.extend(list);
    }
    assert_eq!(seen.len(), players.len());
    let other: PartnerId = "other".parse().unwrap();
    assert!(rows.list(List::Partner(&other)).await.is_empty());
}
