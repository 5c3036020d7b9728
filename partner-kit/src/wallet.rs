//! A register that survives: every answer waits until the journal holds what it says.
//!
//! Also the answer to a repeat, a refusal and a query waits: it may speak of a row that another request
//! wrote a moment ago and that is not on disk yet.

use crate::faults::FaultSettings;
use crate::journal::{Durability, Journal, JournalError, JournalFile, JournalStopped};
use crate::misbehaviours::Script;
use crate::movement::{DeclineCode, Entry, Epoch};
use crate::register::{LedgerOptions, Refusal, Register};
use crate::signed::WalletKeys;
use crate::takes::Takes;
use schemas::Money;
use schemas::contract::{
    AuthorizeRequest, AuthorizeResponse, CloseRequest, CloseResponse, ItemOutcome, QueryRequest,
    QueryResponse, RoundBetsResponse, StateRequest, StateResponse, StateResult,
};
use std::fmt;
use std::path::PathBuf;
use std::sync::{Arc, Mutex, PoisonError};

/// Where the time comes from: ms since the Unix epoch.
pub type Clock = Arc<dyn Fn() -> i64 + Send + Sync>;

/// The machine's own clock.
pub fn system_clock() -> Clock {
    Arc::new(now)
}

#[expect(clippy::disallowed_methods, reason = "the wallet's one reading of the clock")]
fn now() -> i64 {
    let since = std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH);
    i64::try_from(since.unwrap_or_default().as_millis()).unwrap_or(i64::MAX)
}

/// Where a wallet keeps its journal.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Keep {
    /// In this file.
    File(PathBuf, Durability),
    /// Nowhere: a restart forgets everything. For benches.
    InMemory,
}

/// What a wallet is told once.
#[derive(Clone)]
pub struct WalletOptions {
    /// The ledger. A higher epoch than the journal's is written down; a lower one gives way to it.
    pub ledger: LedgerOptions,
    /// Whose messages count, and what answers are signed with.
    pub keys: WalletKeys,
    /// Where the journal is.
    pub keep: Keep,
    /// How to misbehave at first; can be changed at run time.
    pub faults: FaultSettings,
    /// Seed of the faults.
    pub seed: u64,
    /// Requests answered at once; one more is told that the wallet is overloaded.
    pub requests_max: usize,
    /// What a state call may be.
    pub takes: Takes,
    /// Where the time comes from.
    pub clock: Clock,
    /// What misbehaves besides the switches.
    pub orders: Orders,
}

/// What a misbehaving wallet takes orders from, besides its switches. By default nothing.
#[derive(Clone, Debug, Default)]
pub struct Orders {
    /// Whether the header `x-misbehave: <name>` is obeyed.
    pub header: bool,
    /// What befalls which calls.
    pub script: Script,
}

impl fmt::Debug for WalletOptions {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("WalletOptions")
            .field("ledger", &self.ledger)
            .field("keys", &self.keys)
            .field("keep", &self.keep)
            .field("faults", &self.faults)
            .field("seed", &self.seed)
            .field("requests_max", &self.requests_max)
            .field("takes", &self.takes)
            .field("orders", &self.orders)
            .finish_non_exhaustive()
    }
}

/// One partner's wallet. Dropping it writes what is queued and blocks until then.
pub struct Wallet {
    register: Mutex<Register>,
    journal: Journal,
    clock: Clock,
}

impl fmt::Debug for Wallet {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Wallet").field("journal", &self.journal).finish_non_exhaustive()
    }
}

impl Wallet {
    /// Opens the journal and replays it. Blocks.
    ///
    /// # Errors
    /// If the journal is locked, damaged, another partner's, or the disk says no.
    pub fn open(ledger: LedgerOptions, keep: &Keep, clock: Clock) -> Result<Self, JournalError> {
        let epoch_wanted = ledger.ledger_epoch;
        // A journal may have been left in an older epoch than the one asked for.
        let mut register = Register::new(LedgerOptions { ledger_epoch: 0, ..ledger });
        let journal = match keep {
            Keep::InMemory => Journal::in_memory(),
            Keep::File(path, durability) => {
                let file =
                    JournalFile::open(path, *durability, |entry| register.replay_entry(&entry))?;
                Journal::start(file).map_err(|source| JournalError::Io {
                    step: "start the writer of",
                    path: path.clone(),
                    source,
                })?
            }
        };
        if register.options().ledger_epoch < epoch_wanted {
            let partner = register.options().partner.to_string();
            journal.append([register.begin_epoch(Epoch { partner, ledger_epoch: epoch_wanted })]);
        }
        Ok(Self::with(register, journal, clock))
    }

    /// A wallet of a register and the journal that it came from.
    pub fn with(register: Register, journal: Journal, clock: Clock) -> Self {
        Self { register: Mutex::new(register), journal, clock }
    }

    /// Asks for a stake; `decline` is the wallet's own reason to refuse a bet that has no row.
    ///
    /// # Errors
    /// [`JournalStopped`] if the answer could not be made durable: nothing is known then.
    pub async fn authorize(
        &self,
        request: &AuthorizeRequest,
        decline: Option<DeclineCode>,
    ) -> Result<Result<AuthorizeResponse, Refusal>, JournalStopped> {
        self.apply(|register, now| {
            let (answer, movements) = register.authorize_unless(now, request, decline);
            (answer, movements.into_iter().map(Entry::Movement).collect())
        })
        .await
    }

    /// Takes the items in order, each on its own.
    ///
    /// # Errors
    /// [`JournalStopped`] if the answer could not be made durable: nothing is known then.
    pub async fn state(&self, request: &StateRequest) -> Result<StateResponse, JournalStopped> {
        self.apply(|register, _| {
            let mut entries = Vec::with_capacity(request.items.len());
            let mut results = Vec::with_capacity(request.items.len());
            for item in &request.items {
                let (result, movements) = register.state(item);
                results.push(result);
                entries.extend(movements.into_iter().map(Entry::Movement));
            }
            let chunk_id = request.chunk_id.clone();
            (StateResponse { chunk_id, ledger_epoch: register.ledger_epoch(), results }, entries)
        })
        .await
    }

    /// Takes no item: the answer to each is that it comes later.
    pub(crate) fn put_off(&self, request: &StateRequest) -> StateResponse {
        let results = request.items.iter().map(|item| StateResult {
            bet_id: item.bet_id.clone(),
            revision: item.revision,
            outcome: ItemOutcome::Pending,
            status: None,
            moved: None,
            collected_net: None,
            shortfall: None,
            replayed: false,
            code: None,
            partner_ref: None,
        });
        StateResponse {
            chunk_id: request.chunk_id.clone(),
            ledger_epoch: self.peek(Register::ledger_epoch),
            results: results.collect(),
        }
    }

    /// This side's view of a round, as if its first `lost` rows were not there.
    ///
    /// # Errors
    /// [`JournalStopped`] if what it shows could not be made durable.
    pub async fn close(
        &self,
        request: &CloseRequest,
        lost: usize,
    ) -> Result<CloseResponse, JournalStopped> {
        let close = |register: &Register| register.close(request);
        self.read(|register| match lost {
            0 => close(register),
            _ => close(&register.without(&request.round_id, lost)),
        })
        .await
    }

    /// How these bets stand.
    ///
    /// # Errors
    /// [`JournalStopped`] if what it shows could not be made durable.
    pub async fn query(&self, request: &QueryRequest) -> Result<QueryResponse, JournalStopped> {
        self.read(|register| register.query(request)).await
    }

    /// A page of the rows of a round, as if its first `lost` rows were not there.
    ///
    /// # Errors
    /// [`JournalStopped`] if what it shows could not be made durable.
    pub async fn round_bets(
        &self,
        round_id: &str,
        after: &str,
        limit: usize,
        lost: usize,
    ) -> Result<RoundBetsResponse, JournalStopped> {
        let page = |register: &Register| register.round_bets(round_id, after, limit);
        self.read(|register| match lost {
            0 => page(register),
            _ => page(&register.without(round_id, lost)),
        })
        .await
    }

    /// Puts money into a player's account, or takes it out.
    ///
    /// # Errors
    /// [`JournalStopped`] if it could not be made durable.
    pub async fn deposit(
        &self,
        player: &str,
        money: Money,
    ) -> Result<Result<(), Refusal>, JournalStopped> {
        self.apply(|register, _| match register.deposit(player, money) {
            Ok(entry) => (Ok(()), vec![entry]),
            Err(refusal) => (Err(refusal), Vec::new()),
        })
        .await
    }

    /// Blocks a player or lets them bet again.
    ///
    /// # Errors
    /// [`JournalStopped`] if it could not be made durable.
    pub async fn block(&self, player: &str, blocked: bool) -> Result<(), JournalStopped> {
        self.apply(|register, _| ((), vec![register.block(player, blocked)])).await
    }

    /// Moves money on a bet that nobody asked for; see [`Register::misapply`].
    ///
    /// # Errors
    /// [`JournalStopped`] if it could not be made durable.
    pub(crate) async fn misapply(
        &self,
        bet_id: &str,
        units: i64,
    ) -> Result<Option<i64>, JournalStopped> {
        self.apply(|register, _| match register.misapply(bet_id, units) {
            Some(moved) => (Some(moved.collected_net), vec![Entry::Movement(moved)]),
            None => (None, Vec::new()),
        })
        .await
    }

    /// Reads the register, and answers once what was read is on disk.
    ///
    /// # Errors
    /// [`JournalStopped`] if that will not happen.
    pub async fn read<T>(&self, look: impl FnOnce(&Register) -> T) -> Result<T, JournalStopped> {
        self.apply(|register, _| (look(register), Vec::new())).await
    }

    /// Looks at the register without waiting for the disk: for figures that promise nothing.
    pub fn peek<T>(&self, look: impl FnOnce(&Register) -> T) -> T {
        look(&self.register.lock().unwrap_or_else(PoisonError::into_inner))
    }

    /// The wallet's time, ms since the Unix epoch.
    pub fn now(&self) -> i64 {
        (self.clock)()
    }

    /// Whether answers can still be made durable.
    pub fn is_open(&self) -> bool {
        self.journal.is_open() && !self.register.is_poisoned()
    }

    /// The one place where an answer is made: change, queue the entries in the same order, wait.
    async fn apply<T>(
        &self,
        change: impl FnOnce(&mut Register, i64) -> (T, Vec<Entry>),
    ) -> Result<T, JournalStopped> {
        let now = self.now();
        let (answer, ticket) = {
            // A panic amid a change would leave memory apart from the journal: only a restart helps.
            let mut register = self.register.lock().map_err(|_| JournalStopped)?;
            register.tell_time(now);
            let (answer, entries) = change(&mut register, now);
            // Still under the lock, so that the journal has the order of the register.
            (answer, self.journal.append(entries))
        };
        self.journal.durable(ticket).await?;
        Ok(answer)
    }
}
