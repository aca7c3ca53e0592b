//! `latimer run`: a gateway on a free port, an agent that knows only that gateway, and at the end
//! recording and report. The agent's configuration is made for this run and thrown away; the
//! user's own is neither read nor written.

use std::net::{Ipv4Addr, SocketAddr};
use std::path::{Path, PathBuf};
use std::process::{ExitCode, ExitStatus};
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, anyhow};
use latimer_gateway::Server;
use latimer_gateway::capture::FILE_NAME;
use latimer_gateway::models::codex_model;
use serde_json::json;
use tokio::process::{Child, Command};
use tokio::sync::oneshot;

use crate::args::{self, Agent};
use crate::{report, serve};

/// The model an agent asks for when none is named.
const DEFAULT_MODEL: &str = "mock";

/// Runs an agent and returns its exit code.
pub fn run(args: args::Run) -> Result<ExitCode> {
    let Agent::Codex = args.agent;
    let mut config = args.gateway.config()?;
    config.listen = Some(SocketAddr::from((Ipv4Addr::LOCALHOST, 0)));
    let directory = match config.record.take() {
        Some(directory) if args.gateway.record.is_some() => directory,
        directory => directory.unwrap_or_else(|| PathBuf::from("latimer")).join(run_name()),
    };
    config.record = Some(directory.clone());
    let model = config.upstream.as_ref().and_then(|upstream| upstream.model.clone());
    let model = model.unwrap_or_else(|| DEFAULT_MODEL.to_owned());
    let settings = config.resolve(|name| std::env::var(name).ok())?;
    let recorded = settings.record.is_some();
    let program = args.program.unwrap_or_else(|| PathBuf::from("codex"));
    let status = serve::runtime()?.block_on(async {
        let server = Server::bind(settings).await?;
        let address = server.address();
        let (stop, stopped) = oneshot::channel::<()>();
        let serving = tokio::spawn(server.run(async {
            let _ = stopped.await;
        }));
        let status = codex(&program, address, &model, &args.arguments).await;
        let _ = stop.send(());
        let _ = serving.await;
        status
    })?;
    if recorded {
        leave_report(&directory)?;
    }
    Ok(exit_code(status))
}

fn leave_report(directory: &Path) -> Result<()> {
    let recording = directory.join(FILE_NAME);
    let [markdown, page] = report::leave_beside(&recording)?;
    let [recording, markdown, page] = [&recording, &markdown, &page].map(|path| path.display());
    eprintln!("latimer: recording {recording}, report {markdown} and {page}");
    Ok(())
}

/// A name for this run's directory, in the order of time.
fn run_name() -> String {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    format!("run-{}-{}", now.as_secs(), std::process::id())
}

/// The code with which to exit as an agent did.
pub fn exit_code(status: ExitStatus) -> ExitCode {
    use std::os::unix::process::ExitStatusExt;
    let code = status.code().or_else(|| status.signal().map(|signal| 128 + signal));
    ExitCode::from(code.and_then(|code| u8::try_from(code).ok()).unwrap_or(1))
}

/// Runs Codex with a home of its own. Its output is ours; its input is the user's.
async fn codex(
    program: &Path,
    gateway: SocketAddr,
    model: &str,
    arguments: &[String],
) -> Result<ExitStatus> {
    let home = codex_home(gateway, model)?;
    let mut command = Command::new(program);
    command.args(arguments).env("CODEX_HOME", home.path());
    let missing = || {
        anyhow!(
            "the Codex CLI `{}` is not installed. Install it with `npm install -g @openai/codex`, \
             or name its program with --program FILE",
            program.display()
        )
    };
    until_it_ends(command, missing).await
}

/// Runs an agent to its end. `missing` says what to do where there is no such program.
pub async fn until_it_ends(
    mut command: Command,
    missing: impl FnOnce() -> anyhow::Error,
) -> Result<ExitStatus> {
    let stop = serve::told_to_stop();
    let mut child = match command.kill_on_drop(true).spawn() {
        Ok(child) => child,
        Err(error) if error.kind() == std::io::ErrorKind::NotFound => return Err(missing()),
        Err(error) => return Err(error).context("cannot start the agent"),
    };
    tokio::select! {
        status = child.wait() => status.context("cannot wait for the agent"),
        stop = stop => {
            if stop == serve::Stop::Terminate {
                terminate(&child).await;
            }
            child.wait().await.context("cannot wait for the agent")
        }
    }
}

/// Tells the agent what only we were told. A Ctrl-C it hears by itself.
async fn terminate(child: &Child) {
    if let Some(id) = child.id() {
        let _ = Command::new("kill").arg("-TERM").arg(id.to_string()).status().await;
    }
}

/// A home for Codex that knows one provider, the gateway, and one model.
///
/// Codex 0.98 asks api.openai.com for its models whatever provider it has, and waits for the answer;
/// `remote_models` ends that, and newer versions pass over it (0.130, 0.150 and 0.169, measured).
/// Codex warns about a home below the system's temporary directory, so it lies in the user's cache.
fn codex_home(gateway: SocketAddr, model: &str) -> Result<tempfile::TempDir> {
    let cache = std::env::var_os("XDG_CACHE_HOME")
        .map(PathBuf::from)
        .or_else(|| std::env::var_os("HOME").map(|home| PathBuf::from(home).join(".cache")));
    let parent = cache.unwrap_or_else(std::env::temp_dir).join("latimer");
    std::fs::create_dir_all(&parent)
        .with_context(|| format!("cannot make the directory {}", parent.display()))?;
    let home = tempfile::Builder::new()
        .prefix("codex-")
        .tempdir_in(&parent)
        .with_context(|| format!("cannot make a directory in {}", parent.display()))?;
    let catalog = home.path().join("models.json");
    std::fs::write(&catalog, json!({"models": [codex_model(model)]}).to_string())?;
    let provider = format!(
        "model = {model}\n\
         model_provider = \"latimer\"\n\
         model_catalog_json = {catalog}\n\
         check_for_update_on_startup = false\n\
         \n\
         [features]\n\
         remote_models = false\n\
         \n\
         [model_providers.latimer]\n\
         name = \"Latimer\"\n\
         base_url = \"http://{gateway}/v1\"\n\
         wire_api = \"responses\"\n",
        model = json!(model),
        catalog = json!(catalog.display().to_string()),
    );
    std::fs::write(home.path().join("config.toml"), provider)?;
    Ok(home)
}
