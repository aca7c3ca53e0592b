//! Recordings as they lie on a disk: one file, or a folder of segments, plain or compressed. In: paths
//! that a user names. Out: their files in the order in which they were written, opened one by one, with a
//! bar on a terminal that says how far the reading is.

use std::collections::BTreeSet;
use std::fs::{self, File};
use std::io::{self, BufReader, IsTerminal, Read, Write};
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use latimer_probe::formats::form::{FileForm, LOOKED_AT_BYTES};

/// The names' ends of files that hold recordings, and whether each is compressed.
const ENDS: &[(&str, bool)] = &[(".jsonl", false), (".jsonl.zst", true)];
/// How often the bar moves.
const BAR_EVERY: Duration = Duration::from_millis(100);

/// The files of a recording.
pub struct Recording {
    files: Vec<PathBuf>,
    bytes: u64,
}

impl Recording {
    /// Finds the files that `paths` name: a file itself, and of a folder every segment in it.
    pub fn find(paths: &[PathBuf]) -> Result<Recording> {
        let mut files = Vec::new();
        for path in paths {
            if path.is_dir() {
                files.extend(segments(path)?);
            } else {
                files.push(path.clone());
            }
        }
        let mut bytes = 0;
        for file in &files {
            let metadata = fs::metadata(file);
            let metadata = metadata.with_context(|| cannot_read(file))?;
            ensure!(!metadata.is_dir(), "{} is a folder", file.display());
            bytes += metadata.len();
        }
        Ok(Recording { files, bytes })
    }

    /// Makes sure that `output` is none of its files.
    pub fn spare(&self, output: Option<&Path>) -> Result<()> {
        spare(&self.files, output)
    }

    /// Whether it is a single file.
    pub fn single(&self) -> Option<&Path> {
        match self.files.as_slice() {
            [file] => Some(file),
            _ => None,
        }
    }

    /// Opens its files one after another, and does `read` with each.
    pub fn read(&self, mut read: impl FnMut(&str, &mut dyn Read) -> io::Result<()>) -> Result<()> {
        let mut bar = Bar::new(self.bytes);
        for file in &self.files {
            let done = bar.read(file, |input| {
                let mut input = plain(file, input)?;
                read(&file.display().to_string(), &mut input)
            });
            done.with_context(|| cannot_read(file))?;
        }
        Ok(())
    }

    /// Makes sure that each file looks like a recording.
    pub fn check(&self) -> Result<()> {
        for file in &self.files {
            match form(file)? {
                FileForm::Recording | FileForm::Empty => {}
                other => bail!(
                    "{} is no recording: it looks like {}{}",
                    file.display(),
                    other.words(),
                    hint(other)
                ),
            }
        }
        Ok(())
    }
}

/// Makes sure that `output` is none of the files that are to be read: it would be empty by then.
pub fn spare(files: &[PathBuf], output: Option<&Path>) -> Result<()> {
    let Some(Ok(target)) = output.map(fs::canonicalize) else { return Ok(()) };
    let read = files.iter().find(|file| fs::canonicalize(file).is_ok_and(|file| file == target));
    match read {
        Some(file) => bail!("{} is what is read; name another output", file.display()),
        None => Ok(()),
    }
}

/// What a file is, by its beginning.
pub fn form(file: &Path) -> Result<FileForm> {
    let start = File::open(file).and_then(|input| {
        let mut start = Vec::with_capacity(LOOKED_AT_BYTES);
        plain(file, input)?.take(LOOKED_AT_BYTES as u64).read_to_end(&mut start)?;
        Ok(start)
    });
    start.map(|start| FileForm::of(&start)).with_context(|| cannot_read(file))
}

/// What to do with a file of another form.
fn hint(form: FileForm) -> &'static str {
    match form {
        FileForm::Stream => "; `latimer check FILE` judges it",
        FileForm::Har | FileForm::Rollout | FileForm::Dump | FileForm::Flows => {
            "; `latimer convert FILE -o traffic.jsonl` makes one of it"
        }
        _ => "",
    }
}

fn cannot_read(file: &Path) -> String {
    format!("cannot read the recording {}", file.display())
}

/// The segments in a folder, by name: names are made of times.
fn segments(folder: &Path) -> Result<Vec<PathBuf>> {
    let entries = fs::read_dir(folder).with_context(|| cannot_read(folder))?;
    let names = entries.filter_map(|entry| Some(entry.ok()?.path()));
    let mut files: Vec<PathBuf> = names.filter(|path| is_segment(path) && path.is_file()).collect();
    ensure!(!files.is_empty(), "there is no recording in {}", folder.display());
    files.sort();
    // A segment that was just compressed is there twice for a moment.
    let all: BTreeSet<PathBuf> = files.iter().cloned().collect();
    files.retain(|file| !all.contains(&file.with_added_extension("zst")));
    Ok(files)
}

fn is_segment(path: &Path) -> bool {
    let name = path.file_name().map(|name| name.to_string_lossy());
    name.is_some_and(|name| ENDS.iter().any(|(end, _)| name.ends_with(end)))
}

/// The content of a file, decompressed where its name says that it is compressed.
fn plain<'r>(file: &Path, input: impl Read + 'r) -> io::Result<Box<dyn Read + 'r>> {
    let name = file.to_string_lossy();
    let is_compressed = ENDS.iter().any(|(end, compressed)| *compressed && name.ends_with(end));
    match is_compressed {
        true => Ok(Box::new(zstd::Decoder::new(BufReader::with_capacity(1 << 17, input))?)),
        false => Ok(Box::new(input)),
    }
}

/// How far the reading is, on a terminal.
struct Bar {
    all_bytes: u64,
    read_bytes: u64,
    drawn: Option<Instant>,
    is_shown: bool,
}

impl Bar {
    fn new(all_bytes: u64) -> Self {
        Bar { all_bytes, read_bytes: 0, drawn: None, is_shown: io::stderr().is_terminal() }
    }

    /// Opens a file and counts what is read of it.
    fn read<T>(
        &mut self,
        file: &Path,
        read: impl FnOnce(Counted<'_>) -> io::Result<T>,
    ) -> io::Result<T> {
        read(Counted { file: File::open(file)?, bar: self })
    }

    fn move_on(&mut self, bytes: usize) {
        self.read_bytes += bytes as u64;
        let is_due = self.drawn.get_or_insert_with(Instant::now).elapsed() >= BAR_EVERY;
        if self.is_shown && is_due {
            self.drawn = Some(Instant::now());
            let percent =
                (self.read_bytes * 100).checked_div(self.all_bytes).unwrap_or(100).min(100);
            let filled = "█".repeat(percent as usize / 4);
            let (read, all) = (self.read_bytes >> 20, self.all_bytes >> 20);
            let _ = write!(io::stderr(), "\r{filled:░<25} {percent:3} %  {read} of {all} MiB");
        }
    }
}

impl Drop for Bar {
    fn drop(&mut self) {
        if self.is_shown && self.read_bytes > 0 {
            let _ = write!(io::stderr(), "\r\x1b[K");
        }
    }
}

/// A file of which the bar knows how much was read.
struct Counted<'b> {
    file: File,
    bar: &'b mut Bar,
}

impl Read for Counted<'_> {
    fn read(&mut self, buffer: &mut [u8]) -> io::Result<usize> {
        let bytes = self.file.read(buffer)?;
        self.bar.move_on(bytes);
        Ok(bytes)
    }
}
