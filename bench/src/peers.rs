//! Who is measured: a table of programs, and for each the command and the configuration with which
//! it stands between the load and the upstream. Configurations are written to the run's own
//! directory below `target/`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr, TcpListener};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail};

use crate::dialogue::Shape;
use crate::load::{self, Work};
use crate::machine::{self, Cores};
use crate::process::Tree;
use crate::upstream::Upstream;

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
    /// Latimer. A wrong answer of it, or of the floor, fails the run.
    Ours,
    /// What a user would pick instead.
    Peer,
    /// The same, but so slow that it is asked less.
    SlowPeer,
}

/// Where a program is looked for.
#[derive(Debug)]
enum Program {
    None,
    Latimer,
    /// On the search path; where it is missing, this installs it.
    System(&'static str, &'static str),
    /// Below the directory of installed peers.
    Installed(&'static str),
}

/// Where a peer is put.
#[derive(Debug)]
pub struct Place {
    /// Where it listens.
    pub port: u16,
    /// Whom it asks.
    pub upstream: SocketAddr,
    /// A directory of its own.
    pub directory: PathBuf,
    /// How many files it may open.
    pub open_files: u64,
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
        what: "passes Responses on: one thread",
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
                String::from_utf8_lossy(&said).lines().next().map(str::to_owned)
            }
            Program::Installed(path) => {
                let directory = path.split('/').next()?;
                fs::read_to_string(site.installed.join(directory).join(".installed")).ok()
            }
            Program::None | Program::Latimer => None,
        }
    }
}

/// A peer that runs; it ends with this value.
#[derive(Debug)]
pub struct Running {
    /// Who.
    pub peer: &'static Peer,
    /// Where it listens.
    pub address: SocketAddr,
    /// Its processes; none where nobody stands in between.
    pub tree: Option<Tree>,
    /// From its start to the end of its first answer.
    pub started_after: Duration,
    /// A directory of its own.
    pub directory: PathBuf,
    child: Option<Child>,
}

/// How long a peer may take until it answers.
const START: Duration = Duration::from_secs(180);

impl Running {
    /// Starts a peer on its core and waits for its first answer.
    ///
    /// # Errors
    /// When it does not come up.
    pub async fn start(site: &Site, peer: &'static Peer, upstream: &Upstream) -> Result<Running> {
        let program = peer.program(site).map_err(anyhow::Error::msg)?;
        let directory = site.scratch.join(peer.name.replace(' ', "-"));
        if peer.role == Role::Nobody {
            let (address, started_after) = (upstream.address, Duration::ZERO);
            return Ok(Running {
                peer,
                address,
                tree: None,
                started_after,
                directory,
                child: None,
            });
        }
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        let (upstream_address, open_files) = (upstream.address, site.open_files);
        let place = Place { port: free_port()?, upstream: upstream_address, directory, open_files };
        let mut command = (peer.command)(&program, &place)?;
        let log = fs::File::create(place.directory.join("log"))?;
        command.stdin(Stdio::null()).stdout(log.try_clone()?).stderr(log);
        let began = Instant::now();
        let child = site.cores.on_peer(|| command.spawn())?;
        let child = child.with_context(|| format!("cannot start {}", program.display()))?;
        let mut running = Running {
            peer,
            address: SocketAddr::from((Ipv4Addr::LOCALHOST, place.port)),
            tree: Some(Tree::of(child.id())),
            started_after: Duration::ZERO,
            directory: place.directory,
            child: Some(child),
        };
        upstream.play(FIRST.shape, FIRST.pace);
        running.answers_from(began).await?;
        Ok(running)
    }

    async fn answers_from(&mut self, began: Instant) -> Result<()> {
        loop {
            let answers = load::run(self.address, FIRST, Duration::ZERO).await?;
            // A peer that is up and gets it wrong is up.
            if !answers.first.is_empty() {
                self.started_after = began.elapsed();
                return Ok(());
            }
            let ended = self.child.as_mut().and_then(|child| child.try_wait().ok().flatten());
            if ended.is_some() || began.elapsed() > START {
                let log = fs::read_to_string(self.directory.join("log")).unwrap_or_default();
                bail!("{} does not answer: {:?}\n{log}", self.peer.name, answers.faults);
            }
            tokio::time::sleep(Duration::from_micros(200)).await;
        }
    }
}

impl Drop for Running {
    fn drop(&mut self) {
        if let Some(child) = &mut self.child {
            // nginx's master ends its worker only when it is asked.
            let asked = rustix::process::Pid::from_child(child);
            let _ = rustix::process::kill_process(asked, rustix::process::Signal::TERM);
            let began = Instant::now();
            while began.elapsed() < Duration::from_secs(3) {
                if !matches!(child.try_wait(), Ok(None)) {
                    return;
                }
                std::thread::sleep(Duration::from_millis(2));
            }
            let _ = child.kill();
            let _ = child.wait();
        }
    }
}

/// The first thing everybody is asked.
const FIRST: Work = Work {
    shape: Shape { request_bytes: 1 << 10, chunks: 1, stream: true },
    pace: None,
    connections: 1,
    requests: 1,
};

/// Files that a peer opens beside its connections.
pub const SPARE_FILES: u64 = 100;

/// A port that was free just now.
fn free_port() -> Result<u16> {
    Ok(TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port())
}

fn latimer(program: &Path, place: &Place, options: &[&str]) -> Result<Command> {
    let configuration = place.directory.join("latimer.toml");
    fs::write(&configuration, "[limits]\nconnections = 30000\n")?;
    let mut command = Command::new(program);
    command.args(["--quiet", "serve", "--listen", &format!("127.0.0.1:{}", place.port)]);
    command.args(["--upstream", &format!("http://{}/v1", place.upstream)]);
    command.arg("--config").arg(configuration).args(options).current_dir(&place.directory);
    Ok(command)
}

fn nginx(program: &Path, place: &Place) -> Result<Command> {
    let Place { port, upstream, directory, open_files } = place;
    let configuration = directory.join("nginx.conf");
    let scratch = directory.display();
    let text = format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile {open_files};
pid {scratch}/pid;
error_log stderr crit;
events {{ worker_connections {open_files}; }}
http {{
  access_log off;
  client_max_body_size 0;
  client_body_temp_path {scratch}/body;
  proxy_temp_path {scratch}/proxy;
  fastcgi_temp_path {scratch}/fastcgi;
  uwsgi_temp_path {scratch}/uwsgi;
  scgi_temp_path {scratch}/scgi;
  keepalive_requests 1000000;
  upstream model {{ server {upstream}; keepalive 256; keepalive_requests 1000000; }}
  server {{
    listen 127.0.0.1:{port} backlog=4096;
    location / {{
      proxy_pass http://model;
      proxy_http_version 1.1;
      proxy_set_header Connection \"\";
      proxy_buffering off;
      client_body_buffer_size 2m;
    }}
  }}
}}
"
    );
    fs::write(&configuration, text)?;
    let mut command = Command::new(program);
    command.arg("-p").arg(directory).arg("-c").arg(configuration).args(["-e", "stderr"]);
    Ok(command)
}

fn haproxy(program: &Path, place: &Place) -> Result<Command> {
    let Place { port, upstream, directory, open_files } = place;
    let connections = open_files / 2 - SPARE_FILES;
    let configuration = directory.join("haproxy.cfg");
    let text = format!(
        "global
  nbthread 1
  maxconn {connections}
defaults
  mode http
  timeout connect 10s
  timeout client 60s
  timeout server 60s
  http-reuse always
frontend clients
  bind 127.0.0.1:{port} backlog 4096
  default_backend model
backend model
  server model {upstream} pool-max-conn 256
"
    );
    fs::write(&configuration, text)?;
    let mut command = Command::new(program);
    command.arg("-db").arg("-f").arg(configuration);
    Ok(command)
}

fn codex_relay(program: &Path, place: &Place) -> Result<Command> {
    let mut command = Command::new(program);
    command.args(["--port", &place.port.to_string(), "--api-key", "sk-bench"]);
    command.args(["--upstream", &format!("http://{}/v1", place.upstream)]);
    command.env("HOME", &place.directory).env("RUST_LOG", "error").current_dir(&place.directory);
    Ok(command)
}

fn responses_proxy(program: &Path, place: &Place) -> Result<Command> {
    let text = format!(
        "server:
  listen_addr: 127.0.0.1:{}
  request_timeout: 60
  log_level: error
models:
  - model: m
    provider:
      base_url: http://{}/v1
      api_key: sk-bench
",
        place.port, place.upstream
    );
    fs::write(place.directory.join("config.yaml"), text)?;
    let mut command = Command::new(program);
    command.current_dir(&place.directory);
    Ok(command)
}

fn litellm(program: &Path, place: &Place) -> Result<Command> {
    let configuration = place.directory.join("litellm.yaml");
    let text = format!(
        "model_list:
  - model_name: m
    litellm_params:
      model: hosted_vllm/m
      api_base: http://{}/v1
      api_key: sk-bench
",
        place.upstream
    );
    fs::write(&configuration, text)?;
    let mut command = Command::new(program);
    command.args(["--host", "127.0.0.1", "--port", &place.port.to_string(), "--config"]);
    command.arg(configuration).env("HOME", &place.directory).current_dir(&place.directory);
    command.env("LITELLM_LOCAL_MODEL_COST_MAP", "True").env("LITELLM_LOG", "ERROR");
    Ok(command)
}
