//! Text made fit for a place in the report: cut, escaped, grouped, fenced, dated. In: anything a
//! recording may hold. Out: text that stays where it is put.

use std::borrow::Cow;

/// The first `limit` characters, with `...` when that is not all.
pub(super) fn cut(text: &str, limit: usize) -> Cow<'_, str> {
    match text.char_indices().nth(limit) {
        Some((end, _)) => Cow::Owned([text.get(..end).unwrap_or_default(), "..."].concat()),
        None => Cow::Borrowed(text),
    }
}

/// What could end a table's cell or open HTML or a picture, and what stands in its place. The
/// first row keeps a backslash of the text from undoing the escape of a bar.
const INLINE_ESCAPES: &[(&str, &str)] =
    &[("\\|", "\\&#124;"), ("|", "\\|"), ("<", "&lt;"), ("![", "!\\["), ("\n", " "), ("\r", " ")];

/// Text for a line or a table's cell.
pub(super) fn inline(text: &str) -> Cow<'_, str> {
    let special = |byte| matches!(byte, b'\\' | b'|' | b'<' | b'!' | b'\n' | b'\r');
    if !text.bytes().any(special) {
        return Cow::Borrowed(text);
    }
    let (mut escaped, mut rest) = (String::with_capacity(text.len() + 16), text);
    while let Some(at) = rest.bytes().position(special) {
        let (before, tail) = rest.split_at(at);
        let escape = INLINE_ESCAPES.iter().find(|(plain, _)| tail.starts_with(plain));
        let (taken, shown) = match escape {
            Some((plain, shown)) => (plain.len(), *shown),
            None => (1, tail.get(..1).unwrap_or_default()),
        };
        escaped.push_str(before);
        escaped.push_str(shown);
        rest = tail.get(taken..).unwrap_or_default();
    }
    escaped.push_str(rest);
    Cow::Owned(escaped)
}

/// Text for the inside of an HTML element.
pub(super) fn html(text: &str) -> Cow<'_, str> {
    if !text.bytes().any(|byte| matches!(byte, b'&' | b'<' | b'>' | b'\n' | b'\r')) {
        return Cow::Borrowed(text);
    }
    let escaped = text.replace('&', "&amp;").replace('<', "&lt;").replace('>', "&gt;");
    Cow::Owned(escaped.replace(['\n', '\r'], " "))
}

/// A code span for a line.
pub(super) fn code(text: &str) -> String {
    let text = text.replace(['\n', '\r'], " ");
    match longest_run_of_backticks(&text) {
        0 if !text.is_empty() => format!("`{text}`"),
        run => {
            let delimiter = "`".repeat(run + 1);
            format!("{delimiter} {text} {delimiter}")
        }
    }
}

/// A code span for a table's cell, where a bar needs its escape even between backticks.
pub(super) fn code_cell(text: &str) -> String {
    code(text).replace('|', "\\|")
}

/// The longest run of backticks in a text.
pub(super) fn longest_run_of_backticks(text: &str) -> usize {
    let (mut longest, mut run, mut last) = (0, 0, None);
    for at in memchr::memchr_iter(b'`', text.as_bytes()) {
        run = if last.is_some_and(|last| last + 1 == at) { run + 1 } else { 1 };
        longest = longest.max(run);
        last = Some(at);
    }
    longest
}

/// A number with a comma between each three digits.
pub(super) fn grouped(number: u64) -> String {
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

/// The length of a text in characters, grouped.
pub(super) fn chars(text: &str) -> String {
    grouped(text.chars().count() as u64)
}

/// `2026-02-12 08:26:19`, in UTC.
pub(super) fn date_and_time(unix_s: i64) -> String {
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
pub(super) fn time_with_ms(unix_ms: i64) -> String {
    let of_day = unix_ms.div_euclid(1_000).rem_euclid(86_400);
    format!("{}.{:03}", time_of_day(of_day), unix_ms.rem_euclid(1_000))
}

fn time_of_day(second: i64) -> String {
    format!("{:02}:{:02}:{:02}", second / 3_600, second / 60 % 60, second % 60)
}

#[cfg(test)]
mod tests {
    use super::{code, code_cell, cut, date_and_time, grouped, inline, time_with_ms};

    #[test]
    fn text_stays_where_it_is_put() {
        assert_eq!(
            inline("a|b\\|c\r\n</details>![x](y)"),
            "a\\|b\\&#124;c  &lt;/details>!\\[x](y)"
        );
        assert_eq!(code("a`b"), "`` a`b ``");
        assert_eq!(code("plain|"), "`plain|`");
        assert_eq!(code_cell("a|b"), "`a\\|b`");
    }

    #[test]
    fn cuts_count_characters() {
        assert_eq!(cut("äöü", 3), "äöü");
        assert_eq!(cut("äöü😀", 3), "äöü...");
    }

    #[test]
    fn numbers_and_times_read_as_people_write_them() {
        assert_eq!([0, 999, 1000, 1234567].map(grouped), ["0", "999", "1,000", "1,234,567"]);
        assert_eq!(date_and_time(0), "1970-01-01 00:00:00");
        assert_eq!(date_and_time(951_782_399), "2000-02-28 23:59:59");
        assert_eq!(date_and_time(951_782_400), "2000-02-29 00:00:00");
        assert_eq!(date_and_time(-1), "1969-12-31 23:59:59");
        assert_eq!(time_with_ms(-1), "23:59:59.999");
    }
}
