//! StopSequences sequences, for backends that have none. In: text as it grows. Out: the text up to the first
//! sequence. Only what may be the beginning of one is held back.

/// Cuts a text at the first of some sequences.
///
/// ```
/// use latimer_wire::chat::StopSequences;
/// let mut stop = StopSequences::new(["###".to_owned()]);
/// assert_eq!(stop.push("one #"), "one ");
/// assert_eq!(stop.push("1 ##"), "#1 ");
/// assert_eq!(stop.push("# two"), "");
/// assert!(stop.stopped());
/// ```
#[derive(Debug, Clone, Default)]
pub struct StopSequences {
    sequences: Vec<String>,
    held: String,
    stopped: bool,
}

impl StopSequences {
    /// A cut at `sequences`; empty ones do not count.
    pub fn new(sequences: impl IntoIterator<Item = String>) -> Self {
        let sequences = sequences.into_iter().filter(|sequence| !sequence.is_empty()).collect();
        StopSequences { sequences, held: String::new(), stopped: false }
    }

    /// Whether there is anything to look for.
    pub fn is_empty(&self) -> bool {
        self.sequences.is_empty()
    }

    /// Whether a sequence was met; nothing comes after it.
    pub fn stopped(&self) -> bool {
        self.stopped
    }

    /// Takes a piece of text and gives what can be said of it.
    pub fn push(&mut self, text: &str) -> String {
        if self.stopped {
            return String::new();
        }
        self.held.push_str(text);
        // The sequence that is complete first counts, however the pieces are cut.
        let places = self.sequences.iter().filter_map(|sequence| {
            let at = self.held.find(sequence)?;
            Some((at + sequence.len(), at))
        });
        let found = places.min().map(|(_, at)| at);
        let end = found.unwrap_or_else(|| self.safe_bytes());
        let rest = self.held.split_off(end);
        self.stopped = found.is_some();
        std::mem::replace(&mut self.held, if self.stopped { String::new() } else { rest })
    }

    /// How much of the text cannot be part of a sequence any more.
    fn safe_bytes(&self) -> usize {
        let begins = |at: &usize| {
            let tail = self.held.get(*at..).unwrap_or_default();
            self.sequences.iter().any(|sequence| sequence.starts_with(tail))
        };
        let longest = self.sequences.iter().map(String::len).max().unwrap_or_default();
        let from = self.held.len().saturating_sub(longest);
        let mut places = (from..self.held.len()).filter(|at| self.held.is_char_boundary(*at));
        places.find(begins).unwrap_or(self.held.len())
    }

    /// Nothing more comes: what was held back is text after all.
    pub fn end(&mut self) -> String {
        std::mem::take(&mut self.held)
    }
}
