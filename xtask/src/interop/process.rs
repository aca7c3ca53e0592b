//! Child processes that cannot outlive their use: each leads a process group of its own that is
//! killed when the handle is dropped, is waited for with a deadline, and writes its output to files.
//! None of them sees the caller's environment beyond PATH, so that no key and no proxy gets in.

use std::fs::{self, File};
use std::io;
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, ExitStatus, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use rustix::process::{Pid, Signal, kill_process, kill_process_group};

/// How often a condition is looked at.
const PAUSE: Duration = Duration::from_millis(10);
/// How long a server of ours may take to say where it listens, and to stop.
const SERVER: Duration = Duration::from_secs(20);
/// How many characters of a log a message quotes.
const QUOTED: usize = 600;

/// A program that runs.
pub struct Process {
    name: String,
    child: Child,
    logs: PathBuf,
}

/// A command that sees PATH and a home of its own, and nothing else of the environment.
pub fn command(program: &Path, home: &Path) -> Command {
    let mut command = Command::new(program);
    command.env_clear().env("HOME", home).env("LANG", "C.UTF-8");
    if let Some(path) = std::env::var_os("PATH") {
        command.env("PATH", path);
    }
    command
}

impl Process {
    /// Starts `command`; what it prints goes to `<name>.out` and `<name>.err` in `logs`.
    pub fn start(command: &mut Command, name: &str, logs: &Path) -> Result<Process> {
        let log = |end: &str| File::create(logs.join(format!("{name}.{end}")));
        let child = command
            .stdin(Stdio::null())
            .stdout(log("out")?)
            .stderr(log("err")?)
            .process_group(0)
            .spawn()
            .with_context(|| format!("cannot start {}", command.get_program().display()))?;
        Ok(Process { name: name.to_owned(), child, logs: logs.to_owned() })
    }

    /// What it printed so far.
    pub fn stdout(&self) -> Result<String> {
        self.log("out")
    }

    /// What it said on stderr so far.
    pub fn stderr(&self) -> Result<String> {
        self.log("err")
    }

    fn log(&self, end: &str) -> Result<String> {
        let path = self.logs.join(format!("{}.{end}", self.name));
        let bytes = fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
        Ok(String::from_utf8_lossy(&bytes).into_owned())
    }

    /// Waits for its end.
    pub fn wait(&mut self, deadline: Duration) -> Result<ExitStatus> {
        let ended = until(deadline, || Ok(self.child.try_wait()?))?;
        ended.with_context(|| format!("{} did not end within {deadline:?}", self.name))
    }

    /// Waits for its end, which has to be exit code 0, and returns what it printed.
    pub fn succeed(&mut self, deadline: Duration) -> Result<String> {
        let status = self.wait(deadline)?;
        ensure!(status.success(), "{} ended with {status}: {}", self.name, self.last_words());
        self.stdout()
    }

    /// The first address it names on stderr, which is where it listens.
    pub fn address(&mut self) -> Result<String> {
        let named = until(SERVER, || {
            self.must_run()?;
            let said = self.stderr()?;
            let line = said.lines().find(|line| line.contains("http://") && said.contains('\n'));
            Ok(line.and_then(|line| {
                line.split(' ').find(|word| word.starts_with("http://")).map(str::to_owned)
            }))
        })?;
        named.with_context(|| format!("{} did not say where it listens", self.name))
    }

    /// An error if it has ended.
    pub fn must_run(&mut self) -> Result<()> {
        if let Some(status) = self.child.try_wait()? {
            bail!("{} ended early with {status}: {}", self.name, self.last_words());
        }
        Ok(())
    }

    /// Sends a signal to it and all it started, as a terminal does.
    pub fn signal(&self, signal: Signal) -> Result<()> {
        Ok(kill_process_group(self.pid()?, signal)?)
    }

    /// Asks it to stop, and waits until it has.
    pub fn stop(mut self) -> Result<()> {
        self.must_run()?;
        kill_process(self.pid()?, Signal::TERM)?;
        self.succeed(SERVER).map(drop)
    }

    fn last_words(&self) -> String {
        let said = self.stderr().unwrap_or_default();
        let skipped = said.chars().count().saturating_sub(QUOTED);
        said.chars().skip(skipped).collect()
    }

    fn pid(&self) -> io::Result<Pid> {
        let id = i32::try_from(self.child.id()).ok().and_then(Pid::from_raw);
        id.ok_or_else(|| io::Error::other("no process id"))
    }
}

impl Drop for Process {
    fn drop(&mut self) {
        if let Ok(group) = self.pid() {
            let _ = kill_process_group(group, Signal::KILL);
        }
        let _ = self.child.wait();
    }
}

/// Asks again and again until there is an answer, or the time is over.
pub fn until<T>(
    deadline: Duration,
    mut ask: impl FnMut() -> Result<Option<T>>,
) -> Result<Option<T>> {
    let end = Instant::now() + deadline;
    loop {
        match ask()? {
            None if Instant::now() < end => std::thread::sleep(PAUSE),
            answer => return Ok(answer),
        }
    }
}
