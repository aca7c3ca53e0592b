//! A program that speaks in lines: started, heard, and ended with everything it started. Its standard
//! error is kept as far as the limit allows, the end of it.

use std::process::Stdio;
use std::sync::{Arc, Mutex};
use std::time::Duration;

use latimer_wire::backplane::Message;
use latimer_wire::error::ApiError;
use rustix::process::{Pid, Signal, kill_process_group};
use tokio::io::{AsyncBufReadExt, AsyncReadExt, AsyncWriteExt, BufReader};
use tokio::process::{Child, ChildStderr, ChildStdin, ChildStdout, Command};
use tokio::runtime::Handle;
use tokio::task::JoinHandle;

use crate::config::{Limits, Timeouts};

/// A program that runs.
pub(super) struct Program {
    child: Option<Child>,
    stdin: Option<ChildStdin>,
    stdout: BufReader<ChildStdout>,
    errors: Arc<Mutex<Vec<u8>>>,
    reading_errors: Option<JoinHandle<()>>,
    line_bytes: usize,
    exit_wait: Duration,
}

/// Why there is no line.
#[derive(Debug, thiserror::Error)]
pub(super) enum Unsaid {
    /// The program has closed its standard output.
    #[error("it says nothing more")]
    Over,
    /// A line is too long.
    #[error("a line of the agent is longer than {0} bytes")]
    TooLong(usize),
    /// A line is not text.
    #[error("a line of the agent is not UTF-8")]
    NotText,
    /// The pipe broke.
    #[error("the agent cannot be heard: {0}")]
    Broken(std::io::Error),
}

impl Program {
    /// Starts it, as the head of a process group of its own.
    ///
    /// # Errors
    /// A 502 that names the command.
    pub fn start(
        command: &[String],
        limits: &Limits,
        timeouts: &Timeouts,
    ) -> Result<Self, ApiError> {
        let unstarted = |reason: String| {
            let program = command.first().map_or("", String::as_str);
            let message = format!("cannot start the agent `{program}`: {reason}");
            ApiError::server(502, "agent_not_started", message)
        };
        let (program, arguments) =
            command.split_first().ok_or_else(|| unstarted("no command is named".to_owned()))?;
        let mut child = Command::new(program)
            .args(arguments)
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .stderr(Stdio::piped())
            .process_group(0)
            .kill_on_drop(true)
            .spawn()
            .map_err(|error| unstarted(error.to_string()))?;
        let pipes = (child.stdin.take(), child.stdout.take(), child.stderr.take());
        let (Some(stdin), Some(stdout), Some(stderr)) = pipes else {
            return Err(unstarted("it has no pipes".to_owned()));
        };
        let errors = Arc::new(Mutex::new(Vec::new()));
        let reading_errors =
            tokio::spawn(keep_end(stderr, Arc::clone(&errors), limits.agent_stderr_bytes));
        Ok(Program {
            child: Some(child),
            stdin: Some(stdin),
            stdout: BufReader::new(stdout),
            errors,
            reading_errors: Some(reading_errors),
            line_bytes: limits.event_bytes,
            exit_wait: Duration::from_millis(timeouts.agent_exit_ms),
        })
    }

    /// Gives it a message.
    ///
    /// # Errors
    /// When it takes none.
    pub async fn say(&mut self, message: &Message) -> std::io::Result<()> {
        let mut line = String::new();
        message.print_line(&mut line);
        match &mut self.stdin {
            Some(stdin) => {
                stdin.write_all(line.as_bytes()).await?;
                stdin.flush().await
            }
            None => Ok(()),
        }
    }

    /// Its next line that is not blank.
    ///
    /// # Errors
    /// [`Unsaid`] when there is none.
    pub async fn hear(&mut self) -> Result<String, Unsaid> {
        loop {
            let mut line = Vec::new();
            let most = self.line_bytes as u64 + 1;
            let read = (&mut self.stdout).take(most).read_until(b'\n', &mut line).await;
            match read.map_err(Unsaid::Broken)? {
                0 => return Err(Unsaid::Over),
                _ if line.len() > self.line_bytes => return Err(Unsaid::TooLong(self.line_bytes)),
                _ if line.trim_ascii().is_empty() => {}
                _ => {
                    let text =
                        std::str::from_utf8(line.trim_ascii()).map_err(|_| Unsaid::NotText)?;
                    return Ok(text.to_owned());
                }
            }
        }
    }

    /// Lets it come to its end, as long as the settings allow; gives what it last said on standard error.
    pub async fn let_end(&mut self) -> Option<String> {
        self.exit().await;
        self.errors().await
    }

    /// Lets it come to its end, and says how it ended and what it last said on standard error.
    pub async fn end(&mut self) -> String {
        let how = self.exit().await;
        match self.errors().await {
            Some(said) => format!("{how}; standard error: {said}"),
            None => how,
        }
    }

    async fn exit(&mut self) -> String {
        self.stdin = None;
        let Some(child) = &mut self.child else { return String::new() };
        match tokio::time::timeout(self.exit_wait, child.wait()).await {
            Ok(Ok(status)) => status.to_string(),
            Ok(Err(error)) => error.to_string(),
            Err(_) => "it still runs".to_owned(),
        }
    }

    /// The end of its standard error, as far as it comes now.
    async fn errors(&mut self) -> Option<String> {
        if let Some(reading) = self.reading_errors.take() {
            let _ = tokio::time::timeout(self.exit_wait, reading).await;
        }
        let said = self.errors.lock().unwrap_or_else(|lock| lock.into_inner());
        let said = String::from_utf8_lossy(said.trim_ascii()).into_owned();
        Some(said).filter(|said| !said.is_empty())
    }
}

/// Reads to the end and keeps the last `most` bytes.
async fn keep_end(mut stderr: ChildStderr, kept: Arc<Mutex<Vec<u8>>>, most: usize) {
    let mut piece = Vec::with_capacity(4 << 10);
    while let Ok(1..) = stderr.read_buf(&mut piece).await {
        let mut kept = kept.lock().unwrap_or_else(|lock| lock.into_inner());
        kept.append(&mut piece);
        let spare = kept.len().saturating_sub(most);
        kept.drain(..spare);
    }
}

impl Drop for Program {
    /// Tells the whole group to end, and ends it where it does not.
    fn drop(&mut self) {
        let Some(mut child) = self.child.take() else { return };
        let Some(group) = child.id().and_then(|id| Pid::from_raw(id.cast_signed())) else { return };
        let _ = kill_process_group(group, Signal::TERM);
        let wait = self.exit_wait;
        // Without a runtime the child is killed as it is dropped.
        let Ok(runtime) = Handle::try_current() else { return };
        runtime.spawn(async move {
            if tokio::time::timeout(wait, child.wait()).await.is_err() {
                let _ = kill_process_group(group, Signal::KILL);
                let _ = child.wait().await;
            }
        });
    }
}
