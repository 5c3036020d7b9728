use super::{
    BetId, ClientRef, ContentHash, IdError, Lane, PartnerId, PlayerId, RequestId, RoundId,
    Selection,
};
use crate::fixtures;
use proptest::prelude::*;
use sha2::{Digest, Sha256};
use std::str::FromStr;

/// Each text is taken and prints as it was, or is refused.
#[track_caller]
fn check<T: FromStr<Err = IdError> + ToString>(taken: &[&str], refused: &[&str]) {
    for text in taken {
        let printed = text.parse::<T>().map(|id| id.to_string());
        assert_eq!(printed.as_deref(), Ok(*text));
    }
    for text in refused {
        assert!(text.parse::<T>().is_err(), "{text:?} was taken");
    }
}

/// Texts that no id made of words may be.
const NO_WORDS: &[&str] = &["", " ", "a b", "a/b", "a\n", "a\0", "ä", "\u{661}", "a,b", "a+b"];
/// Texts that no opaque id may be.
const NOT_PRINTABLE: &[&str] =
    &["", "a\n", "a\0", "\t", "\u{7f}", "\u{85}", "a\u{2028}b", "\u{2029}"];

#[test]
fn ids_made_of_words() {
    let a = "a".repeat(65);
    check::<PartnerId>(&["a", "0", "acme-1_x", &a[..32]], &[&a[..33], "Acme", "a.b", "a:b"]);
    check::<PartnerId>(&[], NO_WORDS);
    let uuid = "0190163d-8694-739b-aea5-966c26f8ad91";
    check::<RoundId>(&["r_77", "R", uuid, &a[..36]], &[&a[..37], "a.b", "a:b"]);
    check::<RoundId>(&[], NO_WORDS);
    check::<Selection>(&["odd", "team:1.5", "A-B_c", &a[..64]], &[&a[..65]]);
    check::<Selection>(&[], NO_WORDS);
}

#[test]
fn opaque_ids() {
    let long = "漢".repeat(129);
    let chars = |count: usize| &long[..3 * count];
    check::<PlayerId>(&["p_9", " ", "Zoë 7/\"x\"", "😀", chars(128)], &[chars(129)]);
    check::<ClientRef>(&["c1", "c/1", chars(64)], &[chars(65)]);
    check::<RequestId>(&["req 1", chars(96)], &[chars(97)]);
    check::<PlayerId>(&[], NOT_PRINTABLE);
    check::<ClientRef>(&[], NOT_PRINTABLE);
    check::<RequestId>(&[], NOT_PRINTABLE);
}

#[test]
fn bet_ids() {
    let a = "a".repeat(37);
    let longest = format!("{}:{}", &a[..36], &a[..27]);
    let (long_round, long_hash) = (format!("{a}:x"), format!("r:{}", &a[..28]));
    check::<BetId>(
        &["r:x", "r_77:Ch4lvnFU8VYG-eGeIz-negcT7Qg", &longest],
        &["", ":", "r", "r:", ":x", "r:x:y", "r/x", "r:x y", "r :x", &long_round, &long_hash],
    );
    assert_eq!(longest.len(), 64, "the longest bet id fits the contract's 64");
}

#[test]
fn errors_tell_little() {
    let error = "x".repeat(10_000).parse::<RoundId>().unwrap_err();
    assert_eq!(error.text.len(), 64);
    assert_eq!(error.to_string().len(), 64 + "`` is not a round id: ".len() + error.shape.len());
}

/// Known answers, computed outside Rust. A change here loses the bets that are still open.
#[test]
fn bet_id_known_answers() {
    let table = [
        ("r_77", "acme", "p_9", "c1", "r_77:Ch4lvnFU8VYG-eGeIz-negcT7Qg"),
        // The parts are not just run together.
        ("r_77", "acme", "p_9c", "1", "r_77:zBNZ_CIpowOE6NS3Qri-JuvkCRo"),
        (
            "0190163d-8694-739b-aea5-966c26f8ad91",
            "acme",
            "Zoë 7",
            "c/1",
            "0190163d-8694-739b-aea5-966c26f8ad91:7ZxkRYxoRGCv68xKM-MNCzz2IBc",
        ),
    ];
    for (round, partner, player, client_ref, wanted) in table {
        let round = round.parse().unwrap();
        let id = BetId::of(
            &round,
            &partner.parse().unwrap(),
            &player.parse().unwrap(),
            &client_ref.parse().unwrap(),
        );
        assert_eq!(id.as_str(), wanted);
        assert_eq!(id.round(), round);
    }
}

#[test]
fn content_hash_known_answers() {
    let bet = ["acme", "p_9", "r_77", "odd", "1250", "EUR", "2", "250"];
    for (parts, wanted) in [
        (&bet[..], "ecfb64a9b41c3553f299af5f7e411d28"),
        (&[], "e3b0c44298fc1c149afbf4c8996fb924"),
        (&[""], "af5570f5a1810b7af78caf4bc70a660f"),
        (&["a", "b"], "3c9d591045bc8876f9d0399bbfb05c6a"),
        (&["ab"], "9caccc24b5d7e06c21c0277b6530d666"),
    ] {
        assert_eq!(ContentHash::of(parts).to_string(), wanted, "{parts:?}");
    }
    assert_eq!(fixtures::a_bet().content_hash().to_string(), "ecfb64a9b41c3553f299af5f7e411d28");
}

/// One hash has one text: capitals and signs, which `from_str_radix` takes, are refused.
#[test]
fn content_hashes() {
    check::<ContentHash>(
        &["ecfb64a9b41c3553f299af5f7e411d28", "00000000000000000000000000000000"],
        &[
            "",
            "ecfb64a9b41c3553f299af5f7e411d2",
            "ecfb64a9b41c3553f299af5f7e411d280",
            "ECFB64A9B41C3553F299AF5F7E411D28",
            "+cfb64a9b41c3553f299af5f7e411d28",
            "-cfb64a9b41c3553f299af5f7e411d28",
            "gcfb64a9b41c3553f299af5f7e411d28",
            "ä3553f299af5f7e411d28ecfb64a9b4a",
        ],
    );
}

#[test]
fn lanes() {
    assert_eq!(Lane::of(&"acme".parse().unwrap()).to_string(), "acme/0");
}

#[test]
fn json_is_checked_as_well() {
    assert!(serde_json::from_str::<PartnerId>("\"acme\"").is_ok());
    for refused in ["\"Acme\"", "\"\"", "7", "null"] {
        assert!(serde_json::from_str::<PartnerId>(refused).is_err(), "{refused}");
    }
    assert!(serde_json::from_str::<BetId>("\"r\"").is_err());
    let id: BetId = serde_json::from_str("\"r_77:x\"").unwrap();
    assert_eq!(serde_json::to_string(&id).unwrap(), "\"r_77:x\"");
}

proptest! {
    /// Made, printed and read again, an id is the same, and so is its round.
    #[test]
    fn bet_ids_round_trip(
        round in fixtures::round(),
        partner in fixtures::partner(),
        player in fixtures::player(),
        client_ref in fixtures::client_ref(),
    ) {
        let id = BetId::of(&round, &partner, &player, &client_ref);
        let read: BetId = id.to_string().parse().unwrap();
        prop_assert_eq!(&read, &id);
        prop_assert_eq!(read.round(), round);
        prop_assert!(id.as_str().len() <= 64);
        let plain = |b: u8| b.is_ascii_alphanumeric() || b"_:-".contains(&b);
        prop_assert!(id.as_str().bytes().all(plain), "{} is not of the contract's shape", id);
    }

    /// Another partner, player, reference or round is another bet.
    #[test]
    fn other_parts_other_bets(
        one in (fixtures::round(), fixtures::partner(), fixtures::player(), fixtures::client_ref()),
        two in (fixtures::round(), fixtures::partner(), fixtures::player(), fixtures::client_ref()),
        keep in 0..4_usize,
    ) {
        let mut two = two;
        // Only one of the four differs, or none.
        let kept = (one.0.clone(), one.1.clone(), one.2.clone(), one.3.clone());
        if keep != 0 { two.0 = kept.0; }
        if keep != 1 { two.1 = kept.1; }
        if keep != 2 { two.2 = kept.2; }
        if keep != 3 { two.3 = kept.3; }
        let id = |parts: &(RoundId, PartnerId, PlayerId, ClientRef)| {
            BetId::of(&parts.0, &parts.1, &parts.2, &parts.3)
        };
        prop_assert_eq!(id(&one) == id(&two), one == two);
    }

    #[test]
    fn content_hashes_round_trip(hash in fixtures::content()) {
        prop_assert_eq!(hash.to_string().parse(), Ok(hash));
    }

    /// No text makes an id panic.
    #[test]
    fn any_text_is_taken_or_refused(text: String) {
        let printed = [
            text.parse::<PartnerId>().map(|id| id.to_string()),
            text.parse::<PlayerId>().map(|id| id.to_string()),
            text.parse::<RoundId>().map(|id| id.to_string()),
            text.parse::<Selection>().map(|id| id.to_string()),
            text.parse::<BetId>().map(|id| id.to_string()),
            text.parse::<ContentHash>().map(|id| id.to_string()),
        ];
        for printed in printed.into_iter().flatten() {
            prop_assert_eq!(&printed, &text);
        }
    }
}

proptest! {
    /// However the parts fall into the pieces that are hashed: what was stored under a hash is found under it.
    #[test]
    fn a_hash_is_that_of_each_part_behind_its_length(
        parts in prop::collection::vec("[a-z\u{e9}]{0,300}", 0..8)
    ) {
        let mut whole = Vec::new();
        for part in &parts {
            whole.extend(u64::try_from(part.len()).unwrap().to_be_bytes());
            whole.extend_from_slice(part.as_bytes());
        }
        let parts: Vec<&str> = parts.iter().map(String::as_str).collect();
        prop_assert_eq!(&ContentHash::of(&parts).0[..], &Sha256::digest(&whole)[..16]);
    }
}
