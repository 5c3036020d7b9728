//! Any production machine behind one type, so that one queue can drive them all.

use super::calls::{Answer, Call};
use ingest::placing::{Ask, Told};
use partner_dispatcher::OwedQuery;
use runtime::{
    Alarm, Batch, Effect, EngineError, Fact, Input, Machine, Millis, Record, Scope, Source,
};

/// What machines are asked.
#[derive(Clone, Debug)]
pub enum Request {
    Bet(Ask),
    Owed(OwedQuery),
}

/// What they reply.
#[derive(Clone, Debug)]
pub enum Reply {
    Bet(Told),
    Owed,
}

/// An input whose call and request types are erased.
#[derive(Clone, Debug)]
pub enum RawInput {
    Records { source: Source, records: Vec<Record>, end: u64 },
    Loaded { token: u64, facts: Vec<Fact> },
    Peeked { token: u64, records: Vec<Record>, end: u64 },
    Applied { token: u64 },
    Failed { token: u64, error: EngineError },
    Answered { token: u64, answer: Answer },
    Timer { token: u64 },
    Request { token: u64, request: Request },
}

/// An effect whose call and reply types are erased.
#[derive(Clone, Debug)]
pub enum RawEffect {
    Load { token: u64, scope: Scope },
    Peek { token: u64, source: Source, from: u64 },
    Apply { token: u64, batch: Batch },
    Call { token: u64, call: Call },
    Timer { token: u64, at: Millis },
    Reply { token: u64, reply: Reply },
    Alarm(Alarm),
}

/// A machine as the world drives it.
pub trait Actor {
    fn sources(&self) -> Vec<(Source, u64)>;
    fn start(&mut self, now: Millis) -> Vec<RawEffect>;
    fn handle(&mut self, now: Millis, input: RawInput) -> Vec<RawEffect>;
    fn ready_for(&self, source: Source) -> bool;
    fn survives_failure(&self) -> bool;
}

/// How a machine's own types meet those of the world. A machine that never calls or is never asked
/// says so by panicking in the method that cannot be reached.
pub trait Plug: Machine {
    fn call(call: Self::Call) -> Call;
    fn answer(answer: Answer) -> Self::Answer;
    fn request(request: Request) -> Self::Request;
    fn reply(reply: Self::Reply) -> Reply;
}

impl<M: Plug> Actor for M {
    fn sources(&self) -> Vec<(Source, u64)> {
        Machine::sources(self)
    }

    fn start(&mut self, now: Millis) -> Vec<RawEffect> {
        raw(Machine::start(self, now))
    }

    fn handle(&mut self, now: Millis, input: RawInput) -> Vec<RawEffect> {
        let input = match input {
            RawInput::Records { source, records, end } => Input::Records { source, records, end },
            RawInput::Loaded { token, facts } => Input::Loaded { token, facts },
            RawInput::Peeked { token, records, end } => Input::Peeked { token, records, end },
            RawInput::Applied { token } => Input::Applied { token },
            RawInput::Failed { token, error } => Input::Failed { token, error },
            RawInput::Answered { token, answer } => {
                Input::Answered { token, answer: M::answer(answer) }
            }
            RawInput::Timer { token } => Input::Timer { token },
            RawInput::Request { token, request } => {
                Input::Request { token, request: M::request(request) }
            }
        };
        raw(Machine::handle(self, now, input))
    }

    fn ready_for(&self, source: Source) -> bool {
        Machine::ready_for(self, source)
    }

    fn survives_failure(&self) -> bool {
        Machine::survives_failure(self)
    }
}

fn raw<M: Plug>(effects: Vec<Effect<M>>) -> Vec<RawEffect> {
    let raw = |effect| match effect {
        Effect::Load { token, scope } => RawEffect::Load { token, scope },
        Effect::Peek { token, source, from } => RawEffect::Peek { token, source, from },
        Effect::Apply { token, batch } => RawEffect::Apply { token, batch },
        Effect::Call { token, call } => RawEffect::Call { token, call: M::call(call) },
        Effect::Timer { token, at } => RawEffect::Timer { token, at },
        Effect::Reply { token, reply } => RawEffect::Reply { token, reply: M::reply(reply) },
        Effect::Alarm(alarm) => RawEffect::Alarm(alarm),
    };
    effects.into_iter().map(raw).collect()
}
