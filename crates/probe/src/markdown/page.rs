//! The pieces a report is made of: lines, tables, and quoted text that folds away. In: text that
//! is ready for its place, except for what is quoted, which may be anything. Out: Markdown,
//! appended.

use std::borrow::Cow;
use std::fmt::{Display, Write};

use super::Layout;
use super::text::longest_run_of_backticks;

/// A report that is being written.
pub(super) struct Page<'o> {
    out: &'o mut String,
    layout: Layout,
}

impl<'o> Page<'o> {
    /// Continues at the end of `out`.
    pub(super) fn new(out: &'o mut String, layout: Layout) -> Self {
        Page { out, layout }
    }

    /// How the report looks.
    pub(super) fn layout(&self) -> Layout {
        self.layout
    }

    /// One line.
    pub(super) fn line(&mut self, line: impl AsRef<str>) {
        self.out.push_str(line.as_ref());
        self.out.push('\n');
    }

    /// An empty line.
    pub(super) fn gap(&mut self) {
        self.out.push('\n');
    }

    /// A line of its own with an empty one after it.
    pub(super) fn paragraph(&mut self, line: impl AsRef<str>) {
        self.line(line);
        self.gap();
    }

    /// A table and an empty line. Cells must be escaped.
    pub(super) fn table<'c, const N: usize>(
        &mut self,
        head: [&str; N],
        rows: impl IntoIterator<Item = [Cow<'c, str>; N]>,
    ) {
        self.line(format!("| {} |", head.join(" | ")));
        let dashes = head.map(|name| "-".repeat(name.len() + 2));
        self.line(format!("|{}|", dashes.join("|")));
        for row in rows {
            row.iter().for_each(|cell| self.out.extend(["| ", cell, " "]));
            self.line("|");
        }
        self.gap();
    }

    /// A part that is folded away under its summary, which must be HTML on one line.
    pub(super) fn folded(&mut self, summary: impl Display, content: impl FnOnce(&mut Self)) {
        // A string does not refuse to be written to.
        let _ = write!(self.out, "<details>\n<summary>{summary}</summary>\n\n");
        content(self);
        self.paragraph("</details>");
    }

    /// Folded text, quoted as it is.
    pub(super) fn folded_quote(&mut self, summary: impl Display, text: &str) {
        self.folded(summary, |page| page.quote(text));
    }

    /// Text as it is, inside a fence.
    pub(super) fn quote(&mut self, text: &str) {
        let fence = self.fence_around(text);
        self.line(&fence);
        self.line(text);
        self.line(&fence);
    }

    /// The same below an item of a list: each line is indented, or it would end the list.
    pub(super) fn quote_in_list(&mut self, text: &str) {
        const INDENT: &str = "  ";
        let fence = self.fence_around(text);
        let text = text.replace("\r\n", "\n");
        for line in [&*fence].into_iter().chain(text.split(['\n', '\r'])).chain([&*fence]) {
            self.line([INDENT, line].concat());
        }
    }

    fn fence_around(&self, text: &str) -> String {
        let run = match self.layout {
            Layout::Default => longest_run_of_backticks(text),
            Layout::Seed => 0,
        };
        "`".repeat(3.max(run + 1))
    }
}
