//! HTML, element by element. In: names and attributes that stand in this program, texts that may be
//! anything. Out: markup, written at once. What is text stays text: it is escaped, control characters
//! are shown by their pictures, and the direction of a foreign script ends with its element.

use std::io::{self, Write};

use crate::words::visible;

/// Attributes: names of ours, values that may be anything.
pub(super) type Attributes<'a> = &'a [(&'a str, &'a str)];

/// A page that is being written. The first error is kept, and everything after it dropped.
pub(super) struct Html<'o> {
    out: &'o mut dyn Write,
    failed: Option<io::Error>,
}

impl<'o> Html<'o> {
    pub(super) fn new(out: &'o mut dyn Write) -> Self {
        Html { out, failed: None }
    }

    /// Whether all of it was written.
    pub(super) fn finish(self) -> io::Result<()> {
        self.failed.map_or(Ok(()), Err)
    }

    /// Markup of our own, as it is.
    pub(super) fn markup(&mut self, markup: &str) {
        if self.failed.is_none() {
            self.failed = self.out.write_all(markup.as_bytes()).err();
        }
    }

    /// Text of anyone.
    pub(super) fn text(&mut self, text: &str) {
        let mut plain_from = 0;
        for (at, c) in text.char_indices() {
            let (escape, seen) = (escape(c), visible(c));
            if escape.is_none() && seen == c {
                continue;
            }
            self.markup(text.get(plain_from..at).unwrap_or_default());
            match escape {
                Some(escape) => self.markup(escape),
                None => self.markup(seen.encode_utf8(&mut [0; 4])),
            }
            plain_from = at + c.len_utf8();
        }
        self.markup(text.get(plain_from..).unwrap_or_default());
    }

    /// An element with what `content` writes inside.
    pub(super) fn element(
        &mut self,
        name: &str,
        attributes: Attributes<'_>,
        content: impl FnOnce(&mut Self),
    ) {
        self.open(name, attributes);
        content(self);
        self.markup("</");
        self.markup(name);
        self.markup(">");
    }

    /// An element that has no inside.
    pub(super) fn void(&mut self, name: &str, attributes: Attributes<'_>) {
        self.open(name, attributes);
        self.markup("\n");
    }

    /// An element around a text.
    pub(super) fn plain(&mut self, name: &str, text: &str) {
        self.with(name, &[], text);
    }

    /// An element with attributes around a text.
    pub(super) fn with(&mut self, name: &str, attributes: Attributes<'_>, text: &str) {
        self.element(name, attributes, |page| page.text(text));
    }

    /// A text of a recording inside a line.
    pub(super) fn quote(&mut self, text: &str) {
        self.with("bdi", &[("class", "quote")], text);
    }

    /// A text of a recording as a block of its own.
    pub(super) fn block(&mut self, text: &str) {
        self.with("pre", &[("dir", "auto")], text);
    }

    /// A table: its heads, those of numbers first marked with `#`, and what writes its rows.
    pub(super) fn table(&mut self, heads: &[&str], rows: impl FnOnce(&mut Self)) {
        self.element("div", &[("class", "wide")], |page| {
            page.element("table", &[], |page| {
                page.element("thead", &[], |page| {
                    page.element("tr", &[], |page| {
                        for head in heads {
                            match head.strip_prefix('#') {
                                Some(head) => page.with("th", &[("class", "number")], head),
                                None => page.plain("th", head),
                            }
                        }
                    });
                });
                page.element("tbody", &[], rows);
            });
        });
        self.markup("\n");
    }

    /// A cell with a number.
    pub(super) fn number(&mut self, number: &str) {
        self.with("td", &[("class", "number")], number);
    }

    fn open(&mut self, name: &str, attributes: Attributes<'_>) {
        self.markup("<");
        self.markup(name);
        for (key, value) in attributes {
            self.markup(" ");
            self.markup(key);
            self.markup("=\"");
            self.text(value);
            self.markup("\"");
        }
        self.markup(">");
    }
}

/// What stands for a character that HTML takes for its own.
fn escape(c: char) -> Option<&'static str> {
    Some(match c {
        '&' => "&amp;",
        '<' => "&lt;",
        '>' => "&gt;",
        '"' => "&quot;",
        '\'' => "&#39;",
        _ => return None,
    })
}

#[cfg(test)]
mod tests {
    use super::Html;

    #[test]
    fn text_stays_text() {
        let mut out = Vec::new();
        let mut page = Html::new(&mut out);
        page.with("b", &[("title", "\" onclick=\"x")], "</b><script>'\0\u{1b}[31m\u{202e}a\n");
        assert!(page.finish().is_ok());
        assert_eq!(
            String::from_utf8(out).as_deref(),
            Ok(
                "<b title=\"&quot; onclick=&quot;x\">&lt;/b&gt;&lt;script&gt;&#39;␀␛[31m\u{fffd}a\n</b>"
            )
        );
    }
}
