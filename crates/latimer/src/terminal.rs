//! Printing. In: what is to be printed, which may hold texts of anyone. Out: into a file or a pipe every
//! byte; on a terminal, to which a text must do nothing, pictures in the place of control characters.

use std::io::{self, ErrorKind, IsTerminal, Stdout, Write};

use anyhow::{Context, Error, Result};
use latimer_probe::visible;

/// Prints at once.
pub fn print(text: &str) -> Result<()> {
    let print = |out: &mut dyn Write| out.write_all(text.as_bytes()).and_then(|()| out.flush());
    printed(match stdout() {
        Some(mut shown) => print(&mut shown),
        None => print(&mut io::stdout().lock()),
    })
}

/// What came of printing. That the reader has seen enough, as `head` does, is no error.
pub fn printed(outcome: io::Result<()>) -> Result<()> {
    match outcome {
        Err(error) if error.kind() != ErrorKind::BrokenPipe => Err(error).context("cannot print"),
        _ => Ok(()),
    }
}

/// Says on stderr what went wrong. It may name what a recording holds.
pub fn complain(error: &Error) {
    let words: String = format!("{error:#}").chars().map(visible).collect();
    eprintln!("latimer: {words}");
}

/// The terminal that is printed to; none where that is a file or a pipe, which get the bytes as they are.
pub fn stdout() -> Option<Shown<Stdout>> {
    let out = io::stdout();
    out.is_terminal().then_some(Shown { out, begun_line: Vec::new() })
}

/// Text that is only seen, line by line; bytes that are no text are seen as U+FFFD.
pub struct Shown<W: Write> {
    out: W,
    begun_line: Vec<u8>,
}

impl<W: Write> Shown<W> {
    fn show(&mut self) -> io::Result<()> {
        let lines = String::from_utf8_lossy(&self.begun_line).replace("\r\n", "\n");
        self.begun_line.clear();
        let shown: String = lines.chars().map(visible).collect();
        self.out.write_all(shown.as_bytes())
    }
}

impl<W: Write> Write for Shown<W> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        let whole = bytes.iter().rposition(|byte| *byte == b'\n').map_or(0, |at| at + 1);
        let (whole, begun) = bytes.split_at(whole);
        if !whole.is_empty() {
            self.begun_line.extend_from_slice(whole);
            self.show()?;
        }
        self.begun_line.extend_from_slice(begun);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        self.show()?;
        self.out.flush()
    }
}

#[cfg(test)]
mod tests {
    use std::io::Write;

    use super::Shown;

    #[test]
    fn text_is_shown_however_it_is_cut() {
        let printed = "ä\r\n\u{1b}[2J\r\0\u{9b}\u{202e}\tz".as_bytes();
        for cut in 0..=printed.len() {
            let mut shown = Shown { out: Vec::new(), begun_line: Vec::new() };
            let (one, other) = printed.split_at(cut);
            let written = shown.write_all(one).and_then(|()| shown.write_all(other));
            assert!(written.and_then(|()| shown.flush()).is_ok());
            assert_eq!(String::from_utf8_lossy(&shown.out), "ä\n␛[2J␍␀\u{fffd}\u{fffd}\tz");
        }
    }
}
