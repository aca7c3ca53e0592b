//! A summary as one HTML page: no script, nothing from the network, light and dark, readable on a phone,
//! everything that folds usable with the keyboard. In: a [`Summary`], or a [`Diff`] of two sessions. Out: the page, as it is written.
//! All text goes through `element::Html`, which escapes it; no text of a recording becomes a name of an
//! element, an attribute other than a tooltip, a style or an address.

mod diff;
mod element;
mod exchange;
mod overview;
mod session;
mod timeline;

use std::io::{self, Write};

use element::Html;

use crate::summary::{Diff, Summary};

/// The look of the page.
const STYLE: &str = include_str!("style.css");
/// What the page may load: nothing but the style it holds.
const POLICY: &str =
    "default-src 'none'; style-src 'unsafe-inline'; base-uri 'none'; form-action 'none'";

/// Writes the page.
///
/// # Errors
/// When `out` cannot be written.
///
/// ```
/// let mut page = Vec::new();
/// latimer_probe::html::write(&latimer_probe::summary::Summary::default(), &mut page)?;
/// assert!(page.starts_with(b"<!doctype html>"));
/// # Ok::<(), std::io::Error>(())
/// ```
pub fn write(summary: &Summary, out: &mut dyn Write) -> io::Result<()> {
    page(out, "Latimer: what was asked and said", |page| {
        overview::write(page, summary);
        page.element("main", &[("id", "sessions")], |page| session::write_all(page, summary));
    })
}

/// Writes a page of two sessions side by side.
///
/// # Errors
/// When `out` cannot be written.
pub fn write_diff(diff: &Diff, out: &mut dyn Write) -> io::Result<()> {
    page(out, "Latimer: two sessions", |page| diff::write(page, diff))
}

fn page(out: &mut dyn Write, title: &str, body: impl FnOnce(&mut Html<'_>)) -> io::Result<()> {
    let mut page = Html::new(out);
    page.markup("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    page.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    page.plain("title", title);
    page.element("style", &[], |page| page.markup(STYLE));
    page.markup("</head>\n<body>\n");
    body(&mut page);
    page.markup("</body>\n</html>\n");
    page.finish()
}
