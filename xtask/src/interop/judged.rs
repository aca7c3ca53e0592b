//! `latimer check` against a server that is not ours: LiteLLM's proxy, before the mock. What it finds
//! there is listed in `interop/judged/litellm.md`; a finding more or less is a failure.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use super::process::{Process, command};
use super::{Place, backend, prepare};
use crate::tools::LITELLM;

/// How long all scenarios may take: LiteLLM needs some 60 ms for a request, and more for its first.
const DEADLINE: Duration = Duration::from_secs(120);

/// Judges the server, and compares with the page, or, with `update`, writes it.
pub fn run(root: &Path, update: bool) -> Result<ExitCode> {
    let folder = root.join("interop/judged");
    let site = prepare(root)?;
    LITELLM.install(&site.tools())?;
    let place = Place::make(&site, "judged")?;
    let mock = backend::mock(&site, &folder.join("script.toml"), &place)?;
    let template = fs::read_to_string(folder.join("litellm.yaml"))?;
    let configuration = place.home.join("litellm.yaml");
    fs::write(&configuration, template.replace("MOCK", &mock.url))?;
    let proxy = backend::litellm(&site, "litellm-judged", &configuration)?;
    let mut check = command(&site.latimer, &place.home);
    check.args(["check", &proxy.url, "--model", "mock", "--format", "json"]);
    let mut check = Process::start(&mut check, "check", &place.logs)?;
    let status = check.wait(DEADLINE)?;
    ensure!(matches!(status.code(), Some(0 | 1)), "it was not checked: {}", check.stderr()?);
    let found = page(&check.stdout()?)?;
    let path = folder.join("litellm.md");
    if update {
        fs::write(&path, &found)?;
    }
    let known = fs::read_to_string(&path).unwrap_or_default();
    if known == found {
        println!("ok      what is found in LiteLLM {} is what is listed", LITELLM.version);
        return Ok(ExitCode::SUCCESS);
    }
    println!("FAILED  {} lists something else than was found:\n{found}", path.display());
    Ok(ExitCode::FAILURE)
}

/// The findings by rule, as Markdown.
fn page(report: &str) -> Result<String> {
    let report: Value = serde_json::from_str(report).context("the findings are not JSON")?;
    let mut rules: BTreeMap<(&str, &str), Vec<&str>> = BTreeMap::new();
    for answer in list(&report, "answers") {
        for finding in list(answer, "findings") {
            let answers = rules.entry((word(finding, "rule"), word(finding, "title"))).or_default();
            if !answers.contains(&word(answer, "name")) {
                answers.push(word(answer, "name"));
            }
        }
    }
    let rows = rules.iter().map(|((rule, title), answers)| {
        format!("| `{rule}` | {title} | {} |\n", answers.join("; "))
    });
    Ok(format!(
        "# What `latimer check` finds in LiteLLM {}\n\n\
         Written by `cargo xtask judge --update`: its proxy as a bridge from Responses to Chat \
         Completions (`hosted_vllm`), before Latimer's mock.\n\n\
         | rule | | answers |\n|---|---|---|\n{}",
        LITELLM.version,
        rows.collect::<String>()
    ))
}

fn list<'v>(object: &'v Value, member: &str) -> impl Iterator<Item = &'v Value> {
    object.get(member).and_then(Value::as_array).into_iter().flatten()
}

fn word<'v>(object: &'v Value, member: &str) -> &'v str {
    object.get(member).and_then(Value::as_str).unwrap_or_default()
}
