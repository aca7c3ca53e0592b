//! What tokens cost. In: a table of prices (TOML), the one of this crate or a user's. Out: the cost of an
//! exchange in USD, or nothing for a model that is not in the table: a price is never guessed.

use serde::Deserialize;

use crate::record::account::Tokens;

/// The table that comes with the crate.
const TABLE: &str = include_str!("prices.toml");
/// Prices are per so many tokens.
const PER_TOKENS: f64 = 1_000_000.0;

/// A table of prices.
#[derive(Debug, Clone, Default, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Prices {
    /// The rows; the first that fits counts.
    #[serde(default)]
    price: Vec<Price>,
}

/// What one model costs, in USD per million tokens.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Price {
    /// The model's name, which also covers its dated snapshots (`name-2026-01-31`).
    pub model: String,
    /// For a token of input.
    pub input: f64,
    /// For a token of input that came from the cache; without one, as any other.
    pub cached: Option<f64>,
    /// For a token of output, reasoning included.
    pub output: f64,
    /// What it costs when the input is long.
    pub above: Option<LongInput>,
    /// Where the figures were read.
    pub source: String,
    /// When: `YYYY-MM-DD`.
    pub date: String,
}

/// The price of requests with more input than most.
#[derive(Debug, Clone, PartialEq, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct LongInput {
    /// More tokens than that.
    pub input_tokens: u64,
    /// As in [`Price`].
    pub input: f64,
    /// As in [`Price`].
    pub cached: Option<f64>,
    /// As in [`Price`].
    pub output: f64,
}

impl Prices {
    /// The prices that come with Latimer, each row with its source and date.
    pub fn shipped() -> Prices {
        // A test reads it.
        Prices::parse(TABLE).unwrap_or_default()
    }

    /// Reads a table of one's own.
    ///
    /// # Errors
    /// What is wrong with it, and on which line.
    ///
    /// ```
    /// use latimer_probe::summary::Prices;
    /// let row = "[[price]]\nmodel = \"qwen3\"\ninput = 0.1\noutput = 0.4\nsource = \"us\"\ndate = \"2026-11-20\"";
    /// let prices = Prices::parse(row)?;
    /// assert_eq!(prices.of("qwen3").map(|price| price.output), Some(0.4));
    /// # Ok::<(), toml::de::Error>(())
    /// ```
    pub fn parse(table: &str) -> Result<Prices, toml::de::Error> {
        toml::from_str(table)
    }

    /// These prices, and for models that are not among them those of `other`.
    #[must_use]
    pub fn or(mut self, other: Prices) -> Prices {
        self.price.extend(other.price);
        self
    }

    /// The price of a model.
    pub fn of(&self, model: &str) -> Option<&Price> {
        self.price.iter().find(|price| {
            let rest = model.strip_prefix(price.model.as_str());
            rest.is_some_and(|rest| rest.is_empty() || is_snapshot(rest))
        })
    }
}

/// Whether what follows a model's name is a date: `-2026-01-31`.
fn is_snapshot(rest: &str) -> bool {
    let mut shape = "-0000-00-00".chars();
    rest.len() == 11
        && rest.chars().all(|c| match shape.next() {
            Some('0') => c.is_ascii_digit(),
            other => other == Some(c),
        })
}

impl Price {
    /// What an exchange cost, in USD.
    pub(crate) fn cost_usd(&self, tokens: &Tokens) -> f64 {
        let (input, cached, output) = self.rates(tokens.input);
        let fresh_tokens = tokens.input.saturating_sub(tokens.cached) as f64;
        let cached_tokens = tokens.cached.min(tokens.input) as f64;
        let sum = fresh_tokens * input + cached_tokens * cached + tokens.output as f64 * output;
        sum / PER_TOKENS
    }

    /// What it cost, in USD, that `lost` of the input tokens did not come from the cache.
    pub(crate) fn miss_usd(&self, input_tokens: u64, lost_tokens: u64) -> f64 {
        let (input, cached, _) = self.rates(input_tokens);
        lost_tokens as f64 * (input - cached) / PER_TOKENS
    }

    fn rates(&self, input_tokens: u64) -> (f64, f64, f64) {
        let long = self.above.as_ref().filter(|above| input_tokens > above.input_tokens);
        match long {
            Some(long) => (long.input, long.cached.unwrap_or(long.input), long.output),
            None => (self.input, self.cached.unwrap_or(self.input), self.output),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{Prices, TABLE};
    use crate::record::account::Tokens;

    #[test]
    fn each_shipped_price_says_where_and_when_it_was_read() {
        let prices = Prices::parse(TABLE).expect("the table is read");
        assert!(!prices.price.is_empty());
        for price in &prices.price {
            assert!(!price.source.is_empty(), "{}", price.model);
            assert!(
                super::is_snapshot(&format!("-{}", price.date)),
                "{}: {}",
                price.model,
                price.date
            );
            assert!(price.cached.is_none_or(|cached| cached < price.input), "{}", price.model);
            assert!(price.output > price.input, "{}", price.model);
        }
    }

    #[test]
    fn a_name_covers_its_snapshots_and_nothing_else() {
        let prices = Prices::shipped();
        let is_known = |model| prices.of(model).is_some();
        assert!(is_known("gpt-5.4") && is_known("gpt-5.4-2026-03-05") && is_known("gpt-5.4-mini"));
        assert_eq!(prices.of("gpt-5.4-mini").map(|price| price.input), Some(0.75));
        assert!(!is_known("gpt-5.4-2026-03") && !is_known("gpt-5.4-pro") && !is_known("gpt"));
    }

    #[test]
    fn cached_and_long_input_have_their_own_price() {
        let prices = Prices::shipped();
        let price = prices.of("gpt-5.5").expect("a price");
        let tokens = Tokens { input: 100_000, cached: 80_000, output: 1_000, ..Tokens::default() };
        assert_eq!(price.cost_usd(&tokens), 0.1 + 0.04 + 0.03);
        let long = Tokens { input: 300_000, cached: 0, output: 0, ..Tokens::default() };
        assert_eq!(price.cost_usd(&long), 3.0);
        assert_eq!(price.miss_usd(100_000, 10_000), 0.045);
    }
}
