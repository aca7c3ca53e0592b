//! A real PostgreSQL server for the tests: its own directory, its own port, and its own user where
//! the tests run as root, as whom it refuses to run.

use std::net::TcpListener;
use std::path::{Path, PathBuf};
use std::process::{Command, Output};

use tempfile::TempDir;

/// Who the server runs as where the tests run as root.
const USERS: &[&str] = &["postgres", "nobody"];

/// A server. It ends with this value.
pub struct Server {
    directory: TempDir,
    programs: PathBuf,
    port: u16,
    user: Option<String>,
}

impl Server {
    /// A new server; `None`, and a word on stderr, where there is no PostgreSQL on this machine.
    pub fn start() -> Option<Server> {
        let Some(programs) = programs() else {
            eprintln!(
                "SKIPPED: no PostgreSQL here (initdb and pg_ctl on PATH or in Debian's place)"
            );
            return None;
        };
        let directory = tempfile::tempdir().unwrap();
        let port = TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap().port();
        let user = is_root().then(|| hand_over(directory.path()));
        let server = Server { directory, programs, port, user };
        let data = server.data();
        let made =
            server.run("initdb", &["-D", &data, "-A", "trust", "-U", "latimer", "--no-sync"]);
        assert!(made.status.success(), "initdb: {}", String::from_utf8_lossy(&made.stderr));
        server.begin();
        Some(server)
    }

    fn data(&self) -> String {
        self.directory.path().join("data").display().to_string()
    }

    /// Starts it, again after a crash, and waits until it answers.
    pub fn begin(&self) {
        let log = self.directory.path().join("log").display().to_string();
        let settings = format!(
            "-p {} -c listen_addresses=127.0.0.1 -c unix_socket_directories='' -c max_connections=40",
            self.port
        );
        let arguments = ["start", "-w", "-D", &self.data(), "-l", &log, "-o", &settings];
        let begun = self.run("pg_ctl", &arguments);
        assert!(begun.status.success(), "pg_ctl start: {}", self.log());
    }

    /// What it has logged.
    pub fn log(&self) -> String {
        std::fs::read_to_string(self.directory.path().join("log")).unwrap()
    }

    /// Stops it as a crash does: no connection is told, nothing is tidied up.
    pub fn crash(&self) {
        let ended = self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
        assert!(ended.status.success(), "pg_ctl stop: {}", String::from_utf8_lossy(&ended.stderr));
    }

    fn run(&self, program: &str, arguments: &[&str]) -> Output {
        let program = self.programs.join(program);
        let mut command = match &self.user {
            None => Command::new(program),
            Some(user) => {
                let mut command = Command::new("setpriv");
                command.args(["--reuid", user, "--clear-groups", "--"]).arg(program);
                command
            }
        };
        command.current_dir(self.directory.path()).args(arguments).output().unwrap()
    }

    /// The address of a database of its own, which is new.
    pub async fn address(&self, database: &str) -> String {
        let admin = self.client("postgres").await;
        admin.batch_execute(&format!("CREATE DATABASE {database}")).await.unwrap();
        format!("postgres://latimer@127.0.0.1:{}/{database}", self.port)
    }

    /// A connection past the store.
    pub async fn client(&self, database: &str) -> tokio_postgres::Client {
        let address = format!("postgres://latimer@127.0.0.1:{}/{database}", self.port);
        let (client, line) =
            tokio_postgres::connect(&address, tokio_postgres::NoTls).await.unwrap();
        tokio::spawn(line);
        client
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        self.run("pg_ctl", &["stop", "-w", "-m", "immediate", "-D", &self.data()]);
    }
}

/// Where `initdb` and `pg_ctl` are: on the path, or where Debian puts them.
fn programs() -> Option<PathBuf> {
    let path = std::env::var_os("PATH").unwrap_or_default();
    let debian = std::fs::read_dir("/usr/lib/postgresql").into_iter().flatten().flatten();
    let debian = debian.map(|version| version.path().join("bin"));
    let complete = |place: &PathBuf| ["initdb", "pg_ctl"].iter().all(|it| place.join(it).exists());
    std::env::split_paths(&path).chain(debian).find(complete)
}

fn is_root() -> bool {
    number("-u", None) == Some(0)
}

/// What `id` says, as of a user.
fn number(option: &str, user: Option<&str>) -> Option<u32> {
    let output = Command::new("id").arg(option).args(user).output().ok()?;
    String::from_utf8(output.stdout).ok()?.trim().parse().ok()
}

/// Gives a directory to a user who is not root, and names him.
fn hand_over(directory: &Path) -> String {
    let user = USERS.iter().find_map(|user| number("-u", Some(user)));
    let user = user.expect("a user who is not root");
    std::os::unix::fs::chown(directory, Some(user), None).unwrap();
    user.to_string()
}
