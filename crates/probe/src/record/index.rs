//! The index of a closed segment: a line for each exchange, by which a reader finds those it wants
//! without reading the others. In: a line and where it stands. Out: its [`Entry`]. It holds nothing
//! that is not in the segment, so it can be made again from it.

use latimer_wire::json::Raw;
use memchr::memmem;
use serde::{Deserialize, Serialize};

use crate::record::account::{Account, Outcome};
use crate::record::exchange::{self, unix_ms};

/// What stands before the answer and before the account, in a line as [`super::Record`] writes it.
const ANSWER: &[u8] = b",\"response\":";
const ACCOUNT: &[u8] = b",\"latimer\":";

/// Where an exchange stands in its segment, and what it is.
#[derive(Debug, Clone, Default, PartialEq, Eq, Serialize, Deserialize)]
#[serde(default)]
pub struct Entry {
    /// Where its line begins in the segment, uncompressed, in bytes.
    pub at: u64,
    /// How long its line is, the line end included.
    pub bytes: u64,
    /// Where the frame that holds it begins in the compressed segment. It can be read alone.
    pub frame: u64,
    /// Where its line begins in that frame, uncompressed.
    pub at_in_frame: u64,
    /// When it began: milliseconds since 1970.
    pub timestamp_unix_ms: i64,
    /// Its id.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub id: Option<String>,
    /// Its session.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub session: Option<String>,
    /// Its turn.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub turn: Option<String>,
    /// How it ended.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub outcome: Option<Outcome>,
    /// The status of its answer.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub status: Option<u16>,
}

/// The entry of a line; `None` where it holds no exchange.
///
/// ```
/// let line = br#"{"timestamp":1.5,"request":{"method":"GET","url":"/"},"latimer":{"id":"a"}}"#;
/// let entry = latimer_probe::record::index::entry(line, 100, 0, 100).expect("an exchange");
/// assert_eq!((entry.timestamp_unix_ms, entry.id.as_deref()), (1500, Some("a")));
/// assert!(latimer_probe::record::index::entry(b"{}\n", 0, 0, 0).is_none());
/// ```
pub fn entry(line: &[u8], at: u64, frame: u64, at_in_frame: u64) -> Option<Entry> {
    let facts = facts_at_ends(line).or_else(|| facts_of_whole(line))?;
    let Account { id, session, turn, outcome, .. } = facts.account;
    Some(Entry {
        at,
        bytes: line.len() as u64,
        frame,
        at_in_frame,
        timestamp_unix_ms: facts.timestamp_unix_ms,
        id,
        session,
        turn,
        outcome,
        status: facts.status,
    })
}

/// What an entry says of an exchange.
#[derive(Debug, PartialEq, Eq)]
struct Facts {
    timestamp_unix_ms: i64,
    account: Account,
    status: Option<u16>,
}

fn facts_of_whole(line: &[u8]) -> Option<Facts> {
    let exchange = exchange::read(line).next()?.ok()?;
    Some(Facts {
        timestamp_unix_ms: exchange.timestamp_unix_ms.unwrap_or_default(),
        account: exchange.account().unwrap_or_default(),
        status: exchange.response.and_then(|response| response.status_code),
    })
}

/// The same for a line as [`super::Record`] writes it, without a look at what its bodies hold, which
/// takes an eighth of the time. `None` where the line has another shape, or more than one `response`.
fn facts_at_ends(line: &[u8]) -> Option<Facts> {
    let (timestamp, rest) = cut(line.strip_prefix(b"{\"timestamp\":")?, b",\"request\":")?;
    let (_, answer) = cut(rest, ANSWER)?;
    if memmem::find(answer, ANSWER).is_some() {
        return None;
    }
    // Inside a string every quote has a backslash before it, so this is a member; and as its value is
    // whole and only the end of one object is left behind it, it is a member of the line itself.
    let account_at = memmem::rfind(answer, ACCOUNT)? + ACCOUNT.len();
    let account = answer.get(account_at..)?.trim_ascii_end().strip_suffix(b"}")?;
    let status = match answer.strip_prefix(b"{\"status_code\":") {
        Some(rest) => Some(text(cut(rest, b",")?.0)?.parse().ok()?),
        None => answer.starts_with(b"null").then_some(None)?,
    };
    Some(Facts {
        timestamp_unix_ms: unix_ms(Raw::unchecked(text(timestamp)?)).ok()?,
        account: serde_json::from_slice(account).ok()?,
        status,
    })
}

/// What stands before the first `mark`, and behind it.
fn cut<'a>(bytes: &'a [u8], mark: &[u8]) -> Option<(&'a [u8], &'a [u8])> {
    let at = memmem::find(bytes, mark)?;
    Some((bytes.get(..at)?, bytes.get(at + mark.len()..)?))
}

fn text(bytes: &[u8]) -> Option<&str> {
    std::str::from_utf8(bytes).ok()
}

#[cfg(test)]
mod tests {
    use super::{facts_at_ends, facts_of_whole};
    use crate::record::{Body, Record};
    use latimer_wire::json::Raw;

    const NESTED: &str = r#"{"a":1,"response":{"status_code":7,"b":1},"latimer":{"id":"no"}}"#;

    /// The line of a record with these bodies.
    fn line(request: &str, answer: &str, status: Option<u16>, account: Option<&str>) -> Vec<u8> {
        let mut line = Vec::new();
        Record {
            timestamp_unix_ms: 1_707_123_456_007,
            method: "POST",
            url: "/v1/responses",
            request_headers: &[],
            request_body: Body::of(request.as_bytes()),
            status,
            response_headers: &[],
            response_body: Body::of(answer.as_bytes()),
            extra: account.and_then(|account| Raw::parse(account).ok()),
            is_revealed: false,
        }
        .write_line(&mut line);
        line
    }

    #[test]
    fn what_stands_at_the_ends_is_what_the_whole_says() {
        const ACCOUNT: &str = r#"{"id":"i","session":"s","turn":"t","outcome":"failed","notes":[{"code":"c","detail":",\"latimer\":{"}]}"#;
        let stream = format!("data: {NESTED}\n\n");
        let quick = [
            line("", "", None, Some(ACCOUNT)),
            line(r#"{"input":"x"}"#, &stream, Some(200), Some(ACCOUNT)),
            line(&stream, r#"{"output":[]}"#, Some(502), Some("{}")),
            line(r#"{"a":1,"latimer":{"id":"no"}}"#, &stream, Some(200), Some(ACCOUNT)),
        ];
        for line in quick {
            let facts = facts_at_ends(&line);
            assert!(facts.is_some() && facts == facts_of_whole(&line), "{facts:?}");
        }
        let slow = [
            line(NESTED, "x", Some(200), Some(ACCOUNT)),
            line("x", NESTED, Some(200), Some(ACCOUNT)),
            line("x", r#"{"a":1,"latimer":{"id":"no"}}"#, Some(200), None),
            line("x", "x", Some(200), None),
            br#"{"request":{"method":"GET","url":"/"},"timestamp":1.5}"#.to_vec(),
        ];
        for line in slow {
            assert_eq!(facts_at_ends(&line), None);
            assert!(facts_of_whole(&line).is_some());
        }
    }
}
