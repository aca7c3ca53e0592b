//! `latimer receipt`: what receipts say, whether they are as they were sealed, and those of a recording as
//! a chain. A recording is known by its lines, a chain by its `entries`, anything else is one receipt.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use anyhow::{Context, Result, bail, ensure};
use latimer_gateway::backplane::{public_key, signing_key};
use latimer_probe::formats::form::FileForm;
use latimer_probe::receipt::{Chain, RecordedLines, recorded, seal};
use latimer_probe::record::exchange;
use latimer_wire::backplane::{AgentEventKind, Receipt, Time};
use latimer_wire::json::Raw;

use crate::args::{self, ReceiptAction};
use crate::recording::{Recording, form};
use crate::terminal::print;

/// Does what is wanted with receipts.
pub fn receipt(args: args::Receipt) -> Result<ExitCode> {
    match args.action {
        ReceiptAction::Show { file } => show(&file),
        ReceiptAction::Verify { file, public_key, head } => {
            verify(&file, public_key.as_deref(), head.as_deref())
        }
        ReceiptAction::Export { file, output, signing_key } => {
            export(&file, output.as_deref(), signing_key.as_deref())
        }
    }
}

/// What a file holds.
enum Held {
    Recording(Recording),
    Chain(Chain),
}

fn held(file: &Path) -> Result<Held> {
    let recording = Recording::find(std::slice::from_ref(&file.to_owned()))?;
    if file.is_dir() || matches!(form(file)?, FileForm::Recording | FileForm::Empty) {
        return Ok(Held::Recording(recording));
    }
    let unreadable = || format!("cannot read {}", file.display());
    let text = fs::read_to_string(file).with_context(unreadable)?;
    let json = Raw::parse(&text).with_context(unreadable)?;
    Ok(Held::Chain(match json.member("entries") {
        Some(_) => Chain::parse(&text).with_context(unreadable)?,
        None => Chain::of([text]),
    }))
}

/// The receipts of a recording, sealed one after the other.
fn receipts(recording: &Recording, key: Option<&Path>) -> Result<Chain> {
    let key = key.map(signing_key).transpose()?;
    let (mut sealed, mut parent, mut failed) = (Vec::new(), None, None);
    recording.read(|_, input| {
        let mut text = Vec::new();
        input.read_to_end(&mut text)?;
        for (place, exchange) in (1..).zip(exchange::read(&text)) {
            let Some(receipt) = exchange.ok().and_then(|exchange| recorded(&exchange, place))
            else {
                continue;
            };
            match seal(&receipt.to_json(), parent.as_deref(), key.as_ref()) {
                Ok(next) => {
                    parent = latimer_probe::receipt::hash_of(&next);
                    sealed.push(next);
                }
                Err(why) => failed = Some(why),
            }
        }
        Ok(())
    })?;
    match failed {
        Some(why) => bail!("a receipt cannot be sealed: {why}"),
        None => Ok(Chain::of(sealed)),
    }
}

fn show(file: &Path) -> Result<ExitCode> {
    let chain = match held(file)? {
        Held::Recording(recording) => receipts(&recording, None)?,
        Held::Chain(chain) => chain,
    };
    let mut out = String::new();
    for text in chain.receipts() {
        let receipt = Receipt::parse(&text).map_err(|error| anyhow::anyhow!("{error}"))?;
        push_shown(&mut out, &receipt);
    }
    print(&out)?;
    Ok(ExitCode::SUCCESS)
}

/// One receipt for people.
fn push_shown(out: &mut String, receipt: &Receipt) {
    let tokens = |count: Option<u64>| count.map_or("?".to_owned(), |count| count.to_string());
    out.push_str(&format!(
        "run {}  {}\n  {}  by {}  {} ms  tokens {} in, {} out\n",
        receipt.meta.run_id,
        receipt.outcome.name(),
        receipt.meta.started_at.as_str(),
        receipt.backend.id,
        receipt.meta.duration_ms,
        tokens(receipt.usage.input_tokens),
        tokens(receipt.usage.output_tokens),
    ));
    for event in &receipt.trace {
        let said = match &event.kind {
            AgentEventKind::AssistantMessage { text } if text.is_empty() => continue,
            AgentEventKind::AssistantMessage { text } => {
                format!("says {} characters", text.chars().count())
            }
            AgentEventKind::ToolCall { tool_name, .. } => format!("calls {tool_name}"),
            AgentEventKind::Warning { message } => format!("warning: {message}"),
            AgentEventKind::Error { message, .. } => format!("error: {message}"),
            _ => continue,
        };
        out.push_str(&format!("  {said}\n"));
    }
    let hash = receipt.receipt_sha256.as_deref().unwrap_or("none");
    out.push_str(&format!("  seal {hash}\n"));
}

fn verify(file: &Path, key: Option<&Path>, head: Option<&str>) -> Result<ExitCode> {
    let key = key.map(public_key).transpose()?;
    match held(file)? {
        Held::Recording(recording) => {
            ensure!(key.is_none(), "a recording is not signed; export its receipts with a key");
            verify_lines(&recording, head)?;
            let receipts = receipts(&recording, None)?.verify(None)?.receipts;
            println!("  {receipts} receipts can be made of it");
        }
        Held::Chain(chain) => {
            let verified = chain.verify(key.as_ref())?;
            let is = verified.head.as_deref().unwrap_or("nothing");
            ensure!(
                head.is_none_or(|head| head == is),
                "the chain ends with {is} and not as was said"
            );
            println!("{} receipts, as they were sealed; the last is {is}", verified.receipts);
            if let Some(follows) = verified.follows {
                println!("  the first follows a receipt that is not here: {follows}");
            }
            if verified.loosely_linked > 0 {
                println!(
                    "  {} are linked only beside what is hashed, which proves no order",
                    verified.loosely_linked
                );
            }
            match (verified.signed, key) {
                (0, _) => println!(
                    "  none is signed: whoever could rewrite all of them could do so unseen"
                ),
                (signed, Some(_)) => println!("  {signed} are signed with this key"),
                (signed, None) => println!("  {signed} are signed; name the key with --public-key"),
            }
        }
    }
    Ok(ExitCode::SUCCESS)
}

fn verify_lines(recording: &Recording, head: Option<&str>) -> Result<()> {
    let (mut lines, mut broken) = (RecordedLines::default(), None);
    recording.read(|source, input| {
        let mut text = Vec::new();
        input.read_to_end(&mut text)?;
        for line in text.split_inclusive(|byte| *byte == b'\n') {
            if let Err(found) = lines.push(line) {
                broken.get_or_insert((source.to_owned(), found));
                break;
            }
        }
        Ok(())
    })?;
    if let Some((source, broken)) = broken {
        bail!("{source}: {broken}");
    }
    ensure!(lines.sealed > 0, "no line of this recording has a seal");
    let ends = lines.heads.iter().cloned().collect::<Vec<_>>().join(", ");
    ensure!(
        head.is_none_or(|head| lines.heads.contains(head)),
        "the recording ends with {ends} and not as was said"
    );
    println!(
        "{} lines, as they were written, in {} row{}; the last is {ends}",
        lines.lines,
        lines.rows,
        if lines.rows == 1 { "" } else { "s" },
    );
    Ok(())
}

fn export(file: &Path, output: Option<&Path>, key: Option<&Path>) -> Result<ExitCode> {
    let chain = match held(file)? {
        Held::Recording(recording) => receipts(&recording, key)?,
        Held::Chain(chain) => {
            ensure!(key.is_none(), "these receipts are sealed already");
            chain
        }
    };
    let since = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    let now = Time::of_unix_ms(u64::try_from(since.as_millis()).unwrap_or(u64::MAX));
    let text = chain.export(now.as_str());
    match output {
        Some(path) => {
            fs::write(path, text).with_context(|| format!("cannot write {}", path.display()))?
        }
        None => print(&text)?,
    }
    Ok(ExitCode::SUCCESS)
}
