//! The page of a report in a real browser: Chromium without a window. It says so where there is none;
//! `LATIMER_CHROMIUM` names one that is not on the PATH. Pictures are left in `target/tmp/report`, light
//! and dark, wide and as on a phone, to be looked at.
#![allow(clippy::expect_used, clippy::indexing_slicing)]

use std::fs;
use std::path::{Path, PathBuf};

use base64::Engine;
use base64::engine::general_purpose::STANDARD;
use devtools::{Tab, browser};
use latimer_probe::html;
use latimer_probe::summary::{self, SummaryOptions};
use serde_json::{Value, json};

mod devtools;

/// What tests ask a page.
const QUESTIONS: &str = include_str!("devtools/page.js");

/// How a page is shown: the picture's name, the width of the window, and what the reader prefers.
const VIEWS: &[(&str, u32, &str)] = &[
    ("light", 1200, "light"),
    ("dark", 1200, "dark"),
    ("phone", 390, "light"),
    ("phone-dark", 390, "dark"),
];

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

/// Shows a page, which can then be asked [`QUESTIONS`].
fn open(browser: &Path, page: &Path) -> Tab {
    let mut tab = Tab::open(browser, page);
    tab.value(QUESTIONS);
    tab
}

/// What the browser made of the page.
fn dom(tab: &mut Tab) -> String {
    let dom = tab.value("document.documentElement.outerHTML");
    dom.as_str().unwrap_or_default().to_owned()
}

const AGENT: &[u8] = include_bytes!("../fixtures/summary/agent.jsonl");

#[test]
fn a_browser_shows_the_page_as_it_is_written() {
    let Some(browser) = browser() else { return };
    let path = page("agent", AGENT);
    let mut tab = open(&browser, &path);
    let (written, dom) = (fs::read_to_string(&path).expect("the page"), dom(&mut tab));
    // A browser that had to mend something would have other elements than were written.
    for element in ["<details", "<summary", "<table", "<tr", "<rect", "<pre", "<bdi", "<a "] {
        assert_eq!(dom.matches(element).count(), written.matches(element).count(), "{element}");
    }
    assert!(dom.contains("<summary") && !dom.contains("<script"));
    assert_eq!(tab.requests, [format!("file://{}", path.display())], "nothing else is fetched");
}

#[test]
fn the_page_can_be_read_light_and_dark_and_on_a_phone() {
    let Some(browser) = browser() else { return };
    let path = page("views", AGENT);
    let mut tab = open(&browser, &path);
    for (folds, is_open) in [("folded", false), ("open", true)] {
        let all =
            format!("document.querySelectorAll('.exchange').forEach(e => e.open = {is_open})");
        tab.value(&all);
        for (name, width, scheme) in VIEWS {
            tab.show(*width, scheme);
            assert_eq!(tab.value("[faint(), small()]"), json!([[], []]), "{name}, {folds}");
            let width_seen = tab.value("document.documentElement.scrollWidth");
            assert_eq!(width_seen, *width, "{name}, {folds}: nothing is wider than the window");
            let picture = STANDARD.decode(tab.picture()).expect("base64");
            fs::write(path.with_file_name(format!("{name}-{folds}.png")), picture).expect("a file");
        }
    }
}

#[test]
fn all_that_folds_or_leads_somewhere_is_reached_with_the_keyboard() {
    let Some(browser) = browser() else { return };
    let mut tab = open(&browser, &page("keyboard", AGENT));
    let stops = tab.value("stops().length").as_u64().expect("a number");
    assert!(stops > 20);
    let is_open = "document.activeElement.parentElement.open";
    for number in 0..stops {
        tab.press("Tab", false);
        assert_eq!(tab.value("stop()"), json!([number, true]), "each in its place, and seen");
        if tab.value("document.activeElement.tagName") == "SUMMARY" {
            let before = tab.value(is_open);
            for (key, expected) in [("Enter", json!(before != true)), (" ", before)] {
                tab.press(key, false);
                assert_eq!(tab.value(is_open), expected, "stop {number}: {key}");
            }
        }
    }
    tab.press("Tab", true);
    assert_eq!(tab.value("stop()"), json!([stops - 2, true]), "and back");

    let told = tab.call("Accessibility.getFullAXTree", json!({}));
    let told = told["nodes"].as_array().expect("what a screen reader is told").iter();
    let is_stop = |node: &Value| {
        ["link", "DisclosureTriangle"].map(Value::from).contains(&node["role"]["value"])
    };
    let is_named =
        |node: &Value| node["name"]["value"].as_str().is_some_and(|name| !name.is_empty());
    assert_eq!(told.filter(|node| is_stop(node) && is_named(node)).count() as u64, stops);
}

#[test]
fn links_lead_to_exchanges_wherever_they_are_folded() {
    let Some(browser) = browser() else { return };
    let mut tab = open(&browser, &page("links", AGENT));
    let links = tab.value("[...document.querySelectorAll('header a')].map(a => a.hash)");
    let links: Vec<Value> = links.as_array().cloned().unwrap_or_default();
    assert_eq!(links.first(), Some(&json!("#sessions")), "the first leads past the tables");
    assert!(links.len() > 2, "{links:?}");
    for (link, number) in links.iter().zip(0..) {
        tab.value("document.querySelectorAll('details').forEach(fold => fold.open = false)");
        tab.value(&format!("document.querySelectorAll('header a')[{number}].focus()"));
        tab.press("Enter", false);
        let target = tab.value("'#' + document.querySelector(':target').id");
        assert_eq!(target, *link);
        assert_eq!(
            tab.value("document.querySelector(':target').checkVisibility()"),
            true,
            "{link}"
        );
        tab.press("Tab", false);
        let goes_on = "document.querySelector(':target').contains(document.activeElement)";
        assert_eq!(tab.value(goes_on), true, "{link}: the keyboard goes on from there");
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
    let mut tab = open(&browser, &path);
    assert_eq!(tab.requests, [format!("file://{}", path.display())], "nothing else is fetched");
    let dom = dom(&mut tab);
    assert!(dom.contains("<title>Latimer: what was asked and said</title>"), "a script ran");
    for element in ["<script", "<img", "<svg onload", "<a href=\"javascript"] {
        assert!(!dom.contains(element), "{element}");
    }
    assert_eq!(dom.matches("<style").count(), 1);
    assert_eq!(dom.matches("<details").count(), dom.matches("</details>").count());
}
