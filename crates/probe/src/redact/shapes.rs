//! Secrets that betray themselves by their form: the keys of the big vendors, tokens, private keys.
//! In: a line of JSON. Out: the same with each of them replaced by [`REDACTED`]; it stays JSON. They
//! are found by the few letters they begin with, for all at once, and then looked at.
//!
//! What is not found: a secret that is spelled with `\u` escapes, is encoded, or has no form of its
//! own. Whoever knows such a form gives it as a pattern ([`super::Redactor`]).

use std::ops::Range;

use aho_corasick::{AhoCorasick, Input, MatchKind};

use super::known::Known;

/// Of what the rest of a secret consists.
#[derive(Debug, Clone, Copy)]
enum Rest {
    /// Letters and digits.
    Plain,
    /// Those, `_` and `-`.
    Token,
    /// Those, and what else base64 and dotted tokens have.
    Bearer,
    /// Capitals and digits.
    Capitals,
    /// Three tokens, with dots between.
    Jwt,
    /// A block of text, to its end line.
    PrivateKey,
}

/// One form: how it begins, what follows and how much at least, and whether the beginning is shown.
struct Shape {
    prefix: &'static str,
    rest: Rest,
    least: usize,
    is_shown: bool,
}

const fn shape(prefix: &'static str, rest: Rest, least: usize) -> Shape {
    Shape { prefix, rest, least, is_shown: false }
}

const fn behind(prefix: &'static str, rest: Rest, least: usize) -> Shape {
    Shape { prefix, rest, least, is_shown: true }
}

/// The forms. Of two that fit at the same place the first counts.
const SHAPES: &[Shape] = &[
    // OpenAI (sk-, sk-proj-, sk-svcacct-), Anthropic (sk-ant-), OpenRouter (sk-or-), DeepSeek, ...
    shape("sk-", Rest::Token, 20),
    // Cerebras, Groq, xAI, Perplexity, Replicate, NVIDIA, Fireworks, Tavily, Hugging Face
    shape("csk-", Rest::Plain, 30),
    shape("gsk_", Rest::Plain, 30),
    shape("xai-", Rest::Plain, 40),
    shape("pplx-", Rest::Plain, 30),
    shape("r8_", Rest::Plain, 30),
    shape("nvapi-", Rest::Token, 40),
    shape("fw_", Rest::Plain, 20),
    shape("tvly-", Rest::Token, 20),
    shape("hf_", Rest::Plain, 30),
    // Google: keys and access tokens
    shape("AIza", Rest::Token, 30),
    shape("ya29.", Rest::Token, 30),
    // AWS
    shape("AKIA", Rest::Capitals, 16),
    shape("ASIA", Rest::Capitals, 16),
    // Azure's storage and message queues
    behind("AccountKey=", Rest::Bearer, 40),
    behind("SharedAccessKey=", Rest::Bearer, 40),
    // GitHub, GitLab
    shape("ghp_", Rest::Plain, 30),
    shape("gho_", Rest::Plain, 30),
    shape("ghu_", Rest::Plain, 30),
    shape("ghs_", Rest::Plain, 30),
    shape("ghr_", Rest::Plain, 30),
    shape("github_pat_", Rest::Token, 22),
    shape("glpat-", Rest::Token, 20),
    // Slack
    shape("xoxa-", Rest::Token, 10),
    shape("xoxb-", Rest::Token, 10),
    shape("xoxp-", Rest::Token, 10),
    shape("xoxr-", Rest::Token, 10),
    shape("xoxs-", Rest::Token, 10),
    shape("xapp-", Rest::Token, 10),
    // Stripe, SendGrid, npm, PyPI, DigitalOcean
    shape("sk_live_", Rest::Plain, 16),
    shape("rk_live_", Rest::Plain, 16),
    shape("SG.", Rest::Bearer, 40),
    shape("npm_", Rest::Plain, 30),
    shape("pypi-", Rest::Token, 50),
    shape("dop_v1_", Rest::Plain, 40),
    // whatever says of itself that it lets in
    behind("Bearer ", Rest::Bearer, 16),
    behind("bearer ", Rest::Bearer, 16),
    shape("eyJ", Rest::Jwt, 20),
    shape("-----BEGIN ", Rest::PrivateKey, 0),
];

/// How far the name of a private key's kind may go, and the text of one.
const KIND_BYTES: usize = 40;
const KEY_BYTES: usize = 16 << 10;

/// How many of the shortest beginnings are looked for apart from the others: a vector register tells so
/// many apart. All at once take twice as long as these (by three bytes) and the others (by four) in turn.
const SHORT: usize = 8;

/// Finds the forms, and keys that are known.
#[derive(Debug, Clone)]
pub(super) struct Shapes {
    /// The shortest beginnings, and the keys.
    short: Beginnings,
    long: Beginnings,
}

/// Finds the beginnings of some forms.
#[derive(Debug, Clone)]
struct Beginnings {
    search: AhoCorasick,
    /// What the patterns of the search are, one by one.
    patterns: Vec<Pattern>,
}

/// What a pattern stands for.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
enum Pattern {
    /// A form, by its place in the table, begins with it.
    Begins(usize),
    /// It is all of a key.
    Known,
}

impl Shapes {
    /// Prepares the search; `None` where that is not possible.
    pub fn new(keys: &[&Known]) -> Option<Shapes> {
        let mut shapes: Vec<_> = SHAPES.iter().enumerate().collect();
        shapes.sort_by_key(|(_, shape)| shape.prefix.len());
        let (short, long) = shapes.split_at_checked(SHORT)?;
        Some(Shapes { short: Beginnings::of(keys, short)?, long: Beginnings::of(&[], long)? })
    }

    /// Where the secrets of a text are, in their order.
    pub fn find(&self, text: &[u8]) -> Vec<Range<usize>> {
        let mut hits = Vec::new();
        self.short.find(text, &mut hits);
        self.long.find(text, &mut hits);
        hits.sort_unstable();
        let mut found: Vec<Range<usize>> = Vec::new();
        for (start, pattern, end) in hits {
            let last = found.last_mut().filter(|last| start < last.end);
            match (pattern, last) {
                (Pattern::Known, Some(last)) => last.end = last.end.max(end),
                (Pattern::Known, None) => found.push(start..end),
                (Pattern::Begins(_), Some(_)) => {}
                (Pattern::Begins(shape), None) => {
                    found.extend(SHAPES.get(shape).and_then(|shape| shape.secret(text, start)));
                }
            }
        }
        found
    }
}

impl Beginnings {
    fn of(keys: &[&Known], shapes: &[(usize, &Shape)]) -> Option<Beginnings> {
        let forms = keys.iter().flat_map(|key| key.forms());
        let known = forms.map(|form| (form.as_str(), Pattern::Known));
        let begins = shapes.iter().map(|(at, shape)| (shape.prefix, Pattern::Begins(*at)));
        // The keys come first: where both begin, the key is found.
        let (texts, patterns): (Vec<&str>, _) = known.chain(begins).unzip();
        let search = AhoCorasick::builder().match_kind(MatchKind::LeftmostFirst).build(texts);
        Some(Beginnings { search: search.ok()?, patterns })
    }

    /// Where something may begin, what, and where the pattern ends.
    fn find(&self, text: &[u8], hits: &mut Vec<(usize, Pattern, usize)>) {
        let mut from = 0;
        while let Some(hit) = self.search.find(Input::new(text).range(from..)) {
            let pattern = self.patterns.get(hit.pattern().as_usize());
            hits.extend(pattern.map(|pattern| (hit.start(), *pattern, hit.end())));
            // A key may begin inside of what was found.
            from = hit.start() + 1;
        }
    }
}

impl Shape {
    /// Where the secret is that begins here, if it is one.
    fn secret(&self, text: &[u8], start: usize) -> Option<Range<usize>> {
        let end = start + self.prefix.len();
        let length = self.rest.length(text.get(end..)?).filter(|length| *length >= self.least)?;
        let from = if self.is_shown { end } else { start };
        begins_word(text, start).then_some(from..end + length)
    }
}

impl Rest {
    /// How many bytes belong to the secret; `None` where it is none.
    fn length(self, rest: &[u8]) -> Option<usize> {
        match self {
            Rest::Plain => mixed(run(rest, |byte| byte.is_ascii_alphanumeric())),
            Rest::Token => mixed(run(rest, is_token)),
            Rest::Bearer => mixed(run(rest, |byte| is_token(byte) || b"./+=~".contains(&byte))),
            Rest::Capitals => {
                let capitals = run(rest, |byte| byte.is_ascii_uppercase() || byte.is_ascii_digit());
                Some(capitals.len())
            }
            Rest::Jwt => jwt(rest),
            Rest::PrivateKey => private_key(rest),
        }
    }
}

fn is_token(byte: u8) -> bool {
    byte.is_ascii_alphanumeric() || byte == b'_' || byte == b'-'
}

/// The bytes at the beginning that belong to it. `\/` is how some write `/` in JSON.
fn run(rest: &[u8], belongs: impl Fn(u8) -> bool) -> &[u8] {
    let mut at = 0;
    while let Some(byte) = rest.get(at) {
        match (byte, rest.get(at + 1)) {
            (b'\\', Some(b'/')) if belongs(b'/') => at += 2,
            _ if belongs(*byte) => at += 1,
            _ => break,
        }
    }
    rest.get(..at).unwrap_or_default()
}

/// A key has letters and digits; words with hyphens between have not.
fn mixed(run: &[u8]) -> Option<usize> {
    let has = |is: fn(&u8) -> bool| run.iter().any(is);
    (has(u8::is_ascii_digit) && has(u8::is_ascii_alphabetic)).then_some(run.len())
}

fn jwt(rest: &[u8]) -> Option<usize> {
    let text = run(rest, |byte| is_token(byte) || byte == b'.');
    let mut parts = text.splitn(4, |byte| *byte == b'.');
    let (head, claims, signature) = (parts.next()?, parts.next()?, parts.next()?);
    (claims.len() >= 4).then_some(head.len() + 1 + claims.len() + 1 + signature.len())
}

/// From behind `-----BEGIN ` to behind the end line, or as far as it is there.
fn private_key(rest: &[u8]) -> Option<usize> {
    const NAME: &[u8] = b"PRIVATE KEY-----";
    const END: &[u8] = b"-----END ";
    let kind = rest.get(..rest.len().min(KIND_BYTES))?;
    let name_at = memchr::memmem::find(kind, NAME)?;
    let is_kind = |byte: &u8| byte.is_ascii_uppercase() || *byte == b' ';
    let body_at = kind.get(..name_at)?.iter().all(is_kind).then_some(name_at + NAME.len())?;
    let belongs = |byte: &u8| byte.is_ascii_alphanumeric() || b"+/=\\-:,. \n\r".contains(byte);
    let body = rest.get(body_at..)?;
    let length = body.iter().take(KEY_BYTES).take_while(|byte| belongs(byte)).count();
    let body = body.get(..length)?;
    let end = memchr::memmem::find(body, END).and_then(|at| {
        let name_at = memchr::memmem::find(body.get(at..)?, NAME)?;
        Some(at + name_at + NAME.len())
    });
    let mut length = end.unwrap_or(length);
    // A backslash at the end belongs to what follows it.
    while end.is_none() && body.get(..length).is_some_and(|body| body.ends_with(b"\\")) {
        length -= 1;
    }
    Some(body_at + length)
}

/// Whether something new begins here: in the middle of a word is no key. The letter before may be the
/// end of an escape: `\n`, `\u000a`, `%20`.
fn begins_word(text: &[u8], at: usize) -> bool {
    let before = |back: usize| at.checked_sub(back).and_then(|at| text.get(at)).copied();
    let Some(last) = before(1) else { return true };
    if !last.is_ascii_alphanumeric() && last != b'_' {
        return true;
    }
    let is_hex = |back: usize| before(back).is_some_and(|byte| byte.is_ascii_hexdigit());
    let of_escape = b"bfnrt".contains(&last) && before(2) == Some(b'\\');
    let of_percent = before(3) == Some(b'%') && is_hex(2) && is_hex(1);
    let of_unicode = before(6) == Some(b'\\') && before(5) == Some(b'u') && (1..=4).all(is_hex);
    of_escape || of_percent || of_unicode
}
