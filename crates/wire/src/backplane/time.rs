//! A moment as the contract writes it: RFC 3339, in UTC. Times are arguments; nothing here knows
//! what time it is.

use super::contract::Field;
use crate::error::ApiError;
use crate::json::Raw;
use crate::path::Path;

/// A moment, as the text it is written as.
///
/// ```
/// use latimer_wire::backplane::Time;
/// assert_eq!(Time::of_unix_ms(1_767_225_600_250).as_str(), "2026-01-01T00:00:00.250Z");
/// ```
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Time(String);

impl Default for Time {
    /// The beginning of 1970.
    fn default() -> Self {
        Time::of_unix_ms(0)
    }
}

const DAY_MS: u64 = 86_400_000;

impl Time {
    /// Milliseconds since 1970.
    pub fn of_unix_ms(ms: u64) -> Self {
        let (year, month, day) = date(ms / DAY_MS);
        let (seconds, millis) = (ms % DAY_MS / 1000, ms % 1000);
        let (hour, minute, second) = (seconds / 3600, seconds / 60 % 60, seconds % 60);
        Time(format!(
            "{year:04}-{month:02}-{day:02}T{hour:02}:{minute:02}:{second:02}.{millis:03}Z"
        ))
    }

    /// The text.
    pub fn as_str(&self) -> &str {
        &self.0
    }
}

/// Year, month and day of a day since 1970, in the Gregorian calendar: counted in cycles of 400
/// years that begin on the first of March, so that the leap day comes last.
fn date(days: u64) -> (u64, u64, u64) {
    const CYCLE_DAYS: u64 = 146_097;
    const FROM_MARCH_OF_YEAR_0: u64 = 719_468;
    let days = days + FROM_MARCH_OF_YEAR_0;
    let (cycle, day) = (days / CYCLE_DAYS, days % CYCLE_DAYS);
    let year = (day - day / 1_460 + day / 36_524 - day / (CYCLE_DAYS - 1)) / 365;
    let day = day - (365 * year + year / 4 - year / 100);
    let from_march = (5 * day + 2) / 153;
    let month = if from_march < 10 { from_march + 3 } else { from_march - 9 };
    let day = day - (153 * from_march + 2) / 5 + 1;
    (cycle * 400 + year + u64::from(month <= 2), month, day)
}

impl Field for Time {
    fn read(value: Raw<'_>, path: Path<'_>) -> Result<Self, ApiError> {
        String::read(value, path).map(Time)
    }

    fn print(&self, out: &mut String) {
        self.0.print(out);
    }
}

#[cfg(test)]
mod tests {
    use super::Time;

    #[test]
    fn dates_are_those_of_the_calendar() {
        let cases = [
            (0, "1970-01-01T00:00:00.000Z"),
            (951_782_399_999, "2000-02-28T23:59:59.999Z"),
            (951_782_400_000, "2000-02-29T00:00:00.000Z"),
            (951_868_800_000, "2000-03-01T00:00:00.000Z"),
            (1_735_689_599_000, "2024-12-31T23:59:59.000Z"),
            (4_107_542_400_000, "2100-03-01T00:00:00.000Z"),
        ];
        for (ms, text) in cases {
            assert_eq!(Time::of_unix_ms(ms).as_str(), text);
        }
    }
}
