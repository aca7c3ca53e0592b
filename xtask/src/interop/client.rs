//! The real clients, and how each is sent through Latimer. In: a run. Out: what the client itself
//! said, held against the scenario; what Latimer recorded is looked at elsewhere.

use std::process::Command;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use latimer_scratch::PostgresServer;
use serde::Deserialize;

use super::codex::{self, Transport};
use super::process::{Process, command};
use super::scenario::{Exchange, Scenario, as_wanted};
use super::{Place, Run, Site};
use crate::tools::{
    AGENTS_NODE, AGENTS_PYTHON, AI_SDK, CODEX, CODEX_0_98, CODEX_0_130, CODEX_0_150, LANG_CHAIN,
    LITELLM, NODE_SDK, PYTHON_SDK, Tool,
};

/// How long a client may take. Codex waits for ever for a server that is gone.
pub const DEADLINE: Duration = Duration::from_secs(60);

/// A client.
#[derive(Debug)]
pub struct Client {
    pub name: &'static str,
    kind: Kind,
    /// It leaves its history to the gateway, which has a memory for backends that speak Chat.
    pub is_forgetful: bool,
    /// All it asks has to come over a WebSocket.
    pub uses_socket: bool,
}

#[derive(Debug, Clone, Copy)]
enum Kind {
    /// The Codex CLI in this version, through `latimer run` or `latimer serve`.
    Codex(&'static Tool, Transport),
    /// This file of `interop/clients` on this SDK, told how to ask, through `latimer serve`.
    Python(&'static Tool, &'static str, &'static str),
    /// The same, before LiteLLM's proxy, which asks through `latimer serve`.
    Proxied(&'static Tool, &'static str, &'static str),
    /// This file of `interop/clients` on this SDK, told how to ask, through `latimer serve`.
    Node(&'static Tool, &'static str, &'static str),
}

impl Client {
    const fn new(name: &'static str, kind: Kind) -> Client {
        Client { name, kind, is_forgetful: false, uses_socket: false }
    }

    const fn over_socket(self) -> Client {
        Client { uses_socket: true, ..self }
    }

    const fn forgetful(self) -> Client {
        Client { is_forgetful: true, ..self }
    }
}

const fn codex(name: &'static str, version: &'static Tool, transport: Transport) -> Client {
    let uses_socket = !matches!(transport, Transport::Post);
    Client { uses_socket, ..Client::new(name, Kind::Codex(version, transport)) }
}

const fn responses_python(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Python(&PYTHON_SDK, "agent.py", how))
}

const fn responses_node(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Node(&NODE_SDK, "agent.mjs", how))
}

const fn chat_python(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Python(&PYTHON_SDK, "chat.py", how))
}

const fn chat_node(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Node(&NODE_SDK, "chat.mjs", how))
}

const fn agents_python(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Python(&AGENTS_PYTHON, "openai_agents.py", how))
}

const fn agents_node(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Node(&AGENTS_NODE, "openai_agents.mjs", how))
}

const fn ai_sdk(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Node(&AI_SDK, "ai_sdk.mjs", how))
}

const fn lang_chain(name: &'static str, how: &'static str) -> Client {
    Client::new(name, Kind::Python(&LANG_CHAIN, "lang_chain.py", how))
}

/// All clients.
pub const CLIENTS: &[Client] = &[
    codex("codex", &CODEX, Transport::Post),
    codex("codex-0.150", &CODEX_0_150, Transport::Post),
    codex("codex-0.130", &CODEX_0_130, Transport::Post),
    codex("codex-0.98", &CODEX_0_98, Transport::Post),
    codex("codex-socket", &CODEX, Transport::Socket),
    codex("codex-0.130-socket", &CODEX_0_130, Transport::Socket),
    codex("codex-built-in", &CODEX, Transport::BuiltIn),
    responses_python("python-create", "create own"),
    responses_python("python-helper", "helper own"),
    responses_python("python-whole", "whole own"),
    responses_python("python-previous", "helper previous").forgetful(),
    responses_python("python-conversation", "create conversation").forgetful(),
    responses_python("python-poll", "poll previous").forgetful(),
    responses_python("python-resume", "resume own").forgetful(),
    responses_python("python-socket", "socket own").over_socket(),
    responses_python("python-socket-previous", "socket previous").forgetful().over_socket(),
    responses_node("node-create", "create own"),
    responses_node("node-helper", "helper own"),
    responses_node("node-whole", "whole own"),
    responses_node("node-previous", "create previous").forgetful(),
    responses_node("node-conversation", "whole conversation").forgetful(),
    responses_node("node-poll", "poll own").forgetful(),
    responses_node("node-resume", "resume conversation").forgetful(),
    responses_node("node-socket", "socket own").over_socket(),
    responses_node("node-socket-previous", "socket previous").forgetful().over_socket(),
    agents_python("agents-python-own", "stream own"),
    agents_python("agents-python-previous", "whole previous").forgetful(),
    agents_python("agents-python-conversation", "stream conversation").forgetful(),
    agents_node("agents-node-own", "whole own"),
    agents_node("agents-node-previous", "stream previous").forgetful(),
    agents_node("agents-node-conversation", "whole conversation").forgetful(),
    chat_python("python-chat-create", "create"),
    chat_python("python-chat-helper", "helper"),
    chat_python("python-chat-whole", "whole"),
    chat_node("node-chat-create", "create"),
    chat_node("node-chat-helper", "helper"),
    chat_node("node-chat-runner", "runner"),
    chat_node("node-chat-whole", "whole"),
    ai_sdk("ai-sdk-stream", "stream compatible"),
    ai_sdk("ai-sdk-whole", "whole compatible"),
    ai_sdk("ai-sdk-chat-stream", "stream chat"),
    ai_sdk("ai-sdk-chat-whole", "whole chat"),
    ai_sdk("ai-sdk-responses-stream", "stream responses"),
    ai_sdk("ai-sdk-responses-whole", "whole responses"),
    lang_chain("langchain-stream", "stream"),
    lang_chain("langchain-whole", "whole"),
    Client::new("litellm-stream", Kind::Python(&LITELLM, "lite_llm.py", "sdk stream")),
    Client::new("litellm-whole", Kind::Python(&LITELLM, "lite_llm.py", "sdk whole")),
    Client::new("litellm-proxy-stream", Kind::Proxied(&LITELLM, "lite_llm.py", "proxy stream")),
    Client::new("litellm-proxy-whole", Kind::Proxied(&LITELLM, "lite_llm.py", "proxy whole")),
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
            Kind::Codex(tool, _)
            | Kind::Python(tool, ..)
            | Kind::Proxied(tool, ..)
            | Kind::Node(tool, ..) => tool,
        }
    }

    /// Sends the client through Latimer to the backend at `url`.
    pub fn send(&self, site: &Site, run: &Run<'_>, place: &Place, url: &str) -> Result<()> {
        match self.kind {
            Kind::Codex(tool, transport) => {
                let program = &tool.program(&site.tools());
                codex::Session { program, transport, site, run, place, url }.send()
            }
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

    /// Sends the client to a recording of itself at `url`: Codex, and what speaks over a WebSocket,
    /// through Latimer, an SDK as it is.
    pub fn send_to_replay(
        &self,
        site: &Site,
        run: &Run<'_>,
        place: &Place,
        url: &str,
    ) -> Result<()> {
        let through_latimer = Run { dialect: "responses", ..*run };
        let agent = match self.kind {
            // A recording opens no WebSocket.
            _ if self.uses_socket => return self.send(site, &through_latimer, place, url),
            Kind::Codex(..) => return self.send(site, &through_latimer, place, url),
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
    if run.scenario.two_gateways {
        return through_two(site, run, place, url, agent);
    }
    let (gateway, base_url) = serve(site, run, place, url)?;
    ask(run, place, &base_url, agent)?;
    gateway.stop()
}

/// The same through two gateways over one PostgreSQL, which the agent asks in turn.
fn through_two(
    site: &Site,
    run: &Run<'_>,
    place: &Place,
    url: &str,
    mut agent: Command,
) -> Result<()> {
    let database = PostgresServer::start()?.context("two gateways need a PostgreSQL")?;
    let store = ["--store", &database.address()];
    let mut first = serving(site, run, place, url);
    let mut second = serving(site, run, place, url);
    first.args(store).arg("--record").arg(place.record());
    second.args(store).arg("--record").arg(place.second_record());
    let (first, base_url) = listening(&mut first, "serve", place)?;
    let (second, other_url) = listening(&mut second, "serve-second", place)?;
    agent.env("OTHER_URL", other_url);
    ask(run, place, &base_url, agent)?;
    first.stop()?;
    second.stop()
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
    let mut serve = serving(site, run, place, url);
    listening(serve.arg("--record").arg(place.record()), "serve", place)
}

fn serving(site: &Site, run: &Run<'_>, place: &Place, url: &str) -> Command {
    let mut serve = command(&site.latimer, &place.home);
    serve.args(["serve", "--listen", "127.0.0.1:0", "--upstream", url, "--dialect", run.dialect]);
    serve
}

/// A gateway that listens, and the base address for its clients.
fn listening(serve: &mut Command, name: &str, place: &Place) -> Result<(Process, String)> {
    let mut gateway = Process::start(serve, name, &place.logs)?;
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
