//! The README's section on performance, written from one run between two marks.

use anyhow::{Context, Result};

use crate::results::{Checked, Results};
use crate::table::{self, markdown};
use crate::targets::{self, REACH, TARGETS, Verdict};

/// Before the section.
const BEGIN: &str = "<!-- performance: written by `cargo xtask bench --readme FILE` -->\n";
/// Behind it.
const END: &str = "<!-- end of performance -->";

/// The README with the section of a run.
///
/// # Errors
/// When the marks are not there.
pub fn with_section(readme: &str, results: &Results) -> Result<String> {
    let (before, rest) = readme.split_once(BEGIN).context("the README has no mark to begin at")?;
    let (_, after) = rest.split_once(END).context("the README has no mark to end at")?;
    Ok(format!("{before}{BEGIN}\n{}\n{END}{after}", section(results)))
}

fn section(results: &Results) -> String {
    let targets = markdown(&targets::HEAD, &targets::rows(results));
    let missed: Vec<&str> = TARGETS
        .iter()
        .filter(|target| target.standing(results).verdict == Verdict::Missed)
        .map(|target| target.name)
        .collect();
    let missed = match missed.as_slice() {
        [] => "No target is missed.".to_owned(),
        names => {
            let why = |name: &&str| REACH.iter().find(|(missed, _)| missed == name);
            let row = |name: &&str| match why(name) {
                Some((_, way)) => format!("- {name}: {way}.\n"),
                None => format!("- {name}.\n"),
            };
            format!(
                "What would reach those that are missed:\n\n{}",
                names.iter().map(row).collect::<String>()
            )
        }
    };
    let machine = &results.machine;
    format!(
        "Measured on {} at {}, on {} cores of {}, in one run of\n\n```sh\n{}\n```\n\n{targets}\n{missed}\n\n\
         Everybody in that run, with how many times nginx's figure it is in brackets, and how far the \
         rounds lie apart at most:\n\n{}\n{}",
        results.day,
        results.commit,
        machine.cores,
        machine.processor,
        results.command,
        table::of_results(results),
        notes(results)
    )
}

/// How it was measured, how many answers were checked, which were wrong, and what was not measured.
pub fn notes(results: &Results) -> String {
    let answers: usize = results.checked.iter().map(|checked| checked.answers).sum();
    let checked = format!("{answers} answers were checked.");
    let wrong = results.checked.iter().flat_map(|checked| {
        let Checked { case, peer, answers, faults } = checked;
        faults.iter().map(move |(fault, count)| {
            let fault = portable(fault);
            format!("Wrong answers of {peer} in `{case}`, {count} of {answers}: {fault}.")
        })
    });
    let missing = results.missing.iter().map(|what| format!("Not measured: {}.", portable(what)));
    let method = results.method.iter().cloned();
    method.chain([checked]).chain(wrong).chain(missing).map(|line| format!("- {line}\n")).collect()
}

/// What a program said, in one line, with its paths as they are in any workspace: below `target`, or
/// their last name.
fn portable(said: &str) -> String {
    let line = said.lines().next().unwrap_or_default();
    line.split(' ').map(portable_word).collect::<Vec<_>>().join(" ")
}

fn portable_word(word: &str) -> String {
    let (before, path) = word.split_at(word.find('/').unwrap_or(word.len()));
    if path.is_empty() || before.contains(char::is_alphanumeric) {
        return word.to_owned();
    }
    let kept = match path.find("/target/") {
        Some(at) => path.get(at + 1..),
        None => path.rsplit('/').next(),
    };
    format!("{before}{}", kept.unwrap_or_default())
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, notes, with_section};
    use crate::results::tests::empty;

    #[test]
    fn a_section_replaces_the_one_before() {
        let readme = format!("above\n{BEGIN}old\n{END}\nbelow\n");
        let once = with_section(&readme, &empty()).expect("marks");
        assert!(once.starts_with("above\n") && once.ends_with("\nbelow\n"), "{once}");
        assert!(once.contains("cargo xtask bench") && !once.contains("old"), "{once}");
        assert_eq!(with_section(&once, &empty()).expect("marks"), once);
        assert!(with_section("above", &empty()).is_err());
    }

    #[test]
    fn where_the_workspace_lies_is_nobodys_business() {
        let mut results = empty();
        let lies = [
            "cannot start /home/x/latimer/target/bench/peers/a/bin/a: No such file\nits log",
            "it asked http://127.0.0.1:80/v1/responses, and `/opt/b/run` ended",
        ];
        results.missing = lies.map(str::to_owned).into();
        results.check("case", "peer", 1, [("no /tmp/x/socket", 1)].into_iter());
        let notes = notes(&results);
        for line in [
            "- Not measured: cannot start target/bench/peers/a/bin/a: No such file.\n",
            "- Not measured: it asked http://127.0.0.1:80/v1/responses, and `run` ended.\n",
            "in `case`, 1 of 1: no socket.\n",
        ] {
            assert!(notes.contains(line), "{line}: {notes}");
        }
        assert!(!notes.contains("its log"), "a line each: {notes}");
    }

    #[test]
    fn the_readme_has_a_place_for_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(path).expect("the README");
        assert!(with_section(&readme, &empty()).is_ok());
    }
}
