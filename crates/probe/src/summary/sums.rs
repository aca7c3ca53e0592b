//! Sums over exchanges. In: the facts of one exchange after another. Out: [`Sum`], the same by model, and
//! what tools were used for.

use std::collections::HashMap;

use schemars::JsonSchema;
use serde::Serialize;

use super::{BrokenRule, Facts, Price, Prices};
use crate::record::account::Tokens;
use crate::words::{counted, grouped, usd};

/// How many models, tools and rules are told apart; what comes after them goes by [`OTHER`].
const NAMES_MAX: usize = 1_000;
/// What is not told apart.
const OTHER: &str = "(others)";

/// What some exchanges have in sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct Sum {
    /// How many.
    pub exchanges: u64,
    /// How many of them failed or broke off.
    pub errors: u64,
    /// How many of them are retries of another.
    pub retries: u64,
    /// When the first began: milliseconds since 1970 (UTC).
    #[serde(skip_serializing_if = "Option::is_none")]
    pub first_unix_ms: Option<i64>,
    /// When the last began.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub last_unix_ms: Option<i64>,
    /// The bodies of requests, in bytes.
    pub request_bytes: u64,
    /// The bodies of answers, in bytes.
    pub response_bytes: u64,
    /// What was used.
    pub tokens: Tokens,
    /// What it cost in USD, as far as there are prices.
    pub cost_usd: f64,
    /// How many exchanges used tokens of models without a price, which are not in `cost_usd`.
    pub unpriced_exchanges: u64,
    /// How often the prompt cache missed ([`Cache`](super::Cache)).
    pub cache_misses: u64,
    /// An estimate of the tokens that this cost.
    pub lost_tokens_estimate: u64,
    /// The same in USD, as far as there are prices.
    pub lost_usd_estimate: f64,
}

impl Sum {
    /// Adds an exchange.
    pub(super) fn add(&mut self, facts: &Facts) {
        self.exchanges += 1;
        self.errors += u64::from(facts.outcome.is_error());
        self.retries += u64::from(facts.retry_of.is_some());
        self.first_unix_ms = self.first_unix_ms.into_iter().chain(facts.at_unix_ms).min();
        self.last_unix_ms = self.last_unix_ms.max(facts.at_unix_ms);
        self.request_bytes += facts.request_bytes;
        self.response_bytes += facts.response_bytes;
        if let Some(tokens) = &facts.tokens {
            self.tokens.add(tokens);
            self.unpriced_exchanges += u64::from(facts.cost_usd.is_none());
        }
        self.cost_usd += facts.cost_usd.unwrap_or_default();
        if let Some(cache) = facts.cache.as_ref().filter(|cache| cache.is_miss()) {
            self.cache_misses += 1;
            self.lost_tokens_estimate += cache.lost_tokens_estimate;
            self.lost_usd_estimate += cache.lost_usd_estimate.unwrap_or_default();
        }
    }

    /// What there is to say of it in a few words each, for a line.
    pub(crate) fn in_words(&self) -> Vec<String> {
        let counts =
            [(self.errors, "error"), (self.retries, "retry"), (self.cache_misses, "cache miss")];
        let counts = counts.into_iter().filter(|(number, _)| *number > 0);
        let mut words = vec![counted(self.exchanges, "exchange")];
        words.extend(counts.map(|(number, what)| counted(number, what)));
        if self.tokens.total > 0 {
            let Tokens { input, cached, output, .. } = self.tokens;
            let [input, cached, output] = [input, cached, output].map(grouped);
            words.push(format!("{input} tokens in ({cached} cached), {output} out"));
            words.push(match self.unpriced_exchanges {
                0 => usd(self.cost_usd),
                _ if self.cost_usd == 0.0 => "no price".to_owned(),
                _ => format!("{} and more without a price", usd(self.cost_usd)),
            });
        }
        words
    }

    /// The time from the beginning of the first to the beginning of the last, in milliseconds.
    pub fn duration_ms(&self) -> i64 {
        let both = self.last_unix_ms.zip(self.first_unix_ms);
        both.map_or(0, |(last, first)| last.saturating_sub(first))
    }
}

impl Tokens {
    /// Adds what another exchange used.
    fn add(&mut self, other: &Tokens) {
        self.input = self.input.saturating_add(other.input);
        self.output = self.output.saturating_add(other.output);
        self.total = self.total.saturating_add(other.total);
        self.cached = self.cached.saturating_add(other.cached);
        self.cache_write = self.cache_write.saturating_add(other.cache_write);
        self.reasoning = self.reasoning.saturating_add(other.reasoning);
    }
}

/// What the exchanges with one model have in sum.
#[derive(Debug, Clone, Default, PartialEq, Serialize, JsonSchema)]
pub struct ModelSum {
    /// The model, as it was asked for.
    pub model: String,
    /// The sum.
    pub sum: Sum,
    /// Where its price was read; none when it has no price.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_source: Option<String>,
    /// When it was read.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub price_date: Option<String>,
}

/// What a tool was used for.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, JsonSchema)]
pub struct ToolSum {
    /// The tool.
    pub name: String,
    /// How often the model called it.
    pub calls: u64,
    /// How often the arguments did not come whole.
    pub unfinished: u64,
    /// How many outputs came back.
    pub outputs: u64,
    /// How large they were together, in bytes of the requests.
    pub output_bytes: u64,
    /// How long they took together, from the end of the answer that called to the request that
    /// brought the output, in microseconds, as far as it was recorded.
    pub round_trips_us: u64,
    /// The longest of them.
    pub longest_round_trip_us: u64,
}

/// The sums over a recording.
#[derive(Debug, Default)]
pub(super) struct Sums {
    pub(super) all: Sum,
    models: Named<ModelSum>,
    tools: Named<ToolSum>,
    violations: Named<BrokenRule>,
}

/// Values by name, in the order in which the names came.
#[derive(Debug, Default)]
struct Named<T> {
    values: Vec<T>,
    by_name: HashMap<String, usize>,
}

impl<T> Named<T> {
    fn of(&mut self, name: &str, new: impl FnOnce(String) -> T) -> Option<&mut T> {
        let name = if self.values.len() < NAMES_MAX || self.by_name.contains_key(name) {
            name
        } else {
            OTHER
        };
        let at = match self.by_name.get(name) {
            Some(at) => *at,
            None => {
                self.values.push(new(name.to_owned()));
                self.by_name.insert(name.to_owned(), self.values.len() - 1);
                self.values.len() - 1
            }
        };
        self.values.get_mut(at)
    }

    fn sorted(mut self, count: impl Fn(&T) -> u64) -> Vec<T> {
        self.values.sort_by_key(|value| std::cmp::Reverse(count(value)));
        self.values
    }
}

impl Sums {
    /// Adds an exchange.
    pub(super) fn add(&mut self, facts: &Facts, prices: &Prices) {
        self.all.add(facts);
        if let Some(model) = &facts.model {
            let price = prices.of(model);
            let new = |model| ModelSum {
                model,
                price_source: price.map(|Price { source, .. }| source.clone()),
                price_date: price.map(|Price { date, .. }| date.clone()),
                ..ModelSum::default()
            };
            if let Some(sum) = self.models.of(model, new) {
                sum.sum.add(facts);
            }
        }
        for call in &facts.calls {
            if let Some(tool) = self.tool(&call.name) {
                tool.calls += 1;
                tool.unfinished += u64::from(!call.is_done);
            }
        }
        for broken in &facts.violations {
            let new = |rule| BrokenRule { rule, times: 0, ..broken.clone() };
            if let Some(violation) = self.violations.of(&broken.rule, new) {
                violation.times += broken.times;
            }
        }
    }

    /// Adds the output of a tool.
    pub(super) fn output(&mut self, name: &str, bytes: u64, round_trip_us: Option<u64>) {
        if let Some(tool) = self.tool(name) {
            tool.outputs += 1;
            tool.output_bytes += bytes;
            tool.round_trips_us += round_trip_us.unwrap_or_default();
            tool.longest_round_trip_us =
                tool.longest_round_trip_us.max(round_trip_us.unwrap_or_default());
        }
    }

    fn tool(&mut self, name: &str) -> Option<&mut ToolSum> {
        self.tools.of(name, |name| ToolSum { name, ..ToolSum::default() })
    }

    /// The sums by model, by tool and by rule, the most frequent first.
    pub(super) fn finish(self) -> (Sum, Vec<ModelSum>, Vec<ToolSum>, Vec<BrokenRule>) {
        (
            self.all,
            self.models.sorted(|model| model.sum.exchanges),
            self.tools.sorted(|tool| tool.calls),
            self.violations.sorted(|violation| violation.times),
        )
    }
}
