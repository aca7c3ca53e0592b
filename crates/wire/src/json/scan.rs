//! The search through the inside of strings, which most of any body is. In: bytes that begin inside a
//! string. Out: how many of them nothing has to be done about.
//!
//! In code and prose an escape comes every few words. To stop at each costs more than the words
//! between them: so 64 bytes are looked at together, and an escape among them is one more bit.

/// A bit in each of eight bytes: the lowest, and the highest.
const ONES: u64 = u64::MAX / 255;
const HIGHEST: u64 = ONES << 7;

/// How much is looked at together, in bytes.
pub const BLOCK_BYTES: usize = 64;

/// How many bytes stand before the first that is not plain inside a string: a quote, a backslash, a
/// control character.
///
/// A run begins with eight bytes at a time; to call memchr costs more than most runs are long
/// (measured: 56 instructions).
#[inline]
pub(super) fn run_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let marks = marks(u64::from_le_bytes(*eight));
        if marks != 0 {
            return at + marks.trailing_zeros() as usize / 8;
        }
        at += 8;
        if at == BLOCK_BYTES {
            return at + long_run_bytes(bytes.get(at..).unwrap_or_default());
        }
    }
    at + last_run_bytes(bytes.get(at..).unwrap_or_default())
}

/// Where the first backslash is. In code it is near: to call memchr for each costs more than eight bytes
/// at a time for the first few.
#[inline]
pub(super) fn backslash(bytes: &[u8]) -> Option<usize> {
    let mut at = 0;
    while let Some(eight) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let eight = u64::from_le_bytes(*eight);
        let marked = backslashes(eight) & !eight & HIGHEST;
        if marked != 0 {
            return Some(at + marked.trailing_zeros() as usize / 8);
        }
        at += 8;
        if at == BLOCK_BYTES {
            break;
        }
    }
    memchr::memchr(b'\\', bytes.get(at..)?).map(|found| at + found)
}

/// The same for a run that is long.
fn long_run_bytes(bytes: &[u8]) -> usize {
    let long = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let plain = bytes.get(..long).unwrap_or_default();
    let controlled = plain.iter().fold(false, |found, byte| found | (*byte < 0x20));
    let control = controlled.then(|| plain.iter().position(|byte| *byte < 0x20)).flatten();
    control.unwrap_or(long)
}

/// The same for fewer than eight bytes.
fn last_run_bytes(bytes: &[u8]) -> usize {
    bytes.iter().position(|byte| is_mark(*byte)).unwrap_or(bytes.len())
}

/// Whether a byte is not plain inside a string.
const fn is_mark(byte: u8) -> bool {
    (byte < 0x20) | (byte == b'"') | (byte == b'\\')
}

/// The highest bit of each of eight bytes that is not plain; above the lowest such byte others may
/// be marked too.
const fn marks(eight: u64) -> u64 {
    // With its second bit turned over, a quote is the byte after the last control character.
    let quote_or_control = (eight ^ (ONES * 2)).wrapping_sub(ONES * 0x21);
    (quote_or_control | backslashes(eight)) & !eight & HIGHEST
}

/// The same for backslashes alone, before other bytes beyond ASCII are taken out.
const fn backslashes(eight: u64) -> u64 {
    (eight ^ (ONES * b'\\' as u64)).wrapping_sub(ONES)
}

/// How long an escape is, from the byte after its backslash.
#[inline]
pub(super) fn escape_bytes(bytes: &[u8]) -> Result<usize, &'static str> {
    match bytes.first() {
        Some(b'"' | b'\\' | b'/' | b'b' | b'f' | b'n' | b'r' | b't') => Ok(1),
        Some(b'u') => match bytes.get(1..5) {
            Some(digits) if digits.iter().all(u8::is_ascii_hexdigit) => Ok(5),
            _ => Err("expected four hexadecimal digits after `\\u`"),
        },
        _ => Err("unknown escape inside a string"),
    }
}

/// How many whole blocks' worth of text and right escapes come next, up to a closing quote or a fault
/// where one of them holds it. What is left is to be read step by step.
pub(super) fn blocks_bytes(bytes: &[u8]) -> usize {
    let mut at = 0;
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk) {
        let mut places = places(block);
        if places == 0 {
            at += BLOCK_BYTES + long_run_bytes(bytes.get(at + BLOCK_BYTES..).unwrap_or_default());
            continue;
        }
        let mut next = BLOCK_BYTES;
        while places != 0 {
            let place = places.trailing_zeros() as usize;
            if !begins_escape(bytes, at + place) {
                return at + place;
            }
            // What is escaped may be a mark itself, and may be the first byte of the next block.
            places &= !(0b11 << place);
            next = next.max(place + 2);
        }
        at += next;
    }
    at
}

/// Whether an escape begins there, and a right one.
#[inline]
fn begins_escape(bytes: &[u8], at: usize) -> bool {
    match bytes.get(at..).and_then(<[u8]>::first_chunk) {
        Some([b'\\', b'n' | b'"' | b'\\']) => true,
        Some([b'\\', _]) => escape_bytes(bytes.get(at + 1..).unwrap_or_default()).is_ok(),
        _ => false,
    }
}

/// A bit for each byte of a block that is not plain inside a string: a quote, a backslash, a control
/// character. The lowest bit is the first byte.
///
/// Written so that the compiler compares sixteen bytes at a time, and a multiplication gathers the
/// outcome of eight: 88 instructions on x86-64, where a loop over eight bytes each takes 110 and
/// then stops at every mark.
pub fn places(block: &[u8; BLOCK_BYTES]) -> u64 {
    const GATHER: u64 = 0x0102_0408_1020_4080;
    let marks = block.map(|byte| u8::from(is_mark(byte)));
    let (eights, _) = marks.as_chunks::<8>();
    let gathered = eights.iter().map(|eight| u64::from_le_bytes(*eight).wrapping_mul(GATHER) >> 56);
    gathered
        .zip((0..).step_by(8))
        .fold(0, |places, (eight, shift): (u64, u32)| places | (eight << shift))
}
