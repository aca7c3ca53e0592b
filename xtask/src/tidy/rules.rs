//! The rules, each a function over the tree, and the tables they read. To change the shape of the
//! house, change a table here, and ARCHITECTURE.md with it.

use std::collections::BTreeMap;

use super::File;
use super::source::without_tests;

/// A rule: what it is called, and what it finds.
pub type Rule = (&'static str, fn(&[File]) -> Vec<String>);

/// All rules.
pub const RULES: &[Rule] = &[
    ("arrows between crates", crate_arrows),
    ("arrows inside wire", wire_arrows),
    ("wire does no I/O", wire_is_pure),
    ("one concept, one place", one_place_per_type),
    ("a file says what it is for", opening_paragraph),
    ("a file is named for what it holds", telling_names),
];

/// Which of the project's crates each may depend on, tests included.
const CRATES: &[(&str, &[&str])] = &[
    ("latimer-wire", &[]),
    ("latimer-probe", &["latimer-wire"]),
    ("latimer-scratch", &[]),
    ("latimer-store", &["latimer-scratch"]),
    ("latimer-gateway", &["latimer-wire", "latimer-probe", "latimer-store", "latimer-scratch"]),
    ("latimer", &["latimer-wire", "latimer-probe", "latimer-store", "latimer-gateway"]),
    ("latimer-bench", &["latimer-scratch"]),
    ("xtask", &["latimer-scratch"]),
];

/// The floors of wire, lowest first. A module may use the floors below its own and itself; on the
/// lowest floor also its neighbours.
const WIRE_FLOORS: &[&[&str]] = &[
    &["base64", "sse", "json", "note", "error", "path"],
    &["responses"],
    &["chat", "messages", "gemini", "backplane", "check"],
    &["dialect"],
];

/// What must not be named in wire: no I/O, no clock, no randomness.
const NOT_IN_WIRE: &[&str] =
    &["std::net", "std::fs", "std::io", "SystemTime", "Instant", "rand", "tokio", "unsafe"];

/// Public type names that may stand in more than one place below `crates/`, and why.
const SHARED_NAMES: &[(&str, &str)] = &[
    ("Lift", "each spoke's reader of its answers"),
    ("Lower", "each spoke's writer of answers"),
    ("Layout", "the command line's word for the report's layouts, with its help texts"),
    ("Mock", "the command line's options of the mock; the mock"),
    ("Replay", "the command line's options of a replay; the recording that is replayed"),
    ("Rule", "a rule of the mock's script; a rule of the grammar; a rule of the judge"),
];

/// File names that say nothing about what is inside.
const EMPTY_NAMES: &[&str] = &["utils", "util", "helpers", "helper", "misc", "common"];

/// What breaks a rule, one line each.
pub fn broken(files: &[File]) -> Vec<String> {
    let found = RULES.iter().flat_map(|(name, rule)| {
        rule(files).into_iter().map(move |what| format!("{name}: {what}"))
    });
    found.collect()
}

fn is_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

fn crate_arrows(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    let manifests = files.iter().filter(|file| file.path.ends_with("/Cargo.toml"));
    for file in manifests {
        let Ok(manifest) = file.text.parse::<toml::Table>() else {
            broken.push(format!("{} is not TOML", file.path));
            continue;
        };
        let name = manifest.get("package").and_then(|package| package.get("name")?.as_str());
        let name = name.unwrap_or_default();
        let Some((_, allowed)) = CRATES.iter().find(|(known, _)| *known == name) else {
            broken.push(format!("{name} ({}) is not in the table of crates", file.path));
            continue;
        };
        let ours = |name: &&String| CRATES.iter().any(|(known, _)| known == name);
        for dependency in dependencies(&manifest).into_iter().filter(ours) {
            if !allowed.contains(&dependency.as_str()) {
                broken.push(format!("{name} must not depend on {dependency}"));
            }
        }
    }
    broken
}

/// The names in every table of dependencies, those for one platform included.
fn dependencies(table: &toml::Table) -> Vec<&String> {
    let tables = table.iter().filter_map(|(key, value)| Some((key, value.as_table()?)));
    let names = tables.flat_map(|(key, inner)| match key.ends_with("dependencies") {
        true => inner.keys().collect(),
        false => dependencies(inner),
    });
    names.collect()
}

/// The files of wire with their top-level module, tests left out.
fn wire(files: &[File]) -> impl Iterator<Item = (&File, &str, &str)> {
    files.iter().filter_map(|file| {
        let below = file.path.strip_prefix("crates/wire/src/")?;
        let module = below.split(['/', '.']).next()?;
        Some((file, module, without_tests(&file.code)))
    })
}

fn wire_arrows(files: &[File]) -> Vec<String> {
    let floor = |module: &str| WIRE_FLOORS.iter().position(|modules| modules.contains(&module));
    let mut broken = Vec::new();
    for (file, module, code) in wire(files).filter(|(_, module, _)| *module != "lib") {
        let Some(own) = floor(module) else {
            broken.push(format!("{} is on no floor of wire", file.path));
            continue;
        };
        for used in used_modules(code).filter(|used| *used != module) {
            let below = floor(used).is_some_and(|floor| floor < own || floor == 0);
            if !below {
                broken.push(format!("{} must not use crate::{used}", file.path));
            }
        }
    }
    broken
}

/// The modules that `crate::` leads to, `use crate::{a, b}` included.
fn used_modules(code: &str) -> impl Iterator<Item = &str> {
    code.split("crate::")
        .skip(1)
        .flat_map(|tail| {
            let list = tail.strip_prefix('{').and_then(|tail| tail.split(';').next());
            let mut depth = 0;
            let names = list.unwrap_or(tail).split(move |c| {
                depth += i32::from(c == '{') - i32::from(c == '}');
                c == ',' && depth == 0
            });
            let wanted = if list.is_some() { usize::MAX } else { 1 };
            names.take(wanted).filter_map(|name| name.trim().split(|c| !is_word(c)).next())
        })
        .filter(|name| !name.is_empty())
}

fn wire_is_pure(files: &[File]) -> Vec<String> {
    let mut broken = Vec::new();
    for (file, _, code) in wire(files) {
        for banned in NOT_IN_WIRE.iter().filter(|banned| names(code, banned)) {
            broken.push(format!("{} names {banned}", file.path));
        }
    }
    broken
}

/// Whether `name` stands in the code as words of its own.
fn names(code: &str, name: &str) -> bool {
    code.match_indices(name).any(|(at, _)| {
        let before = code.get(..at).unwrap_or_default();
        let after = code.get(at + name.len()..).unwrap_or_default();
        !before.ends_with(is_word) && !after.starts_with(is_word)
    })
}

fn one_place_per_type(files: &[File]) -> Vec<String> {
    let mut places: BTreeMap<&str, Vec<&str>> = BTreeMap::new();
    for file in files.iter().filter(|file| is_product(file)) {
        for name in without_tests(&file.code).lines().filter_map(public_type) {
            places.entry(name).or_default().push(&file.path);
        }
    }
    let excused = |name: &str| SHARED_NAMES.iter().any(|(shared, _)| *shared == name);
    let shared = places.iter().filter(|(_, paths)| paths.len() > 1);
    let twice = shared
        .filter(|(name, _)| !excused(name))
        .map(|(name, paths)| format!("{name} is a public type in {}", paths.join(" and ")));
    let stale = SHARED_NAMES
        .iter()
        .filter(|(name, _)| places.get(name).is_none_or(|paths| paths.len() < 2));
    let stale = stale.map(|(name, _)| format!("{name} needs no exception any more"));
    twice.chain(stale).collect()
}

/// Whether a file is source of the product. Integration tests are programs of their own, with
/// Cargo's customs (`tests/common`).
fn is_product(file: &File) -> bool {
    file.path.starts_with("crates/") && file.path.ends_with(".rs") && !file.path.contains("/tests/")
}

/// The name of the public type that a line declares.
fn public_type(line: &str) -> Option<&str> {
    let declared = line.trim_start().strip_prefix("pub ")?;
    let (keyword, tail) = declared.split_once(' ')?;
    let is_type = matches!(keyword, "struct" | "enum" | "trait" | "type" | "union");
    tail.split(|c| !is_word(c)).next().filter(|name| is_type && !name.is_empty())
}

fn opening_paragraph(files: &[File]) -> Vec<String> {
    let rust = files.iter().filter(|file| file.path.ends_with(".rs"));
    let silent = rust.filter(|file| !file.text.starts_with("//!"));
    silent.map(|file| format!("{} does not open with //!", file.path)).collect()
}

fn telling_names(files: &[File]) -> Vec<String> {
    let empty = files.iter().filter(|file| {
        is_product(file) && file.path.split(['/', '.']).any(|part| EMPTY_NAMES.contains(&part))
    });
    empty.map(|file| format!("{} has a name that says nothing", file.path)).collect()
}

#[cfg(test)]
mod tests {
    use super::{File, RULES};

    /// One file that breaks each rule, in the order of the rules, and what is said of it.
    const BREAKS: &[(&str, &str, &str)] = &[
        (
            "crates/probe/Cargo.toml",
            "[package]\nname = \"latimer-probe\"\n[target.'cfg(unix)'.dev-dependencies]\nlatimer = \"1\"",
            "latimer-probe must not depend on latimer",
        ),
        (
            "crates/wire/src/chat/mod.rs",
            "//! x\nuse crate::{json::{Raw, Reader}, gemini};",
            "crates/wire/src/chat/mod.rs must not use crate::gemini",
        ),
        (
            "crates/wire/src/sse.rs",
            "//! x\nfn now() { std::time::SystemTime::now(); }",
            "crates/wire/src/sse.rs names SystemTime",
        ),
        (
            "crates/wire/src/sse.rs",
            "//! x\npub struct Twin;\npub(crate) struct Once;\npub enum Twin {}",
            "Twin is a public type in crates/wire/src/sse.rs and crates/wire/src/sse.rs",
        ),
        ("crates/a.rs", "// x\n", "crates/a.rs does not open with //!"),
        ("crates/utils/mod.rs", "//! x\n", "crates/utils/mod.rs has a name that says nothing"),
    ];

    #[test]
    fn each_rule_can_fail() {
        assert_eq!(BREAKS.len(), RULES.len());
        for ((path, text, said), (name, rule)) in BREAKS.iter().zip(RULES) {
            let found = rule(&[File::new(path, (*text).to_owned())]);
            assert!(found.iter().any(|line| line == said), "{name}: {found:?}");
        }
    }

    #[test]
    fn what_is_allowed_is_not_named() {
        let text = "//! crate::gemini\nuse crate::json::Raw;\nuse crate::{note, responses::Event};\n\
                    // SystemTime\nlet operand = 1;\n#[cfg(test)]\nuse crate::gemini;";
        let file = File::new("crates/wire/src/chat/mod.rs", text.to_owned());
        assert_eq!(super::wire_arrows(&[file]), Vec::<String>::new());
        let file = File::new("crates/wire/src/sse.rs", text.to_owned());
        assert_eq!(super::wire_is_pure(&[file]), Vec::<String>::new());
    }
}
