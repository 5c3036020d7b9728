//! Wallets that take less in a call than the contract has.

use super::rig::{MAIN, Rig};
use crate::fixtures::{applied, settlement_of, won};
use runtime::http::CallError;
use schemas::partners::StateCalls;
use schemas::settlements::{Settlement, Target};
use std::collections::BTreeMap;
use std::num::NonZeroU32;
use std::sync::Arc;

const BYTES_MAX: u32 = 4_096;

/// acme takes so many items and [`BYTES_MAX`] bytes in a call, packed; or as much as there ever is.
fn takes(rig: &mut Rig, items_max: Option<u32>) {
    let state_calls = items_max.map(|items| StateCalls {
        items_max: NonZeroU32::new(items),
        bytes_max: NonZeroU32::new(BYTES_MAX),
        gzip: true,
    });
    let acme = "acme".parse().unwrap();
    rig.state_calls = Arc::new(state_calls.map(|calls| (acme, calls)).into_iter().collect());
    rig.owed();
}

fn bets(count: usize) -> Vec<Settlement> {
    (0..count).map(|number| won(&format!("b{number:05}"), 3)).collect()
}

/// Answers until nothing is on its way; gives the calls to acme, by chunk.
fn answered(rig: &mut Rig) -> BTreeMap<String, (usize, bytes::Bytes)> {
    let mut calls = BTreeMap::new();
    while !rig.calls.is_empty() {
        for call in rig.calls.values().filter(|call| call.partner.as_str() == "acme") {
            let (id, items) = (call.request.chunk_id.clone(), call.request.items.len());
            calls.insert(id, (items, call.bytes.clone()));
        }
        rig.answer(applied);
        rig.apply();
    }
    calls
}

#[test]
fn no_chunk_is_more_than_its_wallet_takes() {
    for (items_max, by_bytes) in [(10, false), (500, true)] {
        let mut rig = Rig::new();
        takes(&mut rig, Some(items_max));
        let other = (0..60).map(|n| settlement_of("beta", &format!("z{n}"), 3, Target::Held));
        rig.settle(&bets(95).into_iter().chain(other).collect::<Vec<_>>());
        let packed = rig.calls.values().map(|call| (call.partner.as_str(), call.gzip));
        assert!(packed.into_iter().all(|(partner, gzip)| gzip == (partner == "acme")));
        let of_beta = rig.calls.values().filter(|call| call.partner.as_str() == "beta");
        assert_eq!(of_beta.map(|call| call.request.items.len()).collect::<Vec<_>>(), [60]);
        let calls = answered(&mut rig);
        assert_eq!(calls.values().map(|(items, _)| items).sum::<usize>(), 95);
        for (items, bytes) in calls.values() {
            assert!(*items <= usize::try_from(items_max).unwrap(), "{items} items");
            assert!(bytes.len() <= usize::try_from(BYTES_MAX).unwrap(), "{} bytes", bytes.len());
        }
        // Its bytes are what bounds it, and each call has as many items as fit.
        assert!(!by_bytes || (7..=14).contains(&calls.len()), "{} calls", calls.len());
        assert_eq!(rig.deliveries().len(), 95 + 60);
    }
}

/// What failed is cut anew by what counts by then.
#[test]
fn other_bounds_count_from_the_next_look_on() {
    let mut rig = Rig::new();
    rig.settle(&bets(95));
    assert_eq!(rig.calls.len(), 1);
    takes(&mut rig, Some(10));
    rig.answer_with(|_| Err(CallError::Timeout));
    rig.advance(200);
    let calls = answered(&mut rig);
    let most = calls.values().map(|(items, _)| *items).max();
    assert!(most <= Some(10), "{most:?} items");
    assert_eq!(rig.deliveries().len(), 95);
}

/// All was applied by the partner, and the answers were lost with the process. A chunk is named by what is in it (R16), so
/// those that are cut otherwise have names of their own, and one that is cut as before has the bytes that it had.
#[test]
fn bounds_that_change_between_a_crash_and_its_replay_lose_nothing() {
    for (before, after) in [(None, Some(10)), (Some(10), None), (Some(10), Some(10))] {
        let mut rig = Rig::new();
        takes(&mut rig, before);
        rig.settle(&bets(95));
        let first = rig.calls.values().map(|call| (call.request.chunk_id.clone(), &call.bytes));
        let first: BTreeMap<_, _> = first.map(|(id, bytes)| (id, bytes.clone())).collect();
        rig.crash();
        takes(&mut rig, after);
        rig.read(MAIN);
        let again = answered(&mut rig);
        let same = |(id, (_, bytes)): (&String, &(usize, bytes::Bytes))| {
            first.get(id).map(|before| assert_eq!(before, bytes)).is_some()
        };
        let known = again.iter().filter(|chunk| same(*chunk)).count();
        assert_eq!(known, if before == after { first.len() } else { 0 });
        let mut told = rig.deliveries();
        told.dedup();
        assert_eq!((told.len(), rig.offsets().0), (95, 95));
    }
}
