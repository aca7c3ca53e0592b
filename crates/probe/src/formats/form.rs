//! What a file is, by its beginning. In: its first bytes. Out: [`FileForm`], for choosing a reader, and for
//! saying what a file looks like that was expected to be something else.

use latimer_wire::json::Raw;

/// How many of a file's first bytes are looked at.
pub const LOOKED_AT_BYTES: usize = 64 << 10;

/// What a file is.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum FileForm {
    /// A recording: JSON lines with `request`.
    Recording,
    /// There is nothing in it.
    Empty,
    /// An HTTP archive.
    Har,
    /// A session log of Codex.
    Rollout,
    /// A request or an answer of a folder that `codex responses-api-proxy --dump-dir` wrote.
    Dump,
    /// Traces in the JSON of OTLP.
    Otlp,
    /// A report's summary.
    Summary,
    /// Server-sent events.
    Stream,
    /// Apache Parquet.
    Parquet,
    /// A flow file of mitmproxy.
    Flows,
    /// Compressed with Zstandard.
    Zstd,
    /// Compressed with gzip.
    Gzip,
    /// A capture of packets.
    Packets,
    /// A page.
    Html,
    /// JSON of some other kind.
    Json,
    /// Anything else.
    Unknown,
}

/// What binary files begin with.
const MAGIC: &[(&[u8], FileForm)] = &[
    (b"PAR1", FileForm::Parquet),
    (&[0x28, 0xb5, 0x2f, 0xfd], FileForm::Zstd),
    (&[0x1f, 0x8b], FileForm::Gzip),
    (&[0xd4, 0xc3, 0xb2, 0xa1], FileForm::Packets),
    (&[0xa1, 0xb2, 0xc3, 0xd4], FileForm::Packets),
    (&[0x0a, 0x0d, 0x0d, 0x0a], FileForm::Packets),
];

/// What texts begin with.
const TEXT_STARTS: &[(&str, FileForm)] = &[
    ("event:", FileForm::Stream),
    ("data:", FileForm::Stream),
    ("<!doctype html", FileForm::Html),
    ("<html", FileForm::Html),
];

/// The members by which a JSON text is known, all of a row, the first row that fits; they are looked for
/// in a text that may be cut off.
const MEMBERS: &[(&[&str], FileForm)] = &[
    (&["\"timestamp\"", "\"type\"", "\"payload\""], FileForm::Rollout),
    (&["\"resourceSpans\""], FileForm::Otlp),
    (&["\"sessions\"", "\"generated_unix_s\""], FileForm::Summary),
    (&["\"method\"", "\"url\"", "\"headers\"", "\"body\""], FileForm::Dump),
];

impl FileForm {
    /// What a file is that begins with `start`, of which [`LOOKED_AT_BYTES`] are enough.
    ///
    /// ```
    /// use latimer_probe::formats::form::FileForm;
    /// assert_eq!(FileForm::of(b"{\"log\": {\"version\": \"1.2\""), FileForm::Har);
    /// assert_eq!(FileForm::of(b"data: {}\n\n").words(), "a stream of server-sent events");
    /// ```
    pub fn of(start: &[u8]) -> FileForm {
        if let Some((_, form)) = MAGIC.iter().find(|(magic, _)| start.starts_with(magic)) {
            return *form;
        }
        let text = String::from_utf8_lossy(start);
        let text = text.trim_start_matches(['\u{feff}', ' ', '\n', '\r', '\t']);
        if text.is_empty() {
            return FileForm::Empty;
        }
        let lower =
            text.get(..text.floor_char_boundary(32)).unwrap_or_default().to_ascii_lowercase();
        if let Some((_, form)) = TEXT_STARTS.iter().find(|(start, _)| lower.starts_with(start)) {
            return *form;
        }
        // A line of an archive may look like a record by itself.
        if text.starts_with('{') && json(text) == FileForm::Har {
            return FileForm::Har;
        }
        if text.lines().any(is_record) {
            return FileForm::Recording;
        }
        if text.starts_with(['{', '[']) {
            return json(text);
        }
        // mitmproxy writes netstrings: a length, a colon.
        let digits = text.bytes().take_while(u8::is_ascii_digit).count();
        match text.as_bytes().get(digits) {
            Some(b':') if digits > 0 => FileForm::Flows,
            _ => FileForm::Unknown,
        }
    }

    /// What it is, in words: `an HTTP archive (HAR)`.
    pub const fn words(self) -> &'static str {
        match self {
            FileForm::Recording => "a recording",
            FileForm::Empty => "an empty file",
            FileForm::Har => "an HTTP archive (HAR)",
            FileForm::Rollout => "a session log of Codex (rollout)",
            FileForm::Dump => "a file of a dump folder of `codex responses-api-proxy`",
            FileForm::Otlp => "OpenTelemetry traces (OTLP JSON)",
            FileForm::Summary => "the summary of a report",
            FileForm::Stream => "a stream of server-sent events",
            FileForm::Parquet => "a Parquet file",
            FileForm::Flows => "a flow file of mitmproxy",
            FileForm::Zstd => "compressed with Zstandard, without the name's end `.zst`",
            FileForm::Gzip => "compressed with gzip",
            FileForm::Packets => "a capture of network packets",
            FileForm::Html => "an HTML page",
            FileForm::Json => "JSON, but no record",
            FileForm::Unknown => "no text that is known here",
        }
    }
}

/// A whole record, or the beginning of one that is longer than what is looked at.
fn is_record(line: &str) -> bool {
    let line = line.trim();
    match Raw::parse(line) {
        Ok(record) => record.member("request").is_some_and(Raw::is_object),
        Err(malformed) if malformed.at >= line.len() => {
            let head = line.get(..line.floor_char_boundary(256)).unwrap_or_default();
            head.starts_with('{') && head.contains("\"request\"") && head.contains("\"method\"")
        }
        Err(_) => false,
    }
}

fn json(text: &str) -> FileForm {
    let head = text.get(..text.floor_char_boundary(4096)).unwrap_or_default();
    let inner = head.get(1..).unwrap_or_default().trim_start();
    if inner.starts_with("\"log\"") {
        return FileForm::Har;
    }
    let has = |members: &&[&str]| members.iter().all(|member| head.contains(member));
    MEMBERS.iter().find(|(members, _)| has(members)).map_or(FileForm::Json, |(_, form)| *form)
}

#[cfg(test)]
mod tests {
    use super::FileForm;

    #[test]
    fn files_are_known_by_their_beginning() {
        let long = format!(
            "{{\"timestamp\": 1, \"request\": {{\"method\": \"POST\", \"body\": \"{}",
            "x".repeat(9999)
        );
        let cases: &[(&[u8], FileForm)] = &[
            (b"", FileForm::Empty),
            (b" \n", FileForm::Empty),
            (b"{\"request\": {\"method\": \"GET\"}}\n", FileForm::Recording),
            (b"torn\n{\"request\": {\"method\": \"GET\"}}\n", FileForm::Recording),
            (long.as_bytes(), FileForm::Recording),
            (b"{\n  \"log\": {}}", FileForm::Har),
            (
                b"{\"timestamp\":\"2026\",\"type\":\"session_meta\",\"payload\":{}}\n",
                FileForm::Rollout,
            ),
            (b"{\"method\":\"POST\",\"url\":\"/\",\"headers\":[],\"body\":{}}", FileForm::Dump),
            (b"{\"resourceSpans\":[]}", FileForm::Otlp),
            (b"event: x\ndata: y\n\n", FileForm::Stream),
            (b"<!DOCTYPE html>", FileForm::Html),
            (b"PAR1\x15\x04", FileForm::Parquet),
            (b"\x28\xb5\x2f\xfd\x00", FileForm::Zstd),
            (b"\x1f\x8b\x08", FileForm::Gzip),
            (b"5043:9:websocket", FileForm::Flows),
            (b"{\"a\": 1}", FileForm::Json),
            (b"Hello", FileForm::Unknown),
        ];
        for (start, form) in cases {
            assert_eq!(FileForm::of(start), *form, "{}", String::from_utf8_lossy(start));
        }
    }
}
