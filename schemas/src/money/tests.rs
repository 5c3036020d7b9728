use super::{Currency, Money, MoneyError};
use crate::Odds;
use crate::fixtures;
use proptest::prelude::*;
use rust_decimal::RoundingStrategy;

fn in_currency(units: i64, currency: &str, exponent: i64) -> Money {
    Money::new(units, currency.parse().unwrap(), exponent).unwrap()
}

fn eur(units: i64) -> Money {
    in_currency(units, "EUR", 2)
}

#[test]
fn amounts_in_major_units() {
    let table = [
        // text, currency, exponent, units, printed
        ("12.5", "EUR", 2, 1_250, "12.50 EUR"),
        ("12.50", "EUR", 2, 1_250, "12.50 EUR"),
        ("12.500", "EUR", 2, 1_250, "12.50 EUR"),
        ("012.5", "EUR", 2, 1_250, "12.50 EUR"),
        ("0", "EUR", 2, 0, "0.00 EUR"),
        ("0.01", "EUR", 2, 1, "0.01 EUR"),
        ("100", "JPY", 0, 100, "100 JPY"),
        ("100.0", "JPY", 0, 100, "100 JPY"),
        ("1.234", "KWD", 3, 1_234, "1.234 KWD"),
        ("0.00000001", "USDT", 8, 1, "0.00000001 USDT"),
        ("21000000.00000001", "BTC", 8, 2_100_000_000_000_001, "21000000.00000001 BTC"),
        ("92233720368547758.07", "EUR", 2, i64::MAX, "92233720368547758.07 EUR"),
        ("9223372036854775807", "JPY", 0, i64::MAX, "9223372036854775807 JPY"),
        ("92233720368.54775807", "USDT", 8, i64::MAX, "92233720368.54775807 USDT"),
    ];
    for (text, currency, exponent, units, printed) in table {
        let money = Money::parse(text, currency.parse().unwrap(), exponent).unwrap();
        assert_eq!(money, in_currency(units, currency, i64::from(exponent)), "{text}");
        assert_eq!(money.to_string(), printed);
    }
}

#[test]
fn texts_that_are_no_amounts() {
    let digits = "1".repeat(400);
    let fraction = format!("0.{digits}");
    let zeros = "0".repeat(29);
    for text in [
        "",
        " ",
        ".",
        "1e2",
        "1E2",
        "-0",
        "-1",
        "+1",
        "1,5",
        "1.000,5",
        "1_000",
        ".5",
        "5.",
        "1..5",
        "1.2.3",
        " 1",
        "1 ",
        "1\n",
        "0x10",
        "NaN",
        "nan",
        "inf",
        "Infinity",
        "1/2",
        "1%",
        "€1",
        "\u{661}",
        "\u{ff11}",
        "1\u{2009}000",
        "1\u{66b}5",
        "½",
        "\u{7ed}",
        &digits,
        &fraction,
        &zeros,
    ] {
        let error = Money::parse(text, "EUR".parse().unwrap(), 2).unwrap_err();
        let told = text.chars().take(40).collect();
        assert_eq!(error, MoneyError::Syntax(told), "{text:?}");
    }
}

#[test]
fn amounts_that_the_currency_cannot_pay() {
    for (text, exponent) in [("1.005", 2), ("0.001", 2), ("1.5", 0), ("0.000000001", 8)] {
        let error = Money::parse(text, "EUR".parse().unwrap(), exponent).unwrap_err();
        let text = text.to_owned();
        assert_eq!(error, MoneyError::TooPrecise { text, exponent });
    }
    let too_large = [
        ("9223372036854775808", 0), // 2^63
        ("92233720368547758.08", 2),
        ("92233720368.54775808", 8),
        ("9999999999999999999999999999", 0),
        ("9999999999999999999999999999", 8),
    ];
    for (text, exponent) in too_large {
        let error = Money::parse(text, "EUR".parse().unwrap(), exponent).unwrap_err();
        assert_eq!(error, MoneyError::TooLarge, "{text}");
    }
}

#[test]
fn exponents() {
    let currency: Currency = "EUR".parse().unwrap();
    for exponent in 0..=8 {
        assert!(Money::new(1, currency, exponent).is_ok(), "{exponent}");
    }
    for exponent in [-1, 9, 255, 256, 258, i64::MIN, i64::MAX] {
        assert_eq!(Money::new(1, currency, exponent), Err(MoneyError::Exponent(exponent)));
    }
    assert_eq!(Money::parse("1", currency, 9), Err(MoneyError::Exponent(9)));
    assert_eq!(Money::parse("1", currency, 255), Err(MoneyError::Exponent(255)));
}

#[test]
fn currencies() {
    for taken in ["EUR", "JPY", "USDT", "BTC", "1INCH", "ABCDEFGH"] {
        assert_eq!(taken.parse::<Currency>().unwrap().to_string(), taken);
    }
    for refused in ["", "EU", "eur", "ABCDEFGHI", "EU R", "EUR\0", "€UR", "EÜR", "E-R"] {
        assert!(refused.parse::<Currency>().is_err(), "{refused:?}");
    }
}

#[test]
fn sums() {
    assert_eq!(eur(1).checked_add(eur(2)), Ok(eur(3)));
    assert_eq!(eur(1).checked_sub(eur(2)), Ok(eur(-1)));
    assert_eq!(eur(i64::MAX).checked_add(eur(1)), Err(MoneyError::TooLarge));
    assert_eq!(eur(i64::MIN).checked_sub(eur(1)), Err(MoneyError::TooLarge));
    assert_eq!(eur(5).zero(), eur(0));
    for other in [in_currency(2, "USD", 2), in_currency(2, "EUR", 3)] {
        let mixed = MoneyError::Mixed { left: eur(1), right: other };
        assert_eq!(eur(1).checked_add(other), Err(mixed.clone()));
        assert_eq!(eur(1).checked_sub(other), Err(mixed));
    }
}

#[test]
fn stake_times_odds() {
    let down = RoundingStrategy::ToNegativeInfinity;
    let up = RoundingStrategy::ToPositiveInfinity;
    let table = [
        // units, odds in hundredths, down, up
        (1_000, 250, 2_500, 2_500),
        (1, 199, 1, 2),
        (33, 150, 49, 50),
        (333, 185, 616, 617),
        (0, 250, 0, 0),
        (i64::MAX, 100, i64::MAX, i64::MAX),
        (i64::MAX, 1, 92_233_720_368_547_758, 92_233_720_368_547_759),
    ];
    for (units, hundredths, wanted_down, wanted_up) in table {
        let odds = Odds::new(hundredths).unwrap();
        assert_eq!(eur(units).times(odds, down), Ok(eur(wanted_down)), "{units} x {odds}");
        assert_eq!(eur(units).times(odds, up), Ok(eur(wanted_up)), "{units} x {odds}");
    }
    for hundredths in [101, Odds::HUNDREDTHS_MAX] {
        let odds = Odds::new(hundredths).unwrap();
        assert_eq!(eur(i64::MAX).times(odds, down), Err(MoneyError::TooLarge));
    }
}

proptest! {
    /// Printed in major units and read again, an amount is the same; none is ever rounded.
    #[test]
    fn amounts_round_trip(money in fixtures::money(0..=i64::MAX)) {
        let text = money.to_string();
        let (amount, currency) = text.split_once(' ').unwrap();
        let exponent = money.exponent;
        prop_assert_eq!(Money::parse(amount, currency.parse().unwrap(), exponent), Ok(money));
    }

    /// The same figure under an exponent one lower is ten times the units, or refused.
    #[test]
    fn exponents_scale(units in 0..=1_000_000_000_i64, exponent in 0..8_u8) {
        let currency: Currency = "EUR".parse().unwrap();
        let text = rust_decimal::Decimal::new(units, u32::from(exponent)).to_string();
        let finer = Money::parse(&text, currency, exponent + 1).unwrap();
        prop_assert_eq!(finer.units, 10 * units);
    }

    #[test]
    fn any_text_is_taken_or_refused(text: String, exponent: u8) {
        drop(Money::parse(&text, "EUR".parse().unwrap(), exponent));
        drop(text.parse::<Currency>());
    }

    /// Against integers wide enough for every product.
    #[test]
    fn products_are_exact(units in 0..=i64::MAX, odds in fixtures::odds()) {
        let exact = i128::from(units) * i128::from(odds.hundredths()) / 100;
        match eur(units).times(odds, RoundingStrategy::ToNegativeInfinity) {
            Ok(product) => prop_assert_eq!(i128::from(product.units), exact),
            Err(error) => {
                prop_assert_eq!(error, MoneyError::TooLarge);
                prop_assert!(i128::from(i64::MAX) < exact);
            }
        }
    }
}
