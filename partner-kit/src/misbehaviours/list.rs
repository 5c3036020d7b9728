//! The list itself.

use super::{Entry, Money};

macro_rules! catalogue {
    ($($number:literal $variant:ident $name:literal: $does:literal,
        counted $outcomes:expr, parked $parks:expr, cases $cases:expr, $money:ident;)+) => {
        /// A misbehaviour.
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub enum Misbehaviour {
            $(#[doc = $does] $variant,)+
        }

        impl Misbehaviour {
            /// How many there are.
            pub const COUNT: usize = [$($number),+].len();
            /// All, by number.
            pub const ALL: [Self; Self::COUNT] = [$(Self::$variant),+];

            /// Its line in the catalogue.
            pub const fn entry(self) -> Entry {
                match self {
                    $(Self::$variant => Entry {
                        number: $number, name: $name, does: $does, outcomes: &$outcomes,
                        parks: $parks, cases: &$cases, money: Money::$money,
                    },)+
                }
            }

            /// Its place in [`Misbehaviour::ALL`].
            pub(super) const fn index(self) -> usize {
                match self {
                    $(Self::$variant => $number - 1,)+
                }
            }
        }
    };
}

catalogue! {
    1 ReplyDropped "reply-dropped":
        "applies the call, then resets the connection instead of answering",
        counted ["broken"], parked None, cases [], Right;
    2 ErrorAfterApply "error-after-apply":
        "applies the call, then answers 500",
        counted ["server_error"], parked None, cases [], Right;
    3 GatewayError "gateway-error":
        "a gateway answers 502, 503 or 504; nothing is applied",
        counted ["server_error", "busy"], parked None, cases [], Right;
    4 TooManyRequests "too-many-requests":
        "answers 429, with and without `Retry-After`; nothing is applied",
        counted ["busy"], parked None, cases [], Right;
    5 LateApply "late-apply":
        "stays silent, and applies the call 12 h later (`late_ms`)",
        counted ["timeout"], parked None, cases [], Right;
    6 ErrorInside "error-in-200":
        "answers 200 with an error inside, signed; nothing is applied",
        counted ["nonsense"], parked None, cases [], Right;
    7 EmptyAnswer "empty-200":
        "applies the call, then answers 200 without a body, signed",
        counted ["nonsense"], parked None, cases [], Right;
    8 HtmlPage "html-200":
        "something before the wallet answers 200 with a page of HTML, not signed; nothing is applied",
        counted ["signature"], parked None, cases [], Right;
    9 TruncatedJson "truncated-json":
        "applies the call, then answers half of the JSON, signed",
        counted ["nonsense"], parked None, cases [], Right;
    10 EndlessChunks "endless-chunks":
        "applies the call, then answers in chunks of which the last never comes",
        counted ["timeout"], parked None, cases [], Right;
    11 ByteASecond "byte-a-second":
        "applies the call, then answers one byte a second (`byte_ms`)",
        counted ["timeout"], parked None, cases [], Right;
    12 HugeAnswer "huge-answer":
        "applies the call, then answers with 100 MB of body, or 1 MB of headers",
        counted ["too_large", "broken"], parked None, cases [], Right;
    13 Redirect "redirect":
        "answers 307 to another host; nothing is applied",
        counted ["no_answer"], parked None, cases [], Right;
    14 TlsAlert "tls-alert":
        "a TLS alert stands on the plain port in the place of an answer; nothing is applied",
        counted ["broken"], parked None, cases [], Right;
    15 ResetMidBody "reset-mid-body":
        "applies the call, then resets the connection amid the body of the answer",
        counted ["broken"], parked None, cases [], Right;
    16 ClosedKeepAlive "closed-keep-alive":
        "answers, keeps the connection, and closes it when the next call comes on it, which is not applied",
        counted ["answered", "broken"], parked None, cases [], Right;
    17 DoubleApply "double-apply":
        "applies the call twice, and moves the money twice",
        counted ["answered"], parked Some("collected_net"), cases [], Wrong;
    18 ShortMemory "short-memory":
        "applies the call and answers 500; what comes again after 24 h (`forget_ms`) is applied again",
        counted ["server_error"], parked Some("collected_net"), cases [], Wrong;
    19 OtherAnswer "other-answer":
        "applies the call and resets; to the repeat it answers that it declines, or that the revision conflicts",
        counted ["broken", "answered"], parked Some("revision_conflict"), cases [], AfterReplay;
    20 ConflictFirst "conflict-first":
        "answers 409 `in_progress` to a first call; nothing is applied",
        counted ["refused"], parked None, cases [], Right;
    21 HoldAfterVoid "hold-after-void":
        "stays silent about a stake, knows nothing of the bet when its void comes, and holds the stake later \
         (`late_ms`), whatever `expires_at` says",
        counted ["answered"], parked Some("unknown_bet"), cases [], AfterReplay;
    22 UnknownThenKnown "unknown-then-known":
        "leaves a row out of what it says about a round, and all rows out of queries; later they are there",
        counted ["answered"], parked None, cases ["close_rows", "close_unexplained"], Right;
    23 DebitRefused "debit-refused":
        "refuses corrections that take money from a player",
        counted ["answered"], parked Some("correction_refused"), cases [], AfterReplay;
    24 WrongAmount "wrong-amount":
        "pays a won bet up to the next whole unit of the currency, one at least",
        counted ["answered"], parked Some("collected_net"), cases [], Wrong;
    25 OddNumbers "odd-numbers":
        "applies the call, then answers with amounts as numbers, fractions (`1250.00`) and powers of ten",
        counted ["nonsense", "answered"], parked Some("collected_net"), cases [], AfterReplay;
    26 WrongBet "wrong-bet":
        "applies the call, then answers about another bet",
        counted ["nonsense"], parked None, cases [], Right;
    27 ClockOff "clock-off":
        "its clock is 5 h off: it refuses messages as old (401), or applies them and signs in the past",
        counted ["refused", "signature"], parked None, cases [], Right;
    28 KeyUnknown "key-unknown":
        "applies the call, then signs with a new key that nobody was told of",
        counted ["signature"], parked None, cases [], Right;
    29 IdsFolded "ids-folded":
        "applies the call, then answers with ids in other case, and without their last character",
        counted ["nonsense"], parked None, cases [], Right;
    30 Maintenance "maintenance":
        "answers 503 for 6 h (`maintenance_ms`), then applies all that came meanwhile, at once",
        counted ["busy"], parked None, cases [], Right;
    31 WrongStatement "wrong-statement":
        "its totals and digest of a round are wrong, or late",
        counted ["answered"], parked None, cases ["close_rows", "close_unexplained"], Right;
    32 OtherVersion "other-version":
        "speaks a version of the contract that is not agreed: 406, or other words in a 200",
        counted ["nonsense", "refused"], parked None, cases [], Right;
}
