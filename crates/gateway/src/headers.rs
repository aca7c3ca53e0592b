//! Which headers cross the gateway, in both directions, as tables; and small readings of headers.

use std::collections::BTreeMap;

use crate::coding;

use http::{HeaderMap, HeaderName, HeaderValue, header};
use latimer_wire::note::Notes;

/// Headers that concern one connection only (RFC 9110, 7.6.1), and those every hop makes itself.
const OF_ONE_HOP: &[&str] = &[
    "connection",
    "content-length",
    "host",
    "keep-alive",
    "proxy-authenticate",
    "proxy-authorization",
    "proxy-connection",
    "te",
    "transfer-encoding",
    "upgrade",
];

/// Announced for what comes behind a body, which goes no further where bodies are read.
const OF_TRAILERS: &[&str] = &["trailer"];

/// Not passed to a backend of the same dialect either, as they came: of the codings that a client
/// takes, those go on that can be read here too.
const NOT_TO_BACKEND: &[&str] = &["accept-encoding", "expect"];

/// Whose request it is; not passed on with a key that is not the caller's.
const OF_CALLER: &[&str] = &[
    "api-key",
    "chatgpt-account-id",
    "cookie",
    "openai-organization",
    "openai-project",
    "x-api-key",
];

/// Not passed to the client: Codex takes a differing `openai-model` for a rerouted, suspicious
/// session and warns its user (reference: Codex 0.169, measured).
const NOT_TO_CLIENT: &[&str] = &["openai-model"];

/// What an answer that was translated takes over from the backend's.
const FROM_TRANSLATED: &[&str] = &["x-request-id", "retry-after", "openai-processing-ms"];

/// Error families by status, where the backend named none.
const ERROR_KINDS: &[(u16, &str)] = &[
    (400, "invalid_request_error"),
    (401, "authentication_error"),
    (403, "permission_error"),
    (404, "not_found_error"),
    (422, "invalid_request_error"),
    (429, "rate_limit_error"),
];

/// Whether a client says that it is Codex: `originator: codex_exec`, `codex_cli_rs`, ...
pub(crate) fn is_codex(headers: &HeaderMap) -> bool {
    headers.get("originator").is_some_and(|value| value.as_bytes().starts_with(b"codex"))
}

/// Whether a client wants its answer as events.
pub(crate) fn takes_events(headers: &HeaderMap) -> bool {
    words(headers, header::ACCEPT).iter().any(|word| word.starts_with("text/event-stream"))
}

/// Whether a client takes what may come behind a body (RFC 9110, 10.1.4).
pub(crate) fn takes_trailers(headers: &HeaderMap) -> bool {
    words(headers, header::TE).iter().any(|word| word == "trailers")
}

/// The family an error status stands for.
pub(crate) fn error_kind(status: u16) -> std::borrow::Cow<'static, str> {
    ERROR_KINDS.iter().find(|(code, _)| *code == status).map_or("server_error", |row| row.1).into()
}

/// The words of a header that is a list, in lower case and in their order.
pub(crate) fn words(headers: &HeaderMap, name: HeaderName) -> Vec<String> {
    let values = headers.get_all(name).into_iter();
    let lists = values.map(|value| String::from_utf8_lossy(value.as_bytes()).to_ascii_lowercase());
    let words = lists
        .flat_map(|list| list.split(',').map(|word| word.trim().to_owned()).collect::<Vec<_>>());
    words.filter(|word| !word.is_empty()).collect()
}

/// The codings a body came in, in the order they were applied.
pub(crate) fn codings(headers: &HeaderMap) -> Vec<String> {
    let mut codings = words(headers, header::CONTENT_ENCODING);
    codings.retain(|coding| coding != "identity");
    codings
}

/// The coding of an answer, as one word: several are no coding that is known.
pub(crate) fn coding(headers: &HeaderMap) -> Option<String> {
    Some(codings(headers).join(", ")).filter(|coding| !coding.is_empty())
}

fn authorization(from: &HeaderMap, key: Option<&str>) -> Option<HeaderValue> {
    let Some(key) = key else { return from.get(header::AUTHORIZATION).cloned() };
    let mut value = HeaderValue::from_str(&format!("Bearer {key}")).ok()?;
    value.set_sensitive(true);
    Some(value)
}

/// For a backend of another dialect: nothing of the client's but its key, where we have none.
pub(crate) fn translated(from: &HeaderMap, key: Option<&str>, stream: bool) -> HeaderMap {
    let accept = if stream { "text/event-stream" } else { "application/json" };
    let mut headers = HeaderMap::new();
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers.insert(header::ACCEPT, HeaderValue::from_static(accept));
    headers.insert(
        header::USER_AGENT,
        HeaderValue::from_static(concat!("latimer/", env!("CARGO_PKG_VERSION"))),
    );
    headers.extend(authorization(from, key).map(|value| (header::AUTHORIZATION, value)));
    headers
}

/// For a backend of the same dialect: all but what belongs to one hop.
pub(crate) fn passed_on(from: &HeaderMap, key: Option<&str>) -> HeaderMap {
    let of_caller = if key.is_some() { OF_CALLER } else { &[] };
    let mut headers = without(from, &[OF_ONE_HOP, OF_TRAILERS, NOT_TO_BACKEND, of_caller]);
    if let Some(value) = authorization(from, key) {
        headers.insert(header::AUTHORIZATION, value);
    }
    headers.extend(accepted(from).map(|value| (header::ACCEPT_ENCODING, value)));
    headers
}

/// The codings in which the client takes its answer and which are known here; `gzip;q=0.5, br`.
fn accepted(from: &HeaderMap) -> Option<HeaderValue> {
    let mut words = words(from, header::ACCEPT_ENCODING);
    words.retain(|word| {
        let coding = word.split(';').next().unwrap_or_default().trim_end();
        coding == "identity" || coding::KNOWN.contains(&coding)
    });
    HeaderValue::from_str(&words.join(", ")).ok().filter(|_| !words.is_empty())
}

/// From a backend of the same dialect.
pub(crate) fn answered(from: &HeaderMap) -> HeaderMap {
    without(from, &[OF_ONE_HOP, OF_TRAILERS, NOT_TO_CLIENT])
}

/// For somebody who is only listened to, in both directions: all but what belongs to one hop.
pub(crate) fn listened(from: &HeaderMap) -> HeaderMap {
    without(from, &[OF_ONE_HOP, &["expect"]])
}

fn without(from: &HeaderMap, tables: &[&[&str]]) -> HeaderMap {
    let of_this_hop = words(from, header::CONNECTION);
    let crosses = |name: &HeaderName| {
        let name = name.as_str();
        !tables.iter().any(|table| table.contains(&name)) && !of_this_hop.iter().any(|w| w == name)
    };
    let kept = from.iter().filter(|(name, _)| crosses(name));
    kept.map(|(name, value)| (name.clone(), value.clone())).collect()
}

fn of_translated(from: &HeaderMap) -> HeaderMap {
    let mut headers = HeaderMap::new();
    for name in FROM_TRANSLATED {
        headers.extend(from.get(*name).map(|v| (HeaderName::from_static(name), v.clone())));
    }
    headers
}

/// For a stream of events that was translated.
pub(crate) fn events(from: &HeaderMap) -> HeaderMap {
    let mut headers = of_translated(from);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("text/event-stream"));
    headers.insert(header::CACHE_CONTROL, HeaderValue::from_static("no-cache"));
    headers
}

/// For a whole answer that was translated.
pub(crate) fn json(from: &HeaderMap) -> HeaderMap {
    let mut headers = of_translated(from);
    headers.insert(header::CONTENT_TYPE, HeaderValue::from_static("application/json"));
    headers
}

/// For an error: when to come back, and rate limits.
pub(crate) fn of_error(from: &HeaderMap) -> HeaderMap {
    let mut headers = of_translated(from);
    for (name, value) in from {
        if name.as_str().starts_with("x-ratelimit-") || name == "retry-after-ms" {
            headers.insert(name.clone(), value.clone());
        }
    }
    headers
}

/// For an error of a backend of the same dialect. The body is written anew, and plain.
pub(crate) fn of_passed_error(from: &HeaderMap) -> HeaderMap {
    let mut headers = answered(from);
    headers.remove(header::CONTENT_ENCODING);
    headers
}

/// For an answer after which the connection cannot be used: its request was not read to the end.
pub(crate) fn closing() -> HeaderMap {
    let mut headers = HeaderMap::new();
    headers.insert(header::CONNECTION, HeaderValue::from_static("close"));
    headers
}

/// The notes as one header, by kind: `tool_dropped=2, item_dropped=1`.
pub(crate) fn notes(notes: &Notes) -> Option<HeaderValue> {
    let mut counts: BTreeMap<&str, usize> = BTreeMap::new();
    for note in notes.list() {
        *counts.entry(note.code).or_default() += 1;
    }
    let words: Vec<_> = counts.iter().map(|(code, count)| format!("{code}={count}")).collect();
    HeaderValue::from_str(&words.join(", ")).ok().filter(|_| !words.is_empty())
}
