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
            format!("Wrong answers of {peer} in `{case}`, {count} of {answers}: {fault}.")
        })
    });
    let missing = results.missing.iter().map(|what| format!("Not measured: {what}."));
    let method = results.method.iter().cloned();
    method.chain([checked]).chain(wrong).chain(missing).map(|line| format!("- {line}\n")).collect()
}

#[cfg(test)]
mod tests {
    use super::{BEGIN, END, with_section};
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
    fn the_readme_has_a_place_for_it() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/../README.md");
        let readme = std::fs::read_to_string(path).expect("the README");
        assert!(with_section(&readme, &empty()).is_ok());
    }
}
