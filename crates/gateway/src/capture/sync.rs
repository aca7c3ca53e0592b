//! Bringing what was written to the disk, by a thread of its own: that may take long, and nothing has
//! to wait for it.

use std::fs::File;
use std::io;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};

/// How a file is brought to the disk.
pub(super) type Sync = fn(&File) -> io::Result<()>;

/// Brings files to the disk.
pub(super) struct Syncer {
    sync: Sync,
    files: SyncSender<Arc<File>>,
    failed: Arc<Mutex<Option<io::Error>>>,
}

impl Syncer {
    /// Starts the thread. It ends with this.
    ///
    /// # Errors
    /// When there can be no thread.
    pub fn start(sync: Sync) -> io::Result<Syncer> {
        let (files, asked) = sync_channel::<Arc<File>>(1);
        let failed = Arc::default();
        let syncer = Syncer { sync, files, failed: Arc::clone(&failed) };
        std::thread::Builder::new().name("recorder-sync".to_owned()).spawn(move || {
            for file in asked {
                keep_failure(&failed, sync(&file));
            }
        })?;
        Ok(syncer)
    }

    /// Asks for a file to be brought to the disk; whether it will be. It never waits.
    pub fn ask(&self, file: &Arc<File>) -> bool {
        self.files.try_send(Arc::clone(file)).is_ok()
    }

    /// Brings a file to the disk before it returns.
    pub fn sync_now(&self, file: &File) -> bool {
        keep_failure(&self.failed, (self.sync)(file));
        true
    }

    /// What went wrong since it was last asked.
    pub fn failure(&self) -> Option<io::Error> {
        self.failed.lock().unwrap_or_else(|lock| lock.into_inner()).take()
    }
}

fn keep_failure(failed: &Mutex<Option<io::Error>>, synced: io::Result<()>) {
    if let Err(error) = synced {
        *failed.lock().unwrap_or_else(|lock| lock.into_inner()) = Some(error);
    }
}
