//! Two sessions side by side. In: the two, from one summary or two. Out: [`Against`]: their sums, and
//! turn by turn what one did and the other did otherwise.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Called, SessionSummary, Sum, TurnSummary};

/// Two sessions, compared.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Against {
    /// The one session's id, and its sum.
    pub one: (String, Sum),
    /// The other's.
    pub other: (String, Sum),
    /// Their turns, side by side.
    pub turns: Vec<TurnPair>,
}

/// Turns of two sessions that have the same number.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TurnPair {
    /// The number, from 1.
    pub number: usize,
    /// What the one did; none where it has no such turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub one: Option<TurnDigest>,
    /// What the other did.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub other: Option<TurnDigest>,
    /// What differs: the names of the members of [`TurnDigest`].
    pub differs: Vec<String>,
}

/// What a turn did, in brief.
#[derive(Debug, Clone, PartialEq, Serialize, JsonSchema)]
pub struct TurnDigest {
    /// What the user said, shortened.
    pub prompt: String,
    /// The models that were asked.
    pub models: Vec<String>,
    /// How many exchanges it took, retries included.
    pub exchanges: u64,
    /// How many of them failed.
    pub errors: u64,
    /// The tools in the order in which they were called, with what they were given.
    pub calls: Vec<String>,
    /// What was said last, shortened.
    pub said: String,
    /// Tokens of input, of these from the cache, and of output.
    pub tokens: (u64, u64, u64),
    /// What it cost in USD, as far as there are prices.
    pub cost_usd: f64,
}

/// Compares two sessions, turn by turn.
pub fn compare(one: &SessionSummary, other: &SessionSummary) -> Against {
    let turns = 0..one.turns.len().max(other.turns.len());
    let pairs = turns.map(|at| {
        let digest = |session: &SessionSummary| session.turns.get(at).map(TurnDigest::of);
        let (one, other) = (digest(one), digest(other));
        let differs = one.as_ref().zip(other.as_ref()).map(|(one, other)| one.differs(other));
        TurnPair { number: at + 1, one, other, differs: differs.unwrap_or_default() }
    });
    Against {
        turns: pairs.collect(),
        one: (one.id.clone(), one.sum.clone()),
        other: (other.id.clone(), other.sum.clone()),
    }
}

impl TurnDigest {
    fn of(turn: &TurnSummary) -> TurnDigest {
        let mut sum = Sum::default();
        turn.exchanges.iter().for_each(|facts| sum.add(facts));
        let mut models: Vec<String> =
            turn.exchanges.iter().filter_map(|facts| facts.model.clone()).collect();
        models.dedup();
        let calls = turn.exchanges.iter().flat_map(|facts| &facts.calls);
        TurnDigest {
            prompt: turn.prompt.clone().unwrap_or_default(),
            models,
            exchanges: sum.exchanges,
            errors: sum.errors,
            calls: calls
                .map(|Called { name, arguments, .. }| format!("{name} {arguments}"))
                .collect(),
            said: turn
                .exchanges
                .iter()
                .filter_map(|facts| facts.said.clone())
                .next_back()
                .unwrap_or_default(),
            tokens: (sum.tokens.input, sum.tokens.cached, sum.tokens.output),
            cost_usd: sum.cost_usd,
        }
    }

    /// The names of the members that differ.
    fn differs(&self, other: &TurnDigest) -> Vec<String> {
        let pairs = [
            ("prompt", self.prompt != other.prompt),
            ("models", self.models != other.models),
            ("exchanges", self.exchanges != other.exchanges),
            ("errors", self.errors != other.errors),
            ("calls", self.calls != other.calls),
            ("said", self.said != other.said),
            ("tokens", self.tokens != other.tokens),
        ];
        pairs.into_iter().filter(|(_, differs)| *differs).map(|(name, _)| name.to_owned()).collect()
    }
}
