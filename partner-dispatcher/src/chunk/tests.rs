use super::*;
use crate::fixtures::{settlement, won};
use schemas::Money;
use schemas::contract::STATE_BYTES_MIN;
use schemas::settlements::{Reason, Target};

fn filled(settlements: &[Settlement], bytes_max: usize) -> Filled {
    let mut filling = Filling::new();
    for (id, settlement) in (0..).zip(settlements) {
        if !filling.add(id, settlement, (0, false), bytes_max).unwrap() {
            break;
        }
    }
    filling.finish("acme".parse().unwrap(), Traffic::Live)
}

#[test]
fn the_bytes_are_the_request() {
    let items = [
        won("b", 3),
        settlement("a", 2, Target::Voided),
        settlement("c", 4, Target::Held),
        settlement("d", 3, Target::Settled(0)),
    ];
    for traffic in [Traffic::Void, Traffic::Live, Traffic::Correction] {
        let mut filling = Filling::new();
        for (id, settlement) in (0..).zip(&items) {
            assert!(filling.add(id, settlement, (0, false), 10_000).unwrap());
        }
        let call = filling.finish("acme".parse().unwrap(), traffic).call;
        assert_eq!(call.bytes, serde_json::to_vec(&*call.request).unwrap());
    }
}

#[test]
fn a_chunk_is_cut_below_its_bytes() {
    let items: Vec<_> = (0..500).map(|number| won(&format!("b{number}"), 3)).collect();
    for bytes_max in [2_000, 20_000, 256 * 1_024] {
        let filled = filled(&items, bytes_max);
        assert!(filled.call.bytes.len() <= bytes_max);
        // Cut no earlier than needed: another item would not have fitted.
        let cut = filled.ids.len() < items.len();
        assert!(!cut || bytes_max < filled.call.bytes.len() + ENVELOPE_BYTES_MAX + 400);
    }
    assert_eq!(filled(&items, 256 * 1_024).ids.len(), 500, "a full chunk fits");
    assert_eq!(filled(&items, 1).ids.len(), 1, "the first always fits");
}

#[test]
fn attempt_and_cause_come_from_the_items_and_change_no_byte() {
    let chunk = |attempts| {
        let mut filling = Filling::new();
        filling.add(1, &won("a", 3), (attempts, false), 10_000).unwrap();
        let later = Settlement { caused_at: 2_000, ..won("b", 3) };
        filling.add(2, &later, (0, false), 10_000).unwrap();
        filling.finish("acme".parse().unwrap(), Traffic::Live).call
    };
    let (first, fourth) = (chunk(0), chunk(3));
    assert_eq!((first.attempt, fourth.attempt, first.caused_at_min), (1, 4, 1_000));
    assert_eq!(first.bytes, fourth.bytes);
}

/// H20: an id by position would name other items after a restart, and a partner that answers from
/// memory would never see them.
#[test]
fn h20_a_chunk_is_named_by_its_items_alone() {
    let (a, b, c) = (won("a", 3), won("b", 3), won("c", 3));
    let id = |items: &[Settlement]| filled(items, 10_000).call.request.chunk_id.clone();
    assert_eq!(id(&[a.clone(), b.clone()]), id(&[b.clone(), a.clone()]), "in whatever order");
    assert_ne!(id(&[a.clone(), b.clone()]), id(&[a.clone(), c.clone()]));
    assert_ne!(id(&[a.clone(), b]), id(std::slice::from_ref(&a)));
    assert_ne!(id(&[won("a", 3), c.clone()]), id(&[won("a", 4), c]));
    // Of a stated form, which partners see: do not change.
    assert_eq!(id(&[a]), "c_9f04012dfc9ec949af5446a160dfd24d");
}

/// Names as long as they may be, of characters that are long as JSON.
#[test]
fn the_widest_item_fits_what_every_wallet_takes() {
    let money = |units| Money::new(units, "EUR".parse().unwrap(), 8).unwrap();
    for wide in ["\u{1F3B2}", "\"", "\\"] {
        let widest = Settlement {
            bet: format!("{}:{}", "r".repeat(36), "h".repeat(27)).parse().unwrap(),
            revision: u32::MAX,
            partner: "p".repeat(32).parse().unwrap(),
            player: wide.repeat(128).parse().unwrap(),
            stake: money(i64::MAX),
            target: Target::Settled(i64::MAX),
            previous: Target::Held,
            reason: Reason::ResultWithdrawn,
            caused_at: 0,
        };
        let mut filling = Filling::new();
        assert!(filling.add(1, &widest, (0, true), STATE_BYTES_MIN).unwrap());
        let call = filling.finish("acme".parse().unwrap(), Traffic::Correction).call;
        assert!(call.bytes.len() <= STATE_BYTES_MIN / 2, "{} bytes", call.bytes.len());
    }
}
