use super::*;

/// Contract section 1: from where, which message, what is answered, the balance after it.
///
/// Every bet has a stake of 1000 out of 10000; `lost` is settled with 0, `won` with 2500.
#[test]
fn transitions() {
    check(
        "
        # from         message   answer               free
        absent         hold      approved              9000
        absent         void2     applied 0            10000
        absent         won9      unknown_bet          10000
        absent         void9     applied 0            10000
        absent         held9     unknown_bet          10000

        declined       hold      declined             10000
        declined       void2     applied 0            10000
        declined       won9      invalid_transition   10000
        declined       void9     applied 0            10000
        declined       held9     invalid_transition   10000
        declined-void5 won9      invalid_transition   10000

        held           hold      approved              9000
        held           void2     applied 1000         10000
        held           won9      applied 2500         11500
        held           lost9     applied 0             9000
        held           void9     applied 1000         10000
        held           held9     applied 0             9000

        held-won5      hold      settled              11500
        held-won5      void2     superseded by 5      11500
        held-won5      won9      applied 0            11500
        held-won5      lost9     applied -2500         9000
        held-won5      void9     applied -1500        10000
        held-won5      held9     applied -2500         9000
        held-won5      won5      again                11500
        held-won5      lost5     revision_conflict    11500
        held-won5      void5     revision_conflict    11500
        held-won5      lost4     superseded by 5      11500

        held-void5     hold      voided               10000
        held-void5     void2     superseded by 5      10000
        held-void5     won9      applied 1500         11500
        held-void5     void9     applied 0            10000
        held-void5     held9     applied -1000         9000
        held-held5     hold      held                  9000
        held-held5     won9      applied 2500         11500
        held-held5     void9     applied 1000         10000

        held-void2     hold      was voided           10000
        held-void2     void2     again                10000
        held-void2     won9      invalid_transition   10000
        held-void2     void9     applied 0            10000
        held-void2     held9     invalid_transition   10000
        held-void2-void5 won9    invalid_transition   10000

        void2          hold      was voided           10000
        void2          void2     again                10000
        void2          won9      invalid_transition   10000
        void2          void9     applied 0            10000
        void2          held9     invalid_transition   10000
        void5          hold      voided               10000
        void5          won9      invalid_transition   10000
        void5          held9     invalid_transition   10000
        void5          void2     superseded by 5      10000

        held           won2      invalid_transition    9000
        held           void1     bad_request           9000
        held           won1      bad_request           9000
        ",
    );
}

#[track_caller]
fn check(table: &str) {
    for row in table.lines().map(|line| line.split('#').next().unwrap().trim()) {
        let mut words = row.split_whitespace();
        let (Some(from), Some(message)) = (words.next(), words.next()) else { continue };
        let mut wanted: Vec<&str> = words.collect();
        let free: i64 = wanted.pop().unwrap().parse().unwrap();
        let mut case = Case::new(ClawBack::Negative);
        for step in from.split('-').filter(|step| *step != "absent") {
            play(&mut case, step);
        }
        assert_eq!(play(&mut case, message), wanted.join(" "), "{row}");
        assert_eq!(case.free(), free, "{row}");
    }
}

/// Plays one word: `hold`, `held` (a hold), `declined`, or a target with its revision.
fn play(case: &mut Case, word: &str) -> String {
    match word {
        "hold" | "held" => say_hold(&case.hold("b", 1000)),
        "declined" => {
            let decline = Some(DeclineCode::LimitExceeded);
            let (answer, movements) = case.register.authorize_unless(NOW, &ask("b", 1000), decline);
            case.note(movements);
            say_hold(&answer.unwrap())
        }
        _ => {
            let (target, revision) = word.split_at(word.len() - 1);
            let revision = revision.parse().unwrap();
            let result = case.send(&match target {
                "won" => settled("b", revision, 2500),
                "lost" => settled("b", revision, 0),
                "void" => voided("b", revision),
                "held" => held("b", revision),
                _ => panic!("no message is called {word}"),
            });
            say(&result)
        }
    }
}

fn say_hold(answer: &AuthorizeResponse) -> String {
    match (answer.decision, answer.status) {
        (Some(HoldDecision::Approved), RowStatus::Held) => "approved".into(),
        (Some(HoldDecision::Declined), RowStatus::Declined) => "declined".into(),
        (Some(HoldDecision::Voided), RowStatus::Voided) => "was voided".into(),
        (None, status) => status.as_str().into(),
        (decision, status) => panic!("{decision:?} with {status:?}"),
    }
}

/// Two contents raced under one bet: the void of the one that is decided ends the hold of the other.
#[test]
fn a_final_void_ends_a_hold_of_another_content() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 700);
    assert_eq!(case.authorize(&ask("b", 1000)), Err(Refusal::RevisionConflict));
    let mut void = voided("b", 2);
    void.stake = money(5, "USD", 2);
    assert_eq!(say(&case.send(&void)), "applied 700");
    assert_eq!(case.free(), OPENING);
    assert_eq!(say(&case.send(&void)), "again");
    assert_eq!(say(&case.send(&voided("b", 2))), "revision_conflict");
}

#[test]
fn a_settlement_of_another_stake_player_or_round_moves_nothing() {
    let mut case = Case::new(ClawBack::Negative);
    case.hold("b", 1000);
    case.deposit("p_10", 1);
    let good = settled("b", 3, 2500);
    let stake = StateItem { stake: euro(1001), ..good.clone() };
    let player = StateItem { partner_player_id: "p_10".into(), ..good.clone() };
    let round = StateItem { round_id: "r_2".into(), ..good.clone() };
    let negative = StateItem { payout: Some(euro(-1)), ..good.clone() };
    let unpaid = StateItem { payout: None, ..good.clone() };
    let paid_void = StateItem { payout: Some(euro(1)), ..voided("b", 3) };
    for (item, code) in [
        (stake, "revision_conflict"),
        (player, "revision_conflict"),
        (round, "bad_request"),
        (negative, "bad_request"),
        (unpaid, "bad_request"),
        (paid_void, "bad_request"),
    ] {
        assert_eq!(say(&case.send(&item)), code);
    }
    assert_eq!((case.free(), case.movements.len()), (OPENING - 1000, 1));
    assert_eq!(say(&case.send(&good)), "applied 2500");
}

#[test]
fn malformed_authorizes_leave_no_row() {
    let mut case = Case::new(ClawBack::Negative);
    let good = ask("b", 1000);
    let bad = [
        AuthorizeRequest { op: "state".into(), ..good.clone() },
        AuthorizeRequest { revision: 2, ..good.clone() },
        AuthorizeRequest { round_id: "r_2".into(), ..good.clone() },
        AuthorizeRequest { bet_id: "r_1:".into(), ..good.clone() },
        AuthorizeRequest { bet_id: "r_1:a.b".into(), ..good.clone() },
        AuthorizeRequest { bet_id: format!("r_1:{}", "x".repeat(61)), ..good.clone() },
        AuthorizeRequest { partner_player_id: String::new(), ..good.clone() },
        AuthorizeRequest { stake: euro(0), ..good.clone() },
        AuthorizeRequest { stake: euro(-5), ..good.clone() },
        AuthorizeRequest { expires_at: "soon".into(), ..good },
    ];
    for request in bad {
        let refusal = case.authorize(&request).unwrap_err();
        assert_eq!(refusal.code(), "bad_request", "{request:?}");
    }
    assert_eq!(case.register.rows().count(), 0);
}

/// What every name in the options of a register means for a table of players.
#[test]
fn accounts_are_opened_on_first_sight() {
    let mut case = Case::new(ClawBack::Negative);
    assert_eq!(case.register.balance("p_9"), None);
    case.hold("b", 1000);
    assert_eq!(case.movements[0].opening, Some(OPENING));
    case.hold("c", 1000);
    assert_eq!(case.movements[1].opening, None);
    let seen: BTreeMap<_, _> =
        case.register.accounts().map(|(player, account)| (player, account.free.units)).collect();
    assert_eq!(seen, BTreeMap::from([("p_9", OPENING - 2000)]));
}
