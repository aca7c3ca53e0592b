//! The judge: a broken answer for each rule, which breaks that rule and no other; good answers that
//! break none; and the catalogue of rules, which is written from the code.
#![allow(clippy::unwrap_used, clippy::panic, clippy::print_stderr, reason = "a test may panic")]

mod common;

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

use common::{expect, recordings, streams};
use latimer_wire::check::{Exhibit, Finding, Rule, compare, judge};
use latimer_wire::json::Raw;
use latimer_wire::responses::Flavour;

fn fixtures(folder: &str) -> Vec<PathBuf> {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures").join(folder);
    let mut files: Vec<_> =
        fs::read_dir(folder).unwrap().map(|file| file.unwrap().path()).collect();
    files.sort();
    files
}

fn name(path: &Path) -> &str {
    path.file_name().unwrap().to_str().unwrap()
}

/// The flavour of a fixture, where its variant is one.
fn flavour(path: &Path) -> Flavour {
    let variant = name(path).split('.').nth(1).unwrap();
    let row = Flavour::NAMES.iter().find(|(name, _)| *name == variant);
    row.map(|(_, flavour)| *flavour).unwrap_or_default()
}

/// The findings of a fixture: `RULE[.VARIANT].sse` or `.json`, the variant being the status where it is
/// a number, or the flavour, with what was asked in `RULE[.VARIANT].request.json`.
fn found(path: &Path) -> Vec<Finding> {
    let body = fs::read(path).unwrap();
    let request = fs::read_to_string(path.with_extension("request.json")).ok();
    let variant = name(path).split('.').nth(1).unwrap();
    judge(&Exhibit {
        api: None,
        flavour: flavour(path),
        request: request.as_deref().map(|text| Raw::parse(text).unwrap()),
        status: variant.parse().ok(),
        body: &body,
    })
}

/// Rules that no single answer can break; the test below and the gateway's tests break them.
const BY_SERVERS: [Rule; 4] =
    [Rule::MessageNotText, Rule::WholeUnlikeStream, Rule::NotAnswered, Rule::RefusalMissing];

#[test]
fn each_rule_has_an_answer_that_breaks_it_and_only_it() {
    let (mut broken, mut wrong) = (BTreeSet::new(), Vec::new());
    for path in fixtures("check").iter().filter(|path| !name(path).contains(".request.")) {
        let rule = name(path).split('.').next().unwrap();
        let findings = found(path);
        let rules: BTreeSet<_> = findings.iter().map(|finding| finding.rule.id()).collect();
        let expected = BTreeSet::from_iter((rule != "good").then_some(rule));
        if rules != expected {
            wrong.push(format!("{}: {findings:#?}", name(path)));
        }
        broken.extend(findings.iter().map(|finding| finding.rule));
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
    broken.extend(BY_SERVERS);
    let all: Vec<_> = broken.into_iter().collect();
    assert_eq!(all, Rule::ALL, "a rule without a fixture");
}

#[test]
fn a_good_stream_that_is_cut_anywhere_is_found_out() {
    let good = |path: &PathBuf| name(path).starts_with("good") && name(path).ends_with(".sse");
    for path in fixtures("check").into_iter().filter(good) {
        let body = fs::read(&path).unwrap();
        for end in (0..body.trim_ascii_end().len()).step_by(7) {
            let cut = body.iter().copied().take(end).collect::<Vec<_>>();
            let flavour = flavour(&path);
            let findings = judge(&Exhibit { flavour, body: &cut, ..Exhibit::default() });
            assert!(!findings.is_empty(), "{} cut at {end}", name(&path));
        }
    }
}

#[test]
fn streamed_and_whole_are_compared() {
    let [stream, whole] = ["good.sse", "good.whole.json"]
        .map(|name| Path::new(env!("CARGO_MANIFEST_DIR")).join("fixtures/check").join(name))
        .map(|path| fs::read_to_string(path).unwrap());
    assert_eq!(compare(stream.as_bytes(), whole.as_bytes()), vec![]);
    let findings = compare(stream.as_bytes(), whole.replace("\"role\"", "\"rolle\"").as_bytes());
    let details: Vec<_> = findings.iter().map(|finding| finding.detail.as_str()).collect();
    assert_eq!(
        details,
        [
            "`message.role` is only in the answer that is streamed",
            "`message.rolle` is only in the answer that is whole",
        ]
    );
}

/// Findings in answers that are not broken on purpose: where, the rule, why it is so.
type Known = (&'static str, &'static str, &'static str);

/// In streams recorded from real services.
const RECORDED: &[Known] = &[
    ("lmstudio-tool-call.1.jsonl", "no-deltas", AT_ONCE),
    ("lmstudio-tool-call.2.jsonl", "no-deltas", AT_ONCE),
    ("openai-custom-tool.1.jsonl", "sequence-missing", BY_HAND),
    ("openai-custom-tool.1.jsonl", "text-not-done", BY_HAND),
    ("openai-phase.1.jsonl", "response-member", BY_HAND),
    ("openai-phase.1.jsonl", "event-member", BY_HAND),
    ("openai-phase.1.jsonl", "sequence-order", BY_HAND),
    ("openai-phase.1.jsonl", "deltas-differ", BY_HAND),
    ("openai-phase.1.jsonl", "output-index-order", BY_HAND),
    ("parallel-tool-call-wrapper.1.jsonl", "sequence-missing", BY_HAND),
    ("parallel-tool-call-wrapper.1.jsonl", "output-missing", BY_HAND),
    ("xai-text-streaming.1.jsonl", "event-member", NO_LOGPROBS),
    ("xai-text-with-reasoning-streaming-store-false.1.jsonl", "event-member", NO_LOGPROBS),
    ("xai-text-with-reasoning-streaming.1.jsonl", "event-member", NO_LOGPROBS),
    ("xai-web-search-tool.1.jsonl", "event-member", NO_LOGPROBS),
    ("azure-model-router.1.jsonl", "chunk-id-changed", FILTER_FIRST),
    ("mistral-tool-call.jsonl", "call-fragment", "Mistral tells whole calls, without an index"),
];
const AT_ONCE: &str = "LM Studio sends the arguments of some calls at once";
const BY_HAND: &str = "edited by hand";
const NO_LOGPROBS: &str = "xAI leaves `logprobs` out of `output_text.done`";
const FILTER_FIRST: &str = "Azure's first chunk has no id: it holds the filter's results";

/// In what we make of backends that say too little, or nonsense: it is not ours to invent.
const MADE: &[Known] = &[
    ("aisix_111_characters_cut", "broken-character", BACKEND),
    ("aisix_111_characters_cut", "usage-missing", BACKEND),
    ("bifrost_5010_comments_and_pings", "usage-missing", BACKEND),
    ("call_id_comes_late", "usage-missing", BACKEND),
    ("calls_reuse_an_index", "usage-missing", BACKEND),
    ("cliproxyapi_4861_think_tags_escaped", "usage-missing", BACKEND),
    ("cliproxyapi_4861_think_tags_left", "think-tags", "it was told to leave them"),
    ("cliproxyapi_5753_patch_in_other_shapes", "broken-character", BACKEND),
    ("done_without_finish", "usage-missing", BACKEND),
    ("history", "usage-missing", BACKEND),
    ("llm_gateway_2072_data_after_done", "usage-missing", BACKEND),
    ("mistral_call_ids", "usage-missing", BACKEND),
    ("whole_message_in_a_frame", "arguments-not-json", BACKEND),
    ("tagged_custom", "think-tags", "it was told to write them"),
];
const BACKEND: &str = "the backend said so, or said nothing";

/// The rules each answer breaks are those of the table, no more and no fewer.
fn assert_known(answers: impl IntoIterator<Item = (String, Vec<u8>)>, known: &[Known]) {
    let mut found = BTreeSet::new();
    for (name, body) in answers {
        for finding in judge(&Exhibit { body: &body, ..Exhibit::default() }) {
            eprintln!("{name}: {} {}", finding.rule, finding.detail);
            found.insert((name.clone(), finding.rule.id()));
        }
    }
    let known = known.iter().map(|(name, rule, _)| ((*name).to_owned(), *rule));
    assert_eq!(found, known.collect());
}

#[test]
fn recorded_streams_break_what_is_known() {
    let responses = recordings("responses").into_iter().flat_map(|(name, text)| {
        let streams = streams(&name, &text).into_iter();
        streams
            .map(move |stream| (name.clone(), stream.join("\n").into_bytes()))
            .collect::<Vec<_>>()
    });
    let chat = recordings("chat").into_iter().map(|(name, text)| (name, text.into_bytes()));
    let answers: Vec<_> = responses.chain(chat).collect();
    if !answers.is_empty() {
        assert_known(answers, RECORDED);
    }
}

#[test]
fn what_latimer_makes_breaks_nothing_of_its_own() {
    let answers = [("chat", ".events.jsonl"), ("client", ".chunks.sse")];
    let answers = answers.into_iter().flat_map(|(folder, end)| {
        let files = fixtures(folder).into_iter();
        let made = files.filter_map(move |path| {
            Some((name(&path).strip_suffix(end)?.to_owned(), fs::read(&path).unwrap()))
        });
        made.collect::<Vec<_>>()
    });
    assert_known(answers, MADE);
}

#[test]
fn the_catalogue_of_rules_is_true() {
    let mut page = String::from(
        "# What `latimer check` looks for\n\n\
         Written by `tests/check.rs` from the table in `src/check/rules.rs`. **breaks**: a client in \
         use fails or loses something. **differs**: clients in use cope; a stricter one need not. \
         For each rule but those of whole servers an answer that breaks it, and no other, is in \
         `fixtures/check`.\n",
    );
    for rule in Rule::ALL {
        let (title, meaning, reason) = (rule.title(), rule.meaning(), rule.reason());
        page += &format!(
            "\n## {rule}\n\n{title} (**{}**).\n\n- What holds: {meaning}\n- Why: {reason}\n",
            rule.severity().name()
        );
    }
    expect(&Path::new(env!("CARGO_MANIFEST_DIR")).join("docs/rules.md"), &page);
    let ids: BTreeSet<_> = Rule::ALL.iter().map(|rule| rule.id()).collect();
    assert_eq!(ids.len(), Rule::ALL.len(), "each has an id of its own");
    assert!(Rule::ALL.iter().all(|rule| Rule::named(rule.id()) == Some(*rule)));
}
