//! Two sessions side by side. In: the two, from one summary or two. Out: [`Diff`]: their sums, and turn by
//! turn what one did and the other did otherwise. Turns that begin with the same words belong together;
//! between them, turns do in their order.

use schemars::JsonSchema;
use serde::Serialize;

use super::{Called, SessionSummary, Sum, Tokens, TurnSummary};

/// Up to so many pairs of turns are looked at to find those that belong together; beyond, only turns of
/// the same number do.
const PAIRS_MAX: usize = 1_000_000;

/// Two sessions, compared.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct Diff {
    /// The one session.
    pub one: DiffSide,
    /// The other.
    pub other: DiffSide,
    /// Their turns, side by side.
    pub turns: Vec<TurnPair>,
}

/// One of two sessions that are compared.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct DiffSide {
    /// Its id.
    pub id: String,
    /// Over its exchanges.
    pub sum: Sum,
}

/// Turns of two sessions that belong together.
#[derive(Debug, Clone, Serialize, JsonSchema)]
pub struct TurnPair {
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
    /// Its number in its session, from 1.
    pub number: usize,
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
    /// What was used.
    pub tokens: Tokens,
    /// What it cost in USD, as far as there are prices.
    pub cost_usd: f64,
}

/// Compares two sessions, turn by turn.
pub fn diff(one: &SessionSummary, other: &SessionSummary) -> Diff {
    let digests = |session: &SessionSummary| -> Vec<TurnDigest> {
        session.turns.iter().zip(1..).map(|(turn, number)| TurnDigest::of(turn, number)).collect()
    };
    let side =
        |session: &SessionSummary| DiffSide { id: session.id.clone(), sum: session.sum.clone() };
    let (ones, others) = (digests(one), digests(other));
    let (mut turns, mut from) = (Vec::new(), (0, 0));
    let end = (ones.len(), others.len());
    for to in same_prompts(&ones, &others).into_iter().chain([end]) {
        let gap = 0..(to.0 - from.0).max(to.1 - from.1);
        let between = gap.map(|at| {
            let within = |from: usize, to: usize| Some(from + at).filter(|at| *at < to);
            (within(from.0, to.0), within(from.1, to.1))
        });
        turns.extend(between.chain((to != end).then_some((Some(to.0), Some(to.1)))));
        from = (to.0 + 1, to.1 + 1);
    }
    let turn = |turns: &[TurnDigest], at: Option<usize>| turns.get(at?).cloned();
    let turns =
        turns.into_iter().map(|(at, other)| TurnPair::of(turn(&ones, at), turn(&others, other)));
    Diff { turns: turns.collect(), one: side(one), other: side(other) }
}

/// The places of turns that begin with the same words, as many as there are in the same order.
fn same_prompts(ones: &[TurnDigest], others: &[TurnDigest]) -> Vec<(usize, usize)> {
    let is_same = |at: usize, other: usize| {
        let prompts = ones.get(at).zip(others.get(other));
        prompts.is_some_and(|(one, other)| one.prompt == other.prompt)
    };
    let (rows, columns) = (ones.len(), others.len());
    if rows.saturating_mul(columns) > PAIRS_MAX {
        let numbers = 0..rows.min(columns);
        return numbers.filter(|at| is_same(*at, *at)).map(|at| (at, at)).collect();
    }
    // How many there are from each pair of places on: the longest common subsequence.
    let mut longest = vec![vec![0_u32; columns + 1]; rows + 1];
    let at = |longest: &[Vec<u32>], row: usize, column: usize| {
        longest.get(row).and_then(|row| row.get(column)).copied().unwrap_or_default()
    };
    for row in (0..rows).rev() {
        for column in (0..columns).rev() {
            let most = match is_same(row, column) {
                true => at(&longest, row + 1, column + 1) + 1,
                false => at(&longest, row + 1, column).max(at(&longest, row, column + 1)),
            };
            if let Some(cell) = longest.get_mut(row).and_then(|row| row.get_mut(column)) {
                *cell = most;
            }
        }
    }
    let (mut found, mut row, mut column) = (Vec::new(), 0, 0);
    while row < rows && column < columns {
        if is_same(row, column) {
            found.push((row, column));
            (row, column) = (row + 1, column + 1);
        } else if at(&longest, row + 1, column) >= at(&longest, row, column + 1) {
            row += 1;
        } else {
            column += 1;
        }
    }
    found
}

impl TurnPair {
    fn of(one: Option<TurnDigest>, other: Option<TurnDigest>) -> TurnPair {
        let differs = one.as_ref().zip(other.as_ref()).map(|(one, other)| one.differs(other));
        TurnPair { one, other, differs: differs.unwrap_or_default() }
    }
}

impl TurnDigest {
    fn of(turn: &TurnSummary, number: usize) -> TurnDigest {
        let mut sum = Sum::default();
        turn.exchanges.iter().for_each(|facts| sum.add(facts));
        let mut models: Vec<String> =
            turn.exchanges.iter().filter_map(|facts| facts.model.clone()).collect();
        models.dedup();
        let calls = turn.exchanges.iter().flat_map(|facts| &facts.calls);
        TurnDigest {
            number,
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
            tokens: sum.tokens,
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

#[cfg(test)]
mod tests {
    use super::{SessionSummary, TurnSummary, diff};

    #[test]
    fn turns_that_begin_alike_stand_side_by_side() {
        let session = |prompts: &str| {
            let turns = prompts.chars().map(|prompt| TurnSummary {
                prompt: Some(prompt.to_string()),
                ..TurnSummary::default()
            });
            SessionSummary { turns: turns.collect(), ..SessionSummary::default() }
        };
        let pairs = |one: &str, other: &str| {
            let diff = diff(&session(one), &session(other));
            let pairs = diff.turns.into_iter().map(|pair| {
                let [one, other] = [pair.one, pair.other]
                    .map(|turn| turn.map_or("-".to_owned(), |turn| turn.prompt));
                one + &other
            });
            pairs.collect::<Vec<_>>().join(" ")
        };
        assert_eq!(pairs("abc", "abc"), "aa bb cc");
        assert_eq!(pairs("abc", "axbc"), "aa -x bb cc");
        assert_eq!(pairs("abcd", "ayd"), "aa by c- dd");
        assert_eq!(pairs("", "a"), "-a");
        assert_eq!(pairs("abc", "xyz"), "ax by cz");
    }
}
