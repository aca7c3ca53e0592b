//! How each program is started, and the configuration it gets: written to a directory of its own
//! below `target/`.

use std::fs;
use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};
use std::sync::{Arc, OnceLock};

use anyhow::{Context, Result};
use latimer_scratch::PostgresServer;

use super::running::free_port;
use crate::dialogue::{CHUNKS, piece, text};

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
    /// Where it may keep what it has to remember.
    pub database: Database,
    /// A model that it may ask instead.
    pub model: Model,
}

/// A PostgreSQL server, which is started when it is first asked for, and ends with the run.
#[derive(Debug, Clone, Default)]
pub struct Database(Arc<OnceLock<PostgresServer>>);

/// A mock of Latimer's, which is started when it is first asked for, and ends with the run.
#[derive(Debug, Clone, Default)]
pub struct Model(Arc<OnceLock<Mock>>);

#[derive(Debug)]
struct Mock {
    address: SocketAddr,
    process: Child,
}

impl Drop for Mock {
    fn drop(&mut self) {
        // It may have ended by itself, and is gone then.
        let _ = self.process.kill();
        let _ = self.process.wait();
    }
}

impl Place {
    /// The address of the run's mock, which may not listen yet.
    ///
    /// # Errors
    /// When it cannot be started.
    fn model(&self, program: &Path) -> Result<SocketAddr> {
        let Model(mock) = &self.model;
        if let Some(mock) = mock.get() {
            return Ok(mock.address);
        }
        let address = SocketAddr::from((Ipv4Addr::LOCALHOST, free_port()?));
        let mut command = mock_at(program, &self.directory, address)?;
        let process = command.stderr(Stdio::null()).spawn()?;
        Ok(mock.get_or_init(|| Mock { address, process }).address)
    }

    /// The address of the run's database.
    ///
    /// # Errors
    /// When there is no PostgreSQL, or it does not start.
    pub fn database(&self) -> Result<String> {
        let Database(server) = &self.database;
        if let Some(server) = server.get() {
            return Ok(server.address());
        }
        let started = PostgresServer::start()?.context("there is no PostgreSQL")?;
        Ok(server.get_or_init(|| started).address())
    }
}

/// Files that a peer opens beside its connections.
const SPARE_FILES: u64 = 100;

/// Latimer with these options.
pub fn latimer(program: &Path, place: &Place, options: &[&str]) -> Result<Command> {
    before(program, place, place.upstream, options)
}

/// Latimer before its own mock.
pub fn before_mock(program: &Path, place: &Place) -> Result<Command> {
    before(program, place, place.model(program)?, &["--no-record"])
}

/// Latimer's mock, which says what the upstream says where nothing else is wanted of that.
pub fn mock(program: &Path, place: &Place) -> Result<Command> {
    mock_at(program, &place.directory, SocketAddr::from((Ipv4Addr::LOCALHOST, place.port)))
}

fn mock_at(program: &Path, directory: &Path, address: SocketAddr) -> Result<Command> {
    let script = directory.join("script.toml");
    let (piece, text) = (piece(0).len(), text(CHUNKS));
    let answer = format!("text = {text:?}, input_tokens = 16000, output_tokens = 200");
    fs::write(&script, format!("piece = {piece}\n[[rule]]\nanswer = {{ {answer} }}\n"))?;
    let mut command = Command::new(program);
    command.args(["--quiet", "mock", "--listen", &address.to_string(), "--script"]).arg(script);
    Ok(command)
}

fn before(
    program: &Path,
    place: &Place,
    upstream: SocketAddr,
    options: &[&str],
) -> Result<Command> {
    let configuration = place.directory.join("latimer.toml");
    fs::write(&configuration, "[limits]\nconnections = 30000\n")?;
    let mut command = Command::new(program);
    command.args(["--quiet", "serve", "--listen", &format!("127.0.0.1:{}", place.port)]);
    command.args(["--upstream", &format!("http://{upstream}/v1")]);
    command.arg("--config").arg(configuration).args(options).current_dir(&place.directory);
    Ok(command)
}

/// nginx, as it is set up for streams of events.
pub fn nginx(program: &Path, place: &Place) -> Result<Command> {
    let Place { port, upstream, directory, open_files, .. } = place;
    // nginx closes waiting clients when fewer than a sixteenth are free.
    let connections = open_files + open_files / 8;
    let configuration = directory.join("nginx.conf");
    let scratch = directory.display();
    let text = format!(
        "daemon off;
worker_processes 1;
worker_rlimit_nofile {open_files};
pid {scratch}/pid;
error_log stderr crit;
events {{ worker_connections {connections}; }}
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

/// haproxy in the foreground.
pub fn haproxy(program: &Path, place: &Place) -> Result<Command> {
    let Place { port, upstream, directory, open_files, .. } = place;
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
  option http-no-delay
  option abortonclose
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

/// codex-relay.
pub fn codex_relay(program: &Path, place: &Place) -> Result<Command> {
    let mut command = Command::new(program);
    command.args(["--port", &place.port.to_string(), "--api-key", "sk-bench"]);
    command.args(["--upstream", &format!("http://{}/v1", place.upstream)]);
    command.env("HOME", &place.directory).env("RUST_LOG", "error").current_dir(&place.directory);
    Ok(command)
}

/// responses-proxy.
pub fn responses_proxy(program: &Path, place: &Place) -> Result<Command> {
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

/// LiteLLM's proxy with one worker.
pub fn litellm(program: &Path, place: &Place) -> Result<Command> {
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
