//! The page of a report in a real browser: Chromium without a window. It says so where there is none;
//! `LATIMER_CHROMIUM` names one that is not on the PATH. Pictures are left in `target/tmp/report`, light
//! and dark, wide and as on a phone, to be looked at.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};
use std::process::Command;

use latimer_probe::html;
use latimer_probe::summary::{self, SummaryOptions};

/// Names under which Chromium is installed.
const BROWSERS: &[&str] = &["chromium", "chromium-browser", "google-chrome"];

/// How a page is shown: the picture's name, the window's size, and what the reader prefers.
const VIEWS: &[(&str, &str, &str)] = &[
    ("light", "1200,2000", "preferredColorScheme=1"),
    ("dark", "1200,2000", "preferredColorScheme=0"),
    ("phone", "390,2000", "preferredColorScheme=1"),
];

fn browser() -> Option<PathBuf> {
    let named = std::env::var_os("LATIMER_CHROMIUM").map(PathBuf::from);
    let path = std::env::var_os("PATH").unwrap_or_default();
    let folders: Vec<PathBuf> = std::env::split_paths(&path).collect();
    let found = || {
        let programs = BROWSERS.iter().flat_map(|name| folders.iter().map(move |f| f.join(name)));
        programs.into_iter().find(|program| program.is_file())
    };
    let browser = named.or_else(found);
    if browser.is_none() {
        println!("skipped: there is no Chromium on the PATH, and LATIMER_CHROMIUM names none");
    }
    browser
}

/// A page in a folder of its own.
fn page(name: &str, recording: &[u8]) -> PathBuf {
    let summary = summary::of(name, recording, SummaryOptions::default()).expect("a summary");
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join("report").join(name);
    fs::create_dir_all(&folder).expect("a folder");
    let path = folder.join("report.html");
    let mut out = Vec::new();
    html::write(&summary, &mut out).expect("a page");
    fs::write(&path, out).expect("the page is written");
    path
}

fn run(browser: &Path, page: &Path, arguments: &[&str]) -> String {
    let profile = page.with_file_name("profile");
    let output = Command::new(browser)
        .args(["--headless=new", "--no-sandbox", "--disable-gpu", "--hide-scrollbars"])
        .arg(format!("--user-data-dir={}", profile.display()))
        .args(arguments)
        .arg(format!("file://{}", page.display()))
        .output()
        .expect("the browser starts");
    let said = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{said}");
    String::from_utf8_lossy(&output.stdout).into_owned()
}

/// What the browser made of the page.
fn dom(browser: &Path, page: &Path) -> String {
    run(browser, page, &["--dump-dom"])
}

const AGENT: &[u8] = include_bytes!("../fixtures/summary/agent.jsonl");

#[test]
fn a_browser_shows_the_page_as_it_is_written() {
    let Some(browser) = browser() else { return };
    let path = page("agent", AGENT);
    let (written, dom) = (fs::read_to_string(&path).expect("the page"), dom(&browser, &path));
    // A browser that had to mend something would have other elements than were written.
    for element in ["<details", "<summary", "<table", "<tr", "<rect", "<pre", "<bdi", "<a "] {
        assert_eq!(dom.matches(element).count(), written.matches(element).count(), "{element}");
    }
    assert!(dom.contains("<summary") && !dom.contains("<script"));
    for (name, size, scheme) in VIEWS {
        let picture = path.with_file_name(format!("{name}.png"));
        let _ = fs::remove_file(&picture);
        let size = format!("--window-size={size}");
        let scheme = format!("--blink-settings={scheme}");
        run(&browser, &path, &[&size, &scheme, &format!("--screenshot={}", picture.display())]);
        assert!(fs::metadata(&picture).is_ok_and(|file| file.len() > 10_000), "{name}");
    }
}

#[test]
fn no_text_of_a_recording_runs_or_breaks_out() {
    let Some(browser) = browser() else { return };
    let hostile = serde_json::Value::from(concat!(
        "</bdi></pre></details></table></svg><script>document.title='owned'</script>",
        "<img src=x onerror=\"document.title='owned'\"><svg onload=\"document.title='owned'\">",
        "<style>*{display:none}</style><a href=\"javascript:document.title='owned'\">x</a>",
        "\u{202e}desrever\0\u{1b}[31m"
    ));
    let recording = format!(
        r#"{{"timestamp":1,"request":{{"method":{hostile},"url":{hostile},"headers":{{}},"body":{{"model":{hostile},"prompt_cache_key":{hostile},"instructions":{hostile},"input":[{{"role":{hostile},"type":{hostile},"content":{hostile}}}],"tools":[{{"name":{hostile}}}]}}}},"response":{{"status_code":500,"headers":{{}},"body":{{"error":{{"code":{hostile},"message":{hostile}}}}}}},"latimer":{{"request_kind":{hostile},"turn":{hostile},"notes":[{{"code":{hostile},"detail":{hostile}}}]}}}}"#
    );
    let path = page("hostile", recording.as_bytes());
    let dom = dom(&browser, &path);
    assert!(dom.contains("<title>Latimer: what was asked and said</title>"), "a script ran");
    for element in ["<script", "<img", "<svg onload", "<a href=\"javascript"] {
        assert!(!dom.contains(element), "{element}");
    }
    assert_eq!(dom.matches("<style").count(), 1);
    assert_eq!(dom.matches("<details").count(), dom.matches("</details>").count());
}
