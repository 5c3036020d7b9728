use super::{Odds, OddsError};
use crate::fixtures;
use proptest::prelude::*;

#[test]
fn texts() {
    for (text, hundredths, printed) in [
        ("2.50", 250, "2.50"),
        ("2.5", 250, "2.50"),
        ("2.500", 250, "2.50"),
        ("2", 200, "2.00"),
        ("1.01", 101, "1.01"),
        ("0.01", 1, "0.01"),
        ("1000000", 100_000_000, "1000000.00"),
    ] {
        let odds: Odds = text.parse().unwrap();
        assert_eq!((odds.hundredths(), odds.to_string().as_str()), (hundredths, printed));
    }
}

#[test]
fn texts_that_are_no_odds() {
    for text in [
        "",
        "2.505",
        "2,5",
        "+2",
        "-2",
        "1e2",
        "5/2",
        ".5",
        "5.",
        "NaN",
        "\u{662}.5",
        "2.5x",
        " 2",
        "evens",
        "7922816251426433759354395033.5",
    ] {
        let told = text.chars().take(40).collect();
        assert_eq!(text.parse::<Odds>(), Err(OddsError::Syntax(told)), "{text:?}");
    }
    for (text, hundredths) in [("0", 0), ("0.00", 0), ("1000000.01", 100_000_001)] {
        assert_eq!(text.parse::<Odds>(), Err(OddsError::Range(hundredths)));
    }
    assert!("9999999999999999999999999999".parse::<Odds>().is_err());
}

#[test]
fn hundredths() {
    for taken in [1, 100, 250, Odds::HUNDREDTHS_MAX] {
        assert_eq!(Odds::new(taken).map(Odds::hundredths), Ok(taken));
    }
    for refused in [0, -1, i64::MIN, Odds::HUNDREDTHS_MAX + 1, i64::MAX] {
        assert_eq!(Odds::new(refused), Err(OddsError::Range(refused)));
    }
}

#[test]
fn json_is_text() {
    let odds: Odds = serde_json::from_str("\"2.50\"").unwrap();
    assert_eq!(serde_json::to_string(&odds).unwrap(), "\"2.50\"");
    for refused in ["2.50", "250", "\"0\"", "null"] {
        assert!(serde_json::from_str::<Odds>(refused).is_err(), "{refused}");
    }
}

proptest! {
    #[test]
    fn odds_round_trip(odds in fixtures::odds()) {
        prop_assert_eq!(odds.to_string().parse(), Ok(odds));
    }

    #[test]
    fn any_text_is_taken_or_refused(text in "[0-9.]{0,40}|\\PC*") {
        if let Ok(odds) = text.parse::<Odds>() {
            prop_assert_eq!(odds.to_string().parse(), Ok(odds));
        }
    }
}
