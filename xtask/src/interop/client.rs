//! The real clients, and how each is sent through Latimer. In: a run. Out: what the client itself
//! said, held against the scenario; what Latimer recorded is looked at elsewhere.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde::Deserialize;

use super::process::{Process, command};
use super::scenario::{Exchange, Scenario, as_wanted};
use super::{Place, Run, Site, codex};
use crate::tools::{
    AI_SDK, CODEX, CODEX_0_98, CODEX_0_130, CODEX_0_150, LANG_CHAIN, LITELLM, NODE_SDK, PYTHON_SDK,
    Tool,
};

/// How long a client may take. Codex waits for ever for a server that is gone.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A client.
#[derive(Debug)]
pub struct Client {
    pub name: &'static str,
    kind: Kind,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The Codex CLI in this version, through `latimer run`.
    Codex(&'static Tool),
    /// This file of `interop/clients` on this SDK, told how to ask, through `latimer serve`.
    Python(&'static Tool, &'static str, &'static str),
    /// The same, before LiteLLM's proxy, which asks through `latimer serve`.
    Proxied(&'static Tool, &'static str, &'static str),
    /// This file of `interop/clients` on this SDK, told how to ask, through `latimer serve`.
    Node(&'static Tool, &'static str, &'static str),
}

/// All clients.
pub const CLIENTS: &[Client] = &[
    Client { name: "codex", kind: Kind::Codex(&CODEX) },
    Client { name: "codex-0.150", kind: Kind::Codex(&CODEX_0_150) },
    Client { name: "codex-0.130", kind: Kind::Codex(&CODEX_0_130) },
    Client { name: "codex-0.98", kind: Kind::Codex(&CODEX_0_98) },
    Client { name: "python-create", kind: Kind::Python(&PYTHON_SDK, "agent.py", "create") },
    Client { name: "python-helper", kind: Kind::Python(&PYTHON_SDK, "agent.py", "helper") },
    Client { name: "python-whole", kind: Kind::Python(&PYTHON_SDK, "agent.py", "whole") },
    Client { name: "node-create", kind: Kind::Node(&NODE_SDK, "agent.mjs", "create") },
    Client { name: "node-helper", kind: Kind::Node(&NODE_SDK, "agent.mjs", "helper") },
    Client { name: "node-whole", kind: Kind::Node(&NODE_SDK, "agent.mjs", "whole") },
    Client { name: "python-chat-create", kind: Kind::Python(&PYTHON_SDK, "chat.py", "create") },
    Client { name: "python-chat-helper", kind: Kind::Python(&PYTHON_SDK, "chat.py", "helper") },
    Client { name: "python-chat-whole", kind: Kind::Python(&PYTHON_SDK, "chat.py", "whole") },
    Client { name: "node-chat-create", kind: Kind::Node(&NODE_SDK, "chat.mjs", "create") },
    Client { name: "node-chat-helper", kind: Kind::Node(&NODE_SDK, "chat.mjs", "helper") },
    Client { name: "node-chat-runner", kind: Kind::Node(&NODE_SDK, "chat.mjs", "runner") },
    Client { name: "node-chat-whole", kind: Kind::Node(&NODE_SDK, "chat.mjs", "whole") },
    Client { name: "ai-sdk-stream", kind: Kind::Node(&AI_SDK, "ai_sdk.mjs", "stream compatible") },
    Client { name: "ai-sdk-whole", kind: Kind::Node(&AI_SDK, "ai_sdk.mjs", "whole compatible") },
    Client { name: "ai-sdk-chat-stream", kind: Kind::Node(&AI_SDK, "ai_sdk.mjs", "stream chat") },
    Client { name: "ai-sdk-chat-whole", kind: Kind::Node(&AI_SDK, "ai_sdk.mjs", "whole chat") },
    Client {
        name: "ai-sdk-responses-stream",
        kind: Kind::Node(&AI_SDK, "ai_sdk.mjs", "stream responses"),
    },
    Client {
        name: "ai-sdk-responses-whole",
        kind: Kind::Node(&AI_SDK, "ai_sdk.mjs", "whole responses"),
    },
    Client { name: "langchain-stream", kind: Kind::Python(&LANG_CHAIN, "lang_chain.py", "stream") },
    Client { name: "langchain-whole", kind: Kind::Python(&LANG_CHAIN, "lang_chain.py", "whole") },
    Client { name: "litellm-stream", kind: Kind::Python(&LITELLM, "lite_llm.py", "sdk stream") },
    Client { name: "litellm-whole", kind: Kind::Python(&LITELLM, "lite_llm.py", "sdk whole") },
    Client {
        name: "litellm-proxy-stream",
        kind: Kind::Proxied(&LITELLM, "lite_llm.py", "proxy stream"),
    },
    Client {
        name: "litellm-proxy-whole",
        kind: Kind::Proxied(&LITELLM, "lite_llm.py", "proxy whole"),
    },
];

/// What an SDK's agent prints at its end.
#[derive(Debug, Deserialize)]
struct Said {
    text: Option<String>,
    reasoning: String,
    calls: Vec<String>,
    answers: Vec<Exchange>,
}

impl Client {
    /// What has to be installed for it.
    pub fn tool(&self) -> &'static Tool {
        match self.kind {
            Kind::Codex(tool)
            | Kind::Python(tool, ..)
            | Kind::Proxied(tool, ..)
            | Kind::Node(tool, ..) => tool,
        }
    }

    /// Sends the client through Latimer to the backend at `url`.
    pub fn send(&self, site: &Site, run: &Run<'_>, place: &Place, url: &str) -> Result<()> {
        match self.kind {
            Kind::Codex(tool) => codex::send(&tool.program(&site.tools()), site, run, place, url),
            Kind::Python(sdk, file, mode) => {
                through_serve(site, run, place, url, python(sdk, site, place, file, mode))
            }
            Kind::Proxied(sdk, file, mode) => {
                let mut agent = python(sdk, site, place, file, mode);
                agent.env("PROXY_URL", site.proxy()?);
                through_serve(site, run, place, url, agent)
            }
            Kind::Node(sdk, file, mode) => {
                through_serve(site, run, place, url, node(sdk, site, place, file, mode))
            }
        }
    }

    /// Sends the client to a recording of itself at `url`: Codex through `latimer run`, an SDK as it
    /// is.
    pub fn send_to_replay(
        &self,
        site: &Site,
        run: &Run<'_>,
        place: &Place,
        url: &str,
    ) -> Result<()> {
        let agent = match self.kind {
            Kind::Codex(_) => {
                return self.send(site, &Run { dialect: "responses", ..*run }, place, url);
            }
            Kind::Python(sdk, file, mode) => python(sdk, site, place, file, mode),
            Kind::Node(sdk, file, mode) => node(sdk, site, place, file, mode),
            Kind::Proxied(sdk, file, mode) => {
                let mut agent = python(sdk, site, place, file, mode);
                agent.env("PROXY_URL", site.proxy()?);
                agent
            }
        };
        ask(run, place, url, agent)
    }
}

fn node(sdk: &Tool, site: &Site, place: &Place, file: &str, mode: &str) -> Command {
    let mut agent = command("node".as_ref(), &place.home);
    agent.env("SDK", sdk.program(&site.tools()));
    agent.arg(site.client(file)).args(mode.split(' '));
    agent
}

fn python(sdk: &Tool, site: &Site, place: &Place, file: &str, mode: &str) -> Command {
    let mut agent = command(&sdk.program(&site.tools()), &place.home);
    agent.env("PYTHONDONTWRITEBYTECODE", "1").env("LITELLM_LOCAL_MODEL_COST_MAP", "True");
    agent.arg(site.client(file)).args(mode.split(' '));
    agent
}

fn through_serve(
    site: &Site,
    run: &Run<'_>,
    place: &Place,
    url: &str,
    agent: Command,
) -> Result<()> {
    let (gateway, base_url) = serve(site, run, place, url)?;
    ask(run, place, &base_url, agent)?;
    gateway.stop()
}

/// Runs an agent that asks at `base_url`, and looks at what it says.
fn ask(run: &Run<'_>, place: &Place, base_url: &str, mut agent: Command) -> Result<()> {
    agent.current_dir(&place.work).env("BASE_URL", base_url).arg(&run.scenario.prompt);
    agent.args(&run.scenario.agent_arguments);
    let printed = Process::start(&mut agent, "agent", &place.logs)?.succeed(DEADLINE)?;
    let said: Said = serde_json::from_str(&printed).context("the agent printed no result")?;
    said.as_expected(run.scenario)
}

/// A `latimer serve` in front of the backend at `url`, and the base address for its clients.
pub fn serve(site: &Site, run: &Run<'_>, place: &Place, url: &str) -> Result<(Process, String)> {
    let mut serve = command(&site.latimer, &place.home);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--upstream", url]);
    serve.args(["--dialect", run.dialect, "--record"]).arg(place.record());
    let mut gateway = Process::start(&mut serve, "serve", &place.logs)?;
    let base_url = format!("{}/v1", gateway.address()?);
    Ok((gateway, base_url))
}

impl Said {
    fn as_expected(&self, scenario: &Scenario) -> Result<()> {
        let (text, reasoning) = (Some(scenario.text.clone()), scenario.reasoning.join(" "));
        ensure!(as_wanted(&self.answers, &scenario.exchanges), "the client saw {:?}", self.answers);
        ensure!(self.text == text, "the client ends with {:?}", self.text);
        ensure!(self.reasoning == reasoning, "the client saw reasoning {:?}", self.reasoning);
        ensure!(self.calls == scenario.calls, "the client was told to call {:?}", self.calls);
        Ok(())
    }
}
