//! The seal on what we give a client to keep: nobody can read or change it, and every gateway with the
//! same key can open it again. In: a text. Out: one of our envelopes, and the text again.
//!
//! An envelope is [`MARK`], then in base64 a random nonce of twelve bytes and the text under
//! ChaCha20-Poly1305 (RFC 8439), the mark bound to it.

use std::fs::OpenOptions;
use std::io::{Read, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use latimer_wire::base64;
use ring::aead::{Aad, CHACHA20_POLY1305, LessSafeKey, NONCE_LEN, Nonce, UnboundKey};
use ring::rand::{SecureRandom, SystemRandom};

/// What an envelope begins with: who made it, and in which form.
const MARK: &str = "latimer.sealed.1:";
/// The file of the key in the data directory.
const FILE: &str = "seal.key";
/// How long a key is, in bytes.
const KEY_BYTES: usize = 32;

/// Why nothing can be sealed or opened.
#[derive(Debug, thiserror::Error)]
pub(crate) enum SealError {
    /// The file of the key cannot be read or made.
    #[error("the key in {path} cannot be used: {error}")]
    Key {
        /// The file.
        path: PathBuf,
        /// Why.
        error: std::io::Error,
    },
    /// The system gives no random bytes, or the text is too long.
    #[error("a text cannot be sealed")]
    Unsealed,
    /// It was not sealed with this key, or was changed.
    #[error("it was not sealed with this gateway's key, or was changed")]
    Foreign,
}

/// A key given by the operator, which is never printed.
#[derive(Clone, PartialEq, Eq)]
pub struct SealKey([u8; KEY_BYTES]);

impl SealKey {
    /// The key that is these 32 bytes in base64.
    pub fn read(text: &str) -> Option<Self> {
        Some(SealKey(base64::read(text.trim())?.try_into().ok()?))
    }
}

impl std::fmt::Debug for SealKey {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("SealKey")
    }
}

/// Seals and opens. The key is read, or made, when it is first needed.
pub(crate) struct Seal {
    given: Option<SealKey>,
    directory: PathBuf,
    key: OnceLock<LessSafeKey>,
}

impl Seal {
    /// With this key, or else with the one in `directory`.
    pub fn new(given: Option<SealKey>, directory: &Path) -> Self {
        Seal { given, directory: directory.to_owned(), key: OnceLock::new() }
    }

    fn key(&self) -> Result<&LessSafeKey, SealError> {
        if let Some(key) = self.key.get() {
            return Ok(key);
        }
        let bytes = match &self.given {
            Some(SealKey(bytes)) => *bytes,
            None => stored(&self.directory)?,
        };
        let key = UnboundKey::new(&CHACHA20_POLY1305, &bytes).map_err(|_| SealError::Unsealed)?;
        Ok(self.key.get_or_init(|| LessSafeKey::new(key)))
    }

    /// The text in an envelope.
    pub fn seal(&self, text: &str) -> Result<String, SealError> {
        let mut nonce = [0; NONCE_LEN];
        SystemRandom::new().fill(&mut nonce).map_err(|_| SealError::Unsealed)?;
        let mut bytes = text.as_bytes().to_vec();
        let aad = Aad::from(MARK.as_bytes());
        let sealed = self.key()?.seal_in_place_append_tag(
            Nonce::assume_unique_for_key(nonce),
            aad,
            &mut bytes,
        );
        sealed.map_err(|_| SealError::Unsealed)?;
        let mut envelope = MARK.to_owned();
        base64::push(&mut envelope, &[&nonce[..], &bytes].concat());
        Ok(envelope)
    }

    /// The text that was sealed.
    pub fn open(&self, envelope: &str) -> Result<String, SealError> {
        let bytes = envelope.strip_prefix(MARK).and_then(base64::read).ok_or(SealError::Foreign)?;
        let (nonce, sealed) = bytes.split_first_chunk().ok_or(SealError::Foreign)?;
        let nonce = Nonce::assume_unique_for_key(*nonce);
        let (aad, mut sealed) = (Aad::from(MARK.as_bytes()), sealed.to_vec());
        let text = self.key()?.open_in_place(nonce, aad, &mut sealed);
        let text = text.map_err(|_| SealError::Foreign)?;
        String::from_utf8(text.to_vec()).map_err(|_| SealError::Foreign)
    }
}

/// The key in a directory; made where there is none, for its owner alone.
fn stored(directory: &Path) -> Result<[u8; KEY_BYTES], SealError> {
    let path = directory.join(FILE);
    let made = make(directory, &path).and_then(|()| {
        let mut bytes = [0; KEY_BYTES];
        OpenOptions::new().read(true).open(&path)?.read_exact(&mut bytes)?;
        Ok(bytes)
    });
    made.map_err(|error| SealError::Key { path, error })
}

/// Makes the file of a key, unless it is there. It appears whole, so that another gateway that starts
/// at the same time reads all of it or makes it first.
fn make(directory: &Path, path: &Path) -> std::io::Result<()> {
    if path.exists() {
        return Ok(());
    }
    std::fs::create_dir_all(directory)?;
    let mut bytes = [0; KEY_BYTES];
    SystemRandom::new().fill(&mut bytes).map_err(|_| std::io::Error::other("no random bytes"))?;
    let draft = directory.join(format!("{FILE}.{}", std::process::id()));
    let mut options = OpenOptions::new();
    let mut file = options.write(true).create(true).truncate(true).mode(0o600).open(&draft)?;
    file.write_all(&bytes)?;
    file.sync_all()?;
    let linked = std::fs::hard_link(&draft, path);
    std::fs::remove_file(&draft)?;
    match linked {
        Err(error) if error.kind() != std::io::ErrorKind::AlreadyExists => Err(error),
        _ => Ok(()),
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::*;

    #[test]
    fn only_the_same_key_opens_what_was_not_changed() {
        let (here, there) = (tempfile::tempdir().unwrap(), tempfile::tempdir().unwrap());
        let (ours, again) = (Seal::new(None, here.path()), Seal::new(None, here.path()));
        let sealed = ours.seal("a summary").unwrap();
        assert_eq!(
            again.open(&sealed).unwrap(),
            "a summary",
            "another gateway with this directory"
        );
        assert_ne!(sealed, ours.seal("a summary").unwrap(), "a nonce is used once");
        assert!(!sealed.contains("summary"));

        let theirs = Seal::new(None, there.path());
        let given =
            Seal::new(SealKey::read("AAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAAA="), here.path());
        assert!([theirs, given].iter().all(|seal| seal.open(&sealed).is_err()));
        let bytes = base64::read(sealed.strip_prefix(MARK).unwrap()).unwrap();
        for at in 0..bytes.len() {
            let (mut changed, mut envelope) = (bytes.clone(), MARK.to_owned());
            changed[at] ^= 1;
            base64::push(&mut envelope, &changed);
            assert!(ours.open(&envelope).is_err(), "byte {at}");
        }
        for other in ["", "latimer.1:W10=", MARK, "latimer.sealed.1:AAAA"] {
            assert!(ours.open(other).is_err(), "{other}");
        }
        let mode = std::fs::metadata(here.path().join(FILE)).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
    }
}
