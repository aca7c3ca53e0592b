//! `<think>…</think>` at the beginning of an answer, where the backend leaves a model's reasoning in
//! its text. In: the text as it grows, insides of JSON literals, tags cut anywhere. Out: the same,
//! told apart. Only what may be the beginning of a tag is held back.

use super::item::Content;

/// A tag as it may stand inside a literal: some servers escape the brackets.
type Tag = [&'static str; 3];

const OPEN: Tag = ["<think>", "\\u003cthink\\u003e", "\\u003Cthink\\u003E"];
const CLOSE: Tag = ["</think>", "\\u003c/think\\u003e", "\\u003C/think\\u003E"];

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
        self.held.push_str(inner);
        while self.step(&mut given) {}
        given
    }

    /// Whether a piece will be given out at once as text of the answer.
    pub fn passes(&self, inner: &str) -> bool {
        let begins = without_space(inner);
        let plain = self.held.is_empty() && !OPEN.iter().any(|tag| tag.starts_with(begins));
        let opens = OPEN.iter().any(|tag| begins.starts_with(tag));
        self.is_over() || (self.state == State::Begin && plain && !opens)
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
                if let Some(tag) = OPEN.iter().find(|tag| rest.starts_with(**tag)) {
                    self.held = rest.get(tag.len()..).unwrap_or_default().to_owned();
                    self.state = State::Reasoning;
                    return true;
                }
                if OPEN.iter().any(|tag| tag.starts_with(rest)) {
                    return false;
                }
                self.state = State::Text;
                given.push((Content::Text, std::mem::take(&mut self.held)));
                false
            }
            State::Reasoning => {
                let found = CLOSE.iter().filter_map(|tag| Some((self.held.find(tag)?, tag.len())));
                let close = found.min();
                let (end, next) = match close {
                    Some((at, length)) => (at, at + length),
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
                if rest.is_empty() || rest == "\\" {
                    self.held = rest;
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

/// How many bytes at the end may be the beginning of a closing tag.
fn partial_tag(held: &str) -> usize {
    let longest = CLOSE.iter().map(|tag| tag.len()).max().unwrap_or_default();
    let mut sizes = (1..longest.min(held.len() + 1)).rev();
    let may_be = |size: &usize| {
        let tail = held.get(held.len() - size..);
        tail.is_some_and(|tail| CLOSE.iter().any(|tag| tag.starts_with(tail)))
    };
    sizes.find(may_be).unwrap_or_default()
}
