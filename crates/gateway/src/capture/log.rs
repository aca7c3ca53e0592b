//! The file that is written: lines are appended, whole ones by one write, so that several processes may
//! write one file. It is opened anew where it was removed or renamed, closed as a segment when it is
//! long or old enough, and brought to the disk in the background. A line that was cut off, by a crash
//! or a full disk, is taken away by who opens the file as its only writer, and else ended before the next;
//! both with a word about it.

use std::fs::{File, Metadata, OpenOptions, TryLockError};
use std::io::{self, Seek, Write};
use std::os::unix::fs::{FileExt, MetadataExt, OpenOptionsExt};
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::time::{Duration, Instant};

use latimer_probe::record::account::Incident;
use latimer_wire::json::{Object, Raw};

use super::losses::Losses;
use super::segments;
use super::sync::Syncer;
use crate::clock::unix_milliseconds;
use crate::config::{RecorderConfig, SyncPolicy};

/// What may be lost to a power failure: so many bytes, or what was written in so long.
const UNSYNCED_BYTES: usize = 16 << 20;
const UNSYNCED_TIME: Duration = Duration::from_millis(700);
/// How long to wait where a file becomes a segment just as it is opened, and how often.
const LOCK_WAIT: Duration = Duration::from_millis(1);
const LOCK_TRIES: usize = 1_000;
/// How much of the end of a file is read at a time to find where its last line begins.
const TAIL_BYTES: usize = 64 << 10;
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
    /// How much of a line that was cut off was taken away, until that is said.
    cut_bytes: u64,
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
        if log.open.as_ref().is_some_and(|open| open.cut_bytes > 0)
            && let Err(error) = log.stand_at_end(0)
        {
            tracing::debug!(%error, "the recording cannot be written yet");
        }
        if log.config.segment_bytes > 0 {
            log.closer.start();
        }
        Ok(log)
    }

    /// Appends lines, their ends included, and gives those that are written. What cannot be counts as
    /// lost.
    pub fn append<'l>(&mut self, lines: &'l [u8]) -> &'l [u8] {
        let mut written = 0;
        let Err(error) = self.try_append(lines, &mut written) else { return lines };
        let whole = memchr::memrchr(b'\n', lines.get(..written).unwrap_or_default());
        let (whole, lost) = lines.split_at(whole.map_or(0, |end| end + 1));
        self.losses.add(memchr::memchr_iter(b'\n', lost).count() as u64, &error);
        whole
    }

    fn try_append(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        self.stand_at_end(lines.len())?;
        self.say_losses()?;
        self.write(lines, written)
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

    /// How much a file may hold.
    pub fn segment_bytes(&self) -> usize {
        let bytes = Some(self.config.segment_bytes).filter(|bytes| *bytes > 0);
        bytes.and_then(|bytes| bytes.try_into().ok()).unwrap_or(usize::MAX)
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
        if last == [b'\n'] {
            open.end = Some(size).filter(|_| open.cut_bytes == 0);
            return self.say_cut();
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

    /// Says that a line was taken away, if one was.
    fn say_cut(&mut self) -> io::Result<()> {
        let Some(cut_bytes) = self.open.as_ref().map(|open| open.cut_bytes).filter(|cut| *cut > 0)
        else {
            return Ok(());
        };
        let path = self.path.display().to_string();
        tracing::warn!(path, cut_bytes, "the last line of the recording was cut off; it is gone");
        self.say(&Incident { torn: true, cut_bytes, ..Incident::default() })?;
        if let Some(open) = &mut self.open {
            open.cut_bytes = 0;
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
        self.write(line.as_bytes(), &mut 0)
    }

    /// Writes lines; `written` becomes how much of them is in the file, also where the rest cannot be.
    fn write(&mut self, lines: &[u8], written: &mut usize) -> io::Result<()> {
        let Some(open) = &mut self.open else { return Err(io::ErrorKind::NotFound.into()) };
        if open.unsynced_bytes == 0 {
            open.unsynced_since = Instant::now();
        }
        let result = write_counted(&open.file, lines, written);
        open.unsynced_bytes += *written;
        if open.is_regular && result.is_ok() {
            open.end = Some((&*open.file).stream_position()?);
        }
        self.sync_if_due();
        result
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
        let (file, cut_bytes) = Open::shared(path)?;
        let found = file.metadata()?;
        Ok(Open {
            identity: identity(&found),
            is_regular: found.is_file(),
            cut_bytes,
            end: None,
            begun_unix_ms: segments::begun_unix_ms(&file).unwrap_or_else(unix_milliseconds),
            unsynced_bytes: 0,
            unsynced_since: Instant::now(),
            file: Arc::new(file),
        })
    }

    /// Opens it so that whoever closes segments leaves it alone as long as it is open. It may become a
    /// segment just then; another is in its place, or will be made. Also gives how much of a line that
    /// was cut off was taken away from its end.
    fn shared(path: &Path) -> io::Result<(File, u64)> {
        let mut cut_bytes = 0;
        for _ in 0..LOCK_TRIES {
            let mut options = OpenOptions::new();
            let file = options.create(true).append(true).read(true).mode(MODE).open(path)?;
            // Who has it alone knows that nobody is writing just now.
            if file.try_lock().is_ok() {
                cut_bytes += cut_torn(&file)?;
            }
            let is_closed = matches!(file.try_lock_shared(), Err(TryLockError::WouldBlock));
            let in_place = std::fs::metadata(path).ok().map(|found| identity(&found));
            if !is_closed && in_place == Some(identity(&file.metadata()?)) {
                return Ok((file, cut_bytes));
            }
            std::thread::sleep(LOCK_WAIT);
        }
        Err(io::ErrorKind::ResourceBusy.into())
    }
}

/// Writes all bytes, and counts those that it could.
fn write_counted(mut file: &File, bytes: &[u8], written: &mut usize) -> io::Result<()> {
    while let Some(rest) = bytes.get(*written..).filter(|rest| !rest.is_empty()) {
        match file.write(rest) {
            Ok(0) => return Err(io::ErrorKind::WriteZero.into()),
            Ok(more) => *written += more,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(())
}

/// Takes away what stands behind the last line end, unless it is a whole line; gives how much that was.
fn cut_torn(file: &File) -> io::Result<u64> {
    let found = file.metadata()?;
    if !found.is_file() {
        return Ok(0);
    }
    let begins = last_line(file, found.len())?;
    let mut last = vec![0; usize::try_from(found.len() - begins).unwrap_or_default()];
    file.read_exact_at(&mut last, begins)?;
    let is_whole = std::str::from_utf8(&last).is_ok_and(|text| Raw::parse(text).is_ok());
    if last.is_empty() || is_whole {
        return Ok(0);
    }
    file.set_len(begins)?;
    Ok(last.len() as u64)
}

/// Where what stands behind the last line end begins.
fn last_line(file: &File, size: u64) -> io::Result<u64> {
    let mut end = size;
    let mut piece = vec![0; TAIL_BYTES];
    while end > 0 {
        let from = end.saturating_sub(TAIL_BYTES as u64);
        piece.truncate(usize::try_from(end - from).unwrap_or(TAIL_BYTES));
        file.read_exact_at(&mut piece, from)?;
        if let Some(at) = memchr::memrchr(b'\n', &piece) {
            return Ok(from + at as u64 + 1);
        }
        end = from;
    }
    Ok(0)
}

fn identity(of: &Metadata) -> (u64, u64) {
    (of.dev(), of.ino())
}
