//! The decoder of server-sent events against the WHATWG rules, a row each, and two laws: frames do
//! not depend on how the bytes were cut, and what is encoded comes back without forging a field.
#![allow(clippy::indexing_slicing, reason = "a test may panic")]

use latimer_wire::sse::{Decoder, encode};
use proptest::prelude::*;

type Frames = Vec<(Option<String>, String)>;

const NO_LIMIT: usize = 1 << 20;

/// All frames of `pieces`, and whether the stream was refused in the end.
fn decode<'p>(pieces: impl IntoIterator<Item = &'p [u8]>, limit_bytes: usize) -> (Frames, bool) {
    let mut decoder = Decoder::new(limit_bytes);
    let mut frames = Vec::new();
    for piece in pieces {
        decoder.push(piece);
        loop {
            match decoder.next() {
                Ok(Some(frame)) => {
                    frames.push((frame.event.map(Into::into), frame.data.into_owned()))
                }
                Ok(None) => break,
                Err(_) => return (frames, true),
            }
        }
        assert!(decoder.pending_bytes() <= limit_bytes, "memory is bounded by the limit");
    }
    (frames, false)
}

/// `bytes` cut at the places that `cuts` name, whatever numbers they are.
fn cut<'b>(bytes: &'b [u8], cuts: &[usize]) -> Vec<&'b [u8]> {
    let mut places: Vec<usize> = cuts.iter().map(|cut| cut % (bytes.len() + 1)).collect();
    places.extend([0, bytes.len()]);
    places.sort_unstable();
    places.windows(2).map(|pair| &bytes[pair[0]..pair[1]]).collect()
}

/// What it shows, the bytes, the frames as (event, data).
type Vector = (&'static str, &'static [u8], &'static [(&'static str, &'static str)]);

const VECTORS: &[Vector] = &[
    ("LF", b"data: a\n\n", &[("", "a")]),
    ("CR", b"data: a\r\rdata: b\r\r", &[("", "a"), ("", "b")]),
    ("CRLF", b"data: a\r\n\r\ndata: b\r\n\r\n", &[("", "a"), ("", "b")]),
    ("all line ends mixed", b"data: a\rdata: b\n\r\ndata: c\r\n\n", &[("", "a\nb"), ("", "c")]),
    ("LF CR is two ends", b"data: a\n\rdata: b\n\n", &[("", "a"), ("", "b")]),
    ("a BOM is dropped", b"\xef\xbb\xbfdata: a\n\n", &[("", "a")]),
    ("only one is", b"\xef\xbb\xbf\xef\xbb\xbfdata: a\n\ndata: b\n\n", &[("", "b")]),
    ("only at the start", b"data: a\n\n\xef\xbb\xbfdata: b\n\n", &[("", "a")]),
    ("half a BOM is a field", b"\xef\xbbdata: a\n\ndata: b\n\n", &[("", "b")]),
    ("nothing but a BOM", b"\xef\xbb\xbf", &[]),
    ("comments", b": hi\n\n:\ndata: a\n: in between\ndata: b\n:\n\n", &[("", "a\nb")]),
    ("several lines", b"data: a\ndata: b\ndata:  c\n\n", &[("", "a\nb\n c")]),
    ("an empty line of data", b"data:\n\n", &[("", "")]),
    ("two of them", b"data:\ndata:\n\n", &[("", "\n")]),
    ("a field without colon", b"data\n\ndata\ndata\n\n", &[("", ""), ("", "\n")]),
    ("one space goes", b"data:a\n\ndata: a\n\ndata:  a \n\n", &[("", "a"), ("", "a"), ("", " a ")]),
    ("a tab stays", b"data:\ta\n\n", &[("", "\ta")]),
    ("colons in the value", b"data: a: b:c\n\ndata::\n\n", &[("", "a: b:c"), ("", ":")]),
    ("unknown fields", b"dat: x\ndataa: x\n data: x\nfoo\ndata: a\nid: 7\n\n", &[("", "a")]),
    ("id and retry", b"id: 1\nretry: 10\nid: \0\n\ndata: a\nretry: x\n\n", &[("", "a")]),
    ("names have a case", b"Data: x\nDATA: x\nEvent: x\ndata: a\n\n", &[("", "a")]),
    ("an event name", b"event: e\ndata: a\n\n", &[("e", "a")]),
    ("in any order", b"data: a\nevent: e\ndata: b\n\n", &[("e", "a\nb")]),
    ("the last name counts", b"event: e\nevent: f\ndata: a\n\n", &[("f", "a")]),
    ("an empty name is none", b"event: e\nevent:\ndata: a\n\n", &[("", "a")]),
    ("a name ends with its event", b"event: e\ndata: a\n\ndata: b\n\n", &[("e", "a"), ("", "b")]),
    ("also without data", b"event: e\n\ndata: b\n\n", &[("", "b")]),
    ("blank lines", b"\n\r\n\r\rdata: a\n\n\n\n", &[("", "a")]),
    ("no closing blank line", b"data: a\n\ndata: b\n", &[("", "a")]),
    ("no line end", b"data: a\n\ndata: b", &[("", "a")]),
    ("not UTF-8", b"data: a\xffb\xe2\x82\n\n", &[("", "a\u{fffd}b\u{fffd}")]),
    ("each bad byte", b"data: \xf0\x9f\x98z\x80\x80\n\n", &[("", "\u{fffd}z\u{fffd}\u{fffd}")]),
    ("a bad name of a field", b"da\xffta: x\ndata: a\n\n", &[("", "a")]),
    ("UTF-8", "event: é\ndata: \u{1f600}\u{2028}\n\n".as_bytes(), &[("é", "\u{1f600}\u{2028}")]),
    ("NUL is text", b"data: a\0b\nevent: \0\n\n", &[("\0", "a\0b")]),
];

#[test]
fn vectors_hold_under_every_cut() {
    for (name, bytes, frames) in VECTORS {
        let text = |(event, data): &(&str, &str)| {
            ((!event.is_empty()).then(|| (*event).to_owned()), (*data).to_owned())
        };
        let expected: Frames = frames.iter().map(text).collect();
        for at in 0..=bytes.len() {
            let (frames, refused) = decode([&bytes[..at], &bytes[at..]], NO_LIMIT);
            assert_eq!((frames, refused), (expected.clone(), false), "{name}, cut at byte {at}");
        }
        let (frames, refused) = decode(bytes.chunks(1), NO_LIMIT);
        assert_eq!((frames, refused), (expected, false), "{name}, byte by byte");
    }
}

/// Name, stream, limit, how many frames come before the refusal (`Ok`: it never comes).
type Limit = (&'static str, &'static [u8], usize, Result<usize, usize>);

const LIMITS: &[Limit] = &[
    ("an event as long as the limit", b"data: abcd\n\n", 12, Ok(1)),
    ("one byte longer", b"data: abcde\n\n", 12, Err(0)),
    ("each event counts alone", b"data: a\n\ndata: b\n\ndata: c\n\n", 9, Ok(3)),
    ("the event after a good one", b"data: a\n\ndata: bcdefgh\n\n", 12, Err(1)),
    ("many short lines", b"data: a\ndata: b\ndata: c\n\n", 20, Err(0)),
    ("keep-alives do not count", b": 3456\n: 3456\n\n: 3456\ndata: a\n\n", 9, Ok(1)),
    ("with CRLF neither", b": 345\r\n: 345\r\n\r\ndata:\r\n\r\n", 9, Ok(1)),
    ("nor does half a CRLF", b"\r\n\r\ndata:\r\n\r\n", 8, Ok(1)),
    ("within an event they do", b"data: a\n: 3456\n: 3456\n\n", 16, Err(0)),
    ("one too long a comment", b": 3456789abcd\n", 12, Err(0)),
    ("a line that never ends", b"data: abcdefghijklm", 12, Err(0)),
    ("unknown fields do not count", b"id: 1\nid: 2\nid: 3\ndata: a\n\n", 9, Ok(1)),
];

#[test]
fn limits_hold_under_every_cut() {
    for (name, bytes, limit_bytes, verdict) in LIMITS {
        let (count, refused) = match verdict {
            Ok(count) => (*count, false),
            Err(count) => (*count, true),
        };
        for at in 0..=bytes.len() {
            let (frames, got) = decode([&bytes[..at], &bytes[at..]], *limit_bytes);
            assert_eq!((frames.len(), got), (count, refused), "{name}, cut at byte {at}");
        }
        let (frames, got) = decode(bytes.chunks(1), *limit_bytes);
        assert_eq!((frames.len(), got), (count, refused), "{name}, byte by byte");
    }
}

#[test]
fn a_refused_stream_stays_refused() {
    let mut decoder = Decoder::new(8);
    decoder.push(b"data: 0123456789");
    assert!(decoder.next().is_err());
    decoder.push(b"\n\ndata: a\n\n");
    assert!(decoder.next().is_err());
}

/// Bytes as streams are made of: fields, line ends, halves of both, and anything else.
fn stream() -> impl Strategy<Value = Vec<u8>> {
    let token = prop_oneof![
        8 => prop::sample::select(vec!["\r", "\n", "\r\n", "\n\n", "\r\n\r\n"]),
        8 => prop::sample::select(vec![":", " ", "d", "a", "t", "data", "data:", "data: ", "event: e"]),
        1 => prop::sample::select(vec!["\u{feff}", "é", "\u{1f600}", "id", "retry", "\0"]),
    ]
    .prop_map(|text| text.as_bytes().to_vec());
    let byte = prop_oneof![any::<u8>(), prop::sample::select(vec![0xef, 0xbb, 0xbf])];
    let token = prop_oneof![12 => token, 1 => byte.prop_map(|byte| vec![byte])];
    prop::collection::vec(token, 0..40).prop_map(|tokens| tokens.concat())
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn frames_do_not_depend_on_cuts(
        bytes in stream(),
        cuts in prop::collection::vec(any::<usize>(), 0..8),
        limit_bytes in prop_oneof![4..40_usize, Just(NO_LIMIT)],
    ) {
        let whole = decode([&*bytes], limit_bytes);
        prop_assert_eq!(&decode(cut(&bytes, &cuts), limit_bytes), &whole);
        prop_assert_eq!(&decode(bytes.chunks(1), limit_bytes), &whole);
    }

    #[test]
    fn what_is_encoded_comes_back(
        texts in prop::collection::vec(
            prop_oneof![any::<String>(), "(data: |event: x|\\r|\\n|\u{feff}|:|[a ]){0,12}"], 1..4),
    ) {
        let mut stream = String::new();
        for text in &texts {
            encode(&mut stream, Some("e"), text);
        }
        let expected: Frames =
            texts.iter().map(|text| (Some("e".to_owned()), text.replace('\r', "\n"))).collect();
        prop_assert_eq!(decode([stream.as_bytes()], NO_LIMIT), (expected, false));
    }
}
