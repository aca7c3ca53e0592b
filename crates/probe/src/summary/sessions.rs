//! Exchanges put together to sessions and turns. In: exchanges in the order of the recording. Out: the
//! summary. What a request adds, whether it is a retry, and what became of the prompt cache is found by
//! holding it against the request before it in its session, whose prompt is kept for that.

use std::collections::HashMap;
use std::io;

use super::facts::{Belonging, Seen};
use super::open::Open;
use super::prefix::{Compared, Prompt};
use super::sums::Sums;
use super::{
    Cache, Change, Facts, Lines, NamedBy, Placed, SUMMARY_VERSION, SessionSummary, SkippedLine,
    Sum, Summary, SummaryOptions,
};
use crate::record::account::Incident;
use crate::record::exchange::Unreadable;

/// How many calls of a session wait for their outputs; a call beyond them gets no round trip.
const PENDING_CALLS_MAX: usize = 256;

/// A summary in the making.
pub(super) struct Assembly {
    options: SummaryOptions,
    summary: Summary,
    sums: Sums,
    /// Lines of the current file that were read before.
    lines_before: u64,
    /// How many exchanges there were, wanted or not.
    exchanges: u64,
    kept_exchanges: u64,
    excerpt_bytes_left: usize,
    open: HashMap<String, Open>,
    prompt_bytes: usize,
    inferred_sessions: u64,
}

/// Who sees each exchange that is wanted.
type Watch<'w> = &'w mut dyn FnMut(&Placed<'_>) -> io::Result<()>;

impl Assembly {
    pub(super) fn new(options: SummaryOptions) -> Self {
        Assembly {
            summary: Summary {
                version: SUMMARY_VERSION,
                generated_unix_s: options.generated_unix_s,
                selected: options.selection.words(),
                ..Summary::default()
            },
            excerpt_bytes_left: options.limits.excerpt_bytes,
            options,
            sums: Sums::default(),
            lines_before: 0,
            exchanges: 0,
            kept_exchanges: 0,
            open: HashMap::new(),
            prompt_bytes: 0,
            inferred_sessions: 0,
        }
    }

    /// Begins with another file.
    pub(super) fn begin(&mut self, source: &str) {
        self.summary.sources.push(source.to_owned());
        self.lines_before = 0;
    }

    /// Adds the lines that follow.
    pub(super) fn add(&mut self, lines: Lines, watch: Watch<'_>) -> io::Result<()> {
        for (line, seen) in lines.seen {
            match seen {
                Ok(seen) => self.exchange(self.lines_before + line, seen, watch)?,
                Err(unreadable) => self.skip(self.lines_before + line, unreadable),
            }
        }
        self.lines_before += lines.count;
        Ok(())
    }

    fn skip(&mut self, line: u64, unreadable: Unreadable) {
        let skipped = &mut self.summary.skipped;
        let what = match unreadable {
            Unreadable::Malformed { source, .. } => {
                skipped.malformed += 1;
                source.to_string()
            }
            Unreadable::Torn { .. } => {
                skipped.torn += 1;
                "it ends in the middle of a record".to_owned()
            }
            Unreadable::Incident { incident, .. } => {
                skipped.lost_exchanges += incident.lost;
                skipped.torn += u64::from(incident.torn);
                skipped.suspect_segments += u64::from(incident.suspect.is_some());
                incident.words()
            }
        };
        if skipped.lines.len() < self.options.limits.skipped_lines {
            let source = self.summary.sources.last().cloned().unwrap_or_default();
            skipped.lines.push(SkippedLine { source, line, what });
        }
    }

    fn exchange(&mut self, line: u64, seen: Seen, watch: Watch<'_>) -> io::Result<()> {
        let Seen { mut facts, belongs, prompt, knows_cache } = seen;
        self.exchanges += 1;
        facts.number = self.exchanges;
        facts.source = self.summary.sources.len().saturating_sub(1);
        facts.line = line;
        let price = facts.model.as_ref().and_then(|model| self.options.prices.of(model));
        facts.cost_usd = price.zip(facts.tokens.as_ref()).map(|(price, used)| price.cost_usd(used));
        match prompt {
            Some(prompt) => self.in_session(facts, belongs, prompt, knows_cache, watch),
            None => self.alone(facts, watch),
        }
    }

    /// An exchange that belongs to no session.
    fn alone(&mut self, mut facts: Facts, watch: Watch<'_>) -> io::Result<()> {
        if self.options.selection.wants("", &facts) {
            let (session, prompt) = ("", None);
            watch(&Placed { session, turn: 0, prompt, begins_turn: false, facts: &facts })?;
            self.sums.add(&facts, &self.options.prices);
            if self.keeps(&mut facts) {
                self.summary.others.push(facts);
            }
        }
        Ok(())
    }

    fn in_session(
        &mut self,
        mut facts: Facts,
        belongs: Belonging,
        prompt: Prompt,
        knows_cache: bool,
        watch: Watch<'_>,
    ) -> io::Result<()> {
        let key = self.open_session(&belongs, &prompt);
        let Some(mut open) = self.open.remove(&key) else { return Ok(()) };
        let compared = match &open.prompt {
            Some(before) if !prompt.continues => prompt.after(before),
            None if open.last.is_some() && !prompt.continues => Compared::default(),
            _ => prompt.all(),
        };
        (facts.added, facts.added_more) = prompt.told(&compared);
        let says = prompt.user_says(&compared);
        open.attempts(&mut facts, says.is_some());
        let begins_turn = open.turns(&facts, &belongs, says);
        let wanted = self.options.selection.wants(&open.id, &facts);
        self.tools(&mut open, &mut facts, prompt.outputs(&compared), wanted);
        if !prompt.continues {
            facts.cache = self.cache(&open, &facts, knows_cache, compared.change);
        }
        if wanted {
            self.sums.add(&facts, &self.options.prices);
        }
        open.goes_on(&facts);
        self.prompt_bytes += prompt.bytes();
        self.prompt_bytes -= open.prompt.replace(prompt).map_or(0, |before| before.bytes());
        if wanted {
            let (session, prompt) = (open.id.as_str(), open.turn.prompt.as_deref());
            let turn = open.turns;
            watch(&Placed { session, turn, prompt, begins_turn, facts: &facts })?;
            self.keep(&mut open, facts);
        }
        self.open.insert(key, open);
        self.forget();
        Ok(())
    }

    /// The key of the session that a request belongs to, which is open then.
    fn open_session(&mut self, belongs: &Belonging, prompt: &Prompt) -> String {
        let (key, named) = match &belongs.session {
            Some((id, named_by)) => (format!("id:{id}"), Some((id.clone(), *named_by))),
            None => (format!("opening:{:x}", prompt.opening()), None),
        };
        let is_new =
            self.open.get(&key).is_none_or(|open| named.is_none() && open.begins_anew(prompt));
        if is_new {
            let (id, named_by) = named.unwrap_or_else(|| {
                self.inferred_sessions += 1;
                (format!("inferred-{}", self.inferred_sessions), NamedBy::Inferred)
            });
            let open = Open { id, named_by, parent: belongs.parent.clone(), ..Open::default() };
            let before = self.open.insert(key.clone(), open).and_then(|before| before.prompt);
            self.prompt_bytes -= before.map_or(0, |before| before.bytes());
        }
        if let Some(open) = self.open.get_mut(&key) {
            open.used_at = self.exchanges;
        }
        key
    }

    /// Matches outputs with the calls that wait for them, and lets the calls of this answer wait.
    fn tools(
        &mut self,
        open: &mut Open,
        facts: &mut Facts,
        outputs: Vec<(String, u64)>,
        wanted: bool,
    ) {
        let began_unix_us = facts.at_unix_ms.map(|ms| ms.saturating_mul(1000));
        let ended = open.last.as_ref().and_then(|last| last.end_unix_us);
        let took = began_unix_us.zip(ended).map(|(began, ended)| (began - ended).max(0) as u64);
        for (call_id, bytes) in outputs {
            let Some(name) = open.pending.remove(&call_id) else { continue };
            facts.times.tools_us = took;
            if wanted {
                self.sums.output(&name, bytes, took);
            }
        }
        for call in &facts.calls {
            if let Some(id) =
                call.call_id.clone().filter(|_| open.pending.len() < PENDING_CALLS_MAX)
            {
                open.pending.insert(id, call.name.clone());
            }
        }
    }

    /// What became of the cache, where both requests tell.
    fn cache(
        &self,
        open: &Open,
        facts: &Facts,
        knows_cache: bool,
        change: Option<Change>,
    ) -> Option<Cache> {
        let last = open.last.as_ref()?;
        let change = match last.model == facts.model {
            true => change,
            false => Some(Change::of_model(last.model.as_deref(), facts.model.as_deref())),
        };
        let used = facts.tokens.as_ref().filter(|_| knows_cache);
        let (Some(used), Some(before)) = (used, last.input_tokens) else {
            return change.map(|change| Cache { change: Some(change), ..Cache::default() });
        };
        let expected_tokens = before.min(used.input);
        let lost = expected_tokens.saturating_sub(used.cached);
        let price = facts.model.as_ref().and_then(|model| self.options.prices.of(model));
        Some(Cache {
            expected_tokens,
            cached_tokens: used.cached,
            lost_tokens_estimate: lost,
            lost_usd_estimate: price.map(|price| price.miss_usd(used.input, lost)),
            change,
        })
    }

    /// Whether there is room for the facts of one more exchange; where there is none for words, it is
    /// kept without.
    fn keeps(&mut self, facts: &mut Facts) -> bool {
        if self.kept_exchanges >= self.options.limits.exchanges {
            self.summary.left_out_exchanges += 1;
            return false;
        }
        self.kept_exchanges += 1;
        let words = facts.words_bytes();
        if words > self.excerpt_bytes_left {
            facts.drop_words();
        } else {
            self.excerpt_bytes_left -= words;
        }
        true
    }

    fn keep(&mut self, open: &mut Open, mut facts: Facts) {
        let sum_of = |session: &mut SessionSummary, facts: &Facts| session.sum.add(facts);
        if !self.keeps(&mut facts) {
            if let Some(session) = open.kept_at.and_then(|at| self.summary.sessions.get_mut(at)) {
                sum_of(session, &facts);
            }
            return;
        }
        let sessions = &mut self.summary.sessions;
        let at = *open.kept_at.get_or_insert_with(|| {
            let session = SessionSummary {
                id: open.id.clone(),
                named_by: open.named_by,
                parent: open.parent.clone(),
                sum: Sum::default(),
                turns: Vec::new(),
            };
            push(sessions, session);
            sessions.len() - 1
        });
        let Some(session) = sessions.get_mut(at) else { return };
        sum_of(session, &facts);
        if !std::mem::replace(&mut open.turn_is_kept, true) {
            push(&mut session.turns, open.turn.clone());
        }
        if let Some(turn) = session.turns.last_mut() {
            push(&mut turn.exchanges, facts);
        }
    }

    /// Forgets what was not used for longest, until what is open is within its limits.
    fn forget(&mut self) {
        while self.open.len() > self.options.limits.sessions {
            let Some(key) = self.oldest(|_| true) else { break };
            let prompt = self.open.remove(&key).and_then(|open| open.prompt);
            self.prompt_bytes -= prompt.map_or(0, |prompt| prompt.bytes());
        }
        let newest = self.exchanges;
        while self.prompt_bytes > self.options.limits.prefix_bytes {
            let has_prompt = |open: &Open| open.prompt.is_some() && open.used_at < newest;
            let Some(key) = self.oldest(has_prompt) else { break };
            let prompt = self.open.get_mut(&key).and_then(|open| open.prompt.take());
            self.prompt_bytes -= prompt.map_or(0, |prompt| prompt.bytes());
        }
    }

    fn oldest(&self, of: impl Fn(&Open) -> bool) -> Option<String> {
        let candidates = self.open.iter().filter(|(_, open)| of(open));
        candidates.min_by_key(|(_, open)| open.used_at).map(|(key, _)| key.clone())
    }

    /// The whole summary.
    pub(super) fn finish(self) -> Summary {
        let (sum, models, tools, violations) = self.sums.finish();
        Summary { sum, models, tools, violations, ..self.summary }
    }
}

impl Change {
    /// Another model has another cache.
    fn of_model(before: Option<&str>, after: Option<&str>) -> Change {
        let name = |model: Option<&str>| model.unwrap_or("(none)").to_owned();
        let (before, after) = (name(before), name(after));
        Change { path: "model".to_owned(), before, after, ..Change::default() }
    }
}

impl Incident {
    /// What it says, in words.
    fn words(&self) -> String {
        let lost = (self.lost > 0).then(|| format!("{} exchanges were lost", self.lost));
        let torn = self.torn.then(|| match self.cut_bytes {
            0 => "the line before was cut off".to_owned(),
            bytes => format!("a line that was cut off after {bytes} bytes was taken away"),
        });
        let suspect = self.suspect.as_ref().map(|segment| format!("{segment} may be damaged"));
        let said = [lost, torn, suspect, self.reason.clone()];
        said.into_iter().flatten().collect::<Vec<_>>().join("; ")
    }
}

/// Adds to a list that is kept. Lists of few are many, and their room beyond what they hold would be most
/// of it: facts take 680 bytes, and a list begins with room for four.
fn push<T>(list: &mut Vec<T>, value: T) {
    if list.len() == list.capacity() {
        list.reserve_exact(1 + list.len() / 4);
    }
    list.push(value);
}

impl Facts {
    /// How much of it is excerpts, in bytes.
    fn words_bytes(&self) -> usize {
        let single = [&self.said, &self.error].into_iter().flatten().map(String::len);
        let added = self.added.iter().map(|added| added.text.len());
        let calls = self.calls.iter().map(|call| call.arguments.len());
        let change = self.cache.as_ref().and_then(|cache| cache.change.as_ref());
        let change = change.map(|change| change.before.len() + change.after.len());
        single.chain(added).chain(calls).chain(change).sum()
    }

    /// Keeps what is counted and lets go what is quoted.
    fn drop_words(&mut self) {
        self.said = None;
        self.added_more += self.added.len() as u64;
        // Not cleared, or its room would stay.
        self.added = Vec::new();
        for call in &mut self.calls {
            call.arguments = String::new();
        }
    }
}
