//! The file that is written: lines are appended, each by one write, so that several processes may
//! write one file. It is opened anew where it was removed or renamed, closed as a segment when it is
//! long or old enough, and brought to the disk in the background. A line that was cut off, by a crash
//! or a full disk, is ended before the next, with a word about it.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use latimer_probe::record::account::Incident;
use latimer_wire::json::Object;

use super::losses::Losses;
use super::segments;
use super::sync::Syncer;
use crate::clock::unix_milliseconds;
use crate::config::{RecorderConfig, SyncPolicy};

/// What may be lost to a power failure: so many bytes, or what was written in so long.
const UNSYNCED_BYTES: usize = 1 << 20;
const UNSYNCED_TIME: Duration = Duration::from_millis(700);
/// How long to wait where a file becomes a segment just as it is opened, and how often.
const LOCK_WAIT: Duration = Duration::from_millis(1);
const LOCK_TRIES: usize = 1_000;
/// Only the user may read what was said.
const MODE: u32 = 0o600;

/// The open file of a recording.
pub(super) struct Log {
    path: PathBuf,
    config: RecorderConfig,
    open: Option<Open>,
    losses: Arc<Losses>,
    syncer: Syncer,
    closer: segments::Closer,
}

/// A file that is open for appending.
struct Open {
    file: Arc<File>,
    /// Which file it is: device and inode.
    identity: (u64, u64),
    /// A device or a pipe is only written.
    is_regular: bool,
    /// Where it ended when it was last written; before that nothing is known of its end.
    end: Option<u64>,
    /// When its first line was written, in milliseconds since 1970.
    begun_unix_ms: u64,
    unsynced_bytes: usize,
    unsynced_since: Instant,
}

impl Log {
    /// Opens the file, or makes it.
    ///
    /// # Errors
    /// When that is not possible.
    pub fn open(
        path: PathBuf,
        config: RecorderConfig,
        losses: Arc<Losses>,
        syncer: Syncer,
    ) -> io::Result<Log> {
        let open = Some(Open::at(&path)?);
        let closer = segments::Closer::new(&path, config.compress);
        let mut log = Log { path, config, open, losses, syncer, closer };
        if log.config.segment_bytes > 0 {
            log.closer.start();
        }
        Ok(log)
    }

    /// Appends a line, its end included; says whether it is written. One that cannot be counts as lost.
    pub fn append(&mut self, line: &[u8]) -> bool {
        let appended = self.try_append(line);
        if let Err(error) = &appended {
            self.losses.add(1, error);
        }
        appended.is_ok()
    }

    fn try_append(&mut self, line: &[u8]) -> io::Result<()> {
        self.stand_at_end(line.len())?;
        self.say_losses()?;
        self.write(line)
    }

    /// What there is to do while nothing is written.
    pub fn rest(&mut self) {
        if self.losses.are_pending() {
            let said = self.stand_at_end(0).and_then(|()| self.say_losses());
            if let Err(error) = said {
                tracing::debug!(%error, "the recording still cannot be written");
            }
        }
        self.sync_if_due();
    }

    /// Whether [`Log::rest`] has something to do.
    pub fn is_restless(&self) -> bool {
        let unsynced = self.open.as_ref().is_some_and(|open| open.unsynced_bytes > 0);
        self.losses.are_pending() || (unsynced && self.config.sync != SyncPolicy::Never)
    }

    /// Whether someone waits for each line.
    pub fn is_strict(&self) -> bool {
        self.config.strict
    }

    /// The last thing to do.
    pub fn finish(mut self) {
        self.rest();
        if let Some(open) = self.open.take().filter(|open| open.is_regular)
            && self.config.sync != SyncPolicy::Never
            && let Err(error) = open.file.sync_data()
        {
            tracing::error!(%error, "the recording may not be on the disk");
        }
        self.closer.wait();
    }

    /// Sees to it that the next byte goes to the end of the right file, behind a line end.
    fn stand_at_end(&mut self, line_bytes: usize) -> io::Result<()> {
        if let Some(error) = self.syncer.failure() {
            self.seal_suspect(&error)?;
        }
        let mut size = self.reopen_if_moved()?;
        if self.is_segment_full(size, line_bytes) {
            self.close_segment("")?;
            size = self.reopen_if_moved()?;
        }
        match self.open.as_ref() {
            Some(open) if open.is_regular && open.end != Some(size) => self.mend_end(size),
            _ => Ok(()),
        }
    }

    /// Opens the file anew where another stands in its place, and gives its size.
    fn reopen_if_moved(&mut self) -> io::Result<u64> {
        let found = std::fs::metadata(&self.path);
        let same = |open: &Open| found.as_ref().is_ok_and(|found| open.identity == identity(found));
        match (&self.open, &found) {
            (Some(open), Ok(found)) if same(open) => Ok(found.len()),
            _ => {
                let was_open = self.open.take().is_some();
                let open = self.open.insert(Open::at(&self.path)?);
                let size = open.file.metadata()?.len();
                if was_open && self.config.segment_bytes > 0 {
                    self.closer.start();
                }
                Ok(size)
            }
        }
    }

    /// Ends a line that was cut off. Whether one was is known for sure only behind our own byte:
    /// another process may be writing just now.
    fn mend_end(&mut self, size: u64) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Ok(()) };
        let mut last = [b'\n'];
        if size > 0 {
            open.file.read_exact_at(&mut last, size - 1)?;
        }
        open.end = Some(size);
        if last == [b'\n'] {
            return Ok(());
        }
        (&*open.file).write_all(b"\n")?;
        let end = (&*open.file).stream_position()?;
        open.file.read_exact_at(&mut last, end.saturating_sub(2))?;
        open.end = Some(end);
        if last != [b'\n'] {
            let path = self.path.display().to_string();
            tracing::warn!(path, "the last line of the recording was cut off; it stays as it is");
            self.say(&Incident { torn: true, ..Incident::default() })?;
        }
        Ok(())
    }

    fn is_segment_full(&self, size: u64, line_bytes: usize) -> bool {
        let Some(open) = self.open.as_ref().filter(|open| open.is_regular && size > 0) else {
            return false;
        };
        let RecorderConfig { segment_bytes, segment_age_s, .. } = self.config;
        let age_ms = unix_milliseconds().saturating_sub(open.begun_unix_ms);
        let is_long = segment_bytes > 0 && size + line_bytes as u64 > segment_bytes;
        let is_old = segment_age_s > 0 && age_ms / 1000 >= segment_age_s;
        segment_bytes > 0 && (is_long || is_old)
    }

    /// Gives the file the name of a closed segment, unless another process was faster.
    fn close_segment(&mut self, mark: &str) -> io::Result<Option<PathBuf>> {
        let Some(open) = &self.open else { return Ok(None) };
        let renamed = segments::rename(&self.path, open.identity, open.begun_unix_ms, mark)?;
        self.open = None;
        self.open = Some(Open::at(&self.path)?);
        self.closer.start();
        Ok(renamed)
    }

    /// After a failure to bring data to the disk the system may have thrown them away; to try again
    /// and call it good would be wrong. What follows goes elsewhere.
    fn seal_suspect(&mut self, error: &io::Error) -> io::Result<()> {
        tracing::error!(%error, "the recording could not be brought to the disk");
        let segment = self.close_segment("-suspect")?.unwrap_or_else(|| self.path.clone());
        let name = segment.file_name().unwrap_or_default().to_string_lossy().into_owned();
        let reason = Some(error.to_string());
        self.say(&Incident { suspect: Some(name), reason, ..Incident::default() })
    }

    fn say_losses(&mut self) -> io::Result<()> {
        let Some(incident) = self.losses.take() else { return Ok(()) };
        let said = self.say(&incident);
        if said.is_err() {
            self.losses.put_back(incident);
        }
        said
    }

    /// Writes a line about the recording itself.
    fn say(&mut self, incident: &Incident) -> io::Result<()> {
        let mut line = String::new();
        let now = unix_milliseconds();
        Object::new(&mut line)
            .with("timestamp", |out| {
                out.push_str(&format!("{}.{:03}", now / 1000, now % 1000));
            })
            .with("latimer", |out| {
                out.push_str(&serde_json::to_string(incident).unwrap_or_default());
            })
            .end();
        line.push('\n');
        self.write(line.as_bytes())
    }

    fn write(&mut self, bytes: &[u8]) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        (&*open.file).write_all(bytes)?;
        if open.is_regular {
            open.end = Some((&*open.file).stream_position()?);
        }
        if open.unsynced_bytes == 0 {
            open.unsynced_since = Instant::now();
        }
        open.unsynced_bytes += bytes.len();
        self.sync_if_due();
        Ok(())
    }

    fn sync_if_due(&mut self) {
        let Some(open) = self.open.as_mut().filter(|open| open.is_regular) else { return };
        let due = match self.config.sync {
            SyncPolicy::Never => false,
            SyncPolicy::Always => open.unsynced_bytes > 0,
            SyncPolicy::Second => {
                let waited = || open.unsynced_since.elapsed() >= UNSYNCED_TIME;
                open.unsynced_bytes >= UNSYNCED_BYTES || (open.unsynced_bytes > 0 && waited())
            }
        };
        let asked = match self.config.sync {
            _ if !due => false,
            SyncPolicy::Always => self.syncer.sync_now(&open.file),
            SyncPolicy::Second | SyncPolicy::Never => self.syncer.ask(&open.file),
        };
        if asked {
            open.unsynced_bytes = 0;
        }
    }
}

impl Open {
    fn at(path: &Path) -> io::Result<Open> {
        if let Some(directory) = path.parent() {
            std::fs::create_dir_all(directory)?;
        }
        let file = Open::shared(path)?;
        let found = file.metadata()?;
        Ok(Open {
            identity: identity(&found),
            is_regular: found.is_file(),
            end: None,
            begun_unix_ms: segments::begun_unix_ms(&file).unwrap_or_else(unix_milliseconds),
            unsynced_bytes: 0,
            unsynced_since: Instant::now(),
            file: Arc::new(file),
        })
    }
}

impl Open {
    /// Opens it so that whoever closes segments leaves it alone as long as it is open. It may become a
    /// segment just then; another is in its place, or will be made.
    fn shared(path: &Path) -> io::Result<File> {
        for _ in 0..LOCK_TRIES {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).read(true).mode(MODE).open(path)?;
            let is_closed = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
            let in_place = std::fs::metadata(path).ok().map(|found| identity(&found));
            if !is_closed && in_place == Some(identity(&file.metadata()?)) {
                return Ok(file);
            }
            std::thread::sleep(LOCK_WAIT);
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

fn identity(of: &Metadata) -> (u64, u64) {
    (of.dev(), of.ino())
}
