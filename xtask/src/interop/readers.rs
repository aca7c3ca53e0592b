//! What Latimer writes, read by the programs that its forms are for: Parquet and CSV by DuckDB, traces by
//! OpenTelemetry's own messages, an HTTP archive by haralyzer. And what another program wrote, read by
//! Latimer: mitmproxy stands behind `latimer capture` and saves its flows of the same exchanges.

use std::fs;
use std::path::Path;
use std::process::ExitCode;
use std::time::Duration;

use anyhow::{Context, Result};

use super::process::{Process, command, until};
use super::{Place, Site, backend, prepare};
use crate::tools::{MITMPROXY, READERS};

/// How long one step may take: interpreters read their libraries from a cold disk.
const DEADLINE: Duration = Duration::from_secs(60);

/// What is made of the recording, by which verb: the arguments behind it and before the file.
const FORMS: &[(&str, &[&str], &str)] = &[
    ("report", &[], "exchanges.parquet"),
    ("report", &[], "exchanges.csv"),
    ("report", &["--format", "otlp"], "traces.json"),
    ("convert", &[], "session.har"),
];

/// Records what a script says, writes it in every form, and has each read.
pub fn run(root: &Path) -> Result<ExitCode> {
    let folder = root.join("interop/readers");
    let site = prepare(root)?;
    READERS.install(&site.tools())?;
    MITMPROXY.install(&site.tools())?;
    let place = Place::make(&site, "readers")?;
    record(&site, &folder, &place)?;
    let recording = place.record().join("traffic.jsonl");
    for (verb, options, file) in FORMS {
        let mut write = command(&site.latimer, &place.home);
        write.arg(verb).arg(&recording).args(*options).arg("-o").arg(place.record().join(file));
        Process::start(&mut write, verb, &place.logs)?.succeed(DEADLINE)?;
    }
    let mut read = command(&READERS.program(&site.tools()), &place.home);
    read.arg(folder.join("read.py")).arg(place.record());
    let said = Process::start(&mut read, "read", &place.logs)?.succeed(DEADLINE)?;
    print!("{said}");
    fs::remove_dir_all(site.scratch())?;
    Ok(ExitCode::SUCCESS)
}

/// The recording, and beside it what mitmproxy saw of the same, as `flows.jsonl`.
fn record(site: &Site, folder: &Path, place: &Place) -> Result<()> {
    let mock = backend::mock(site, &folder.join("script.toml"), place)?;
    let flows = place.home.join("flows");
    let server = mock.url.trim_end_matches("/v1");
    let mut dump = command(&MITMPROXY.program(&site.tools()), &place.home);
    dump.env("PYTHONUNBUFFERED", "1").args([
        "--listen-host",
        "127.0.0.1",
        "--listen-port",
        "0",
        "--mode",
    ]);
    dump.arg(format!("reverse:{server}")).arg("--save-stream-file").arg(&flows);
    let mut dump = Process::start(&mut dump, "mitmdump", &place.logs)?;
    let address = until(DEADLINE, || {
        dump.must_run()?;
        let said = dump.stdout()?;
        let address = said.split("listening at ").nth(1).and_then(|rest| rest.split_once(".\n"));
        Ok(address.map(|(address, _)| address.to_owned()))
    })?;
    let address = address.context("mitmdump did not say where it listens")?;

    let mut capture = command(&site.latimer, &place.home);
    capture.args(["capture", "generic", "--port", "model=0", "--upstream"]);
    capture.arg(format!("model=http://{address}/")).arg("--record").arg(place.record()).arg("--");
    capture.arg(READERS.program(&site.tools())).arg(folder.join("ask.py"));
    Process::start(&mut capture, "capture", &place.logs)?.succeed(DEADLINE)?;
    dump.stop()?;
    mock.stop()?;

    let mut convert = command(&site.latimer, &place.home);
    let path = std::env::var("PATH").unwrap_or_default();
    let with = MITMPROXY.program(&site.tools());
    let with = with.parent().unwrap_or(Path::new("")).display();
    convert.env("PATH", format!("{with}:{path}")).arg("convert").arg(&flows).arg("-o");
    convert.arg(place.record().join("flows.jsonl"));
    Process::start(&mut convert, "convert-flows", &place.logs)?.succeed(DEADLINE).map(drop)
}
