//! The clients and backends of others, pinned, and installed below the target directory when they
//! are missing. The pins are this table; after a change the tool is installed anew.

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::time::Instant;

use anyhow::{Context, Result, ensure};

/// A package of npm, PyPI or crates.io.
#[derive(Debug, PartialEq, Eq)]
pub struct Tool {
    /// The directory it lives in.
    name: &'static str,
    from: Registry,
    package: &'static str,
    pub version: &'static str,
    /// What it needs besides, and which version.
    beside: &'static [(&'static str, &'static str)],
    /// What is run, below its directory.
    program: &'static str,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Registry {
    Crates,
    Npm,
    PyPi,
}

/// OpenAI's Codex CLI.
pub const CODEX: Tool = codex("codex", "0.169.0");

/// A version whose instructions stand apart from the input.
pub const CODEX_0_150: Tool = codex("codex-0.150", "0.150.0");

/// A version that demands more of a model catalog than later ones.
pub const CODEX_0_130: Tool = codex("codex-0.130", "0.130.0");

/// A version without model catalogs and namespaces.
pub const CODEX_0_98: Tool = codex("codex-0.98", "0.98.0");

const fn codex(name: &'static str, version: &'static str) -> Tool {
    let (package, program) = ("@openai/codex", "node_modules/.bin/codex");
    Tool { name, from: Registry::Npm, package, version, beside: &[], program }
}

/// The official SDK for Node; its program is the directory it is found in.
pub const NODE_SDK: Tool = Tool {
    name: "openai-node",
    from: Registry::Npm,
    package: "openai",
    version: "7.55.0",
    beside: &[("ws", "8.21.0")],
    program: "",
};

/// The official SDK for Python; its program is the interpreter that finds it.
pub const PYTHON_SDK: Tool = Tool {
    name: "openai-python",
    from: Registry::PyPi,
    package: "openai",
    version: "3.51.0",
    beside: &[("websockets", "15.0.1")],
    program: "bin/python",
};

/// OpenAI's Agents SDK for Node; its program is the directory it is found in.
pub const AGENTS_NODE: Tool = Tool {
    name: "openai-agents-node",
    from: Registry::Npm,
    package: "@openai/agents",
    version: "0.20.0",
    beside: &[("openai", "7.55.0")],
    program: "",
};

/// OpenAI's Agents SDK for Python; its program is the interpreter that finds it.
pub const AGENTS_PYTHON: Tool = Tool {
    name: "openai-agents-python",
    from: Registry::PyPi,
    package: "openai-agents",
    version: "0.24.0",
    beside: &[("openai", "3.52.0")],
    program: "bin/python",
};

/// The Vercel AI SDK with its providers for OpenAI and for its likes; its program is the directory
/// it is found in. From 7 on it asks for a later Node than we do.
pub const AI_SDK: Tool = Tool {
    name: "ai-sdk",
    from: Registry::Npm,
    package: "ai",
    version: "6.0.326",
    beside: &[("@ai-sdk/openai", "3.0.139"), ("@ai-sdk/openai-compatible", "2.0.87")],
    program: "",
};

/// LangChain with its models of OpenAI; its program is the interpreter that finds it.
pub const LANG_CHAIN: Tool = Tool {
    name: "langchain",
    from: Registry::PyPi,
    package: "langchain-openai",
    version: "1.7.3",
    beside: &[("langchain-core", "1.7.2"), ("openai", "3.51.0")],
    program: "bin/python",
};

/// LiteLLM's SDK and proxy; its program is the interpreter that finds them, and the proxy's script
/// stands beside it. Versions from 1.104 on ask for a certifi that was not yet published when this
/// was pinned.
pub const LITELLM: Tool = Tool {
    name: "litellm",
    from: Registry::PyPi,
    package: "litellm[proxy]",
    version: "1.102.4",
    beside: &[],
    program: "bin/python",
};

/// Readers of what Latimer writes; their program is the interpreter that finds them.
pub const READERS: Tool = Tool {
    name: "readers",
    from: Registry::PyPi,
    package: "duckdb",
    version: "2.0.0",
    beside: &[("haralyzer", "2.4.0"), ("opentelemetry-proto", "1.45.2")],
    program: "bin/python",
};

/// A proxy that saves what passes.
pub const MITMPROXY: Tool = Tool {
    name: "mitmproxy",
    from: Registry::PyPi,
    package: "mitmproxy",
    version: "11.0.2",
    beside: &[],
    program: "bin/mitmdump",
};

/// A bridge from Responses to Chat Completions.
pub const CODEX_RELAY: Tool = bridge("codex-relay", "0.6.0", "bin/codex-relay");

/// Another.
pub const RESPONSES_PROXY: Tool = bridge("responses-proxy", "0.1.3", "bin/responses-proxy");

const fn bridge(name: &'static str, version: &'static str, program: &'static str) -> Tool {
    Tool { name, from: Registry::Crates, package: name, version, beside: &[], program }
}

/// Written last, so that a directory without it is half an installation.
const DONE: &str = ".installed";

impl Tool {
    /// What is run, where the tools live in `tools`.
    pub fn program(&self, tools: &Path) -> PathBuf {
        tools.join(self.name).join(self.program)
    }

    /// Installs it, unless this version is there.
    pub fn install(&self, tools: &Path) -> Result<()> {
        let directory = tools.join(self.name);
        let pin = self.packages(" ").join(", ");
        if fs::read_to_string(directory.join(DONE)).is_ok_and(|done| done == pin) {
            return Ok(());
        }
        println!("installing {pin}");
        let began = Instant::now();
        if directory.exists() {
            fs::remove_dir_all(&directory)?;
        }
        fs::create_dir_all(&directory)?;
        match self.from {
            Registry::Crates => self.cargo(&directory),
            Registry::Npm => self.npm(&directory),
            Registry::PyPi => self.pip(&directory),
        }
        .with_context(|| format!("cannot install {pin}"))?;
        fs::write(directory.join(DONE), &pin)?;
        println!("installed {pin} in {:.1} s", began.elapsed().as_secs_f32());
        Ok(())
    }

    /// Each package, with its version after `sign`.
    fn packages(&self, sign: &str) -> Vec<String> {
        let all = [(self.package, self.version)].into_iter().chain(self.beside.iter().copied());
        all.map(|(package, version)| format!("{package}{sign}{version}")).collect()
    }

    fn cargo(&self, directory: &Path) -> Result<()> {
        let options = ["install", "--locked", "--root"];
        let mut cargo = Command::new("cargo");
        cargo.args(options).arg(directory).args([self.package, "--version", self.version]);
        quietly(&mut cargo)
    }

    fn npm(&self, directory: &Path) -> Result<()> {
        fs::write(directory.join("package.json"), r#"{"private": true}"#)?;
        let options = ["install", "--no-audit", "--no-fund", "--include=optional"];
        let mut npm = Command::new("npm");
        quietly(npm.current_dir(directory).args(options).args(self.packages("@")))
    }

    fn pip(&self, directory: &Path) -> Result<()> {
        quietly(Command::new("python3").args(["-m", "venv"]).arg(directory))?;
        let options = ["-m", "pip", "install", "--disable-pip-version-check"];
        let mut pip = Command::new(directory.join("bin/python"));
        quietly(pip.args(options).args(self.packages("==")))
    }
}

/// Runs an installer; what it says is shown only when it fails.
fn quietly(command: &mut Command) -> Result<()> {
    let program = command.get_program().display().to_string();
    let output = command.output().with_context(|| {
        format!("cannot run `{program}`; Node with npm, and Python with its venv module are needed")
    })?;
    let said = [output.stdout, output.stderr].concat();
    ensure!(output.status.success(), "`{program}` failed:\n{}", String::from_utf8_lossy(&said));
    Ok(())
}
