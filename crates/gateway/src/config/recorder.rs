//! How the recording is kept: when it is brought to the disk, when a file is closed, what is taken out.

use latimer_probe::redact::{BadPattern, Redactor};
use serde::Deserialize;

/// How the recording is kept.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub struct RecorderConfig {
    /// When what was written is brought to the disk.
    pub sync: SyncPolicy,
    /// How long the file may become before it is closed as a segment, in bytes; 0: it never is.
    pub segment_bytes: u64,
    /// How old its first line may become before that, in seconds; 0: as old as it may.
    pub segment_age_s: u64,
    /// Whether closed segments are compressed (zstd).
    pub compress: bool,
    /// The end of an answer waits until the exchange is written: what a client has got whole is in
    /// the file, even if the process is killed in that moment.
    pub strict: bool,
    /// Regular expressions for what is to be taken out of every line, beside the secrets that are
    /// known by their form.
    pub secrets: Vec<String>,
    /// Whether lines are written with the secrets in them. The operator's key is taken out always.
    pub reveal: bool,
}

/// When what was written is brought to the disk. That a process is killed loses nothing that was
/// written; a machine that loses its power does.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub enum SyncPolicy {
    /// Each second, and each MiB.
    Second,
    /// After each exchange.
    Always,
    /// Whenever the system does it.
    Never,
}

impl Default for RecorderConfig {
    fn default() -> Self {
        RecorderConfig {
            sync: SyncPolicy::Second,
            segment_bytes: 256 << 20,
            segment_age_s: 86_400,
            compress: true,
            strict: false,
            secrets: Vec::new(),
            reveal: false,
        }
    }
}

impl RecorderConfig {
    /// What takes the secrets out of lines; nothing where they stay.
    ///
    /// # Errors
    /// When one of the patterns is none.
    pub(crate) fn redactor(&self) -> Result<Option<Redactor>, BadPattern> {
        let redactor = Redactor::with(self.secrets.iter().map(String::as_str))?;
        Ok((!self.reveal).then_some(redactor))
    }

    /// For a file that is never closed.
    pub fn one_file() -> Self {
        RecorderConfig { segment_bytes: 0, ..RecorderConfig::default() }
    }
}
