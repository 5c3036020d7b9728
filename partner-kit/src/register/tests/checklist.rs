use super::*;

#[test]
fn c01_an_approved_hold_takes_exactly_the_stake() {
    let mut case = Case::new(ClawBack::Negative);
    let answer = case.hold("b", 1250);
    assert_eq!(answer.decision, Some(HoldDecision::Approved));
    assert_eq!(answer.status, RowStatus::Held);
    assert_eq!((answer.revision, answer.bet_id.as_str()), (1, "r_1:b"));
    assert_eq!(answer.balance, Some(euro(8750)));
    assert_eq!(case.free(), 8750);
}

#[test]
fn c02_ten_repeats_move_once() {
    let mut case = Case::new(ClawBack::Negative);
    let first = case.hold("b", 1250);
    assert!(!first.replayed);
    for _ in 0..10 {
        let again = case.hold("b", 1250);
        assert_eq!(again, AuthorizeResponse { replayed: true, ..first.clone() });
    }
    assert_eq!((case.free(), case.movements.len()), (8750, 1));
}

#[test]
fn c04_another_stake_player_or_currency_is_a_conflict() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1250);
    let mut player = ask("b", 1250);
    player.partner_player_id = "p_10".into();
    let mut currency = ask("b", 1250);
    currency.stake = money(1250, "JPY", 0);
    for other in [ask("b", 1251), player, currency] {
        assert_eq!(case.authorize(&other), Err(Refusal::RevisionConflict));
    }
    assert_eq!((case.free(), case.movements.len()), (8750, 1));
}

#[test]
fn c05_too_little_money_is_declined() {
    let mut case = Case::new(ClawBack::Negative);
    let answer = case.hold("b", OPENING + 1);
    assert_eq!(answer.decision, Some(HoldDecision::Declined));
    assert_eq!(answer.code.as_deref(), Some("insufficient_funds"));
    assert_eq!(case.free(), OPENING);
    assert_eq!(case.hold("all", OPENING).decision, Some(HoldDecision::Approved));
}

#[test]
fn c06_a_decline_is_sticky() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", OPENING + 1);
    case.deposit("p_9", OPENING);
    let answer = case.hold("b", OPENING + 1);
    assert_eq!(answer.decision, Some(HoldDecision::Declined));
    assert!(answer.replayed);
    assert_eq!(case.free(), 2 * OPENING);
}

#[test]
fn c07_a_late_request_is_declined_unless_the_row_stands() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    let late = |bet| AuthorizeRequest { expires_at: timestamp(NOW), ..ask(bet, 1000) };
    let answer = case.authorize(&late("late")).unwrap();
    assert_eq!(answer.code.as_deref(), Some("bet_expired"));
    assert_eq!(answer.decision, Some(HoldDecision::Declined));
    let answer = case.authorize(&late("b")).unwrap();
    assert_eq!((answer.decision, answer.replayed), (Some(HoldDecision::Approved), true));
    assert_eq!(case.free(), OPENING - 1000);
}

#[test]
fn c08_c09_a_void_before_the_hold_leaves_a_tombstone() {
    for revision in [2, 3] {
        let mut case = Case::new(ClawBack::Negative);
        let result = case.send(&voided("b", revision));
        assert_eq!(say(&result), "applied 0");
        assert_eq!(result.status, Some(RowStatus::Voided));
        let answer = case.hold("b", 1000);
        // A row at revision 3 or above is answered without a decision.
        let decision = if revision == 2 { Some(HoldDecision::Voided) } else { None };
        assert_eq!((answer.decision, answer.status), (decision, RowStatus::Voided));
        assert_eq!((answer.revision, case.free()), (revision, OPENING));
    }
}

#[test]
fn c10_hold_and_void_in_any_order_end_voided() {
    for void_first in [false, true] {
        let mut case = Case::new(ClawBack::Negative);
        if void_first {
            case.send(&voided("b", 2));
        }
        case.hold("b", 1000);
        case.send(&voided("b", 2));
        assert_eq!(case.register.row("r_1:b").unwrap().status, RowStatus::Voided);
        assert_eq!((case.register.net_of("r_1:b"), case.free()), (0, OPENING));
    }
}

#[test]
fn c11_a_void_returns_the_stake_once() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    assert_eq!(say(&case.send(&voided("b", 2))), "applied 1000");
    assert_eq!(say(&case.send(&voided("b", 2))), "again");
    assert_eq!(case.free(), OPENING);
}

#[test]
fn c12_voids_repeat_without_moving() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    assert_eq!(say(&case.send(&voided("b", 3))), "applied 1000");
    assert_eq!(say(&case.send(&voided("b", 4))), "applied 0");
    assert_eq!(say(&case.send(&voided("b", 2))), "superseded by 4");
    assert_eq!(case.free(), OPENING);
}

#[test]
fn c13_a_declined_bet_is_voided_without_moving() {
    let mut case = Case::new(ClawBack::Negative);
    let mut item = voided("b", 2);
    item.stake = euro(OPENING + 1);
    case.hold("b", OPENING + 1);
    assert_eq!(say(&case.send(&item)), "applied 0");
    assert_eq!(case.hold("b", OPENING + 1).decision, Some(HoldDecision::Voided));
}

#[test]
fn c14_a_win_pays_and_a_loss_closes() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("win", 1000);
    case.hold("loss", 1000);
    assert_eq!(say(&case.send(&settled("win", 3, 2500))), "applied 2500");
    let loss = case.send(&settled("loss", 3, 0));
    assert_eq!(say(&loss), "applied 0");
    assert_eq!(
        (loss.status, loss.collected_net.as_deref()),
        (Some(RowStatus::Settled), Some("-1000"))
    );
    assert_eq!(case.free(), OPENING - 2000 + 2500);
}

#[test]
fn c15_a_revision_repeats_after_days_and_a_restart() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    let first = case.send(&settled("b", 3, 2500));
    for days in [1, 8] {
        case.register.tell_time(NOW + days * 86_400_000);
        let again = case.send(&settled("b", 3, 2500));
        assert_eq!(say(&again), "again");
        assert_eq!(again.partner_ref, first.partner_ref);
    }
    let entries: Vec<Entry> = case.movements.iter().cloned().map(Entry::Movement).collect();
    case.register = Register::replay(options(ClawBack::Negative, 0), &entries).unwrap();
    assert_eq!(say(&case.send(&settled("b", 3, 2500))), "again");
    assert_eq!(case.free(), OPENING + 1500);
}

#[test]
fn c16_an_older_revision_is_superseded() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    case.send(&settled("b", 4, 0));
    let late = case.send(&settled("b", 3, 2500));
    assert_eq!(say(&late), "superseded by 4");
    assert_eq!((late.moved.as_deref(), late.collected_net.as_deref()), (Some("0"), Some("-1000")));
}

#[test]
fn c17_revisions_may_have_gaps() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    assert_eq!(say(&case.send(&settled("b", 5, 2500))), "applied 2500");
}

#[test]
fn c18_nothing_follows_a_final_void() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    case.send(&voided("b", 2));
    assert_eq!(say(&case.send(&settled("b", 3, 2500))), "invalid_transition");
    assert_eq!(say(&case.send(&held("b", 4))), "invalid_transition");
    assert_eq!((case.free(), case.register.row("r_1:b").unwrap().revision), (OPENING, 2));
}

#[test]
fn c19_c28_one_bad_item_stops_no_other() {
    let mut case = Case::opened_with(ClawBack::Negative, 1_000_000);
    let mut items = Vec::new();
    for number in 0..499 {
        let bet = format!("b{number}");
        case.hold(&bet, 1000);
        items.push(settled(&bet, 3, 1000));
    }
    items.insert(250, settled("unseen", 3, 1000));
    let said: Vec<String> = items.iter().map(|item| say(&case.send(item))).collect();
    assert_eq!(said.iter().filter(|said| *said == "applied 1000").count(), 499);
    assert_eq!(said[250], "unknown_bet");
    // The same revision with another payout, amid repeats.
    items[7].payout = Some(euro(1001));
    let said: Vec<String> = items.iter().map(|item| say(&case.send(item))).collect();
    assert_eq!(said.iter().filter(|said| *said == "again").count(), 498);
    assert_eq!(said[7], "revision_conflict");
    assert_eq!(case.free(), 1_000_000);
}

#[test]
fn c20_corrections_move_the_difference() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    assert_eq!(say(&case.send(&settled("b", 3, 500))), "applied 500");
    assert_eq!(say(&case.send(&settled("b", 4, 900))), "applied 400");
    assert_eq!(say(&case.send(&settled("b", 5, 0))), "applied -900");
    assert_eq!(case.free(), OPENING - 1000);
}

#[test]
fn c21_every_state_in_turn() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    let steps = [
        (settled("b", 3, 2500), 1500),
        (voided("b", 4), 0),
        (settled("b", 5, 700), -300),
        (held("b", 6), -1000),
        (settled("b", 7, 2500), 1500),
        (held("b", 8), -1000),
        (voided("b", 9), 0),
    ];
    for (item, net) in steps {
        let result = case.send(&item);
        assert_eq!(result.outcome, ItemOutcome::Applied);
        assert_eq!(result.collected_net, Some(net.to_string()));
        assert_eq!(case.register.net_of("r_1:b"), net);
        assert_eq!(case.free(), OPENING + net);
    }
}

#[test]
fn c22_c26_c27_credits_ask_for_no_session_and_no_standing() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("win", 1000);
    case.hold("void", 1000);
    case.block("p_9");
    case.register.tell_time(NOW + 7 * 86_400_000);
    assert_eq!(say(&case.send(&settled("win", 3, 2500))), "applied 2500");
    assert_eq!(say(&case.send(&voided("void", 2))), "applied 1000");
    let blocked = case.hold("new", 1000);
    assert_eq!(blocked.code.as_deref(), Some("bet_expired"), "the week has gone by");
}

#[test]
fn c26_a_blocked_player_cannot_bet() {
    let mut case = Case::new(ClawBack::Negative);
    case.block("p_9");
    assert_eq!(case.hold("b", 1000).code.as_deref(), Some("player_blocked"));
    assert_eq!(case.free(), OPENING);
}

#[test]
fn c27_an_expired_token_cannot_bet() {
    use base64::Engine;
    let token = |exp: i64| {
        let claims = format!("{{\"sub\":\"p_9\",\"exp\":{exp}}}");
        let claims = base64::engine::general_purpose::URL_SAFE_NO_PAD.encode(claims);
        format!("e30.{claims}.c2ln")
    };
    let mut case = Case::new(ClawBack::Negative);
    let with = |bet, exp| AuthorizeRequest { session_token: token(exp), ..ask(bet, 1000) };
    let good = case.authorize(&with("good", NOW / 1000 + 1)).unwrap();
    assert_eq!(good.decision, Some(HoldDecision::Approved));
    let expired = case.authorize(&with("expired", NOW / 1000)).unwrap();
    assert_eq!(expired.code.as_deref(), Some("session_invalid"));
    assert_eq!(case.free(), OPENING - 1000);
}

#[test]
fn c23_a_claw_back_may_go_below_zero() {
    let mut case = Case::new(ClawBack::Negative);
    spend(&mut case);
    let result = case.send(&settled("b", 4, 0));
    assert_eq!((say(&result).as_str(), result.shortfall), ("applied -2500", None));
    assert_eq!(case.free(), -2000);
}

#[test]
fn c24_a_claw_back_may_fall_short() {
    let mut case = Case::new(ClawBack::CollectAvailable);
    spend(&mut case);
    let result = case.send(&settled("b", 4, 0));
    assert_eq!(say(&result), "applied -500");
    assert_eq!(result.collected_net.as_deref(), Some("1000"));
    assert_eq!(result.shortfall.as_deref(), Some("2000"), "500 taken + 2000 short = 2500 required");
    assert_eq!((case.free(), case.register.net_of("r_1:b")), (0, -1000));
}

#[test]
fn c25_a_shortfall_shrinks_before_the_player_is_credited() {
    let mut case = Case::new(ClawBack::CollectAvailable);
    spend(&mut case);
    case.send(&settled("b", 4, 0));
    let part = case.send(&settled("b", 5, 1200));
    assert_eq!((say(&part).as_str(), part.shortfall.as_deref()), ("applied 0", Some("800")));
    let whole = case.send(&settled("b", 6, 2100));
    assert_eq!((say(&whole).as_str(), whole.shortfall), ("applied 100", None));
    assert_eq!(case.free(), 100);
}

/// Bet `b` is settled at 2500, and all but 500 of the balance is gone.
fn spend(case: &mut Case) {
    case.hold("b", 1000);
    case.send(&settled("b", 3, 2500));
    let rest = case.free() - 500;
    case.hold("spent", rest);
}

#[test]
fn c35_unknown_fields_and_words_do_not_fail() {
    let mut body = serde_json::to_value(ask("b", 1000)).unwrap();
    body["colour"] = "red".into();
    let mut case = Case::new(ClawBack::Negative);
    case.authorize(&serde_json::from_value(body).unwrap()).unwrap();
    let mut body = serde_json::to_value(settled("b", 3, 2500)).unwrap();
    body["reason"] = "a reason of next year".into();
    body["recover"] = true.into();
    let result = case.send(&serde_json::from_value(body).unwrap());
    assert_eq!(say(&result), "applied 2500");
}

#[test]
fn c36_exponents_are_honoured_and_a_wrong_one_is_rejected() {
    for (currency, exponent) in [("JPY", 0), ("EUR", 2), ("KWD", 3), ("BTC", 8)] {
        let mut case = Case::new(ClawBack::Negative);
        let with =
            |exponent| AuthorizeRequest { stake: money(1000, currency, exponent), ..ask("b", 0) };
        for wrong in (0..=8).filter(|wrong| *wrong != exponent) {
            assert_eq!(case.authorize(&with(wrong)), Err(Refusal::CurrencyUnknown));
        }
        let not_money = Refusal::BadRequest("the stake is not money");
        assert_eq!(case.authorize(&with(9)), Err(not_money));
        let answer = case.authorize(&with(exponent)).unwrap();
        assert_eq!(answer.balance, Some(money(OPENING - 1000, currency, exponent)));
        let mut item = settled("b", 3, 0);
        item.stake = money(1000, currency, exponent);
        item.payout = Some(money(2500, currency, exponent + 1));
        assert_eq!(say(&case.send(&item)), "bad_request");
        item.payout = Some(money(2500, currency, exponent));
        assert_eq!(say(&case.send(&item)), "applied 2500");
    }
}

#[test]
fn c36_an_account_has_one_currency() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("euro", 1000);
    let yen = AuthorizeRequest { stake: money(1000, "JPY", 0), ..ask("yen", 0) };
    assert_eq!(case.authorize(&yen).unwrap().code.as_deref(), Some("currency_mismatch"));
    assert_eq!(case.free(), OPENING - 1000);
}

#[test]
fn c37_large_amounts_keep_every_unit() {
    let large = (1_i64 << 53) + 1;
    let mut case = Case::opened_with(ClawBack::Negative, i64::MAX);
    let answer = case.hold("b", large);
    assert_eq!(answer.balance, Some(euro(i64::MAX - large)));
    let mut item = settled("b", 3, large + 2);
    item.stake = euro(large);
    assert_eq!(say(&case.send(&item)), "amount_too_large");
    item.payout = Some(euro(large - 2));
    assert_eq!(say(&case.send(&item)), format!("applied {}", large - 2));
    assert_eq!(case.free(), i64::MAX - 2);
}

#[test]
fn c38_close_matches_until_one_row_differs() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("won", 1000);
    case.hold("gone", 1000);
    case.hold("open", 1000);
    case.hold("rejected", 1000);
    case.send(&settled("won", 3, 2500));
    case.send(&voided("gone", 3));
    case.send(&voided("rejected", 2));
    let request = schemas::contract::CloseRequest {
        partner_id: "acme".into(),
        round_id: "r_1".into(),
        result_version: 1,
        totals: Vec::new(),
        open_holds: 0,
        digest: String::new(),
        listed: Vec::new(),
    };
    let closed = case.register.close(&request);
    // printf 'r_1:gone|3|voided|1000|0\nr_1:won|3|settled|1000|2500\n' | sha256sum
    let digest = "1915faaadb7c58ee874c449e78f89f45a553e35d5802a07875d2651d663c93dd";
    assert_eq!((closed.digest.as_str(), closed.open_holds), (digest, 1));
    let total = &closed.totals[0];
    assert_eq!((total.bets, total.voided, closed.totals.len()), (2, 1, 1));
    assert_eq!((total.stake.as_str(), total.payout.as_str()), ("2000", "2500"));
    case.send(&settled("won", 4, 2500));
    assert_ne!(case.register.close(&request).digest, digest, "revision 4 is another row");
    let other = schemas::contract::CloseRequest { round_id: "r_".into(), ..request };
    assert_eq!(case.register.close(&other).totals, [], "a round is not a prefix");
}

#[test]
fn c39_a_query_tells_the_four_apart() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("approved", 1000);
    case.hold("declined", OPENING + 1);
    case.send(&voided("voided", 2));
    let bets = ["approved", "declined", "voided", "unseen"].map(|bet| format!("r_1:{bet}"));
    let request = schemas::contract::QueryRequest { bet_ids: bets.to_vec() };
    let answer = case.register.query(&request);
    let told: Vec<_> = answer.rows.iter().map(|row| (row.revision, row.status)).collect();
    let wanted = [
        (1, RowStatus::Held),
        (1, RowStatus::Declined),
        (2, RowStatus::Voided),
        (0, RowStatus::Absent),
    ];
    assert_eq!(told, wanted);
    assert!(answer.rows.iter().map(|row| &row.bet_id).eq(&bets));
}

#[test]
fn rows_of_a_round_come_in_pages() {
    let mut case = Case::new(ClawBack::Negative);
    for bet in ["c", "a", "b", "Z", "_"] {
        case.hold(bet, 1);
    }
    let mut after = String::new();
    let mut seen = Vec::new();
    loop {
        let page = case.register.round_bets("r_1", &after, 2);
        seen.extend(page.rows.into_iter().map(|row| row.bet_id));
        match page.next {
            Some(next) => after = next,
            None => break,
        }
    }
    assert_eq!(seen, ["r_1:Z", "r_1:_", "r_1:a", "r_1:b", "r_1:c"]);
    for after in ["r_1;", "zzz", "r_1:c"] {
        assert_eq!(case.register.round_bets("r_1", after, 10).rows, []);
    }
}

#[test]
fn a_request_of_another_partner_is_refused() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    let foreign = AuthorizeRequest { partner_id: "rival".into(), ..ask("b", 1000) };
    assert_eq!(case.authorize(&foreign), Err(Refusal::WrongPartner));
    let foreign = StateItem { partner_id: "rival".into(), ..settled("b", 3, 2500) };
    assert_eq!(say(&case.send(&foreign)), "wrong_partner");
}
