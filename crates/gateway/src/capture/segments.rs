//! Segments: the parts of a recording that are written no more. In: the open file, when it is long or
//! old enough. Out: `traffic-<time>.jsonl`, which in the background becomes `.jsonl.zst`, in frames
//! that can be read alone, and gets an index. Whatever is interrupted is begun again by the next
//! recorder that opens the folder; nothing is removed before its successor is whole.

use std::fs::{self, File};
use std::io::{self, BufWriter, Read, Write};
use std::os::unix::fs::{FileExt, MetadataExt};
use std::path::{Path, PathBuf};
use std::thread::JoinHandle;

use latimer_probe::record::index;
use zstd::bulk::Compressor;
use zstd::zstd_safe::CParameter;

/// About how much is compressed as one frame: whole lines.
const FRAME_BYTES: usize = 4 << 20;
/// The level that costs least for what it saves. Measured over 60 MB of an agent's sessions: a 28th is
/// left in 38 µs for 97 KB; at zstd's own default (3) a 29th, in 50.
const LEVEL: i32 = 1;
/// A frame is searched back to its beginning: an agent's request repeats the one before, as far back as
/// that is long.
const WINDOW_LOG: u32 = FRAME_BYTES.ilog2();
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
    let mut compressor = Compressor::new(LEVEL)?;
    compressor.set_parameter(CParameter::ChecksumFlag(true))?;
    compressor.set_parameter(CParameter::WindowLog(WINDOW_LOG))?;
    let (mut bytes, mut at, mut frame) = (Vec::new(), 0_u64, 0_u64);
    loop {
        let plain = match read_lines(file, &mut bytes)? {
            0 => return Ok(()),
            length => bytes.get(..length).unwrap_or_default(),
        };
        let mut from = 0;
        for end in memchr::memchr_iter(b'\n', plain).map(|end| end + 1).chain([plain.len()]) {
            let line = plain.get(from..end).unwrap_or_default();
            if let Some(entry) = index::entry(line, at + from as u64, frame, from as u64) {
                serde_json::to_writer(&mut *index, &entry)?;
                index.write_all(b"\n")?;
            }
            from = end;
        }
        let squeezed = compressor.compress(plain)?;
        target.write_all(&squeezed)?;
        at += plain.len() as u64;
        frame += squeezed.len() as u64;
        bytes.drain(..plain.len());
    }
}

/// Reads what a frame holds, behind what is left of the line before. Out: how much of it is whole
/// lines; at the end of the file also one that was cut off, and then nothing.
fn read_lines(file: &File, bytes: &mut Vec<u8>) -> io::Result<usize> {
    loop {
        let from = bytes.len();
        let read = file.take(FRAME_BYTES as u64).read_to_end(bytes)?;
        match memchr::memrchr(b'\n', bytes.get(from..).unwrap_or_default()) {
            Some(at) => return Ok(from + at + 1),
            None if read < FRAME_BYTES => return Ok(bytes.len()),
            None => {}
        }
    }
}

#[cfg(test)]
mod tests {
    use std::io::{Seek, Write};

    use super::{FRAME_BYTES, squeeze};
    use latimer_probe::record::index::Entry;

    /// Lines that fill frames, one that is longer than two of them, and one that was cut off.
    #[test]
    fn a_segment_of_several_frames_is_found_again_line_by_line() {
        let line = |number: usize, length: usize| {
            let body = "x".repeat(length);
            let request = format!(r#"{{"method":"GET","url":"/","body":"{body}"}}"#);
            format!("{{\"timestamp\":{number}.000,\"request\":{request}}}\n")
        };
        let lengths = [FRAME_BYTES / 3; 7].into_iter().chain([FRAME_BYTES * 5 / 2, 10]);
        let lines: Vec<_> =
            (1..).zip(lengths).map(|(number, length)| line(number, length)).collect();
        let segment = lines.concat() + r#"{"timestamp":9.000,"requ"#;
        let mut file = tempfile::tempfile().expect("a file");
        file.write_all(segment.as_bytes()).and_then(|()| file.rewind()).expect("room");
        let (mut squeezed, mut index) = (Vec::new(), Vec::new());
        squeeze(&file, &mut squeezed, &mut index).expect("it can be read");
        assert_eq!(zstd::decode_all(&*squeezed).expect("frames"), segment.as_bytes());
        let entries = String::from_utf8(index).expect("text");
        let entries: Vec<Entry> =
            entries.lines().map(|entry| serde_json::from_str(entry).expect("JSON")).collect();
        assert_eq!(entries.len(), lines.len());
        for (entry, line) in entries.iter().zip(&lines) {
            let frame = zstd::decode_all(&squeezed[entry.frame as usize..]).expect("a frame");
            for (all, at) in [(segment.as_bytes(), entry.at), (&frame, entry.at_in_frame)] {
                assert_eq!(&all[at as usize..][..entry.bytes as usize], line.as_bytes());
            }
        }
        let frames =
            entries.iter().map(|entry| entry.frame).collect::<std::collections::BTreeSet<_>>();
        assert!(frames.len() > 2, "{frames:?}");
    }
}
