//! A loop as a state machine without IO.

use crate::{Batch, EngineError, Fact, Millis, Record, Scope, Source};

/// Records given to a machine in one input, unless it says how many.
pub const READ_RECORDS_MAX: usize = 1_000;

/// What a driver tells a machine.
#[derive(Clone, Debug)]
pub enum Input<M: Machine + ?Sized> {
    /// The next records of a source, in order, at least one.
    Records {
        /// Where they stand.
        source: Source,
        /// The records.
        records: Vec<Record>,
        /// The partition's end when they were read: the offset the next record to be appended gets.
        end: u64,
    },
    /// What [`Effect::Peek`] asked for.
    Peeked {
        /// The effect's token.
        token: u64,
        /// The records from the offset asked for on, in order; none if there were none.
        records: Vec<Record>,
        /// The partition's end when they were read.
        end: u64,
    },
    /// What [`Effect::Load`] asked for, ordered by key, read at quorum after the effect.
    Loaded {
        /// The effect's token.
        token: u64,
        /// The facts.
        facts: Vec<Fact>,
    },
    /// The batch of [`Effect::Apply`] is durable.
    Applied {
        /// The effect's token.
        token: u64,
    },
    /// The batch of [`Effect::Apply`] may or may not become durable, now or later.
    ///
    /// Only told to machines that say [`Machine::survives_failure`].
    Failed {
        /// The effect's token.
        token: u64,
        /// Why.
        error: EngineError,
    },
    /// An answer, or the certainty that none will come.
    Answered {
        /// The token of the [`Effect::Call`].
        token: u64,
        /// The answer.
        answer: M::Answer,
    },
    /// The time of an [`Effect::Timer`] has come.
    Timer {
        /// The effect's token.
        token: u64,
    },
    /// Somebody asks the machine for something and waits for [`Effect::Reply`].
    Request {
        /// Given by the driver, unique while the request waits.
        token: u64,
        /// The request.
        request: M::Request,
    },
}

/// What a machine wants done. Tokens are the machine's own names for its effects.
#[derive(Clone, Debug)]
pub enum Effect<M: Machine + ?Sized> {
    /// Read some records of a source beside the machine's own reading, which stays where it is; answered
    /// by [`Input::Peeked`] without waiting for records to come. Peeks that follow each other are cheap.
    Peek {
        /// Names the answer.
        token: u64,
        /// The partition.
        source: Source,
        /// The offset of the first record; a lower one than is still kept means the lowest kept.
        from: u64,
    },
    /// Read the facts of a scope; answered by [`Input::Loaded`].
    Load {
        /// Names the answer.
        token: u64,
        /// What to read.
        scope: Scope,
    },
    /// Make a batch durable in the order of [`Batch::steps`]; answered by [`Input::Applied`].
    Apply {
        /// Names the answer.
        token: u64,
        /// What to write.
        batch: Batch,
    },
    /// Call the outside; answered by [`Input::Answered`] exactly once, unless the process dies.
    Call {
        /// Names the answer.
        token: u64,
        /// The call.
        call: M::Call,
    },
    /// Give [`Input::Timer`] at `at` or soon after it. Cannot be taken back.
    Timer {
        /// Names the timer.
        token: u64,
        /// When, in ms since the Unix epoch.
        at: Millis,
    },
    /// Answer a request.
    Reply {
        /// The request's token.
        token: u64,
        /// The answer.
        reply: M::Reply,
    },
    /// Tell people that something is wrong.
    Alarm(Alarm),
}

/// Something that people must see: logged and counted by `name`.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Alarm {
    /// A stable name, such as `bet_frozen`.
    pub name: &'static str,
    /// What happened to what, for a reader who knows the words of the design.
    pub text: String,
}

/// A loop: `handle(input) -> effects`, without IO, `async`, clock, randomness or lock.
///
/// The same inputs in the same order give the same effects. A machine that is dropped at any time
/// loses nothing: what it kept in memory is a cache of the log and the store.
pub trait Machine {
    /// A call to the outside.
    type Call: Clone + std::fmt::Debug + Send + 'static;
    /// Its answer.
    type Answer: Clone + std::fmt::Debug + Send + 'static;
    /// What others may ask of the machine.
    type Request: Clone + std::fmt::Debug + Send + 'static;
    /// The machine's reply to a request.
    type Reply: Clone + std::fmt::Debug + Send + 'static;

    /// The partitions to read, each from its offset. Asked once, before the first input.
    fn sources(&self) -> Vec<(Source, u64)>;

    /// The first effects, before any input.
    fn start(&mut self, _now: Millis) -> Vec<Effect<Self>> {
        Vec::new()
    }

    /// Takes one input and says what is to be done.
    fn handle(&mut self, now: Millis, input: Input<Self>) -> Vec<Effect<Self>>;

    /// Whether the next records of `source` may be given now. Asked after every input; it is how a
    /// machine bounds what it keeps.
    fn ready_for(&self, source: Source) -> bool;

    /// The most records in one input, at least 1.
    fn records_max(&self) -> usize {
        READ_RECORDS_MAX
    }

    /// Whether a failed batch is told as [`Input::Failed`]. Otherwise the driver drops the machine, and
    /// a new one starts from the stored offset.
    fn survives_failure(&self) -> bool {
        false
    }
}
