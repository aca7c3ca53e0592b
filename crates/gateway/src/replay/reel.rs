//! The recording as it is played: how far it was read, who has heard what. In: a request. Out: the answer
//! that is its turn, one to its like, or what comes nearest.

use std::fs::File;
use std::io::{self, Read, Seek, SeekFrom};
use std::path::Path;
use std::sync::Arc;

use latimer_probe::replay::cassette::{Cassette, Nearest, Take};
use latimer_probe::replay::matching::Asked;

use super::sessions::Sessions;

/// A recording in play.
#[derive(Default)]
pub(super) struct Reel {
    pub cassette: Cassette,
    read_bytes: u64,
    sessions: Sessions,
}

/// What is to be done with a request.
pub(super) enum Found {
    Take(Arc<Take>),
    Like(Arc<Take>, Nearest),
    Missing(Option<Nearest>),
}

impl Reel {
    /// Reads what the file holds beyond what was read. An unfinished line is one to come, unless it
    /// is the `last`.
    pub fn read_on(&mut self, path: &Path, last: bool) -> io::Result<()> {
        let mut file = File::open(path)?;
        if file.metadata()?.len() <= self.read_bytes {
            return Ok(());
        }
        let mut lines = Vec::new();
        file.seek(SeekFrom::Start(self.read_bytes))?;
        file.read_to_end(&mut lines)?;
        if !last {
            lines.truncate(memchr::memrchr(b'\n', &lines).map_or(0, |end| end + 1));
        }
        self.read_bytes += lines.len() as u64;
        self.cassette.add(&lines);
        Ok(())
    }

    /// The answer that is the turn of an equal request: the last one is given again.
    pub fn find(&mut self, session: &str, asked: &Asked) -> Option<Arc<Take>> {
        let (key, takes) = self.cassette.find(&asked.key())?;
        let before = self.sessions.count(session, &key);
        takes.get(before).or(takes.last()).cloned()
    }

    /// The same for a recording that grows: none is given twice, nor one that a client left.
    pub fn find_once(&mut self, session: &str, asked: &Asked) -> Option<Arc<Take>> {
        let key: Arc<str> = asked.key().into();
        let (key, mut takes) = self.cassette.find(&key).unwrap_or((key, Vec::new()));
        takes.retain(|take| !take.was_left);
        let before = self.sessions.count(session, &key);
        takes.get(before).cloned()
    }

    /// What comes nearest, and its answer where that is asked in the same way and `lenient`.
    pub fn find_like(&mut self, session: &str, asked: &Asked, lenient: bool) -> Found {
        let Some(nearest) = self.cassette.nearest(asked) else { return Found::Missing(None) };
        let like = Some(&nearest.key).filter(|_| lenient && nearest.is_like);
        let recorded = like.and_then(|key| self.cassette.find(key));
        let take = recorded.and_then(|(key, takes)| {
            let before = self.sessions.count(session, &key);
            takes.get(before).or(takes.last()).cloned()
        });
        match take {
            Some(take) => Found::Like(take, nearest),
            None => Found::Missing(Some(nearest)),
        }
    }
}
