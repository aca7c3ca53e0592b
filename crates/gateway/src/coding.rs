//! The codings a body may be compressed with (RFC 9110, 8.4.1), undone piece by piece within a bound.

use std::io::{self, Write};

use brotli_decompressor::DecompressorWriter;
use bytes::Bytes;
use flate2::write::MultiGzDecoder;
use flate2::{Decompress, FlushDecompress, Status};
use zstd::stream::{raw, zio};

/// The codings that can be undone.
pub(crate) const KNOWN: &[&str] = &["zstd", "gzip", "x-gzip", "deflate", "br"];
/// Windows over 8 MiB are refused (RFC 8878, section 3.1.1.1.2).
const ZSTD_WINDOW_LOG_MAX: u32 = 23;
/// What is made plain at a time.
const STEP_BYTES: usize = 64 << 10;

/// Why a body cannot be made plain.
#[derive(Debug, thiserror::Error)]
pub(crate) enum Undecodable {
    /// It is not what its coding says, or ends too early.
    #[error("{0}")]
    Damaged(io::Error),
    /// It becomes too long.
    #[error("it becomes longer than {0} bytes")]
    TooLong(usize),
}

/// Undoes a coding.
pub(crate) struct Decoder {
    form: Form,
    limit_bytes: usize,
}

enum Form {
    /// Nothing came yet; the first byte tells what some codings leave open.
    Unseen(String),
    Gzip(Box<MultiGzDecoder<Plain>>),
    Deflate(Box<Inflate>),
    Brotli(Box<DecompressorWriter<Plain>>),
    Zstd(Box<zio::Writer<Plain, raw::Decoder<'static>>>),
}

/// What was made plain and not taken yet, and how much may still come.
struct Plain {
    bytes: Vec<u8>,
    left_bytes: usize,
}

impl Write for Plain {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        if bytes.len() > self.left_bytes {
            self.left_bytes = 0;
            return Err(io::ErrorKind::FileTooLarge.into());
        }
        self.left_bytes -= bytes.len();
        self.bytes.extend_from_slice(bytes);
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

/// A zlib or bare deflate stream.
struct Inflate {
    state: Decompress,
    over: bool,
    plain: Plain,
}

impl Inflate {
    fn push(&mut self, mut bytes: &[u8]) -> io::Result<()> {
        let mut step = Vec::with_capacity(STEP_BYTES);
        while !self.over {
            let before = self.state.total_in();
            let status = self.state.decompress_vec(bytes, &mut step, FlushDecompress::None)?;
            let taken = (self.state.total_in() - before) as usize;
            bytes = bytes.get(taken..).unwrap_or_default();
            self.over = status == Status::StreamEnd;
            if taken == 0 && step.is_empty() {
                break;
            }
            self.plain.write_all(&step)?;
            step.clear();
        }
        Ok(())
    }

    fn end(&self) -> io::Result<()> {
        if self.over { Ok(()) } else { Err(io::ErrorKind::UnexpectedEof.into()) }
    }
}

impl Form {
    fn begin(coding: &str, first: u8, limit_bytes: usize) -> io::Result<Form> {
        let plain = Plain { bytes: Vec::new(), left_bytes: limit_bytes };
        Ok(match coding {
            "gzip" | "x-gzip" => Form::Gzip(Box::new(MultiGzDecoder::new(plain))),
            "deflate" => {
                // What is called deflate is a zlib stream (RFC 9110, 8.4.1.2); some leave it bare.
                let state = Decompress::new(first & 0x0f == 8);
                Form::Deflate(Box::new(Inflate { state, over: false, plain }))
            }
            // Large-window streams are not brotli (RFC 7932): their window may take a gibibyte.
            "br" if first & 0x7f == 0x11 => {
                return Err(io::Error::other("its window is too large"));
            }
            "br" => Form::Brotli(Box::new(DecompressorWriter::new(plain, STEP_BYTES))),
            "zstd" => {
                let mut decoder = raw::Decoder::new()?;
                decoder.set_parameter(raw::DParameter::WindowLogMax(ZSTD_WINDOW_LOG_MAX))?;
                Form::Zstd(Box::new(zio::Writer::new(plain, decoder)))
            }
            unknown => return Err(io::Error::other(format!("`{unknown}` is not known"))),
        })
    }

    fn push(&mut self, bytes: &[u8]) -> io::Result<()> {
        match self {
            Form::Unseen(_) => Ok(()),
            Form::Gzip(decoder) => decoder.write_all(bytes),
            Form::Deflate(inflate) => inflate.push(bytes),
            Form::Brotli(decoder) => decoder.write_all(bytes),
            Form::Zstd(decoder) => decoder.write_all(bytes),
        }?;
        match self {
            Form::Gzip(decoder) => decoder.flush(),
            Form::Brotli(decoder) => decoder.flush(),
            Form::Zstd(decoder) => decoder.flush(),
            Form::Unseen(_) | Form::Deflate(_) => Ok(()),
        }
    }

    fn end(&mut self) -> io::Result<()> {
        match self {
            Form::Unseen(_) => Ok(()),
            Form::Gzip(decoder) => decoder.try_finish(),
            Form::Deflate(inflate) => inflate.end(),
            Form::Brotli(decoder) => decoder.close(),
            Form::Zstd(decoder) => decoder.finish(),
        }
    }

    fn plain(&mut self) -> Option<&mut Plain> {
        match self {
            Form::Unseen(_) => None,
            Form::Gzip(decoder) => Some(decoder.get_mut()),
            Form::Deflate(inflate) => Some(&mut inflate.plain),
            Form::Brotli(decoder) => Some(decoder.get_mut()),
            Form::Zstd(decoder) => Some(decoder.writer_mut()),
        }
    }
}

impl Decoder {
    /// For a coding by its name in lower case, up to `limit_bytes` of plain text; `None` where it is
    /// not known.
    pub fn of(coding: &str, limit_bytes: usize) -> Option<Decoder> {
        let form = Form::Unseen(coding.to_owned());
        KNOWN.contains(&coding).then_some(Decoder { form, limit_bytes })
    }

    /// Takes what came and gives what is plain of it.
    ///
    /// # Errors
    /// When it is damaged or becomes too long.
    pub fn push(&mut self, bytes: &[u8]) -> Result<Vec<u8>, Undecodable> {
        if let (Form::Unseen(coding), Some(first)) = (&self.form, bytes.first()) {
            let begun = Form::begin(coding, *first, self.limit_bytes);
            self.form = begun.map_err(Undecodable::Damaged)?;
        }
        let pushed = self.form.push(bytes);
        self.taken(pushed)
    }

    /// Nothing more comes: gives what is left.
    ///
    /// # Errors
    /// When it ended too early.
    pub fn end(&mut self) -> Result<Vec<u8>, Undecodable> {
        let ended = self.form.end();
        self.taken(ended)
    }

    fn taken(&mut self, done: io::Result<()>) -> Result<Vec<u8>, Undecodable> {
        let limit_bytes = self.limit_bytes;
        match done {
            Ok(()) => {
                let plain = self.form.plain();
                Ok(plain.map(|plain| std::mem::take(&mut plain.bytes)).unwrap_or_default())
            }
            Err(error) if error.kind() == io::ErrorKind::FileTooLarge => {
                Err(Undecodable::TooLong(limit_bytes))
            }
            Err(error) => Err(Undecodable::Damaged(error)),
        }
    }
}

/// The plain form of a whole body.
///
/// # Errors
/// When it is damaged, ends too early, or becomes too long.
pub(crate) fn undo(mut decoder: Decoder, body: &[u8]) -> Result<Vec<u8>, Undecodable> {
    let mut plain = decoder.push(body)?;
    plain.extend(decoder.end()?);
    Ok(plain)
}

/// The plain form of a whole body, made on a thread of its own: it may take long.
///
/// # Errors
/// As [`undo`].
pub(crate) async fn undo_aside(decoder: Decoder, body: Bytes) -> Result<Bytes, Undecodable> {
    let undone = tokio::task::spawn_blocking(move || undo(decoder, &body).map(Bytes::from)).await;
    undone.unwrap_or_else(|stopped| Err(Undecodable::Damaged(io::Error::other(stopped))))
}

/// As much as can be made plain of a body that may be cut off: to be shown.
pub(crate) fn undo_beginning(mut decoder: Decoder, body: &[u8]) -> Vec<u8> {
    undo_piece(&mut decoder, body).0
}

/// As much as can be made plain of one piece, and whether more can follow.
pub(crate) fn undo_piece(decoder: &mut Decoder, piece: &[u8]) -> (Vec<u8>, bool) {
    let mut plain = Vec::new();
    for step in piece.chunks(STEP_BYTES) {
        match decoder.push(step) {
            Ok(more) => plain.extend(more),
            Err(_) => return (plain, false),
        }
    }
    (plain, true)
}

#[cfg(test)]
mod tests {
    use std::io::Write as _;

    use super::{Decoder, Undecodable, undo};

    /// The same text in every coding.
    fn coded(text: &[u8]) -> Vec<(&'static str, Vec<u8>)> {
        use flate2::Compression;
        use flate2::write::{DeflateEncoder, GzEncoder, ZlibEncoder};
        let level = Compression::default();
        let mut gzip = GzEncoder::new(Vec::new(), level);
        let mut zlib = ZlibEncoder::new(Vec::new(), level);
        let mut bare = DeflateEncoder::new(Vec::new(), level);
        gzip.write_all(text).expect("memory");
        zlib.write_all(text).expect("memory");
        bare.write_all(text).expect("memory");
        vec![
            ("gzip", gzip.finish().expect("memory")),
            ("deflate", zlib.finish().expect("memory")),
            ("deflate", bare.finish().expect("memory")),
            ("zstd", zstd::encode_all(text, 3).expect("memory")),
        ]
    }

    #[test]
    fn a_body_is_made_plain_however_it_is_cut() {
        let text = "a text that says the same, the same, the same ".repeat(40);
        for (coding, body) in coded(text.as_bytes()) {
            for cut in 1..body.len() {
                let (before, after) = body.split_at(cut);
                let mut decoder = Decoder::of(coding, text.len()).expect("a known coding");
                let mut plain = decoder.push(before).expect("sound");
                plain.extend(decoder.push(after).expect("sound"));
                plain.extend(decoder.end().expect("complete"));
                assert_eq!(plain, text.as_bytes(), "{coding} cut at {cut}");

                let mut decoder = Decoder::of(coding, text.len()).expect("a known coding");
                let cut_off = decoder.push(before).and_then(|_| decoder.end());
                assert!(cut_off.is_err(), "{coding} ended at {cut} of {}", body.len());
            }
        }
    }

    #[test]
    fn a_body_that_becomes_too_long_is_given_up() {
        for (coding, body) in coded(&vec![0; 10 << 20]) {
            let decoder = Decoder::of(coding, 1 << 20).expect("a known coding");
            let outcome = undo(decoder, &body);
            assert!(matches!(outcome, Err(Undecodable::TooLong(_))), "{coding}: {outcome:?}");
        }
    }
}
