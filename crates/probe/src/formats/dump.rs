//! The folder that `codex responses-api-proxy --dump-dir` writes: for each exchange two files,
//! `NNNNNN-<ms>-request.json` and `-response.json`, with the time in their name. In: the two files'
//! texts. Out: a line of a recording.

use latimer_wire::json::Raw;

use super::convert::{ConvertError, Found, Lines, pairs};

/// The ends of the names of the two files.
pub const REQUEST_END: &str = "-request.json";
/// The end of the answer's.
pub const RESPONSE_END: &str = "-response.json";

/// Reads an exchange: the name of the request's file, its text, and that of the answer, if one came.
///
/// # Errors
/// Where a file is not of this form, or `lines` fails.
pub fn read(
    name: &str,
    request: &str,
    response: Option<&str>,
    lines: Lines<'_>,
) -> Result<(), ConvertError> {
    let parse = |text: &'_ str| match Raw::parse(text.trim()) {
        Ok(_) => Ok(()),
        Err(source) => Err(ConvertError::Malformed { place: name.to_owned(), source }),
    };
    parse(request)?;
    response.map_or(Ok(()), parse)?;
    let asked = Raw::unchecked(request.trim());
    let answered = response.map(|response| Raw::unchecked(response.trim()));
    let missing = |what| ConvertError::Shape { place: name.to_owned(), what };
    let text = |key| asked.member_text(key).map(|text| text.into_owned());
    let status = answered.and_then(|answer| answer.member("status")).and_then(Raw::count);
    let found = Found {
        unix_ms: unix_ms(name).unwrap_or_default(),
        method: text("method").ok_or_else(|| missing("there is no `method`"))?,
        url: text("url").ok_or_else(|| missing("there is no `url`"))?,
        request_headers: pairs(asked.member("headers")),
        request_body: body(asked),
        status: status.and_then(|status| u16::try_from(status).ok()),
        response_headers: pairs(answered.and_then(|answer| answer.member("headers"))),
        response_body: answered.and_then(body),
        extra: None,
    };
    Ok(found.write(lines)?)
}

/// A body: JSON as it is, or text.
fn body(of: Raw<'_>) -> Option<String> {
    let body = of.member("body")?.non_null()?;
    Some(body.text().map_or_else(|| body.as_str().to_owned(), |text| text.into_owned()))
}

/// The time in a file's name: `000001-1763600000123-request.json`.
fn unix_ms(name: &str) -> Option<i64> {
    name.strip_suffix(REQUEST_END)?.rsplit('-').next()?.parse().ok()
}
