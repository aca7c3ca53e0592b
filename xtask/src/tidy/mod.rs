//! The rules of the house that no compiler holds. In: the tree. Out: what breaks a rule, and, as
//! mere information, the longest functions and files. `cargo test` runs the rules as well.

mod rules;
mod source;

use std::fs;
use std::path::Path;
use std::process::ExitCode;

use anyhow::{Context, Result};

/// How many of the longest functions and files are named.
const LONGEST: usize = 10;

/// A file of the tree.
#[derive(Debug)]
pub struct File {
    /// Its path below the root, with `/` between the parts.
    pub path: String,
    /// What it holds.
    pub text: String,
    /// Its code without comments and literals; empty unless it is Rust.
    pub code: String,
}

impl File {
    fn new(path: &str, text: String) -> File {
        let code = if path.ends_with(".rs") { source::code(&text) } else { String::new() };
        File { path: path.to_owned(), text, code }
    }
}

/// Says what breaks a rule, and what is longest.
pub fn run(root: &Path) -> Result<ExitCode> {
    let files = read(root)?;
    longest(&files);
    let broken = rules::broken(&files);
    for line in &broken {
        println!("{line}");
    }
    println!("{} rules over {} files: {} broken", rules::RULES.len(), files.len(), broken.len());
    Ok(if broken.is_empty() { ExitCode::SUCCESS } else { ExitCode::FAILURE })
}

/// The Rust files and manifests below `root`.
fn read(root: &Path) -> Result<Vec<File>> {
    let mut files = Vec::new();
    let mut directories = vec![root.to_owned()];
    while let Some(directory) = directories.pop() {
        let entries = fs::read_dir(&directory)
            .with_context(|| format!("cannot read the directory {}", directory.display()))?;
        for entry in entries {
            let entry = entry?;
            let (path, name) = (entry.path(), entry.file_name().to_string_lossy().into_owned());
            if entry.file_type()?.is_dir() {
                let foreign = name.starts_with('.') || name == "target" || name == "node_modules";
                directories.extend((!foreign).then_some(path));
            } else if name.ends_with(".rs") || name == "Cargo.toml" {
                let text = fs::read_to_string(&path)
                    .with_context(|| format!("cannot read {}", path.display()))?;
                let below = path.strip_prefix(root)?.to_string_lossy().replace('\\', "/");
                files.push(File::new(&below, text));
            }
        }
    }
    files.sort_by(|a, b| a.path.cmp(&b.path));
    Ok(files)
}

fn longest(files: &[File]) {
    let rust = || files.iter().filter(|file| file.path.ends_with(".rs"));
    let functions = rust().flat_map(|file| {
        let named = |function: source::Function| {
            (function.lines, format!("{} in {}", function.name, file.path))
        };
        source::functions(source::without_tests(&file.code)).into_iter().map(named)
    });
    print_longest("functions", functions.collect());
    let files = rust().map(|file| (file.text.lines().count(), file.path.clone()));
    print_longest("files", files.collect());
}

fn print_longest(what: &str, mut lengths: Vec<(usize, String)>) {
    lengths.sort_by(|a, b| b.cmp(a));
    println!("longest {what}, in lines:");
    for (lines, name) in lengths.iter().take(LONGEST) {
        println!("{lines:6}  {name}");
    }
}

#[cfg(test)]
mod tests {
    use super::{read, rules};

    #[test]
    fn the_tree_is_tidy() {
        let root = crate::root().expect("a root");
        let files = read(&root).expect("a tree");
        assert!(files.iter().any(|file| file.path == "crates/wire/src/lib.rs"), "an empty tree");
        let broken = rules::broken(&files);
        assert!(broken.is_empty(), "{}", broken.join("\n"));
    }
}
