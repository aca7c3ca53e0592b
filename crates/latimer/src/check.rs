//! `latimer check`: answers in, findings out. What is judged, and how, is in `latimer_wire::check`.

use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result, bail};
use latimer_gateway::capture::FILE_NAME;
use latimer_gateway::config::Timeouts;
use latimer_gateway::examine::{Examined, examine};
use latimer_gateway::{Config, UpstreamConfig};
use latimer_probe::check;
use latimer_wire::check::{Api, Rule};
use latimer_wire::responses::Flavour;

use crate::args;
use crate::findings::{Judged, write};
use crate::serve;
use crate::terminal::{complain, print};

/// The exit codes that say what came of it.
const FOUND: u8 = 1;
const NOT_CHECKED: u8 = 2;
/// How long the next piece of a server's answer may take.
const IDLE_MS: u64 = 120_000;

/// Judges what was named, or explains rules.
pub fn check(args: args::Check) -> Result<ExitCode> {
    let code = judged(args).unwrap_or_else(|error| {
        complain(&error);
        ExitCode::from(NOT_CHECKED)
    });
    Ok(code)
}

fn judged(args: args::Check) -> Result<ExitCode> {
    if let Some(rule) = args.explain {
        return explain(rule.as_deref());
    }
    let target = args.target.clone().unwrap_or_default();
    let (judged, unjudged) = match target.starts_with("http://") || target.starts_with("https://") {
        true => (server(&target, &args)?, Vec::new()),
        false => file(Path::new(&target), args.flavour.into())?,
    };
    print(&write(&judged, args.format, &target))?;
    for reason in &unjudged {
        eprintln!("latimer: {target}: {reason}");
    }
    if judged.is_empty() {
        bail!(
            "{target}: there is no answer to judge; it needs a recording with answers of \
             /v1/responses or /v1/chat/completions, a stream, or a whole answer"
        );
    }
    let found = judged.iter().any(|judged| !judged.findings.is_empty());
    Ok(match (found, unjudged.is_empty()) {
        (true, _) => ExitCode::from(FOUND),
        (false, true) => ExitCode::SUCCESS,
        (false, false) => ExitCode::from(NOT_CHECKED),
    })
}

fn file(path: &Path, flavour: Flavour) -> Result<(Vec<Judged>, Vec<String>)> {
    let path = if path.is_dir() { path.join(FILE_NAME) } else { path.to_owned() };
    let bytes = std::fs::read(&path).with_context(|| format!("cannot read {}", path.display()))?;
    if bytes.trim_ascii().is_empty() {
        return Ok((Vec::new(), Vec::new()));
    }
    let (verdicts, unjudged) = check::file(&bytes, flavour);
    let judged = verdicts.into_iter().map(|verdict| {
        let line = verdict.line.map(|line| format!(":{line} ")).unwrap_or_default();
        let name = format!("{}{line}{}", path.display(), verdict.asked);
        Judged { name, findings: verdict.findings, skipped: None }
    });
    Ok((judged.collect(), unjudged))
}

fn server(url: &str, args: &args::Check) -> Result<Vec<Judged>> {
    let upstream = UpstreamConfig {
        url: Some(url.to_owned()),
        api_key_env: args.api_key_env.clone(),
        model: args.model.clone(),
        ..UpstreamConfig::default()
    };
    let flavour = args.flavour.into();
    let timeouts = Timeouts { idle_ms: IDLE_MS, ..Timeouts::default() };
    let config = Config { upstream: Some(upstream), flavour, timeouts, ..Config::default() };
    let settings = config.resolve(|name| std::env::var(name).ok())?;
    let api = match args.dialect {
        None => None,
        Some(args::DialectName::Chat) => Some(Api::Chat),
        Some(args::DialectName::Responses) => Some(Api::Responses),
        Some(args::DialectName::Backplane) => {
            bail!("only servers of the dialects `chat` and `responses` can be judged");
        }
    };
    let examined = serve::runtime()?.block_on(examine(settings, api))?;
    let judged = examined.into_iter().map(|Examined { name, findings, skipped }| Judged {
        name,
        findings,
        skipped,
    });
    Ok(judged.collect())
}

fn explain(rule: Option<&str>) -> Result<ExitCode> {
    let text = match rule {
        Some(id) => match Rule::named(id) {
            Some(rule) => rule.explain(),
            None => bail!("there is no rule `{id}`; `latimer check --explain` lists all"),
        },
        None => {
            Rule::ALL.iter().map(|rule| format!("{:22}{}\n", rule.id(), rule.title())).collect()
        }
    };
    print(&text)?;
    Ok(ExitCode::SUCCESS)
}
