//! Real servers for tests and measurements, made for the moment and thrown away. In: what is
//! installed on the machine. Out: a PostgreSQL server with a directory, a port and, where this
//! process is root, as whom it refuses to run, a user of its own.

use std::io::{Error, Result};
use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Who a server runs as where this process is root.
const USERS: &[&str] = &["postgres", "nobody"];

/// A PostgreSQL server. It ends with this value.
#[derive(Debug)]
pub struct PostgresServer {
    directory: TempDir,
    programs: PathBuf,
    port: u16,
    user: Option<String>,
}

impl PostgresServer {
    /// Whether PostgreSQL is installed.
    pub fn is_here() -> bool {
        programs().is_some()
    }

    /// A new server; `None`, and a word on stderr, where there is no PostgreSQL on this machine.
    ///
    /// # Errors
    /// When it is there and does not come up.
    pub fn start() -> Result<Option<PostgresServer>> {
        let Some(programs) = programs() else {
            eprintln!(
                "SKIPPED: no PostgreSQL here (initdb and pg_ctl on PATH, or Debian's package)"
            );
            return Ok(None);
        };
        let directory = tempfile::tempdir()?;
        let port = TcpListener::bind("127.0.0.1:0")?.local_addr()?.port();
        let user = match number("-u", None) {
            Some(0) => Some(hand_over(directory.path())?),
            _ => None,
        };
        let server = PostgresServer { directory, programs, port, user };
        let data = server.data();
        server.run("initdb", &["-D", &data, "-A", "trust", "-U", USER, "--no-sync"])?;
        server.begin()?;
        Ok(Some(server))
    }

    /// Starts it, again after a crash, and waits until it answers.
    ///
    /// # Errors
    /// When it does not come up, with what it has logged.
    pub fn begin(&self) -> Result<()> {
        let log = self.directory.path().join("log").display().to_string();
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=40",
            self.port
        );
        let arguments = ["start", "-w", "-D", &self.data(), "-l", &log, "-o", &settings];
        let begun = self.run("pg_ctl", &arguments);
        begun.map(drop).map_err(|error| Error::other(format!("{error}\n{}", self.log())))
    }

    /// Stops it as a crash does: no connection is told, nothing is tidied up.
    ///
    /// # Errors
    /// When it does not run.
    pub fn crash(&self) -> Result<()> {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]).map(drop)
    }

    /// Freezes it, as a machine does that swaps: connections stay, and nothing answers.
    ///
    /// # Errors
    /// When it does not run.
    pub fn freeze(&self) -> Result<()> {
        self.signal("-STOP")
    }

    /// Lets it go on.
    ///
    /// # Errors
    /// When it does not run.
    pub fn thaw(&self) -> Result<()> {
        self.signal("-CONT")
    }

    /// Gives a signal to the server and to its processes, which are one for each connection and some
    /// more.
    fn signal(&self, signal: &str) -> Result<()> {
        let file = self.directory.path().join("data/postmaster.pid");
        let text = std::fs::read_to_string(file)?;
        let main = text.lines().next().unwrap_or_default().trim().to_owned();
        let children = std::fs::read_to_string(format!("/proc/{main}/task/{main}/children"))?;
        // Those of its processes that end meanwhile need no signal.
        let _ = Command::new("kill").arg(signal).args(children.split_whitespace()).output()?;
        let output = Command::new("kill").args([signal, &main]).output()?;
        match output.status.success() {
            true => Ok(()),
            false => Err(Error::other(format!("kill {signal}: {}", output.status))),
        }
    }

    /// The address of its one database, which is empty at first.
    pub fn address(&self) -> String {
        format!("postgres://{USER}@127.0.0.1:{}/postgres", self.port)
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap_or_default()
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Result<Output> {
        let path = self.programs.join(program);
        let mut command = match &self.user {
            None => Command::new(path),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--clear-groups", "--"]).arg(path);
                command
            }
        };
        let output = command.current_dir(self.directory.path()).args(arguments).output()?;
        match output.status.success() {
            true => Ok(output),
            false => {
                let said = String::from_utf8_lossy(&output.stderr);
                Err(Error::other(format!("{program}: {}: {said}", output.status)))
            }
        }
    }
}

impl Drop for PostgresServer {
    fn drop(&mut self) {
        // Where it has crashed there is nothing to stop; what is frozen would not hear it.
        let _ = self.thaw();
        let _ = self.crash();
    }
}

/// The database user.
const USER: &str = "latimer";

/// Where `initdb` and `pg_ctl` are: on the path, or where Debian puts them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let complete = |place: &PathBuf| ["initdb", "pg_ctl"].iter().all(|it| place.join(it).exists());
    std::env::split_paths(&path).chain(debian).find(complete)
}

/// What `id` says, as of a user.
fn number(option: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(option).args(user).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Gives a directory to a user who is not root, and says who.
fn hand_over(directory: &Path) -> Result<String> {
    let user = USERS.iter().find_map(|user| number("-u", Some(user)));
    let user = user.ok_or_else(|| Error::other(format!("none of the users {USERS:?} is here")))?;
    std::os::unix::fs::chown(directory, Some(user), None)?;
    Ok(user.to_string())
}
