//! How often each session has asked for what. In: the id a client gives its session, and the key of a
//! request. Out: how many equal requests came before. The oldest sessions are forgotten.

use std::collections::{HashMap, VecDeque};
use std::sync::Arc;

use http::HeaderMap;
use latimer_wire::json::Raw;

/// The headers that name a session, best first. All of Codex: threads of one session may run side by
/// side.
const SESSION_HEADERS: &[&str] = &["thread-id", "thread_id", "session-id", "session_id"];
/// The member of a body that does, where no header does: Codex names it after its session, and a
/// bridge on the way keeps it.
const SESSION_MEMBER: &str = "prompt_cache_key";
/// How many sessions are remembered.
const SESSIONS_MAX: usize = 10_000;

/// The session a request belongs to. Those who name none share one.
pub(super) fn of(headers: &HeaderMap, body: &[u8]) -> String {
    let named = SESSION_HEADERS.iter().find_map(|name| headers.get(*name)?.to_str().ok());
    let in_body = || {
        let body = Raw::parse(std::str::from_utf8(body).ok()?).ok()?;
        Some(body.member_text(SESSION_MEMBER)?.into_owned())
    };
    named.map(str::to_owned).or_else(in_body).unwrap_or_default()
}

/// All sessions.
#[derive(Debug, Default)]
pub(super) struct Sessions {
    asked: HashMap<String, HashMap<Arc<str>, usize>>,
    /// In the order in which they began.
    begun: VecDeque<String>,
}

impl Sessions {
    /// Counts a request, and says how many equal ones came before in this session.
    pub fn count(&mut self, session: &str, key: &Arc<str>) -> usize {
        if !self.asked.contains_key(session) {
            if self.begun.len() >= SESSIONS_MAX
                && let Some(oldest) = self.begun.pop_front()
            {
                self.asked.remove(&oldest);
            }
            self.begun.push_back(session.to_owned());
        }
        let asked = self.asked.entry(session.to_owned()).or_default();
        let count = asked.entry(Arc::clone(key)).or_default();
        *count += 1;
        *count - 1
    }
}
