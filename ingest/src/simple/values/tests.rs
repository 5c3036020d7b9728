use super::*;
use serde::de::DeserializeOwned;

/// What the JSON text is read as, or the words of its refusal.
fn read<T: DeserializeOwned>(json: &str) -> Result<T, String> {
    #[derive(Deserialize)]
    struct Body<T> {
        field: T,
    }
    let body = format!("{{\"field\": {json} }}");
    let mut json = serde_json::Deserializer::from_str(&body);
    let body: Result<Body<T>, _> = serde_path_to_error::deserialize(&mut json);
    body.map(|body| body.field).map_err(|error| {
        assert_eq!(error.path().to_string(), "field");
        error.inner().to_string()
    })
}

#[track_caller]
fn refused<T: DeserializeOwned + fmt::Debug>(json: &str, words: &str) {
    let why = read::<T>(json).unwrap_err();
    assert!(why.contains(words), "{json}: {why}");
}

#[test]
fn odds_are_exact() {
    for (json, hundredths) in [
        ("1.5", 150),
        ("\"1.5\"", 150),
        ("1.50", 150),
        ("2", 200),
        ("0.01", 1),
        ("\"1000000\"", 100_000_000),
        // No float holds this one.
        ("999999.99", 99_999_999),
    ] {
        assert_eq!(read::<Coefficient>(json).unwrap().0.hundredths(), hundredths, "{json}");
    }
    for (json, words) in [
        ("0", "not between"),
        ("-1.5", "not odds"),
        ("\"+1.5\"", "not odds"),
        ("1e2", "not odds"),
        ("1E2", "not odds"),
        ("1.505", "more than 2 decimals"),
        ("1.500", "more than 2 decimals"),
        ("1000000000000000000000000000000", "not odds"),
        ("1000000.01", "not between"),
        ("\"NaN\"", "not odds"),
        ("\"\"", "not odds"),
        ("\" 1.5\"", "not odds"),
        ("null", "neither a text nor a number"),
        ("true", "neither a text nor a number"),
        ("[1.5]", "neither a text nor a number"),
        ("{}", "neither a text nor a number"),
    ] {
        refused::<Coefficient>(json, words);
    }
}

#[test]
fn amounts_are_exact() {
    let eur: Currency = "EUR".parse().unwrap();
    let units = |json: &str| {
        read::<Amount>(json).and_then(|amount| amount.money(eur)).map(|money| money.units)
    };
    for (json, wanted) in [
        ("10", 1_000),
        ("\"12.5\"", 1_250),
        ("0.01", 1),
        ("90071992547409.93", 9_007_199_254_740_993),
        ("0.10", 10),
    ] {
        assert_eq!(units(json), Ok(wanted), "{json}");
    }
    for json in
        ["0", "0.00", "-1", "1e2", "0.001", "10.000", "1000000000000000000000000000000", "\"1,5\""]
    {
        assert!(units(json).is_err(), "{json}");
    }
    for (units, text) in [(1, "0.01"), (150, "1.50"), (100_000, "1000.00"), (-5, "-0.05")] {
        assert_eq!(amount_text(units), text);
    }
}

#[test]
fn ids_are_texts_or_numbers() {
    for (json, id) in [
        ("7", "7"),
        ("\"7\"", "7"),
        ("\"0x7\"", "0x7"),
        ("123456789012345678901234567890", "123456789012345678901234567890"),
        ("-7", "-7"),
    ] {
        assert_eq!(read::<EventId>(json).unwrap().to_string(), id);
    }
    for json in ["7.0", "7e3", "\"\"", "\"a b\"", "\"a/b\"", "null"] {
        assert!(read::<EventId>(json).is_err(), "{json}");
    }
    refused::<EventId>(&format!("\"{}\"", "a".repeat(37)), "1 to 36");
}

#[test]
fn deadlines_have_a_zone() {
    for (json, ms) in [
        ("1793000000", 1_793_000_000_000),
        ("\"1793000000\"", 1_793_000_000_000),
        ("1793000000.5", 1_793_000_000_500),
        // As Python writes `time.time()`.
        ("1793000000.1234567", 1_793_000_000_123),
        ("\"2026-10-26T08:53:20Z\"", 1_793_004_800_000),
        ("\"2026-10-26T10:53:20+02:00\"", 1_793_004_800_000),
        ("\"2026-10-26T08:53:20.250Z\"", 1_793_004_800_250),
        ("0", 0),
    ] {
        assert_eq!(read::<Deadline>(json).unwrap().0, ms, "{json}");
    }
    for (json, words) in [
        ("1793000000000", "milliseconds"),
        ("\"1793000000000\"", "milliseconds"),
        ("\"2026-10-26T08:53:20\"", "has no zone"),
        ("\"2026-10-26 08:53:20\"", "has no zone"),
        ("\"tomorrow\"", "neither an RFC 3339"),
        ("\"\"", "Unix seconds"),
        ("-5", "Unix seconds"),
        ("1.793e9", "Unix seconds"),
        ("\"1.2.3\"", "Unix seconds"),
        ("null", "neither a text nor a number"),
    ] {
        refused::<Deadline>(json, words);
    }
}

#[test]
fn states_are_three() {
    for state in [State::Unfinished, State::FirstWon, State::SecondWon] {
        assert_eq!(read::<State>(&state.number().to_string()).unwrap(), state);
        assert_eq!(read::<State>(&format!("\"{}\"", state.number())).unwrap(), state);
    }
    for json in ["0", "4", "2.0", "\"two\"", "true"] {
        assert!(read::<State>(json).is_err(), "{json}");
    }
}
