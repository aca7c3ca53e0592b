//! Where something stands in a request, for messages: `input[3].content[0].text`. A path is made on the
//! way down without writing a word; it is written only where something is wrong there.

use std::fmt::{Display, Formatter, Result};

use crate::json::push_number;

/// A place in a request.
///
/// ```
/// use latimer_wire::path::Path;
/// let input = Path::of("input");
/// assert_eq!(input.index(3).member("content").to_string(), "input[3].content");
/// ```
#[derive(Debug, Clone, Copy)]
pub struct Path<'p> {
    above: Option<&'p Path<'p>>,
    step: Step<'p>,
}

#[derive(Debug, Clone, Copy)]
enum Step<'p> {
    Member(&'p str),
    Index(usize),
}

impl<'p> Path<'p> {
    /// The items of a hub request.
    pub const INPUT: Path<'static> = Path::of("input");
    /// The items that come before those of a request.
    pub const HISTORY: Path<'static> = Path::of("history");
    /// The messages of a Chat request.
    pub const MESSAGES: Path<'static> = Path::of("messages");
    /// The tools of either.
    pub const TOOLS: Path<'static> = Path::of("tools");

    /// A member of the request.
    pub const fn of(member: &'p str) -> Self {
        Path { above: None, step: Step::Member(member) }
    }

    /// A member of what stands here.
    #[must_use]
    pub const fn member(&'p self, member: &'p str) -> Self {
        Path { above: Some(self), step: Step::Member(member) }
    }

    /// An element of what stands here.
    #[must_use]
    pub const fn index(&'p self, index: usize) -> Self {
        Path { above: Some(self), step: Step::Index(index) }
    }
}

impl Path<'_> {
    fn push(&self, out: &mut String) {
        if let Some(above) = self.above {
            above.push(out);
        }
        match self.step {
            Step::Index(index) => {
                out.push('[');
                push_number(out, index as u64);
                out.push(']');
            }
            Step::Member(member) => {
                if self.above.is_some() {
                    out.push('.');
                }
                out.push_str(member);
            }
        }
    }
}

impl From<Path<'_>> for String {
    fn from(path: Path<'_>) -> String {
        let mut out = String::with_capacity(32);
        path.push(&mut out);
        out
    }
}

impl Display for Path<'_> {
    fn fmt(&self, f: &mut Formatter<'_>) -> Result {
        f.write_str(&String::from(*self))
    }
}
