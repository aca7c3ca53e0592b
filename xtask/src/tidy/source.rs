//! Rust source as far as the rules look at it. In: a file's text. Out: its code without comments
//! and quoted text, and its functions with their lengths. It is no parser: it knows where comments
//! and literals end, and counts braces.

/// The code alone: comments and literals become spaces, lines stay where they are.
pub fn code(text: &str) -> String {
    let (mut out, mut rest) = (String::with_capacity(text.len()), text);
    while let Some(first) = rest.chars().next() {
        let in_word = out.ends_with(|last: char| last.is_alphanumeric() || last == '_');
        let quiet = if in_word { None } else { quiet_bytes(rest) };
        let (piece, tail) = rest.split_at(quiet.unwrap_or(first.len_utf8()));
        match quiet {
            Some(_) => out.extend(piece.chars().map(|c| if c == '\n' { c } else { ' ' })),
            None => out.push_str(piece),
        }
        rest = tail;
    }
    out
}

/// How long the comment or literal is that `rest` begins with.
fn quiet_bytes(rest: &str) -> Option<usize> {
    if rest.starts_with("//") {
        return Some(rest.find('\n').unwrap_or(rest.len()));
    }
    if rest.starts_with("/*") {
        return Some(block_comment_bytes(rest));
    }
    let unprefixed = rest.trim_start_matches('b');
    let prefix = rest.len() - unprefixed.len();
    let inner = unprefixed.trim_start_matches('r').trim_start_matches('#');
    if unprefixed.starts_with('r') && inner.starts_with('"') {
        let hashes = unprefixed.len() - inner.len() - 1;
        let close = format!("\"{}", "#".repeat(hashes));
        let body = inner.get(1..)?;
        let end = body.find(&close).map_or(body.len(), |at| at + close.len());
        return Some(rest.len() - body.len() + end);
    }
    match unprefixed.chars().next()? {
        '"' => Some(prefix + quoted_bytes(unprefixed, '"')),
        '\'' if is_character(unprefixed) => Some(prefix + quoted_bytes(unprefixed, '\'')),
        _ => None,
    }
}

/// Whether this is a character and not a lifetime.
fn is_character(rest: &str) -> bool {
    let mut chars = rest.chars().skip(1);
    let first = chars.next();
    first == Some('\\') || chars.next() == Some('\'')
}

fn quoted_bytes(rest: &str, quote: char) -> usize {
    let mut escaped = true; // the opening quote does not close
    for (at, c) in rest.char_indices() {
        match c {
            _ if escaped => escaped = false,
            '\\' => escaped = true,
            c if c == quote => return at + c.len_utf8(),
            _ => {}
        }
    }
    rest.len()
}

fn block_comment_bytes(rest: &str) -> usize {
    let (mut depth, mut at) = (0, 0);
    while let Some(tail) = rest.get(at..).filter(|tail| !tail.is_empty()) {
        let (step, change) = match tail {
            tail if tail.starts_with("/*") => (2, 1),
            tail if tail.starts_with("*/") => (2, -1),
            tail => (tail.chars().next().map_or(1, char::len_utf8), 0),
        };
        depth += change;
        at += step;
        if depth == 0 {
            return at;
        }
    }
    rest.len()
}

/// Code up to its tests, which stand last in a file.
pub fn without_tests(code: &str) -> &str {
    code.find("#[cfg(test)]").and_then(|at| code.get(..at)).unwrap_or(code)
}

/// A function and how many lines it takes.
#[derive(Debug, PartialEq, Eq)]
pub struct Function {
    /// Its name.
    pub name: String,
    /// From its `fn` to its closing brace.
    pub lines: usize,
}

/// The functions that have a body.
pub fn functions(code: &str) -> Vec<Function> {
    let is_word = |c: char| c.is_alphanumeric() || c == '_';
    let begins = code
        .match_indices("fn ")
        .filter(|(at, _)| !code.get(..*at).unwrap_or_default().ends_with(is_word));
    let found = begins.filter_map(|(at, keyword)| {
        let tail = code.get(at..)?;
        let name: String = tail.get(keyword.len()..)?.chars().take_while(|c| is_word(*c)).collect();
        let body = tail.get(..body_end(tail)?)?;
        (!name.is_empty()).then(|| Function { name, lines: body.lines().count() })
    });
    found.collect()
}

/// Where the first body in braces ends; `None` when a semicolon comes first.
fn body_end(tail: &str) -> Option<usize> {
    let (mut braces, mut brackets) = (0, 0);
    for (at, c) in tail.char_indices() {
        match c {
            '[' | '(' => brackets += 1,
            ']' | ')' => brackets -= 1,
            ';' if braces == 0 && brackets == 0 => return None,
            '{' => braces += 1,
            '}' => {
                braces -= 1;
                if braces == 0 {
                    return Some(at + 1);
                }
            }
            _ => {}
        }
    }
    None
}

#[cfg(test)]
mod tests {
    use super::{code, functions};

    #[test]
    fn comments_and_literals_are_no_code() {
        let text =
            "let a = \"x // \\\" {\"; // }\nlet r = r#\"\"}\"#; /* { /* } */ { */ f(b'{', '\\'')";
        let left = code(text);
        assert_eq!(
            left.split_whitespace().collect::<Vec<_>>().join(" "),
            "let a = ; let r = ; f( , )"
        );
        assert_eq!(left.lines().count(), 2);
        assert_eq!(code("fn f<'a>(x: &'a str) {}"), "fn f<'a>(x: &'a str) {}");
    }

    #[test]
    fn functions_end_with_their_braces() {
        let text = "trait T { fn a(x: [u8; 2]); }\nfn b() {\n  if x { y }\n}\nfn c() {}";
        let found: Vec<_> = functions(text).into_iter().map(|f| (f.name, f.lines)).collect();
        assert_eq!(found, [("b".to_owned(), 3), ("c".to_owned(), 1)]);
    }
}
