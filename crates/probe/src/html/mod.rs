//! A summary as one HTML page: no script, nothing from the network, light and dark, readable on a phone,
//! everything that folds usable with the keyboard. In: a [`Summary`]. Out: the page, as it is written.
//! All text goes through [`element::Html`], which escapes it; no text of a recording becomes a name of an
//! element, an attribute other than a tooltip, a style or an address.

mod element;
mod exchange;
mod overview;
mod session;
mod timeline;

use std::io::{self, Write};

use element::Html;

use crate::summary::Summary;

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
    let mut page = Html::new(out);
    page.markup("<!doctype html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
    page.void("meta", &[("http-equiv", "Content-Security-Policy"), ("content", POLICY)]);
    page.void("meta", &[("name", "viewport"), ("content", "width=device-width, initial-scale=1")]);
    page.void("meta", &[("name", "color-scheme"), ("content", "light dark")]);
    page.void("meta", &[("name", "referrer"), ("content", "no-referrer")]);
    page.plain("title", "Latimer: what was asked and said");
    page.element("style", &[], |page| page.markup(STYLE));
    page.markup("</head>\n<body>\n");
    overview::write(&mut page, summary);
    page.element("main", &[("id", "sessions")], |page| session::write_all(page, summary));
    page.markup("</body>\n</html>\n");
    page.finish()
}
