use super::*;
use base64::Engine;
use base64::engine::general_purpose::URL_SAFE_NO_PAD;
use ed25519_dalek::{Signer, SigningKey};

const NOW: i64 = 1_800_000_000;

fn key() -> SigningKey {
    SigningKey::from_bytes(&[7; 32])
}

fn tokens() -> Tokens {
    let tokens = Tokens::default();
    for (partner, secret) in [("acme", [7; 32]), ("other", [8; 32])] {
        let public = SigningKey::from_bytes(&secret).verifying_key();
        tokens.set_key(partner.parse().unwrap(), &URL_SAFE_NO_PAD.encode(public)).unwrap();
    }
    tokens
}

fn claims() -> Claims {
    Claims {
        iss: "acme".to_owned(),
        sub: "p_9".to_owned(),
        aud: Audience::One(AUDIENCE.to_owned()),
        iat: NOW,
        exp: NOW + 600,
        nbf: None,
        cur: None,
    }
}

/// Signs any header and claims with acme's key.
fn sign(header: &str, claims: &str) -> String {
    let signed = format!("{}.{}", URL_SAFE_NO_PAD.encode(header), URL_SAFE_NO_PAD.encode(claims));
    let signature = URL_SAFE_NO_PAD.encode(key().sign(signed.as_bytes()).to_bytes());
    format!("{signed}.{signature}")
}

fn told(token: &str) -> Result<Player, TokenError> {
    tokens().player(token, NOW * 1_000)
}

#[test]
fn a_good_token_names_its_player() {
    let player = told(&issue(&key(), &claims())).unwrap();
    assert_eq!((player.partner.as_str(), player.player.as_str()), ("acme", "p_9"));
    assert_eq!(player.currency, None);
    let several = Audience::Many(vec!["x".to_owned(), AUDIENCE.to_owned()]);
    let cur = Some("EUR".parse().unwrap());
    let player = told(&issue(&key(), &Claims { aud: several, cur, ..claims() })).unwrap();
    assert_eq!(player.currency, cur);
}

#[test]
fn claims_are_checked() {
    let check = |changed: Claims, wanted: TokenError| {
        assert_eq!(told(&issue(&key(), &changed)), Err(wanted), "{changed:?}");
    };
    check(Claims { exp: NOW, ..claims() }, TokenError::Expired);
    check(Claims { exp: NOW - 1, ..claims() }, TokenError::Expired);
    check(Claims { exp: i64::MIN, ..claims() }, TokenError::Expired);
    check(Claims { exp: NOW + 931, ..claims() }, TokenError::TooLong);
    check(Claims { exp: i64::MAX, ..claims() }, TokenError::TooLong);
    check(Claims { iat: NOW + 31, ..claims() }, TokenError::NotYet);
    check(Claims { nbf: Some(NOW + 31), ..claims() }, TokenError::NotYet);
    check(Claims { aud: Audience::One("other".to_owned()), ..claims() }, TokenError::Audience);
    check(Claims { aud: Audience::Many(Vec::new()), ..claims() }, TokenError::Audience);
    // Another partner's players, signed with a key that is not that partner's.
    check(Claims { iss: "other".to_owned(), ..claims() }, TokenError::Signature);
    check(Claims { iss: "nobody".to_owned(), ..claims() }, TokenError::Signature);
    check(Claims { iss: "../acme".to_owned(), ..claims() }, TokenError::Signature);
    check(Claims { sub: String::new(), ..claims() }, TokenError::Malformed);
    assert!(told(&issue(&key(), &Claims { exp: NOW + 930, ..claims() })).is_ok());
}

#[test]
fn algorithms_and_forms_are_checked() {
    let body = serde_json::to_string(&claims()).unwrap();
    let check = |token: &str, wanted: TokenError| assert_eq!(told(token), Err(wanted), "{token}");
    assert!(told(&sign(r#"{"alg":"Ed25519"}"#, &body)).is_ok());
    for header in [
        r#"{"alg":"none"}"#,
        r#"{"alg":"HS256"}"#,
        r#"{"alg":"eddsa"}"#,
        r#"{"alg":"EdDSA","crit":["exp"]}"#,
    ] {
        check(&sign(header, &body), TokenError::Algorithm);
    }
    for header in ["{}", "[]", "", r#"{"alg":"none","alg":"EdDSA"}"#] {
        check(&sign(header, &body), TokenError::Malformed);
    }
    let good = r#"{"alg":"EdDSA"}"#;
    for claims in
        ["{}", "null", "not json", r#"{"iss":"acme","sub":"p","aud":"roundhouse","iat":1}"#]
    {
        check(&sign(good, claims), TokenError::Malformed);
    }
    let token = issue(&key(), &claims());
    let (signed, signature) = token.rsplit_once('.').unwrap();
    for text in
        ["", ".", "..", "a.b", "a.b.c.d", &"a".repeat(5_000), &format!("{signed}.{signature}=")]
    {
        check(text, TokenError::Malformed);
    }
    check(&format!("{signed}."), TokenError::Signature);
    let unsigned = format!(
        "{}.{}.",
        URL_SAFE_NO_PAD.encode(r#"{"alg":"none"}"#),
        URL_SAFE_NO_PAD.encode(&body)
    );
    check(&unsigned, TokenError::Algorithm);
}

#[test]
fn every_changed_byte_is_refused() {
    let tokens = tokens();
    let token = issue(&key(), &claims());
    assert!(tokens.player(&token, NOW * 1_000).is_ok());
    for index in 0..token.len() {
        let mut changed = token.clone().into_bytes();
        changed[index] = if changed[index] == b'A' { b'B' } else { b'A' };
        let changed = String::from_utf8(changed).unwrap();
        assert!(tokens.player(&changed, NOW * 1_000).is_err(), "byte {index}");
    }
}

#[test]
fn a_remembered_token_still_expires_and_memory_is_bounded() {
    let mut tokens = tokens();
    tokens.cached_max = 3;
    let token = issue(&key(), &claims());
    assert!(tokens.player(&token, NOW * 1_000).is_ok());
    assert!(tokens.player(&token, (NOW + 599) * 1_000 + 999).is_ok());
    assert_eq!(tokens.player(&token, (NOW + 600) * 1_000), Err(TokenError::Expired));
    for index in 0..9 {
        let claims = Claims { sub: format!("p{index}"), exp: NOW + 700 + index, ..claims() };
        assert!(tokens.player(&issue(&key(), &claims), NOW * 1_000).is_ok());
    }
    let cached = tokens.cached();
    assert_eq!((cached.players.len(), cached.by_exp.len()), (3, 3));
}

#[test]
fn unusable_public_keys_are_refused() {
    let tokens = Tokens::default();
    let zero_order =
        URL_SAFE_NO_PAD.encode([1].iter().chain([0; 31].iter()).copied().collect::<Vec<u8>>());
    for key in ["", "AAAA", "not base64!", &zero_order, &URL_SAFE_NO_PAD.encode([0; 33])] {
        assert!(tokens.set_key("acme".parse().unwrap(), key).is_err(), "{key}");
    }
}

#[test]
fn a_token_of_a_key_that_was_replaced_is_refused_at_once() {
    let (tokens, now) = (tokens(), NOW * 1_000);
    let of = |iss: &str, secret: u8| {
        let claims = Claims { iss: iss.to_owned(), ..claims() };
        issue(&SigningKey::from_bytes(&[secret; 32]), &claims)
    };
    let (old, other) = (of("acme", 7), of("other", 8));
    assert!(tokens.player(&old, now).is_ok() && tokens.player(&other, now).is_ok());
    let set = |secret: u8| {
        let public = SigningKey::from_bytes(&[secret; 32]).verifying_key();
        tokens.set_key("acme".parse().unwrap(), &URL_SAFE_NO_PAD.encode(public)).unwrap();
    };
    set(9);
    assert_eq!(tokens.player(&old, now), Err(TokenError::Signature), "also one remembered");
    assert!(tokens.player(&of("acme", 9), now).is_ok() && tokens.player(&other, now).is_ok());
    assert!(tokens.set_key("acme".parse().unwrap(), "AAAA").is_err());
    assert!(tokens.player(&of("acme", 9), now).is_ok(), "a bad key replaces none");
}

#[test]
fn operators_are_known_by_their_whole_key() {
    let keys = [("desk", "desk-key-0123456789-a"), ("feed", "feed-key-0123456789-b")];
    let keys = keys.map(|(name, key)| (name.to_owned(), key.to_owned()));
    let operators = Operators::new(keys).unwrap();
    let name = |key| operators.known(key).map(|(name, _)| name);
    assert_eq!(name("desk-key-0123456789-a"), Some("desk"));
    assert_eq!(name("feed-key-0123456789-b"), Some("feed"));
    for wrong in
        ["", "desk", "desk-key-0123456789-", "desk-key-0123456789-a ", "DESK-KEY-0123456789-A"]
    {
        assert_eq!(name(wrong), None);
    }
    assert!(!format!("{operators:?}").contains("0123"));
    let short = [("desk".to_owned(), "short".to_owned())];
    assert!(Operators::new(short).is_err());
}

/// Operators as (name, key, roles).
fn operated(rows: &[(&str, &str, &[Duty])]) -> Operators {
    let row = |(name, key, duties): &(&str, &str, &[Duty])| {
        (
            (*name).to_owned(),
            format!("{key} and twenty more letters"),
            duties.iter().copied().collect(),
        )
    };
    Operators::with_duties(rows.iter().map(row)).unwrap()
}

#[test]
fn who_changed_is_told_by_name() {
    use Duty::{Propose, Read, Rounds};
    let before: &[(&str, &str, &[Duty])] =
        &[("ann", "a", &[Propose]), ("ben", "b", &[Read, Rounds]), ("cleo", "c", &[Read])];
    for (now, wanted) in [
        (before, "nothing changed"),
        (
            &[("cleo", "c", &[Read]), ("ben", "b", &[Rounds, Read]), ("ann", "a", &[Propose])],
            "nothing changed",
        ),
        (&[], "removed: ann, ben, cleo"),
        (&before[1..], "removed: ann"),
        (&[("ann", "A", &[Propose]), before[1], before[2]], "key changed: ann"),
        (&[("ann", "a", &[Propose, Read]), before[1], before[2]], "roles changed: ann"),
        (&[("ann", "a", &[Read]), before[1], before[2]], "roles changed: ann"),
        (&[("ann", "A", &[]), before[1], before[2]], "key changed: ann; roles changed: ann"),
        // Two who change their keys with each other are two changes.
        (
            &[("ann", "b", &[Propose]), ("ben", "a", &[Read, Rounds]), before[2]],
            "key changed: ann, ben",
        ),
        // Another name is another operator, whatever the key.
        (&[("anna", "a", &[Propose]), before[1], before[2]], "added: anna; removed: ann"),
        (
            &[
                ("zoe", "z", &[Read]),
                ("dan", "d", &[Read]),
                ("ben", "B", &[Read, Rounds]),
                ("cleo", "c", &[]),
            ],
            "added: dan, zoe; removed: ann; key changed: ben; roles changed: cleo",
        ),
    ] {
        let changes = operated(before).changes(&operated(now));
        assert_eq!(changes.to_string(), wanted);
    }
    let first = Operators::default().changes(&operated(before));
    assert_eq!(first.to_string(), "added: ann, ben, cleo");
}

#[test]
fn who_is_replaced_is_known_no_more() {
    let all = InForce::new(operated(&[("ann", "a", &[Duty::Read])]));
    let elsewhere = all.clone();
    let is_known = |key| elsewhere.now().known(&format!("{key} and twenty more letters")).is_some();
    assert!(is_known("a") && !is_known("b"));
    let changes = all.replace(operated(&[("ben", "b", &[Duty::Read])]));
    assert_eq!((changes.added, changes.removed), (vec!["ben".to_owned()], vec!["ann".to_owned()]));
    assert!(!is_known("a") && is_known("b"), "clones know the same");
}
