use super::*;
use std::num::NonZeroU32;

fn said(what: PartnerWord) -> PartnerSaid {
    let by = Said { reason: "they move".to_owned(), actor: "ann".to_owned(), said_at: 17 };
    PartnerSaid { partner: "acme".parse().unwrap(), what, by }
}

fn limits() -> CurrencyLimits {
    CurrencyLimits { exponent: 2, stake_min: 10, stake_max: 20, payout_max: 30, liability_max: 40 }
}

#[test]
fn what_is_said_comes_back_and_each_kind_has_a_key() {
    let profile = Profile {
        wallet_url: "http://wallet:9000".to_owned(),
        token_key: "key".to_owned(),
        reply_keys: vec!["whpk_1".to_owned(), "whpk_2".to_owned()],
        currencies: [("EUR", 2), ("JPY", 0)]
            .map(|(code, exponent)| {
                (code.parse().unwrap(), CurrencyLimits { exponent, ..limits() })
            })
            .into(),
        calls_per_s: NonZeroU32::new(7),
        stakes_per_s: NonZeroU32::new(8),
        state_calls: StateCalls {
            items_max: NonZeroU32::new(9),
            bytes_max: NonZeroU32::new(5_000),
            gzip: true,
        },
    };
    let paused = Pauser::ALL.map(|by| PartnerWord::Paused(by, true));
    let ledger = LedgerWord { epoch: "7".to_owned(), restored: true };
    let words =
        paused.into_iter().chain([PartnerWord::Profile(profile), PartnerWord::Ledger(ledger)]);
    let kinds = ["pause", "restore", "health", "stakes", "profile", "ledger"];
    for (word, kind) in words.zip(kinds) {
        let said = said(word);
        assert_eq!(said.key(), format!("acme/{kind}"));
        assert_eq!(PartnerSaid::decode(&said.encode().unwrap()).unwrap(), Some(said));
    }
}

#[test]
fn another_kind_is_left_to_others_and_a_broken_one_is_not_read() {
    let record = |kind: &str| PartnerRecord {
        partner_id: "acme".to_owned(),
        kind: kind.to_owned(),
        ..PartnerRecord::default()
    };
    let read = |kind| PartnerSaid::decode(&frame::encode(&record(kind)).unwrap());
    assert_eq!(read("mood").unwrap(), None);
    assert!(read("health").is_err());
    assert!(read("ledger").is_err());
    assert!(read("pause").is_err());
    assert!(read("profile").is_err());
    for (number, good) in [(None, true), (Some(1), true), (Some(0), false), (Some(1 << 32), false)]
    {
        assert_eq!(profile::count(number, "stakes_per_s").is_ok(), good);
    }
}

#[test]
fn limits_that_take_no_bet_are_refused_by_name() {
    let check = |limits: CurrencyLimits| limits.check("EUR".parse().unwrap());
    assert_eq!(check(limits()), Ok(()));
    for (wrong, field) in [
        (CurrencyLimits { exponent: 9, ..limits() }, "exponent"),
        (CurrencyLimits { stake_min: 0, ..limits() }, "stake_min_units"),
        (CurrencyLimits { stake_max: -1, ..limits() }, "stake_max_units"),
        (CurrencyLimits { payout_max: 0, ..limits() }, "payout_max_units"),
        (CurrencyLimits { liability_max: 0, ..limits() }, "liability_max_units"),
        (CurrencyLimits { stake_min: 21, ..limits() }, "stake_min_units"),
    ] {
        assert_eq!(check(wrong).unwrap_err().field(), field, "{wrong:?}");
    }
}

#[test]
fn a_state_call_is_within_the_contract_and_takes_any_item() {
    let calls = |items, bytes| StateCalls {
        items_max: NonZeroU32::new(items),
        bytes_max: NonZeroU32::new(bytes),
        gzip: false,
    };
    for (items, bytes, wrong) in [
        (0, 0, None),
        (1, 4_096, None),
        (500, 262_144, None),
        (501, 4_096, Some("items_max")),
        (1, 4_095, Some("bytes_max")),
        (1, 262_145, Some("bytes_max")),
    ] {
        assert_eq!(calls(items, bytes).check().err().map(|error| error.field), wrong);
    }
    assert_eq!(calls(0, 0).within((500, 9_000)), (500, 9_000), "none is no bound");
    assert_eq!(calls(10, 4_096).within((500, 9_000)), (10, 4_096));
    assert_eq!(calls(400, 8_000).within((20, 5_000)), (20, 5_000));
}
