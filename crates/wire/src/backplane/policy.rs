//! What a work order forbids, held against the calls that pass. In: a tool's name and what it is
//! called with. Out: the first rule that forbids it. Nothing is run here, and nothing is guessed of
//! what a program would do: names, paths, hosts and the words of commands are looked at.

use super::contract::Json;
use super::order::PolicyProfile;
use crate::json::Raw;

/// Why a call is not let through.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("the policy does not allow the call of `{tool}`: `{rule}` and `{found}`")]
pub struct Denied {
    /// The tool that was called.
    pub tool: String,
    /// The member of the policy that forbids it.
    pub rule: &'static str,
    /// What was found: the tool's name, a path, a host.
    pub found: String,
}

/// Whether a tool reads or writes the files that it names. A tool that is not here may do both.
const TOOLS: &[(&str, Access)] = &[
    ("read", Access::Read),
    ("read_file", Access::Read),
    ("view", Access::Read),
    ("view_image", Access::Read),
    ("list_dir", Access::Read),
    ("grep", Access::Read),
    ("glob", Access::Read),
    ("write", Access::Write),
    ("write_file", Access::Write),
    ("edit", Access::Write),
    ("apply_patch", Access::Write),
    ("create_file", Access::Write),
];

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Access {
    Read,
    Write,
}

/// Members of a call's input that hold a path, whole.
const PATHS: &[&str] =
    &["path", "paths", "file", "files", "file_path", "filepath", "filename", "dir", "directory"];
/// Members that hold a command or a program, whose words are looked at.
const COMMANDS: &[&str] = &["command", "cmd", "script", "code", "args", "input", "chars"];
/// How the lines of a patch begin that name a file.
const PATCHED: &[&str] =
    &["*** Add File: ", "*** Update File: ", "*** Delete File: ", "*** Move to: "];

/// What a call names.
#[derive(Default)]
struct Named {
    paths: Vec<String>,
    hosts: Vec<String>,
}

impl PolicyProfile {
    /// The first rule that forbids this call; `None` where all allow it.
    pub fn denies(&self, tool: &str, input: &Json) -> Option<Denied> {
        self.denies_tool(tool).or_else(|| self.denies_input(tool, input.raw()))
    }

    /// The first rule that forbids a tool, whatever it is called with.
    ///
    /// ```
    /// use latimer_wire::backplane::PolicyProfile;
    /// let policy = PolicyProfile { disallowed_tools: vec!["bash*".to_owned()], ..Default::default() };
    /// assert!(policy.denies_tool("bash_tool").is_some());
    /// assert!(policy.denies_tool("read_file").is_none());
    /// ```
    pub fn denies_tool(&self, tool: &str) -> Option<Denied> {
        let is_in = |list: &[String]| list.iter().any(|glob| matches(glob, tool));
        let rule = if !self.allowed_tools.is_empty() && !is_in(&self.allowed_tools) {
            "allowed_tools"
        } else if is_in(&self.disallowed_tools) {
            "disallowed_tools"
        } else if is_in(&self.require_approval_for) {
            // Nobody is here who could agree.
            "require_approval_for"
        } else {
            return None;
        };
        Some(Denied { tool: tool.to_owned(), rule, found: tool.to_owned() })
    }

    fn denies_input(&self, tool: &str, input: Raw<'_>) -> Option<Denied> {
        let mut named = Named::default();
        match input.text() {
            Some(text) => named.words(&text),
            None => named.members(input),
        }
        let access = TOOLS.iter().find(|(known, _)| *known == tool).map(|(_, access)| *access);
        let lists = [
            ("deny_read", &self.deny_read, access != Some(Access::Write)),
            ("deny_write", &self.deny_write, access != Some(Access::Read)),
        ];
        let denied =
            |rule, found: &String| Denied { tool: tool.to_owned(), rule, found: found.clone() };
        for (rule, globs, _) in lists.into_iter().filter(|(.., applies)| *applies) {
            let forbidden = |path: &&String| globs.iter().any(|glob| matches_path(glob, path));
            if let Some(path) = named.paths.iter().find(forbidden) {
                return Some(denied(rule, path));
            }
        }
        let is_in = |list: &[String], host: &str| list.iter().any(|glob| matches(glob, host));
        named.hosts.iter().find_map(|host| {
            let allow = &self.allow_network;
            if is_in(&self.deny_network, host) {
                return Some(denied("deny_network", host));
            }
            let elsewhere = !allow.is_empty() && !is_in(allow, host);
            elsewhere.then(|| denied("allow_network", host))
        })
    }
}

impl Named {
    fn members(&mut self, input: Raw<'_>) {
        for (key, value) in input.members() {
            let texts = match value.is_array() {
                true => value.elements().into_iter().filter_map(Raw::text).collect(),
                false => Vec::from_iter(value.text()),
            };
            for text in texts {
                if PATHS.contains(&&*key) {
                    self.path(&text);
                } else if COMMANDS.contains(&&*key) {
                    self.words(&text);
                }
                self.address(&text);
            }
            if value.is_object() {
                self.members(value);
            }
        }
    }

    /// The words of a command, and the files that a patch in it names.
    fn words(&mut self, text: &str) {
        for line in text.lines() {
            if let Some(path) = PATCHED.iter().find_map(|begin| line.strip_prefix(begin)) {
                self.path(path.trim());
            }
        }
        let is_between = |c: char| c.is_whitespace() || "\"'`;|&<>()=,$".contains(c);
        for word in text.split(is_between).filter(|word| !word.is_empty()) {
            self.path(word);
            self.address(word);
        }
    }

    fn path(&mut self, path: &str) {
        self.paths.push(path.trim_start_matches("./").to_owned());
    }

    /// The host of an address.
    fn address(&mut self, text: &str) {
        let Some((_, rest)) = text.split_once("://") else { return };
        let host = rest.split(['/', '?', '#']).next().unwrap_or_default();
        let host = host.rsplit('@').next().unwrap_or_default();
        let host = host.split(':').next().unwrap_or_default();
        self.hosts.push(host.to_ascii_lowercase());
    }
}

/// Whether a path is one that a glob names: as a whole, or below any directory.
fn matches_path(glob: &str, path: &str) -> bool {
    let (glob, path) = (glob.trim_start_matches("**/"), path.replace('\\', "/"));
    let mut tails = path.match_indices('/').filter_map(|(at, _)| path.get(at + 1..));
    matches(glob, &path) || tails.any(|tail| matches(glob, tail))
}

/// Whether a text is one that a glob names: `?` is any character, `*` any number of them but `/`,
/// `**` any number of any.
fn matches(glob: &str, text: &str) -> bool {
    let (glob, text): (Vec<char>, Vec<char>) = (glob.chars().collect(), text.chars().collect());
    // For each place in the text: whether the glob up to here names the text up to there.
    let mut reached = vec![false; text.len() + 1];
    if let Some(first) = reached.first_mut() {
        *first = true;
    }
    let mut pieces = glob.as_slice();
    while let [first, rest @ ..] = pieces {
        let deep = *first == '*' && rest.first() == Some(&'*');
        let mut open = false;
        let mut before = false;
        for (place, here) in reached.iter_mut().enumerate() {
            let last = place.checked_sub(1).and_then(|at| text.get(at)).copied();
            let was = *here;
            *here = match first {
                '*' => {
                    open = was || open && (deep || last != Some('/'));
                    open
                }
                '?' => before && last.is_some_and(|last| last != '/'),
                literal => before && last == Some(*literal),
            };
            before = was;
        }
        pieces = match rest {
            ['*', after @ ..] if deep => after,
            rest => rest,
        };
    }
    reached.last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::{Json, PolicyProfile, matches, matches_path};

    #[test]
    fn globs_name_what_they_say() {
        for (glob, text, named) in [
            ("bash", "bash", true),
            ("bash", "bash2", false),
            ("*", "", true),
            ("*.rs", "a.rs", true),
            ("*.rs", "src/a.rs", false),
            ("src/**", "src/a/b.rs", true),
            ("src/*", "src/a/b.rs", false),
            ("s?c", "src", true),
            ("s?c", "s/c", false),
            ("*.example.com", "api.example.com", true),
            ("*a*b*", "xxaxxbxx", true),
            ("*a*b*", "xxbxxaxx", false),
        ] {
            assert_eq!(matches(glob, text), named, "{glob} {text}");
        }
        assert!(matches_path(".env", "/home/me/project/.env"));
        assert!(!matches_path(".env", "project/.envrc"));
    }

    fn policy(rule: &str, glob: &str) -> PolicyProfile {
        let json = format!(r#"{{"{rule}":["{glob}"]}}"#);
        PolicyProfile::parse(&json).expect("a policy")
    }

    #[test]
    fn each_rule_forbids_what_it_names() {
        let cases = [
            ("allowed_tools", "read*", "bash", "{}", true),
            ("allowed_tools", "read*", "read_file", "{}", false),
            ("disallowed_tools", "bash", "bash", "{}", true),
            ("require_approval_for", "apply_*", "apply_patch", "\"\"", true),
            ("deny_read", ".env", "read_file", r#"{"path":"./.env"}"#, true),
            ("deny_read", ".env", "write_file", r#"{"path":".env"}"#, false),
            ("deny_read", ".env", "shell", r#"{"command":["bash","-lc","cat <.env"]}"#, true),
            ("deny_write", "Cargo.lock", "read_file", r#"{"path":"Cargo.lock"}"#, false),
            ("deny_write", "Cargo.lock", "exec_command", r#"{"cmd":"rm Cargo.lock"}"#, true),
            ("deny_write", "src/**", "apply_patch", "\"*** Update File: src/a.rs\\n@@\"", true),
            ("deny_write", "src/**", "write_file", r#"{"path":"a","content":"src/a"}"#, false),
            ("deny_network", "*.evil.com", "fetch", r#"{"url":"https://u@x.evil.com:1/a"}"#, true),
            ("deny_network", "evil.com", "shell", r#"{"command":"curl http://evil.com/x"}"#, true),
            ("allow_network", "api.example.com", "fetch", r#"{"url":"http://b.com"}"#, true),
            (
                "allow_network",
                "api.example.com",
                "fetch",
                r#"{"url":"http://API.example.com"}"#,
                false,
            ),
        ];
        for (rule, glob, tool, input, forbidden) in cases {
            let input = Json::parse(input).expect("JSON");
            let denied = policy(rule, glob).denies(tool, &input);
            assert_eq!(
                denied.map(|denied| denied.rule),
                forbidden.then_some(rule),
                "{rule} {tool} {}",
                input.raw()
            );
        }
    }
}
