//! Counting by name: most frequent first, and among equals the one that was seen first.

use std::collections::HashMap;

/// How often each name was seen.
#[derive(Debug, Default)]
pub(crate) struct Tally {
    /// The position at which a name was first seen, and its count.
    counts: HashMap<String, (usize, u64)>,
}

impl Tally {
    /// Counts `name` once more.
    pub(crate) fn add(&mut self, name: &str) {
        if let Some((_, count)) = self.counts.get_mut(name) {
            *count += 1;
        } else {
            self.counts.insert(name.to_owned(), (self.counts.len(), 1));
        }
    }

    /// Adds what was counted later.
    pub(crate) fn merge(&mut self, later: Tally) {
        let mut entries: Vec<_> = later.counts.into_iter().collect();
        entries.sort_by_key(|(_, (first_seen, _))| *first_seen);
        for (name, (_, count)) in entries {
            let first_seen = self.counts.len();
            self.counts.entry(name).or_insert((first_seen, 0)).1 += count;
        }
    }

    /// All names with their counts, in order.
    pub(crate) fn sorted(&self) -> Vec<(&str, u64)> {
        let mut entries: Vec<_> = self.counts.iter().collect();
        entries.sort_by_key(|(_, (first_seen, count))| (std::cmp::Reverse(*count), *first_seen));
        entries.into_iter().map(|(name, (_, count))| (name.as_str(), *count)).collect()
    }

    /// The sum of all counts.
    pub(crate) fn total(&self) -> u64 {
        self.counts.values().map(|(_, count)| count).sum()
    }
}
