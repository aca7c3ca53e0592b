//! Segments: the parts of a recording that are written no more. In: the open file, when it is long or
//! old enough. Out: `traffic-<time>.jsonl`, which in the background becomes `.jsonl.zst`, in frames
//! that can be read alone, and gets an index. Whatever is interrupted is begun again by the next
//! recorder that opens the folder; nothing is removed before its successor is whole.

use std::fs::{self, File};
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use latimer_probe::record::index;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// How much is compressed as one frame, at least: whole lines.
const FRAME_BYTES: usize = 4 << 20;
/// The level at which a line of 64 KB costs less than to write it (zstd's own default).
const LEVEL: i32 = 3;
/// How much of a file is read to see when it begins.
const HEAD_BYTES: usize = 64;
/// What has not come to its end yet.
const PART: &str = "part";

/// When the first line of a file was written, as it says itself: milliseconds since 1970.
pub(super) fn begun_unix_ms(file: &File) -> Option<u64> {
    let mut head = [0; HEAD_BYTES];
    let read = file.read_at(&mut head, 0).ok()?;
    let head = std::str::from_utf8(head.get(..read)?).ok()?;
    let (seconds, rest) = head.strip_prefix("{\"timestamp\":")?.split_once('.')?;
    let seconds: u64 = seconds.trim().parse().ok()?;
    let milliseconds: u64 = rest.get(..3)?.parse().ok()?;
    Some(seconds * 1000 + milliseconds)
}

/// Gives an open file the name of a segment that began at this time. `None` where another process has
/// done so already.
///
/// # Errors
/// When it cannot be renamed.
pub(super) fn rename(
    path: &Path,
    identity: (u64, u64),
    begun_unix_ms: u64,
    mark: &str,
) -> io::Result<Option<PathBuf>> {
    // One process at a time: the lock ends with the folder's descriptor.
    let folder = File::open(folder_of(path))?;
    folder.lock()?;
    let in_place = fs::metadata(path).ok().map(|found| (found.dev(), found.ino()));
    if in_place != Some(identity) {
        return Ok(None);
    }
    let name = |more: &str| {
        let stem = path.file_stem().unwrap_or_default().to_string_lossy();
        path.with_file_name(format!("{stem}-{begun_unix_ms}{more}{mark}.jsonl"))
    };
    let is_free = |path: &PathBuf| !path.exists() && !compressed(path).exists();
    let numbers = (2_u32..).map(|number| format!("-{number}"));
    let mut names = std::iter::once(String::new()).chain(numbers).map(|more| name(&more));
    let Some(segment) = names.find(is_free) else { return Ok(None) };
    fs::rename(path, &segment)?;
    Ok(Some(segment))
}

fn folder_of(path: &Path) -> &Path {
    let folder = path.parent().filter(|folder| !folder.as_os_str().is_empty());
    folder.unwrap_or(Path::new("."))
}

/// Another ending behind the name.
fn with_ending(path: &Path, ending: &str) -> PathBuf {
    let mut name = path.as_os_str().to_owned();
    name.push(".");
    name.push(ending);
    name.into()
}

fn compressed(segment: &Path) -> PathBuf {
    with_ending(segment, "zst")
}

/// Closes segments, in the background.
pub(super) struct Closer {
    path: PathBuf,
    compress: bool,
    running: Option<JoinHandle<()>>,
}

impl Closer {
    /// For the segments of the recording whose open file this is.
    pub fn new(path: &Path, compress: bool) -> Closer {
        Closer { path: path.to_owned(), compress, running: None }
    }

    /// Closes what is to be closed, unless it is at it already.
    pub fn start(&mut self) {
        if self.running.as_ref().is_some_and(|running| !running.is_finished()) {
            return;
        }
        let (path, compress) = (self.path.clone(), self.compress);
        let work = move || close_all(&path, compress);
        let spawned = std::thread::Builder::new().name("recorder-segments".to_owned()).spawn(work);
        self.running = spawned.ok();
    }

    /// Waits until that is done, and closes what came since.
    pub fn wait(mut self) {
        if let Some(running) = self.running.take() {
            let _ = running.join();
            close_all(&self.path, self.compress);
        }
    }
}

fn close_all(path: &Path, compress: bool) {
    let segments = match segments_of(path) {
        Ok(segments) => segments,
        Err(error) => return tracing::warn!(%error, "the segments cannot be listed"),
    };
    for segment in segments {
        if let Err(error) = close(&segment, compress) {
            let segment = segment.display().to_string();
            tracing::warn!(segment, %error, "a segment could not be closed; it stays as it is");
        }
    }
}

/// The segments beside a file that are not compressed.
fn segments_of(path: &Path) -> io::Result<Vec<PathBuf>> {
    let stem = path.file_stem().unwrap_or_default().to_string_lossy().into_owned();
    let mut segments = Vec::new();
    for entry in fs::read_dir(folder_of(path))? {
        let name = entry?.file_name().to_string_lossy().into_owned();
        let time = name.strip_prefix(&stem).and_then(|rest| rest.strip_prefix('-'));
        let is_ours = time.is_some_and(|time| {
            time.ends_with(".jsonl") && time.starts_with(|first: char| first.is_ascii_digit())
        });
        segments.extend(is_ours.then(|| path.with_file_name(name)));
    }
    segments.sort();
    Ok(segments)
}

/// Closes one segment, unless a process still has it open for writing, or another is at it.
fn close(segment: &Path, compress: bool) -> io::Result<()> {
    let file = File::open(segment)?;
    let index = with_ending(segment, "index");
    file.sync_data()?;
    if file.try_lock().is_err() || (!compress && index.exists()) {
        return Ok(());
    }
    let mut index_file = BufWriter::new(File::create(with_ending(&index, PART))?);
    if compress {
        let target = compressed(segment);
        let part = with_ending(&target, PART);
        squeeze(&file, &mut File::create(&part)?, &mut index_file)?;
        File::open(&part)?.sync_all()?;
        fs::rename(&part, &target)?;
    } else {
        squeeze(&file, &mut io::sink(), &mut index_file)?;
    }
    index_file.flush()?;
    fs::rename(with_ending(&index, PART), &index)?;
    if compress {
        fs::remove_file(segment)?;
    }
    Ok(())
}

/// Writes the frames of a segment, and a line of the index for each exchange in it.
fn squeeze(file: &File, target: &mut impl Write, index: &mut impl Write) -> io::Result<()> {
    let mut lines = BufReader::new(file);
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    let (mut plain, mut at, mut frame) = (Vec::new(), 0_u64, 0_u64);
    loop {
        let from = plain.len();
        let read = lines.read_until(b'\n', &mut plain)?;
        if read > 0 {
            let line = plain.get(from..).unwrap_or_default();
            if let Some(entry) = index::entry(line, at, frame, from as u64) {
                serde_json::to_writer(&mut *index, &entry)?;
                index.write_all(b"\n")?;
            }
            at += read as u64;
        }
        if plain.len() >= FRAME_BYTES || (read == 0 && !plain.is_empty()) {
            let squeezed = compressor.compress(&plain)?;
            target.write_all(&squeezed)?;
            frame += squeezed.len() as u64;
            plain.clear();
        }
        if read == 0 {
            return Ok(());
        }
    }
}
