//! Which attempt of a client's an exchange is. In: exchanges, in the order in which they ended. Out: in
//! the account of one that came again after it had not been completed, its number and the id of the one
//! before. Only what failed is remembered, so an exchange after which nothing failed costs nothing.

use std::collections::VecDeque;
use std::hash::{DefaultHasher, Hash, Hasher};

use latimer_wire::json::Raw;

use crate::record::account::{Account, Outcome};

/// How many requests that failed are remembered; the oldest is forgotten first.
const REMEMBERED: usize = 256;
/// How long a request that failed is remembered, in milliseconds. Codex waits as long as the service
/// asks it to, else about 25 s in all (0.169).
const REMEMBERED_MS: u64 = 120_000;
/// What of a body does not count: Codex writes it in another order each time.
const NOT_COMPARED: &str = "client_metadata";

/// The requests that failed and did not come again.
#[derive(Debug, Default)]
pub struct Attempts {
    failed: VecDeque<Failed>,
}

#[derive(Debug)]
struct Failed {
    session: Option<String>,
    fingerprint: u64,
    id: Option<String>,
    attempt: u32,
    at_unix_ms: u64,
}

impl Attempts {
    /// Takes an exchange that is over, and notes down which attempt it was, where that is known: the
    /// same request, to the same URL in the same session, came before and was not completed.
    /// `at_unix_ms` is when it ended.
    ///
    /// ```
    /// use latimer_probe::record::account::{Account, Outcome};
    /// use latimer_probe::record::attempts::Attempts;
    /// let mut attempts = Attempts::default();
    /// let mut of = |id: &str, outcome, body: &str| {
    ///     let (id, outcome) = (Some(id.to_owned()), Some(outcome));
    ///     let mut account = Account { id, outcome, ..Account::default() };
    ///     attempts.note(&mut account, 1_000, "/v1/responses", body.as_bytes());
    ///     (account.attempt, account.retry_of)
    /// };
    /// assert_eq!(of("a", Outcome::Failed, r#"{"input":1,"client_metadata":{"x":1}}"#), (None, None));
    /// assert_eq!(of("b", Outcome::Completed, r#"{"input":2}"#), (None, None));
    /// let again = r#"{"client_metadata":{},"input":1}"#;
    /// assert_eq!(of("c", Outcome::Completed, again), (Some(2), Some("a".to_owned())));
    /// assert_eq!(of("d", Outcome::Completed, again), (None, None));
    /// ```
    pub fn note(&mut self, account: &mut Account, at_unix_ms: u64, url: &str, body: &[u8]) {
        self.failed.retain(|failed| at_unix_ms <= failed.at_unix_ms + REMEMBERED_MS);
        let failed = account.outcome.is_some_and(|outcome| outcome != Outcome::Completed);
        let session = account.thread.as_ref().or(account.session.as_ref());
        let known = self.failed.iter().any(|failed| failed.session.as_ref() == session);
        if !failed && !known {
            return;
        }
        let (session, fingerprint) = (session.cloned(), fingerprint(url, body));
        let same = |failed: &Failed| failed.session == session && failed.fingerprint == fingerprint;
        let before = self.failed.iter().position(same).and_then(|at| self.failed.remove(at));
        let attempt = before.as_ref().map_or(1, |before| before.attempt.saturating_add(1));
        if let Some(before) = before {
            account.attempt = Some(attempt);
            account.retry_of = before.id;
        }
        if failed {
            if self.failed.len() == REMEMBERED {
                self.failed.pop_front();
            }
            let id = account.id.clone();
            self.failed.push_back(Failed { session, fingerprint, id, attempt, at_unix_ms });
        }
    }
}

/// What is the same in a request that comes again; the order of the members does not count.
fn fingerprint(url: &str, body: &[u8]) -> u64 {
    let json = std::str::from_utf8(body).ok().and_then(|text| Raw::parse(text).ok());
    let members = json.map(Raw::members).unwrap_or_default();
    let compared = members.iter().filter(|(key, _)| key != NOT_COMPARED);
    let of_members = compared.map(|(key, value)| hash((key, value.as_str())));
    let of_body = if members.is_empty() { hash(body) } else { 0 };
    hash((url, of_members.fold(of_body, u64::wrapping_add)))
}

fn hash(value: impl Hash) -> u64 {
    let mut hasher = DefaultHasher::new();
    value.hash(&mut hasher);
    hasher.finish()
}
