//! The seal of a line: a digest by which it can be seen later that the line is as it was written.
//! It is the SHA-256 of the bytes of the line from its first to the last before `,"sha256":"`, which
//! is the last member of the object `latimer`, which is the last of the line; it covers request and
//! answer as they are recorded, after whatever was taken out of them. A line that another program
//! has printed anew, with other spaces or another order, is not as it was written.
//!
//! Before the digest, and so inside what it covers, stands the seal of the line before
//! (`"parent_sha256"`), where the same writer wrote one: a line that is missing or moved is seen too.

use ring::digest::{SHA256, digest};

/// What stands before the digest, and after it.
const KEY: &[u8] = b",\"sha256\":\"";
const END: &[u8] = b"\"}}";
/// What stands before the seal of the line before.
const PARENT: &[u8] = b",\"parent_sha256\":\"";
const DIGITS: usize = 64;

/// Whether a line is as it was written; `None` where it has no seal.
///
/// ```
/// use latimer_probe::seal::{add, holds};
/// let mut line = br#"{"timestamp":1,"latimer":{"notes":[]}}"#.to_vec();
/// assert_eq!(holds(&line), None);
/// add(&mut line, None);
/// assert_eq!(holds(&line), Some(true));
/// line[13] = b'2';
/// assert_eq!(holds(&line), Some(false));
/// ```
pub fn holds(line: &[u8]) -> Option<bool> {
    let (sealed, digits) = parts(line)?;
    Some(hexadecimal(sealed).as_bytes() == digits)
}

/// The seal of a line, which may hold or not.
pub fn digits(line: &[u8]) -> Option<String> {
    parts(line).map(|(_, digits)| String::from_utf8_lossy(digits).into_owned())
}

/// The seal of the line before, as a line has it inside its own.
pub fn parent(line: &[u8]) -> Option<String> {
    let rest = parts(line)?.0.strip_suffix(b"\"")?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    rest.ends_with(PARENT).then(|| String::from_utf8_lossy(digits).into_owned())
}

/// What is sealed of a line, and its seal.
fn parts(line: &[u8]) -> Option<(&[u8], &[u8])> {
    let rest = line.trim_ascii_end().strip_suffix(END)?;
    let (rest, digits) = rest.split_at_checked(rest.len().checked_sub(DIGITS)?)?;
    Some((rest.strip_suffix(KEY)?, digits))
}

/// Seals a line that ends with a filled object `latimer`, with or without its line end, as the one
/// after the line with the seal `parent`; any other stays as it is.
pub fn add(line: &mut Vec<u8>, parent: Option<&str>) {
    let ended = line.ends_with(b"\n");
    let Some(sealed) = line.trim_ascii_end().strip_suffix(b"}}") else { return };
    line.truncate(sealed.len());
    if let Some(parent) = parent {
        line.extend_from_slice(PARENT);
        line.extend_from_slice(parent.as_bytes());
        line.push(b'"');
    }
    let digits = hexadecimal(line);
    line.extend_from_slice(KEY);
    line.extend_from_slice(digits.as_bytes());
    line.extend_from_slice(END);
    if ended {
        line.push(b'\n');
    }
}

fn hexadecimal(bytes: &[u8]) -> String {
    let digest = digest(&SHA256, bytes);
    let halves = digest.as_ref().iter().flat_map(|byte| [byte >> 4, byte & 15]);
    halves.filter_map(|half| char::from_digit(half.into(), 16)).collect()
}
