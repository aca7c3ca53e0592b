//! To what an exchange belongs: session, thread and turn, as the client says. In: the headers and the
//! body of a request. Out: those members of its [`Account`]. Codex says it in headers, in the JSON of
//! the header `x-codex-turn-metadata`, and in `client_metadata` of the body, where messages of a
//! WebSocket have nothing else. Where a client says nothing, nothing is noted: to guess is for whoever
//! reads the recording.

use std::borrow::Cow;

use latimer_wire::json::Raw;
use memchr::memmem;

use crate::record::account::Account;

/// Codex's own account of a request, as a header and as a member of `client_metadata`.
const TURN_METADATA: &str = "x-codex-turn-metadata";

/// A member of the account, the names that Codex's metadata has for it, and the headers.
type Row =
    (fn(&mut Account) -> &mut Option<String>, &'static [&'static str], &'static [&'static str]);

/// What is noted, and where it is said. Versions up to 0.130 write their headers with `_`.
const ROWS: &[Row] = &[
    (|account| &mut account.session, &["session_id"], &["session-id", "session_id"]),
    (|account| &mut account.thread, &["thread_id"], &["thread-id", "thread_id"]),
    (|account| &mut account.turn, &["turn_id"], &[]),
    (|account| &mut account.parent_thread, &["parent_thread_id"], &["x-codex-parent-thread-id"]),
    (|account| &mut account.subagent, &["subagent_kind"], &["x-openai-subagent"]),
    (|account| &mut account.request_kind, &["request_kind"], &[]),
];

/// Notes down to what a request belongs. `header` gives the value of a header by its name.
///
/// ```
/// use latimer_probe::record::{account::Account, lineage};
/// let mut account = Account::default();
/// let header = |name: &str| (name == "session_id").then_some("s1".into());
/// lineage::note(&mut account, header, br#"{"client_metadata":{"turn_id":"t1"}}"#);
/// assert_eq!((account.session.as_deref(), account.turn.as_deref()), (Some("s1"), Some("t1")));
/// ```
pub fn note<'h>(account: &mut Account, header: impl Fn(&str) -> Option<Cow<'h, str>>, body: &[u8]) {
    if let Some(metadata) = header(TURN_METADATA) {
        take(account, Raw::parse(&metadata).ok());
    }
    for (member, _, names) in ROWS {
        fill(member(account), names.iter().find_map(|name| header(name)));
    }
    if account.turn.is_none() {
        take_of_body(account, body);
    }
}

/// A body is long, and most have no such member: it is looked for before anything is read.
fn take_of_body(account: &mut Account, body: &[u8]) {
    if memmem::find(body, b"\"client_metadata\"").is_none() {
        return;
    }
    let body = std::str::from_utf8(body).ok().and_then(|text| Raw::parse(text).ok());
    let metadata = body.and_then(|body| body.member("client_metadata"));
    let inner = metadata.and_then(|metadata| metadata.member_text(TURN_METADATA));
    take(account, inner.as_deref().and_then(|text| Raw::parse(text).ok()));
    take(account, metadata);
}

fn take(account: &mut Account, metadata: Option<Raw<'_>>) {
    let Some(metadata) = metadata else { return };
    for (member, names, _) in ROWS {
        fill(member(account), names.iter().find_map(|name| metadata.member_text(name)));
    }
}

fn fill(slot: &mut Option<String>, said: Option<Cow<'_, str>>) {
    if slot.is_none() {
        *slot = said.filter(|text| !text.is_empty()).map(Cow::into_owned);
    }
}

#[cfg(test)]
mod tests {
    use super::{Account, note};

    /// The shapes of Codex 0.169 over HTTP and as a sub-agent, of 0.98, and of a WebSocket's message.
    #[test]
    fn codex_says_where_it_is() {
        const METADATA: &str = r#"{"session_id":"s","thread_id":"t","turn_id":"u","request_kind":"turn","parent_thread_id":"p","subagent_kind":"collab_spawn"}"#;
        let in_body = format!(
            r#"{{"input":[],"client_metadata":{{"x-codex-turn-metadata":{METADATA:?},"session_id":"other"}}}}"#
        );
        // headers, body, and what is noted: session, thread, turn, kind
        type Case<'c> = (&'c [(&'c str, &'c str)], &'c str, [Option<&'c str>; 4]);
        let all = [Some("s"), Some("t"), Some("u"), Some("turn")];
        let cases: &[Case<'_>] = &[
            (&[("x-codex-turn-metadata", METADATA), ("session-id", "s")], "{}", all),
            (&[], &in_body, all),
            (&[("session_id", "s")], "{}", [Some("s"), None, None, None]),
            (
                &[("x-codex-turn-metadata", "{"), ("thread-id", "")],
                "{\"client_metadata\"",
                [None; 4],
            ),
        ];
        for (headers, body, wanted) in cases {
            let mut account = Account::default();
            let header = |name: &str| {
                let row = headers.iter().find(|(known, _)| *known == name);
                row.map(|(_, value)| (*value).into())
            };
            note(&mut account, header, body.as_bytes());
            let Account { session, thread, turn, request_kind, .. } = &account;
            let noted = [session, thread, turn, request_kind].map(Option::as_deref);
            assert_eq!(noted, *wanted, "{headers:?} {body}");
        }
    }
}
