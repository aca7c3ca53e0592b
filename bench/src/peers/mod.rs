//! Who is measured: a table of programs. Each stands between the load and the upstream; `command`
//! holds how it is started and configured, `running` starts it and waits until it answers.

mod command;
mod running;

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use anyhow::{Context, Result, bail};
use latimer_scratch::PostgresServer;

use crate::machine::{self, Cores};
use command::{before_mock, codex_relay, haproxy, latimer, litellm, mock, nginx, responses_proxy};

pub use command::{Database, Model, Place};
pub use running::Running;

/// Somebody who can be measured.
#[derive(Debug)]
pub struct Peer {
    /// What it is called in tables.
    pub name: &'static str,
    /// What it does here.
    pub what: &'static str,
    /// How it stands to us.
    pub role: Role,
    program: Program,
    /// Writes the configuration and says how the program is started.
    command: fn(&Path, &Place) -> Result<Command>,
}

/// How a peer stands to us.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Role {
    /// Nobody in between: the load asks the upstream itself.
    Nobody,
    /// What the machine can do: a proxy that passes bytes on.
    Floor,
    /// Latimer.
    Ours,
    /// What a user would pick instead.
    Peer,
    /// The same, but so slow that it is started as seldom as can be.
    SlowPeer,
}

impl Role {
    /// Whether it has to start and to answer right, or the run fails.
    pub fn is_trusted(self) -> bool {
        matches!(self, Role::Nobody | Role::Floor | Role::Ours)
    }
}

/// Where a program is looked for.
#[derive(Debug)]
enum Program {
    None,
    Latimer,
    /// And a PostgreSQL server, which is started for the run.
    LatimerAndPostgres,
    /// On the search path; where it is missing, this installs it.
    System(&'static str, &'static str),
    /// Below the directory of installed peers.
    Installed(&'static str),
}

/// What all peers share.
#[derive(Debug, Clone)]
pub struct Site {
    /// Latimer's program.
    pub latimer: PathBuf,
    /// Where peers are installed.
    pub installed: PathBuf,
    /// The run's own directory.
    pub scratch: PathBuf,
    /// Who runs where.
    pub cores: Cores,
    /// A database, started when it is first needed.
    pub database: Database,
    /// A mock of Latimer's, started when it is first needed.
    pub model: Model,
    /// How many files each process may open; a stream takes two, in a peer as well as here.
    pub open_files: u64,
}

/// The load asks the upstream itself.
pub const DIRECT: &str = "direct";
/// The floor that ratios are held against.
pub const NGINX: &str = "nginx";
/// The other floor.
pub const HAPROXY: &str = "haproxy";
/// Latimer as a bridge to Chat Completions.
pub const LATIMER: &str = "latimer";
/// The same, recording.
pub const RECORDING: &str = "latimer recording";
/// Latimer where client and backend speak the same.
pub const PASSING: &str = "latimer passing";
/// Latimer as a bridge without state.
pub const FORGETTING: &str = "latimer without state";
/// Latimer as a bridge whose state is in PostgreSQL.
pub const POSTGRES: &str = "latimer on PostgreSQL";
/// Latimer's mock in the place of the upstream.
pub const MOCK: &str = "latimer mock";
/// Latimer as a bridge to that mock.
pub const BEFORE_MOCK: &str = "latimer before its mock";
/// A bridge in Rust.
pub const CODEX_RELAY: &str = "codex-relay";
/// Another.
pub const RESPONSES_PROXY: &str = "responses-proxy";
/// The best known gateway.
pub const LITELLM: &str = "litellm";

/// Everybody.
pub const PEERS: &[Peer] = &[
    Peer {
        name: DIRECT,
        what: "the load asks the upstream itself",
        role: Role::Nobody,
        program: Program::None,
        command: |_, _| bail!("there is nothing to start"),
    },
    Peer {
        name: NGINX,
        what: "passes Responses on: one worker, proxy_buffering off, requests up to 2 MB kept in memory",
        role: Role::Floor,
        program: Program::System("nginx", "apt-get install nginx-light"),
        command: nginx,
    },
    Peer {
        name: HAPROXY,
        what: "passes Responses on: one thread, http-no-delay, abortonclose",
        role: Role::Floor,
        program: Program::System("haproxy", "apt-get install haproxy"),
        command: haproxy,
    },
    Peer {
        name: LATIMER,
        what: "bridges Responses to Chat Completions",
        role: Role::Ours,
        program: Program::Latimer,
        command: |program, place| latimer(program, place, &["--no-record"]),
    },
    Peer {
        name: RECORDING,
        what: "the same, and records",
        role: Role::Ours,
        program: Program::Latimer,
        command: |program, place| {
            let record = place.directory.join("record");
            latimer(program, place, &["--record", &record.to_string_lossy()])
        },
    },
    Peer {
        name: PASSING,
        what: "passes Responses on",
        role: Role::Ours,
        program: Program::Latimer,
        command: |program, place| {
            latimer(program, place, &["--no-record", "--dialect", "responses"])
        },
    },
    Peer {
        name: FORGETTING,
        what: "bridges Responses to Chat Completions, and keeps no state",
        role: Role::Ours,
        program: Program::Latimer,
        command: |program, place| latimer(program, place, &["--no-record", "--store", "off"]),
    },
    Peer {
        name: POSTGRES,
        what: "bridges Responses to Chat Completions, and keeps its state in a PostgreSQL that runs \
               beside upstream and load",
        role: Role::Ours,
        program: Program::LatimerAndPostgres,
        command: |program, place| {
            latimer(program, place, &["--no-record", "--store", &place.database()?])
        },
    },
    Peer {
        name: MOCK,
        what: "answers from a script what the upstream answers",
        role: Role::Ours,
        program: Program::Latimer,
        command: mock,
    },
    Peer {
        name: BEFORE_MOCK,
        what: "bridges Responses to Chat Completions of its mock, which runs beside the load",
        role: Role::Ours,
        program: Program::Latimer,
        command: before_mock,
    },
    Peer {
        name: CODEX_RELAY,
        what: "bridges Responses to Chat Completions",
        role: Role::Peer,
        program: Program::Installed("codex-relay/bin/codex-relay"),
        command: codex_relay,
    },
    Peer {
        name: RESPONSES_PROXY,
        what: "bridges Responses to Chat Completions",
        role: Role::Peer,
        program: Program::Installed("responses-proxy/bin/responses-proxy"),
        command: responses_proxy,
    },
    Peer {
        name: LITELLM,
        what: "bridges Responses to Chat Completions: one worker",
        role: Role::SlowPeer,
        program: Program::Installed("litellm/bin/litellm"),
        command: litellm,
    },
];

/// The peer of a name.
pub fn named(name: &str) -> Result<&'static Peer> {
    PEERS.iter().find(|peer| peer.name == name).with_context(|| format!("no peer is named {name}"))
}

impl Peer {
    /// Its program, or how to come by it.
    ///
    /// # Errors
    /// What to do so that it is there.
    pub fn program(&self, site: &Site) -> Result<PathBuf, String> {
        let (program, remedy) = match self.program {
            Program::None => (Some(PathBuf::new()), ""),
            Program::Latimer => (Some(site.latimer.clone()), "cargo build --release"),
            Program::LatimerAndPostgres => {
                let program = PostgresServer::is_here().then(|| site.latimer.clone());
                (program, "apt-get install postgresql")
            }
            Program::System(name, remedy) => (machine::installed(name), remedy),
            Program::Installed(path) => {
                (Some(site.installed.join(path)), "cargo xtask bench --install-peers")
            }
        };
        let there = program.filter(|program| self.role == Role::Nobody || program.is_file());
        there.ok_or_else(|| format!("{} is not installed: `{remedy}`", self.name))
    }
}

impl Peer {
    /// Which version is installed, as its program or its installer says.
    pub fn version(&self, site: &Site) -> Option<String> {
        match self.program {
            Program::System(name, _) => {
                let output = Command::new(machine::installed(name)?).arg("-v").output().ok()?;
                let said = [output.stdout, output.stderr].concat();
                let said = String::from_utf8_lossy(&said).into_owned();
                let has_digit = |word: &&str| word.contains(|c: char| c.is_ascii_digit());
                said.split_whitespace().find(has_digit).map(str::to_owned)
            }
            Program::Installed(path) => {
                let directory = path.split('/').next()?;
                fs::read_to_string(site.installed.join(directory).join(".installed")).ok()
            }
            Program::None | Program::Latimer | Program::LatimerAndPostgres => None,
        }
    }
}
