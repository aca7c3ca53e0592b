//! What of a request's envelope may be written down. In: header names and values, URLs. Out: the
//! same with everything secret or personal replaced by [`REDACTED`]. Headers go by an allow-list,
//! so that a header nobody thought of stays hidden. What else betrays itself as a secret anywhere in a
//! line, bodies included, is found by [`Redactor`]; a key that is known by [`Known`].

mod known;
mod line;
mod shapes;

use std::ops::Range;

pub use self::known::Known;
pub use self::line::{BadPattern, Redactor};

/// What stands where a value was taken out.
pub const REDACTED: &str = "[REDACTED]";

/// The headers whose values are shown, in lower case; a `*` at the end stands for any rest.
/// Left out on purpose: credentials, cookies, organization, project and account ids, credit
/// balances, addresses, and `x-codex-turn-state`, which is an opaque token of the service.
const SHOWN_HEADERS: &[&str] = &[
    "accept",
    "accept-encoding",
    "accept-language",
    "age",
    "allow",
    "alt-svc",
    "anthropic-beta",
    "anthropic-ratelimit-*",
    "anthropic-version",
    "cache-control",
    "cf-cache-status",
    "cf-ray",
    "connection",
    "content-encoding",
    "content-length",
    "content-type",
    "date",
    "etag",
    "expect",
    "host",
    "latimer-notes",
    "openai-beta",
    "openai-model",
    "openai-processing-ms",
    "openai-version",
    "originator",
    "request-id",
    "retry-after",
    "retry-after-ms",
    "sec-websocket-extensions",
    "sec-websocket-version",
    "server",
    "server-timing",
    "session-id",
    "session_id",
    "strict-transport-security",
    "te",
    "thread-id",
    "thread_id",
    "traceparent",
    "transfer-encoding",
    "upgrade",
    "user-agent",
    "vary",
    "version",
    "via",
    "x-client-request-id",
    "x-codex-beta-features",
    "x-codex-parent-thread-id",
    "x-codex-primary-*",
    "x-codex-routing-hint",
    "x-codex-secondary-*",
    "x-codex-turn-metadata",
    "x-codex-window-id",
    "x-content-type-options",
    "x-models-etag",
    "x-oai-web-search-eligible",
    "x-openai-internal-codex-responses-lite",
    "x-openai-subagent",
    "x-ratelimit-*",
    "x-reasoning-included",
    "x-request-id",
    "x-should-retry",
    "x-stainless-*",
];

/// A query parameter is hidden when its name holds one of these, in lower case.
const SECRET_WORDS: &[&str] = &[
    "auth",
    "code",
    "credential",
    "jwt",
    "key",
    "passw",
    "pwd",
    "secret",
    "session",
    "sig",
    "token",
];

/// The value of a header as it may be shown: itself, or [`REDACTED`].
///
/// ```
/// use latimer_probe::redact::header;
/// assert_eq!(header("Content-Type", "text/plain"), "text/plain");
/// assert_eq!(header("Authorization", "Bearer sk-1"), "[REDACTED]");
/// ```
pub fn header<'v>(name: &str, value: &'v str) -> &'v str {
    let name = name.trim();
    let shown = SHOWN_HEADERS.iter().any(|pattern| match pattern.strip_suffix('*') {
        Some(start) => name.get(..start.len()).is_some_and(|of| of.eq_ignore_ascii_case(start)),
        None => name.eq_ignore_ascii_case(pattern),
    });
    if shown { value } else { REDACTED }
}

/// A URL as it may be shown: without `user:password@`, and with the values of query parameters
/// that are named like secrets replaced.
///
/// ```
/// use latimer_probe::redact::url;
/// assert_eq!(url("https://me:pw@host/v1?alt=sse&key=abc"), "https://host/v1?alt=sse&key=[REDACTED]");
/// ```
pub fn url(url: &str) -> String {
    let (address, query) = url.split_at(url.find(['?', '#']).unwrap_or(url.len()));
    let mut shown = without_user(address);
    // A query may be cut by `;` as well as `&`, and a fragment may look like a query.
    for parameter in query.split_inclusive(['?', '#', '&', ';']) {
        let value = parameter.trim_end_matches(['?', '#', '&', ';']);
        match value.split_once('=') {
            Some((name, _)) if is_secret(name) => {
                shown.push_str(name);
                shown.push('=');
                shown.push_str(REDACTED);
                shown.push_str(parameter.get(value.len()..).unwrap_or_default());
            }
            _ => shown.push_str(parameter),
        }
    }
    shown
}

/// Puts [`REDACTED`] in place of these parts of a text, which are in order and apart from each other.
fn replace(text: &mut Vec<u8>, parts: &[Range<usize>]) {
    if parts.is_empty() {
        return;
    }
    let (mut out, mut at) = (Vec::with_capacity(text.len()), 0);
    for part in parts {
        out.extend_from_slice(text.get(at..part.start).unwrap_or_default());
        out.extend_from_slice(REDACTED.as_bytes());
        at = part.end;
    }
    out.extend_from_slice(text.get(at..).unwrap_or_default());
    *text = out;
}

fn without_user(address: &str) -> String {
    let host_at = address.find("//").map_or(0, |slashes| slashes + 2);
    let (scheme, rest) = address.split_at(host_at);
    let (authority, path) = rest.split_at(rest.find('/').unwrap_or(rest.len()));
    let host = authority.rsplit_once('@').map_or(authority, |(_, host)| host);
    [scheme, host, path].concat()
}

/// A name written with percent signs could be any name, so it counts as a secret one.
fn is_secret(name: &str) -> bool {
    let name = name.to_ascii_lowercase();
    name.contains('%') || SECRET_WORDS.iter().any(|word| name.contains(word))
}

#[cfg(test)]
mod tests {
    use super::{REDACTED, header, url};

    #[test]
    fn headers_are_hidden_unless_listed() {
        for name in ["AUTHORIZATION", "x-api-key", "Cookie", "openai-project", "x-codex-turn-state"]
        {
            assert_eq!(header(name, "canary"), REDACTED, "{name}");
        }
        for name in ["X-Request-Id", "x-ratelimit-limit-tokens", "session_id", "Retry-After"] {
            assert_eq!(header(name, "seen"), "seen", "{name}");
        }
    }

    #[test]
    fn urls_lose_their_secrets_and_nothing_else() {
        let cases = [
            ("/v1/responses/a@b?limit=2&after=x#top", "/v1/responses/a@b?limit=2&after=x#top"),
            ("http://u:p@h@host:80", "http://host:80"),
            ("//user@host/x", "//host/x"),
            ("user:pw@host:443", "host:443"),
            ("http://h/?X-Amz-Signature=1;b=2", "http://h/?X-Amz-Signature=[REDACTED];b=2"),
            ("/p?%6bey=1&a#access_token=2", "/p?%6bey=[REDACTED]&a#access_token=[REDACTED]"),
            ("http://h?key=a=b?c", "http://h?key=[REDACTED]?c"),
        ];
        for (raw, shown) in cases {
            assert_eq!(url(raw), shown);
        }
    }
}
