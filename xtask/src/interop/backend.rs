//! Who answers in a scenario: Latimer's mock, or LiteLLM's proxy. Both listen on a free port. The
//! proxy may stand before Latimer as well.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::Path;
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{Process, command, until};
use super::{Place, Site};
use crate::tools::LITELLM;

/// LiteLLM imports for several seconds before it listens, longer on a cold disk.
const LITELLM_START: Duration = Duration::from_secs(180);

/// A backend that listens.
pub struct Backend {
    /// Its base address.
    pub url: String,
    process: Process,
}

impl Backend {
    /// Ends it, so that its recording is whole.
    pub fn stop(self) -> Result<()> {
        self.process.stop()
    }
}

/// Starts Latimer's mock with a script.
pub fn mock(site: &Site, script: &Path, place: &Place) -> Result<Backend> {
    let mut command = command(&site.latimer, &place.home);
    command.args(["mock", "--listen", "127.0.0.1:0", "--script"]).arg(script);
    command.arg("--record").arg(place.backend_record());
    let mut process = Process::start(&mut command, "mock", &place.logs)?;
    Ok(Backend { url: process.address()?, process })
}

/// Plays a recording in place of what was recorded.
pub fn replay(site: &Site, recording: &Path, place: &Place) -> Result<Backend> {
    let mut command = command(&site.latimer, &place.home);
    command.args(["replay", "--listen", "127.0.0.1:0"]).arg(recording);
    let mut process = Process::start(&mut command, "replay", &place.logs)?;
    Ok(Backend { url: process.address()?, process })
}

/// Starts LiteLLM's proxy with a configuration, and waits until it is ready. `name` is what its
/// directories are called.
pub fn litellm(site: &Site, name: &str, configuration: &Path) -> Result<Backend> {
    let (home, logs) = (site.scratch().join(name), site.logs().join(name));
    fs::create_dir_all(&home)?;
    fs::create_dir_all(&logs)?;
    let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))?.local_addr()?.port();
    let interpreter = LITELLM.program(&site.tools());
    let mut command = command(&interpreter, &home);
    command.current_dir(&home).env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    command.arg(interpreter.with_file_name("litellm")).args([
        "--host",
        "127.0.0.1",
        "--port",
        &port.to_string(),
        "--config",
    ]);
    let mut process = Process::start(command.arg(configuration), "litellm", &logs)?;
    let ready = until(LITELLM_START, || {
        process.must_run()?;
        Ok(is_ready(port).then_some(()))
    })?;
    ready.with_context(|| format!("LiteLLM is not ready after {LITELLM_START:?}"))?;
    Ok(Backend { url: format!("http://127.0.0.1:{port}/v1"), process })
}

fn is_ready(port: u16) -> bool {
    let ask = || {
        let mut socket = TcpStream::connect((Ipv4Addr::LOCALHOST, port))?;
        socket.set_read_timeout(Some(Duration::from_secs(5)))?;
        socket.write_all(b"GET /health/readiness HTTP/1.0\r\nhost: localhost\r\n\r\n")?;
        let mut head = [0; 12];
        socket.read_exact(&mut head)?;
        std::io::Result::Ok(head)
    };
    ask().is_ok_and(|head| head.ends_with(b" 200"))
}
