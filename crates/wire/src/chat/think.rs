//! `<think>…</think>` at the beginning of an answer, where the backend leaves a model's reasoning in
//! its text. In: the text as it grows, insides of JSON literals, tags cut anywhere. Out: the same,
//! told apart. Only what may be the beginning of a tag is held back.

use std::borrow::Cow;

use super::item::Content;

const OPEN: &str = "<think>";
const CLOSE: &str = "</think>";

/// Space as it stands inside a literal.
const SPACES: &[&str] = &[" ", "\\n", "\\r", "\\t"];

/// Tells reasoning from text.
#[derive(Debug, Default)]
pub(super) struct Think {
    state: State,
    held: String,
}

#[derive(Debug, Default, Clone, Copy, PartialEq, Eq)]
enum State {
    /// Nothing but space came yet.
    #[default]
    Begin,
    /// Inside the tag.
    Reasoning,
    /// After it; the space before the answer is dropped.
    Between,
    /// The answer itself.
    Text,
}

impl Think {
    /// Whether all that comes is text of the answer.
    pub fn is_over(&self) -> bool {
        self.state == State::Text
    }

    /// Takes a piece of text and gives what it is, in order.
    pub fn push(&mut self, inner: &str) -> Vec<(Content, String)> {
        let mut given = Vec::new();
        self.held.push_str(&plain_brackets(inner));
        while self.step(&mut given) {}
        given
    }

    /// Whether a piece will be given out at once as text of the answer.
    pub fn passes(&self, inner: &str) -> bool {
        let inner = plain_brackets(inner);
        let begins = without_space(&inner);
        let may_open = OPEN.starts_with(begins) || begins.starts_with(OPEN);
        self.is_over() || (self.state == State::Begin && self.held.is_empty() && !may_open)
    }

    /// Nothing more comes: what was held back is what it seems.
    pub fn end(&mut self) -> Option<(Content, String)> {
        let held = std::mem::take(&mut self.held);
        let content = match self.state {
            State::Reasoning => Content::Reasoning,
            State::Between => return None,
            State::Begin | State::Text => Content::Text,
        };
        self.state = State::Text;
        (!held.is_empty()).then_some((content, held))
    }

    /// One step; false when more has to come.
    fn step(&mut self, given: &mut Vec<(Content, String)>) -> bool {
        match self.state {
            State::Begin => {
                let rest = without_space(&self.held);
                if let Some(rest) = rest.strip_prefix(OPEN) {
                    self.held = rest.to_owned();
                    self.state = State::Reasoning;
                    return true;
                }
                if OPEN.starts_with(rest) {
                    return false;
                }
                self.state = State::Text;
                given.push((Content::Text, std::mem::take(&mut self.held)));
                false
            }
            State::Reasoning => {
                let close = self.held.find(CLOSE);
                let (end, next) = match close {
                    Some(at) => (at, at + CLOSE.len()),
                    None => {
                        let end = self.held.len() - partial_tag(&self.held);
                        (end, end)
                    }
                };
                let rest = self.held.split_off(next);
                self.held.truncate(end);
                let said = std::mem::replace(&mut self.held, rest);
                if !said.is_empty() {
                    given.push((Content::Reasoning, said));
                }
                if close.is_some() {
                    self.state = State::Between;
                }
                close.is_some()
            }
            State::Between => {
                let rest = without_space(&self.held).to_owned();
                if rest.is_empty() {
                    self.held.clear();
                    return false;
                }
                self.state = State::Text;
                self.held.clear();
                given.push((Content::Text, rest));
                false
            }
            State::Text => {
                let text = std::mem::take(&mut self.held);
                given.extend((!text.is_empty()).then_some((Content::Text, text)));
                false
            }
        }
    }
}

fn without_space(mut inner: &str) -> &str {
    while let Some(rest) = SPACES.iter().find_map(|space| inner.strip_prefix(space)) {
        inner = rest;
    }
    inner
}

/// How many bytes at the end may be the beginning of the closing tag.
fn partial_tag(held: &str) -> usize {
    let mut sizes = (1..CLOSE.len()).rev();
    let may_be = |size: &usize| CLOSE.get(..*size).is_some_and(|begin| held.ends_with(begin));
    sizes.find(may_be).unwrap_or_default()
}

/// The inside of a literal with `<` and `>` as they are: some servers write them as escapes.
fn plain_brackets(inner: &str) -> Cow<'_, str> {
    if !inner.contains("\\u003") {
        return Cow::Borrowed(inner);
    }
    let mut plain = String::with_capacity(inner.len());
    let mut rest = inner;
    while let Some((before, escape)) = rest.find('\\').and_then(|at| rest.split_at_checked(at)) {
        plain.push_str(before);
        let bracket = match escape.get(..6) {
            Some("\\u003c" | "\\u003C") => Some('<'),
            Some("\\u003e" | "\\u003E") => Some('>'),
            _ => None,
        };
        let length = if bracket.is_some() { 6 } else { 2 };
        match bracket {
            Some(bracket) => plain.push(bracket),
            None => plain.push_str(escape.get(..length).unwrap_or_default()),
        }
        rest = escape.get(length..).unwrap_or_default();
    }
    plain.push_str(rest);
    Cow::Owned(plain)
}
