use super::payout;
use crate::fixtures::{any_bet, bet_on, rows};
use crate::{Disposition, RuleError};
use proptest::prelude::*;
use schemas::{Money, MoneyError};

#[test]
fn payouts() {
    check(
        "
        # currency  exponent  stake                odds         payout
        EUR         2         10.00                2.50         25.00
        EUR         2         10.00                1.00         10.00    # money back is still a win
        EUR         2         10.00                0.50         5.00     # odds below 1 lose money
        EUR         2         0.01                 1.99         0.01     # floored, never rounded up
        EUR         2         0.01                 0.99         0.00
        EUR         2         3.33                 1.85         6.16     # 6.1605
        EUR         2         0.99                 1.01         0.99     # 0.9999
        EUR         2         0.33                 1.50         0.49     # 0.495: half goes down as well
        JPY         0         100                  1.33         133      # no minor unit
        JPY         0         1                    1.99         1
        KWD         3         0.001                1.99         0.001
        KWD         3         1.234                2.15         2.653    # 2.65310
        USDT        8         0.00000001           1.99         0.00000001
        USDT        8         1.23456789           2.50         3.08641972
        EUR         2         92233720368547758.07 1.00         92233720368547758.07
        EUR         2         92233720368547758.07 1.01         -        # beyond 64 bits
        EUR         2         46116860184273879.04 2.00         -        # 2^63 exactly
        EUR         2         46116860184273879.03 2.00         92233720368547758.06
        EUR         2         92233720368547758.07 1000000.00   -
        ",
    );
}

#[track_caller]
fn check(table: &str) {
    for cells in rows(table) {
        let [currency, exponent, stake, odds, wanted] = cells[..] else {
            panic!("malformed: {cells:?}")
        };
        let money = |text| {
            Money::parse(text, currency.parse().unwrap(), exponent.parse().unwrap()).unwrap()
        };
        let mut bet = bet_on("1", 1, 1);
        bet.stake = money(stake);
        bet.odds = odds.parse().unwrap();
        if wanted == "-" {
            let error = payout(&bet).unwrap_err();
            let source = MoneyError::TooLarge;
            assert_eq!(error, RuleError::Payout { bet: bet.id, source }, "{cells:?}");
            assert_eq!(error.disposition(), Disposition::FreezeBet);
        } else {
            assert_eq!(payout(&bet), Ok(money(wanted)), "{cells:?}");
        }
    }
}

proptest! {
    /// Flooring costs the player less than one minor unit, and the house nothing. In integers,
    /// apart from the decimals of the rule.
    #[test]
    fn shortfall_is_under_one_minor_unit(bet in any_bet()) {
        let exact = i128::from(bet.stake.units) * i128::from(bet.odds.hundredths());
        let paid = payout(&bet).unwrap();
        let shortfall = exact - 100 * i128::from(paid.units);
        prop_assert!((0..100).contains(&shortfall), "short by {shortfall} hundredths of a unit");
        prop_assert_eq!(paid.currency, bet.stake.currency);
        prop_assert_eq!(paid.exponent, bet.stake.exponent);
    }

    /// Any stake at any odds is paid exactly floored, or refused because it does not fit.
    #[test]
    fn payable_or_refused(stake in 1..=i64::MAX, odds in 1..=schemas::Odds::HUNDREDTHS_MAX) {
        let exact = i128::from(stake) * i128::from(odds) / 100;
        match payout(&bet_on("1", stake, odds)) {
            Ok(paid) => prop_assert_eq!(i128::from(paid.units), exact),
            Err(_) => prop_assert!(i128::from(i64::MAX) < exact),
        }
    }
}
