//! The search through the inside of strings, which most of any body is. In: bytes that begin inside a
//! string. Out: how many of them nothing has to be done about.
//!
//! In code and prose an escape comes every few words. To stop at each costs more than the words
//! between them: so 64 bytes are looked at together, and an escape among them is one more bit.

use wide::u8x16;

/// How much is looked at together, in bytes.
pub const BLOCK_BYTES: usize = 64;
/// How much a processor compares in one instruction.
const STEP_BYTES: usize = 16;

/// How many bytes stand before the first that is not plain inside a string: a quote, a backslash, a
/// control character.
#[inline]
pub(super) fn run_bytes(bytes: &[u8]) -> usize {
    match near(bytes, marked) {
        Ok(place) => place,
        Err(passed) => {
            let rest = bytes.get(passed..).unwrap_or_default();
            passed + if passed == BLOCK_BYTES { long_run_bytes(rest) } else { last_run_bytes(rest) }
        }
    }
}

/// How long the inside of a string is, where it is so short that one comparison finds its end, and
/// plain.
#[inline]
pub(super) fn short_string_bytes(bytes: &[u8]) -> Option<usize> {
    let step = bytes.first_chunk::<STEP_BYTES>()?;
    let length = marked(u8x16::new(*step)).to_bitmask().trailing_zeros() as usize;
    (step.get(length) == Some(&b'"')).then_some(length)
}

/// Whether two short texts are the same. The library's comparison is a call, and takes longer than this
/// for names (measured: a tenth of the time of lowering a request).
#[inline]
pub(super) fn same(one: &[u8], other: &[u8]) -> bool {
    const LONG: usize = 8;
    const SHORT: usize = 4;
    match one.len() {
        length if length != other.len() => false,
        ..SHORT => one.iter().zip(other).all(|(one, other)| one == other),
        SHORT..LONG => ends::<SHORT>(one) == ends::<SHORT>(other),
        LONG..=STEP_BYTES => ends::<LONG>(one) == ends::<LONG>(other),
        _ => one == other,
    }
}

/// The first and the last bytes of a text, which may be the same.
#[inline]
fn ends<const N: usize>(text: &[u8]) -> Option<(&[u8; N], &[u8; N])> {
    Some((text.first_chunk()?, text.last_chunk()?))
}

/// Where the first of these bytes is.
#[inline]
pub(super) fn first(byte: u8, bytes: &[u8]) -> Option<usize> {
    match near(bytes, |bytes| bytes.simd_eq(u8x16::splat(byte))) {
        Ok(place) => Some(place),
        Err(passed) => memchr::memchr(byte, bytes.get(passed..)?).map(|found| passed + found),
    }
}

/// Where the first byte is of which `is` makes ones, where that is near; else how many bytes are
/// passed, whole steps of the first block. To call memchr costs more than most runs are long
/// (measured: 56 instructions).
#[inline]
fn near(bytes: &[u8], is: impl Fn(u8x16) -> u8x16) -> Result<usize, usize> {
    let mut passed = 0;
    while passed < BLOCK_BYTES
        && let Some(step) = bytes.get(passed..).and_then(<[u8]>::first_chunk)
    {
        match is(u8x16::new(*step)).to_bitmask() {
            0 => passed += STEP_BYTES,
            found => return Ok(passed + found.trailing_zeros() as usize),
        }
    }
    Err(passed)
}

/// How long a run is that is long.
fn long_run_bytes(bytes: &[u8]) -> usize {
    let long = memchr::memchr2(b'"', b'\\', bytes).unwrap_or(bytes.len());
    let plain = bytes.get(..long).unwrap_or_default();
    let least = plain.iter().fold(u8::MAX, |least, byte| least.min(*byte));
    let control = (least < 0x20).then(|| plain.iter().position(|byte| *byte < 0x20)).flatten();
    control.unwrap_or(long)
}

/// How long a run is that has fewer than sixteen bytes left.
fn last_run_bytes(bytes: &[u8]) -> usize {
    let mut step = [b' '; STEP_BYTES];
    for (place, byte) in step.iter_mut().zip(bytes) {
        *place = *byte;
    }
    let found = marked(u8x16::new(step)).to_bitmask();
    bytes.len().min(found.trailing_zeros() as usize)
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
    while let Some(block) = bytes.get(at..).and_then(<[u8]>::first_chunk::<BLOCK_BYTES>) {
        let mut places = places(block);
        if places == 0 {
            at += BLOCK_BYTES + long_run_bytes(bytes.get(at + BLOCK_BYTES..).unwrap_or_default());
            continue;
        }
        let mut mark = 0;
        while places != 0 {
            let plain = places.trailing_zeros();
            mark += plain as usize;
            let is_usual = match (block.get(mark), block.get(mark + 1)) {
                (Some(b'\\'), Some(escaped)) => matches!(escaped, b'n' | b'"' | b'\\'),
                _ => false,
            };
            if !is_usual && !begins_escape(bytes, at + mark) {
                return at + mark;
            }
            // What is escaped may be a mark itself, and may be the first byte of the next block.
            mark += 2;
            places = places >> plain >> 2;
        }
        at += mark.max(BLOCK_BYTES);
    }
    at
}

/// Whether an escape begins there, and a right one.
fn begins_escape(bytes: &[u8], at: usize) -> bool {
    let escape = bytes.get(at + 1..).unwrap_or_default();
    bytes.get(at) == Some(&b'\\') && escape_bytes(escape).is_ok()
}

/// A bit for each byte of a block that is not plain inside a string: a quote, a backslash, a control
/// character. The lowest bit is the first byte.
///
/// 48 instructions on x86-64, where sums over plain integers take 88 and a loop over eight bytes each
/// 110.
#[inline]
pub fn places(block: &[u8; BLOCK_BYTES]) -> u64 {
    let (steps, _) = block.as_chunks::<STEP_BYTES>();
    let shifts = (0..).step_by(STEP_BYTES);
    steps.iter().zip(shifts).fold(0, |places, (step, shift): (_, u32)| {
        places | u64::from(marked(u8x16::new(*step)).to_bitmask()) << shift
    })
}

/// Ones where a byte is not plain inside a string.
#[inline]
fn marked(bytes: u8x16) -> u8x16 {
    let control = bytes.min(u8x16::splat(0x1F)).simd_eq(bytes);
    let quote = bytes.simd_eq(u8x16::splat(b'"'));
    let backslash = bytes.simd_eq(u8x16::splat(b'\\'));
    control | quote | backslash
}
