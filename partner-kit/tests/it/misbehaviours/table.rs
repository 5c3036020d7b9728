//! A settlement of a bet that is held, twice, with each misbehaviour in turn.

use super::raw::exchange;
use super::{behave, counted, net, switch, wallet};
use crate::client::{STATE, chunk, settled};
use partner_kit::Orders;
use partner_kit::misbehaviours::{MisbehaveSettings, Misbehaviour};

/// What is won: the payout of 15.50 without the stake of 10.00.
const WON: i64 = 550;
/// What is lost while the stake is held.
const HELD: i64 = -1_000;

/// The two answers, how often it was misbehaved, and what the player has won or lost by then.
type Line = (&'static str, [&'static str; 2], u64, i64);

const APPLIED: &str = "200 signed applied \"550\"";
const TABLE: [Line; Misbehaviour::COUNT] = [
    ("reply-dropped", ["0 bytes, Reset"; 2], 2, WON),
    ("error-after-apply", ["500 internal"; 2], 2, WON),
    ("gateway-error", ["502 page", "503 page"], 2, HELD),
    ("too-many-requests", ["429 overloaded, again in 1 s", "429 overloaded"], 2, HELD),
    ("late-apply", ["0 bytes, Reset"; 2], 2, HELD),
    ("error-in-200", ["200 signed chunk null"; 2], 2, HELD),
    ("empty-200", ["200 signed empty"; 2], 2, WON),
    ("html-200", ["200 unsigned page"; 2], 2, HELD),
    ("truncated-json", ["200 signed no JSON"; 2], 2, WON),
    ("endless-chunks", ["200 all of it, Open"; 2], 2, WON),
    ("byte-a-second", ["200 a part, Open"; 2], 2, WON),
    ("huge-answer", ["200 all of it, TooMuch", "200 signed huge head applied \"550\""], 2, WON),
    ("redirect", ["307 to http://wallet.invalid/wallet/v1/elsewhere"; 2], 2, HELD),
    ("tls-alert", ["a TLS alert, Closed"; 2], 2, HELD),
    ("reset-mid-body", ["200 a part, Reset"; 2], 2, WON),
    ("closed-keep-alive", [APPLIED; 2], 2, WON),
    (
        "double-apply",
        ["200 signed applied \"2100\"", "200 signed applied \"3650\""],
        2,
        WON + 3_100,
    ),
    ("short-memory", ["500 internal"; 2], 2, WON),
    ("other-answer", ["0 bytes, Reset", "200 signed rejected revision_conflict"], 2, WON),
    ("conflict-first", ["409 in_progress", APPLIED], 1, WON),
    ("hold-after-void", [APPLIED; 2], 0, WON),
    ("unknown-then-known", [APPLIED; 2], 0, WON),
    ("debit-refused", [APPLIED; 2], 0, WON),
    ("wrong-amount", ["200 signed applied \"600\""; 2], 1, WON + 50),
    ("odd-numbers", ["200 signed applied 550.0", "200 signed applied \"550.00\""], 2, WON),
    ("wrong-bet", ["200 signed bet \"r_1:another\""; 2], 2, WON),
    ("clock-off", ["401 clock_skew", "200 stale applied \"550\""], 2, WON),
    ("key-unknown", ["200 unknown key applied \"550\""; 2], 2, WON),
    ("ids-folded", ["200 signed chunk \"C_1\"", "200 signed chunk \"c_\""], 2, WON),
    ("maintenance", ["503 overloaded, again in 21600 s"; 2], 2, HELD),
    ("wrong-statement", [APPLIED; 2], 0, WON),
    ("other-version", ["200 signed APPLIED_V2 \"550\"", "406 version_unsupported"], 2, WON),
];

#[tokio::test]
async fn each_is_at_the_wire_what_the_catalogue_says() {
    for (which, (name, answers, count, won)) in Misbehaviour::ALL.into_iter().zip(TABLE) {
        assert_eq!(which.entry().name, name);
        let wallet = wallet(Orders::default()).await;
        switch(&wallet, which, MisbehaveSettings::NONE).await;
        let body = chunk([settled("b", 3, 1550)]);
        for (attempt, wanted) in ["1", "2"].into_iter().zip(answers) {
            let answer = exchange(wallet.address, STATE, &body, &[("attempt", attempt)]).await;
            // Blanks behind the JSON are JSON; the first two megabytes of them are enough.
            assert_eq!(answer.said(), wanted, "{name}, attempt {attempt}");
        }
        assert_eq!(counted(&wallet, which).await, count, "{name}");
        assert_eq!(net(&wallet).await, won, "{name}");
        behave(&wallet).await;
        let honest = exchange(wallet.address, STATE, &body, &[]).await.said();
        let said = format!("200 signed applied \"{}\"", if won == HELD { WON } else { won });
        assert_eq!(honest, said, "{name}, switched off");
        wallet.stop().await;
    }
}
