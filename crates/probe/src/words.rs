//! Numbers, times and characters as people read them, and times as they write them. In: counts, seconds
//! and milliseconds since 1970, characters of anyone. Out: text; nothing here knows a time zone but UTC.

/// A number with a comma between each three digits.
pub(crate) fn grouped(number: u64) -> String {
    let digits = number.to_string();
    let mut grouped = String::new();
    for (at, digit) in digits.chars().enumerate() {
        if at > 0 && (digits.len() - at).is_multiple_of(3) {
            grouped.push(',');
        }
        grouped.push(digit);
    }
    grouped
}

/// Where a text is to be cut that has more than `limit` characters, in bytes.
pub(crate) fn cut_at(text: &str, limit: usize) -> Option<usize> {
    let head = text.as_bytes().get(..limit)?;
    // Most texts are ASCII, which many bytes tell at once.
    match head.is_ascii() {
        true => (text.len() > limit).then_some(limit),
        false => text.char_indices().nth(limit).map(|(end, _)| end),
    }
}

/// How many of something there are; `what` is one of them.
pub(crate) fn counted(number: u64, what: &str) -> String {
    let (stem, ending) = match what.strip_suffix('y') {
        Some(stem) => (stem, "ies"),
        None if what.ends_with('s') => (what, "es"),
        None => (what, "s"),
    };
    match number {
        1 => format!("1 {what}"),
        _ => format!("{} {stem}{ending}", grouped(number)),
    }
}

/// `2026-02-12 08:26:19`, in UTC.
pub(crate) fn date_and_time(unix_s: i64) -> String {
    let (days, of_day) = (unix_s.div_euclid(86_400), unix_s.rem_euclid(86_400));
    // Howard Hinnant's `civil_from_days`: years begin in March, eras have 400 years.
    let day = days.saturating_add(719_468);
    let (era, of_era) = (day.div_euclid(146_097), day.rem_euclid(146_097));
    let year_of_era = (of_era - of_era / 1_460 + of_era / 36_524 - of_era / 146_096) / 365;
    let of_year = of_era - (365 * year_of_era + year_of_era / 4 - year_of_era / 100);
    let month_from_march = (5 * of_year + 2) / 153;
    let day_of_month = of_year - (153 * month_from_march + 2) / 5 + 1;
    let month = (month_from_march + 2) % 12 + 1;
    let year = year_of_era + era * 400 + i64::from(month <= 2);
    format!("{year:04}-{month:02}-{day_of_month:02} {}", time_of_day(of_day))
}

/// `08:57:36.100`, in UTC.
pub(crate) fn time_with_ms(unix_ms: i64) -> String {
    let of_day = unix_ms.div_euclid(1_000).rem_euclid(86_400);
    format!("{}.{:03}", time_of_day(of_day), unix_ms.rem_euclid(1_000))
}

fn time_of_day(second: i64) -> String {
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

/// `2026-02-12T08:26:19.100Z`, as RFC 3339 has it.
pub(crate) fn rfc3339(unix_ms: i64) -> String {
    let date_and_time = date_and_time(unix_ms.div_euclid(1_000)).replace(' ', "T");
    format!("{date_and_time}.{:03}Z", unix_ms.rem_euclid(1_000))
}

/// Milliseconds since 1970 of a time as people type it and RFC 3339 has it: `2026-02-12`,
/// `2026-02-12 08:26`, `2026-02-12T08:26:19.1Z`, `2026-02-12T08:26:19+01:00`; without a zone it is UTC.
///
/// ```
/// use latimer_probe::unix_ms;
/// assert_eq!(unix_ms("1970-01-02"), Some(86_400_000));
/// assert_eq!(unix_ms("1970-01-01T01:00:00.5+01:00"), Some(500));
/// assert_eq!(unix_ms("yesterday"), None);
/// ```
pub fn unix_ms(text: &str) -> Option<i64> {
    let (date, rest) = text.trim().split_at_checked(10)?;
    let [year, month, day] = numbers(date, '-')?;
    let in_range = (1..=12).contains(&month) && (1..=31).contains(&day);
    let rest = rest.strip_prefix(['T', 't', ' ']).unwrap_or(rest);
    let (time, zone_ms) = zone(rest)?;
    let (whole, fraction) = time.split_once('.').unwrap_or((time, ""));
    let [hour, minute, second] = match whole.split(':').count() {
        1 if whole.is_empty() => [0, 0, 0],
        2 => numbers(&format!("{whole}:00"), ':')?,
        _ => numbers(whole, ':')?,
    };
    let in_range = in_range && hour < 24 && minute < 60 && second <= 60;
    let fraction_ms = format!("{fraction:0<3}").get(..3)?.parse::<i64>().ok()?;
    let of_day = (hour * 3_600 + minute * 60 + second) * 1_000 + fraction_ms;
    in_range.then(|| days(year, month, day) * 86_400_000 + of_day - zone_ms)
}

/// Splits the zone off a time, and says how far it is ahead of UTC, in milliseconds.
fn zone(time: &str) -> Option<(&str, i64)> {
    if let Some(time) = time.strip_suffix(['Z', 'z']) {
        return Some((time, 0));
    }
    let Some(at) = time.rfind(['+', '-']) else { return Some((time, 0)) };
    let (time, zone) = time.split_at(at);
    let sign = if zone.starts_with('-') { -1 } else { 1 };
    let [hours, minutes] = numbers(zone.get(1..)?, ':')?;
    Some((time, sign * (hours * 60 + minutes) * 60_000))
}

fn numbers<const N: usize>(text: &str, between: char) -> Option<[i64; N]> {
    let numbers: Option<Vec<i64>> = text
        .split(between)
        .map(|digits| {
            let are_digits = !digits.is_empty() && digits.bytes().all(|byte| byte.is_ascii_digit());
            are_digits.then(|| digits.parse().ok()).flatten()
        })
        .collect();
    numbers?.try_into().ok()
}

/// Days from 1970 to a date: Howard Hinnant's `days_from_civil`.
fn days(year: i64, month: i64, day: i64) -> i64 {
    let year = if month <= 2 { year - 1 } else { year };
    let (era, of_era) = (year.div_euclid(400), year.rem_euclid(400));
    let of_year = (153 * ((month + 9) % 12) + 2) / 5 + day - 1;
    era * 146_097 + of_era * 365 + of_era / 4 - of_era / 100 + of_year - 719_468
}

/// A time that passed: `840 µs`, `12.5 ms`, `3.20 s`, `4 min 10 s`.
pub fn duration(us: u64) -> String {
    match us {
        0..1_000 => format!("{us} µs"),
        1_000..1_000_000 => format!("{:.1} ms", us as f64 / 1e3),
        1_000_000..60_000_000 => format!("{:.2} s", us as f64 / 1e6),
        _ => format!("{} min {} s", us / 60_000_000, us / 1_000_000 % 60),
    }
}

/// An amount of money: `$1.25`, and where that would be nothing, `$0.000420`.
pub fn usd(amount: f64) -> String {
    if amount == 0.0 || amount >= 0.1 { format!("${amount:.2}") } else { format!("${amount:.6}") }
}

/// A character as it is shown where it must do nothing but be seen: of control characters their
/// pictures, of marks that nobody sees or that turn the direction of a text U+FFFD. Line ends and tabs
/// stay.
///
/// ```
/// assert_eq!(latimer_probe::visible('\u{1b}'), '␛');
/// assert_eq!(latimer_probe::visible('ä'), 'ä');
/// ```
pub fn visible(c: char) -> char {
    match c {
        '\n' | '\t' => c,
        '\0'..'\u{20}' => {
            char::from_u32(0x2400 + u32::from(c)).unwrap_or(char::REPLACEMENT_CHARACTER)
        }
        '\u{7f}' => '\u{2421}',
        '\u{80}'..='\u{9f}'
        | '\u{200b}'..='\u{200f}'
        | '\u{2028}'..='\u{202e}'
        | '\u{2060}'..='\u{2069}'
        | '\u{feff}' => char::REPLACEMENT_CHARACTER,
        _ => c,
    }
}

#[cfg(test)]
mod tests {
    use super::{date_and_time, duration, grouped, rfc3339, time_with_ms, unix_ms, usd};

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(date_and_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_and_time(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(date_and_time(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(date_and_time(-1), "1969-12-31 23:59:59");
        assert_eq!(time_with_ms(-1), "23:59:59.999");
    }

    #[test]
    fn times_are_read_as_they_are_written() {
        for unix in [0, 951_782_399_999, 951_782_400_000, 1_770_884_779_123, -1] {
            assert_eq!(unix_ms(&rfc3339(unix)), Some(unix), "{unix}");
        }
        assert_eq!(unix_ms("2026-02-12 08:26"), Some(1_770_884_760_000));
        assert_eq!(unix_ms("2026-02-12T08:26:19.123456-00:30"), Some(1_770_886_579_123));
        for wrong in
            ["", "2026", "2026-13-01", "2026-02-12T25:00", "2026-02-12T1:2:3:4", "2026-02-+2"]
        {
            assert_eq!(unix_ms(wrong), None, "{wrong}");
        }
    }

    #[test]
    fn durations_and_money_keep_three_digits() {
        assert_eq!(
            [840, 12_500, 3_200_000, 250_000_000].map(duration),
            ["840 µs", "12.5 ms", "3.20 s", "4 min 10 s"]
        );
        assert_eq!([0.0, 1.25, 0.00042].map(usd), ["$0.00", "$1.25", "$0.000420"]);
    }
}
