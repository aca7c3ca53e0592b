//! How fast the mock speaks: the pause before each frame. In: a script's pace and its seed. Out:
//! the same pauses for the same answer, whatever the clock says.

use std::time::Duration;

use super::script::Script;

/// How many characters count as a token.
const TOKEN_CHARS: f64 = 4.0;
/// No pause is longer.
const PAUSE_MAX: Duration = Duration::from_secs(3_600);

/// The pauses of one answer.
#[derive(Debug, Clone)]
pub(super) struct Pace {
    first: Duration,
    each: Duration,
    /// The part of a pause by which it may be longer or shorter.
    jitter: f64,
    random: u64,
    begun: bool,
}

impl Pace {
    /// The pace of the answer with this number.
    pub fn of(script: &Script, number: u64) -> Pace {
        let frame = script.tokens_per_second.map(|rate| {
            let seconds = script.piece.get() as f64 / TOKEN_CHARS / rate;
            Duration::try_from_secs_f64(seconds).unwrap_or(PAUSE_MAX)
        });
        Pace {
            first: Duration::from_millis(script.first_token_ms),
            each: Duration::from_millis(script.delay_ms) + frame.unwrap_or_default(),
            jitter: script.jitter,
            random: script.seed.wrapping_add(number),
            begun: false,
        }
    }

    /// Whether frames need not wait at all.
    pub fn is_none(&self) -> bool {
        self.first.is_zero() && self.each.is_zero()
    }

    /// The pause before the next frame.
    pub fn next(&mut self) -> Duration {
        let first = if self.begun { Duration::ZERO } else { self.first };
        self.begun = true;
        let factor = 1.0 + self.jitter * (2.0 * self.draw() - 1.0);
        let seconds = (first + self.each).as_secs_f64() * factor;
        Duration::try_from_secs_f64(seconds).unwrap_or_default().min(PAUSE_MAX)
    }

    /// The next number between 0 and 1 (SplitMix64).
    fn draw(&mut self) -> f64 {
        self.random = self.random.wrapping_add(0x9E37_79B9_7F4A_7C15);
        let mut bits = self.random;
        bits = (bits ^ (bits >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
        bits = (bits ^ (bits >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
        (bits ^ (bits >> 31)) as f64 / u64::MAX as f64
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_same_seed_makes_the_same_pauses() {
        let script = Script {
            tokens_per_second: Some(40.0),
            first_token_ms: 500,
            jitter: 0.5,
            seed: 7,
            ..Script::echo()
        };
        let pauses = |number| {
            let mut pace = Pace::of(&script, number);
            (0..50).map(|_| pace.next().as_millis()).collect::<Vec<_>>()
        };
        assert_eq!(pauses(0), pauses(0));
        assert_ne!(pauses(0), pauses(1));
        assert!((300..=900).contains(&pauses(0)[0]), "{:?}", pauses(0));
        assert!(pauses(0)[1..].iter().all(|pause| (50..=150).contains(pause)), "{:?}", pauses(0));
        let steady = Script { jitter: 0.0, ..script };
        assert_eq!(Pace::of(&steady, 3).next().as_millis(), 600);
        assert!(Pace::of(&Script::echo(), 0).is_none());
    }
}
