//! A session that may go on: what is kept of it to hold the next request against. In: the facts of one
//! request after another. Out: whether it begins a turn, is a retry, or is the first of another session.

use std::collections::HashMap;

use super::facts::Belonging;
use super::prefix::Prompt;
use super::{Ending, Facts, NamedBy, TurnSummary};

/// A session that may go on.
#[derive(Default)]
pub(super) struct Open {
    pub(super) id: String,
    pub(super) named_by: NamedBy,
    pub(super) parent: Option<String>,
    /// Its place in the summary, once an exchange of it is kept there.
    pub(super) kept_at: Option<usize>,
    /// The turn that goes on, without its exchanges.
    pub(super) turn: TurnSummary,
    /// Whether the summary has it.
    pub(super) turn_is_kept: bool,
    /// How many turns there were.
    pub(super) turns: u64,
    pub(super) prompt: Option<Prompt>,
    pub(super) last: Option<Last>,
    /// Calls whose outputs have not come: the tool, by the call's id.
    pub(super) pending: HashMap<String, String>,
    /// The number of its last exchange.
    pub(super) used_at: u64,
}

/// What of the last exchange of a session the next one is held against.
pub(super) struct Last {
    pub(super) number: u64,
    pub(super) attempt: u32,
    pub(super) retry_of: Option<u64>,
    pub(super) outcome: Ending,
    pub(super) model: Option<String>,
    pub(super) input_tokens: Option<u64>,
    /// When its answer ended: microseconds since 1970 (UTC).
    pub(super) end_unix_us: Option<i64>,
}

impl Open {
    /// Whether a request that begins like this session is the first of another one.
    pub(super) fn begins_anew(&self, prompt: &Prompt) -> bool {
        let may_be_retry = self.last.as_ref().is_some_and(|last| last.outcome != Ending::Completed);
        let known = self.prompt.as_ref().map_or(usize::MAX, Prompt::items);
        !may_be_retry && prompt.items() <= known
    }

    /// A request after a failure is a retry, unless the user has said something new.
    pub(super) fn attempts(&self, facts: &mut Facts, user_spoke: bool) {
        let failed = self.last.as_ref().filter(|last| last.outcome.is_error());
        if let Some(last) = failed.filter(|last| !user_spoke && last.model == facts.model) {
            facts.attempt = last.attempt + 1;
            facts.retry_of = last.retry_of.or(Some(last.number));
        }
    }

    /// Begins a turn where the client says so, or else where the user says something.
    pub(super) fn turns(
        &mut self,
        facts: &Facts,
        belongs: &Belonging,
        says: Option<String>,
    ) -> bool {
        let begins = match (&belongs.turn, &self.turn.id) {
            (Some(now), Some(before)) => now != before,
            _ => self.last.is_none() || (says.is_some() && facts.retry_of.is_none()),
        };
        if begins {
            self.turn =
                TurnSummary { id: belongs.turn.clone(), prompt: says, ..TurnSummary::default() };
            self.turn_is_kept = false;
            self.turns += 1;
        }
        begins
    }

    /// Notes down what the next request is held against.
    pub(super) fn goes_on(&mut self, facts: &Facts) {
        let began_us = facts.at_unix_ms.map(|ms| ms.saturating_mul(1000));
        let took_us = facts.times.duration_us.map(|us| us as i64);
        let known = self.last.as_ref().and_then(|last| last.input_tokens);
        self.last = Some(Last {
            number: facts.number,
            attempt: facts.attempt,
            retry_of: facts.retry_of,
            outcome: facts.outcome,
            model: facts.model.clone(),
            input_tokens: facts.tokens.map(|used| used.input).or(known),
            end_unix_us: began_us.zip(took_us).map(|(began, took)| began.saturating_add(took)),
        });
    }
}
