use super::*;
use proptest::prelude::*;
use proptest::sample::Index;

/// Revisions 3 to 7 with their states, in any order and with repeats.
fn any_deliveries() -> impl Strategy<Value = (Vec<Option<i64>>, Vec<usize>)> {
    let states = prop::collection::vec(prop::option::of(0_i64..5000), 5);
    let order = Just((0..5).collect::<Vec<usize>>()).prop_shuffle();
    let repeats = prop::collection::vec((any::<Index>(), any::<Index>()), 0..12);
    (states, order, repeats).prop_map(|(states, mut order, repeats)| {
        for (from, to) in repeats {
            let again = order[from.index(order.len())];
            order.insert(to.index(order.len() + 1), again);
        }
        (states, order)
    })
}

/// State `index` of revision `index + 3`: a payout, or void.
fn item(states: &[Option<i64>], index: usize) -> StateItem {
    let revision = u32::try_from(index).unwrap() + 3;
    match states[index] {
        Some(payout) => settled("b", revision, payout),
        None => voided("b", revision),
    }
}

proptest! {
    #![proptest_config(ProptestConfig { failure_persistence: None, ..ProptestConfig::default() })]

    /// Contract 18, 16 and 19 at once: the highest revision says what the bet is worth.
    #[test]
    fn c18_any_order_with_duplicates_ends_at_the_highest(
        (states, order) in any_deliveries(),
        short in any::<bool>(),
        opening in 1000_i64..8000,
    ) {
        let claw_back = if short { ClawBack::CollectAvailable } else { ClawBack::Negative };
        let mut case = Case::opened_with(claw_back, opening);
        case.hold("b", 1000);
        for index in order {
            case.send(&item(&states, index));
        }
        let wanted = states[4].map_or(0, |payout| payout - 1000);
        prop_assert_eq!(case.register.net_of("r_1:b"), wanted);
        let row = case.register.row("r_1:b").unwrap();
        prop_assert_eq!(row.revision, 7);
        prop_assert_eq!(case.free(), opening + row.collected_net);
        prop_assert_eq!(row.collected_net - row.shortfall(), wanted);
        if !short {
            prop_assert_eq!(row.shortfall(), 0);
        }
    }

    /// Contract 10: with a final void among them, in any order, the bet ends at nothing.
    #[test]
    fn c10_holds_and_voids_in_any_order_end_at_nothing(
        calls in prop::collection::vec(any::<bool>(), 1..20),
        last in any::<bool>(),
    ) {
        let mut case = Case::new(ClawBack::Negative);
        for hold in calls.into_iter().chain([last, !last]) {
            if hold {
                case.hold("b", 1000);
            } else {
                case.send(&voided("b", 2));
            }
        }
        prop_assert_eq!(case.register.net_of("r_1:b"), 0);
        prop_assert_eq!(case.free(), OPENING);
    }

    /// Money is neither made nor lost: every balance is its opening plus what its bets collected.
    #[test]
    fn balances_are_what_the_bets_collected(
        calls in prop::collection::vec((0_usize..6, 1_u32..7, 0_i64..4000), 1..80),
        short in any::<bool>(),
    ) {
        let claw_back = if short { ClawBack::CollectAvailable } else { ClawBack::Negative };
        let mut case = Case::opened_with(claw_back, 3000);
        for (bet, revision, amount) in calls {
            let bet = format!("b{bet}");
            match (revision, amount % 3) {
                (1, _) => drop(case.hold(&bet, 1000)),
                (_, 0) => drop(case.send(&voided(&bet, revision))),
                (_, 1) => drop(case.send(&held(&bet, revision))),
                (_, _) => drop(case.send(&settled(&bet, revision, amount))),
            }
        }
        let collected: i64 = case.register.rows().map(|(_, row)| row.collected_net).sum();
        prop_assert_eq!(case.register.balance("p_9").map_or(0, |free| free.units - 3000), collected);
        for (_, row) in case.register.rows() {
            prop_assert!(0 <= row.shortfall());
            prop_assert_eq!(row.collected_net - row.shortfall(), row.net());
        }
    }
}
