//! The binary as a process.
#![allow(dead_code, reason = "each test uses its part")]

use std::io::{BufRead, BufReader, Read, Write};
use std::net::TcpStream;
use std::path::Path;
use std::process::{Child, Command, Output, Stdio};
use std::time::{Duration, Instant};

pub fn latimer(directory: &Path) -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_latimer"));
    command.current_dir(directory).env("XDG_CACHE_HOME", directory.join("cache"));
    command
}

pub fn run(directory: &Path, arguments: &[&str]) -> Output {
    latimer(directory).args(arguments).output().unwrap()
}

pub fn text(bytes: &[u8]) -> String {
    String::from_utf8_lossy(bytes).into_owned()
}

/// A process that says on stderr where it listens.
pub struct Listening {
    pub child: Child,
    pub address: String,
    pub stderr: BufReader<std::process::ChildStderr>,
    pub said: String,
}

impl Drop for Listening {
    /// A test that fails leaves nothing running.
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

impl Listening {
    pub fn start(command: &mut Command) -> Listening {
        let mut child = command.stderr(Stdio::piped()).spawn().unwrap();
        let mut stderr = BufReader::new(child.stderr.take().unwrap());
        let mut said = String::new();
        while !said.contains("http://") {
            assert!(stderr.read_line(&mut said).unwrap() > 0, "it did not start: {said}");
        }
        let address = said.split("http://").nth(1).unwrap();
        let address = address.trim().trim_end_matches("/v1").to_owned();
        Listening { child, address, stderr, said }
    }

    /// Tells it to stop; gives its exit code and everything it said.
    pub fn stop(mut self) -> (Option<i32>, String) {
        let killed = Command::new("kill").arg("-TERM").arg(self.child.id().to_string()).status();
        assert!(killed.unwrap().success());
        let deadline = Instant::now() + Duration::from_secs(10);
        let status = loop {
            if let Some(status) = self.child.try_wait().unwrap() {
                break status;
            }
            if Instant::now() > deadline {
                self.child.kill().unwrap();
                panic!("it did not stop: {}", self.said);
            }
            std::thread::sleep(Duration::from_millis(10));
        };
        self.stderr.read_to_string(&mut self.said).unwrap();
        (status.code(), std::mem::take(&mut self.said))
    }
}

/// Asks once and reads the whole answer.
pub fn ask(address: &str, headers: &str, target: &str, body: &str) -> String {
    let mut socket = TcpStream::connect(address).unwrap();
    let length = body.len();
    let head =
        format!("POST {target} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n{headers}");
    write!(socket, "{head}content-length: {length}\r\n\r\n{body}").unwrap();
    let mut answer = Vec::new();
    socket.read_to_end(&mut answer).unwrap();
    text(&answer)
}
