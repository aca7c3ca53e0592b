//! Which exchanges of a recording are wanted. In: what a user names. Out: yes or no for an exchange, and
//! the choice in words.

use std::str::FromStr;

use super::{Ending, Facts};
use crate::words::rfc3339;

/// A choice of exchanges; one that names nothing wants all.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct Selection {
    /// The id of a session, or its beginning.
    pub session: Option<String>,
    /// Requests that began at this time or later: milliseconds since 1970 (UTC).
    pub since_unix_ms: Option<i64>,
    /// The model that was asked for.
    pub model: Option<String>,
    /// How it was answered.
    pub status: Option<Answered>,
}

/// Ways in which exchanges were answered.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Answered {
    /// One HTTP status: `429`.
    Code(u16),
    /// All of one class: `5xx` is 5.
    Class(u16),
    /// One kind of end: `failed`.
    Ended(Ending),
    /// Whatever went wrong: `error`.
    Error,
}

/// The kinds of ends by the words that a user types.
const ENDINGS: &[(&str, Ending)] = &[
    ("completed", Ending::Completed),
    ("incomplete", Ending::Incomplete),
    ("failed", Ending::Failed),
    ("broken-off", Ending::BrokenOff),
    ("cancelled", Ending::Cancelled),
];

/// What a user typed is no status.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error(
    "a status is a number (429), a class (5xx), `error`, `completed`, `incomplete`, `failed`, `broken-off` or `cancelled`"
)]
pub struct UnknownAnswer;

impl FromStr for Answered {
    type Err = UnknownAnswer;

    fn from_str(typed: &str) -> Result<Self, UnknownAnswer> {
        if let Some(class) = typed.strip_suffix("xx") {
            let class = class.parse().ok().filter(|class| (1..=5).contains(class));
            return class.map(Answered::Class).ok_or(UnknownAnswer);
        }
        if typed == "error" {
            return Ok(Answered::Error);
        }
        let ended = ENDINGS.iter().find(|(name, _)| *name == typed);
        let ended = ended.map(|(_, ending)| Answered::Ended(*ending));
        ended.or_else(|| typed.parse().ok().map(Answered::Code)).ok_or(UnknownAnswer)
    }
}

impl Answered {
    fn fits(self, facts: &Facts) -> bool {
        match self {
            Answered::Code(code) => facts.status == Some(code),
            Answered::Class(class) => facts.status.is_some_and(|status| status / 100 == class),
            Answered::Ended(ending) => facts.outcome == ending,
            Answered::Error => facts.outcome.is_error(),
        }
    }

    fn name(self) -> String {
        match self {
            Answered::Code(code) => code.to_string(),
            Answered::Class(class) => format!("{class}xx"),
            Answered::Ended(ending) => ending.name().to_owned(),
            Answered::Error => "error".to_owned(),
        }
    }
}

impl Selection {
    /// Whether an exchange is wanted, which is part of the session `session`.
    pub(super) fn wants(&self, session: &str, facts: &Facts) -> bool {
        let of_session = self.session.as_ref().is_none_or(|id| session.starts_with(id.as_str()));
        let in_time = self.since_unix_ms.is_none_or(|since| facts.at_unix_ms >= Some(since));
        let of_model = self.model.is_none() || self.model == facts.model;
        of_session && in_time && of_model && self.status.is_none_or(|status| status.fits(facts))
    }

    /// The choice in words; none when all is wanted.
    pub(super) fn words(&self) -> Option<String> {
        let named = [
            self.session.as_ref().map(|id| format!("session {id}")),
            self.since_unix_ms.map(|since| format!("since {}", rfc3339(since))),
            self.model.as_ref().map(|model| format!("model {model}")),
            self.status.map(|status| format!("status {}", status.name())),
        ];
        let named: Vec<String> = named.into_iter().flatten().collect();
        (!named.is_empty()).then(|| named.join(", "))
    }
}

#[cfg(test)]
mod tests {
    use super::{Answered, Ending, Facts, Selection};

    #[test]
    fn a_status_is_read_as_it_is_typed() {
        let read = |typed: &str| typed.parse::<Answered>().ok();
        assert_eq!(read("429"), Some(Answered::Code(429)));
        assert_eq!(read("5xx"), Some(Answered::Class(5)));
        assert_eq!(read("broken-off"), Some(Answered::Ended(Ending::BrokenOff)));
        assert_eq!(read("error"), Some(Answered::Error));
        assert_eq!((read("9xx"), read("xx"), read("fine")), (None, None, None));
    }

    #[test]
    fn each_part_of_a_choice_can_say_no() {
        let facts = Facts {
            at_unix_ms: Some(5),
            model: Some("m".to_owned()),
            status: Some(500),
            ..Facts::default()
        };
        let wanted = |selection: Selection| selection.wants("abc", &facts);
        assert!(wanted(Selection::default()));
        let named = |name: &str| Some(name.to_owned());
        for (yes, no) in [
            (
                Selection { session: named("ab"), ..Selection::default() },
                Selection { session: named("b"), ..Selection::default() },
            ),
            (
                Selection { since_unix_ms: Some(5), ..Selection::default() },
                Selection { since_unix_ms: Some(6), ..Selection::default() },
            ),
            (
                Selection { model: named("m"), ..Selection::default() },
                Selection { model: named("n"), ..Selection::default() },
            ),
            (
                Selection { status: Some(Answered::Class(5)), ..Selection::default() },
                Selection { status: Some(Answered::Code(200)), ..Selection::default() },
            ),
        ] {
            assert!(wanted(yes));
            assert!(!wanted(no));
        }
    }
}
