//! What `report` takes: recordings, which of their exchanges, and in which form.

use std::path::PathBuf;

use clap::ValueEnum;
use latimer_probe::summary::Answered;

const EXAMPLES: &str = "\
Examples:
  latimer report latimer/traffic.jsonl
      sessions and turns, and then what was said, in full, as Markdown
  latimer report latimer -o report.html
      sessions and turns as a page: what each added to the prompt, where the prompt cache broke and
      what that cost, errors first, a timeline; all segments of the folder
  latimer report latimer --format json --session 0199 --since '2026-11-20 14:00'
      the same as data; `latimer report --schema` describes it
  latimer report latimer --format csv --status error > errors.csv
      a row for each exchange that failed
  latimer report latimer -o exchanges.parquet
      the same table for DuckDB and its likes
  latimer report latimer --format otlp | \\
      curl http://127.0.0.1:4318/v1/traces -H 'content-type: application/json' --data-binary @-
      traces for OpenTelemetry
  latimer report --diff before.jsonl after.jsonl -o diff.html
      two sessions side by side: sums, and the turns in which they differ
  latimer report --diff 0199aa 0199bb latimer
      the same of two sessions in one folder, by the beginnings of their ids; as data with
      `--format json`, which `latimer report --schema=diff` describes
  latimer report latimer --follow
      turns as they are recorded, until Ctrl-C

Prices are those that come with Latimer, each with its source and date; a file given with --prices
goes before them:
  [[price]]
  model = \"qwen3\"
  input = 0.10          # USD per million tokens
  cached = 0.02
  output = 0.40
  source = \"our own machine\"
  date = \"2026-11-20\"";

/// A report.
#[derive(Debug, clap::Args)]
#[command(after_help = EXAMPLES)]
pub struct Report {
    /// The recordings: files (`traffic.jsonl`, `*.jsonl.zst`), or folders of them.
    #[arg(value_name = "FILE", required_unless_present_any = ["schema", "diff"])]
    pub files: Vec<PathBuf>,
    /// Where to write it; without this it is printed.
    #[arg(short, long, value_name = "FILE")]
    pub output: Option<PathBuf>,
    /// Its form [default: by the end of the output's name, else markdown].
    #[arg(long)]
    pub format: Option<ReportFormat>,
    /// How Markdown is laid out.
    #[arg(long, default_value = "default")]
    pub layout: Layout,
    /// Only this session: its id, or the beginning of it.
    #[arg(long, value_name = "ID")]
    pub session: Option<String>,
    /// Only requests that began then or later: `2026-11-20`, `2026-11-20 14:05` (UTC).
    #[arg(long, value_name = "TIME")]
    pub since: Option<String>,
    /// Only requests for this model.
    #[arg(long, value_name = "NAME")]
    pub model: Option<String>,
    /// Only those answered so: 429, 5xx, error, completed, incomplete, failed, broken-off, cancelled.
    #[arg(long, value_name = "STATUS")]
    pub status: Option<Answered>,
    /// What models cost: a TOML file, as below.
    #[arg(long, value_name = "FILE")]
    pub prices: Option<PathBuf>,
    /// Two sessions side by side, as Markdown, HTML or JSON: each a recording with one session, or the id
    /// of a session in FILE.
    #[arg(long, num_args = 2, value_names = ["FILE|ID", "FILE|ID"], conflicts_with_all = ["follow", "session"])]
    pub diff: Vec<String>,
    /// Show turns as they are recorded.
    #[arg(long, conflicts_with_all = ["output", "format"])]
    pub follow: bool,
    /// Print the JSON schema of what `--format json` writes, and do nothing else.
    #[arg(
        long,
        value_name = "OF",
        num_args = 0..=1,
        require_equals = true,
        default_missing_value = "summary"
    )]
    pub schema: Option<Schema>,
}

/// What `--format json` writes.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Schema {
    /// A report; also where nothing is named.
    Summary,
    /// Two sessions side by side (`--diff`).
    Diff,
}

/// Forms of the report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum ReportFormat {
    /// Everything that was said, in full.
    Markdown,
    /// One page: sessions, turns, caches, errors, times.
    Html,
    /// The same as data.
    Json,
    /// A row for each exchange.
    Csv,
    /// The same rows for DuckDB, ClickHouse, Spark.
    #[cfg(feature = "parquet")]
    Parquet,
    /// Traces for OpenTelemetry, as the body of a request of OTLP/HTTP.
    Otlp,
}

/// Layouts of the report.
#[derive(Debug, Clone, Copy, ValueEnum)]
pub enum Layout {
    /// Fences are long enough for what they hold.
    Default,
    /// Exactly as the first such report was laid out: no sessions, and fences of three, whatever they
    /// hold.
    Seed,
}
