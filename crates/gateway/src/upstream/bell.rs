//! The waker of a backend's connection. The body of an answer and the connection it comes on are polled
//! by the same task, in turns, and hyper has each wake the other at every chunk: with the task's own
//! waker each of these calls would run the whole task once more, for nothing (measured: five looks at
//! the backend for each chunk of a paced stream, where one will do).
//!
//! In: wakes. Out: to the task those that come from elsewhere, and to whoever polls whether there were
//! any. None is lost, on whatever thread it comes.

use std::sync::Arc;
use std::sync::atomic::{AtomicU8, Ordering};
use std::task::{Context, Wake, Waker};

use futures_util::task::AtomicWaker;

/// The connection is being polled: who polls sees for itself that it was woken.
const POLLED: u8 = 1;
/// It was woken since it was last looked at.
const RUNG: u8 = 2;

/// Wakes a task, but not while it is looking.
pub(super) struct Bell {
    shared: Arc<Shared>,
    waker: Waker,
}

#[derive(Default)]
struct Shared {
    state: AtomicU8,
    task: AtomicWaker,
}

impl Wake for Shared {
    fn wake(self: Arc<Self>) {
        self.wake_by_ref();
    }

    fn wake_by_ref(self: &Arc<Self>) {
        if self.state.fetch_or(RUNG, Ordering::AcqRel) & POLLED == 0 {
            self.task.wake();
        }
    }
}

impl Bell {
    pub fn new() -> Bell {
        let shared = Arc::new(Shared::default());
        Bell { waker: Waker::from(Arc::clone(&shared)), shared }
    }

    /// From now on the bell calls this task. Says whether it rang.
    pub fn listen(&self, cx: &Context<'_>) -> bool {
        self.shared.task.register(cx.waker());
        self.shared.state.load(Ordering::Acquire) & RUNG != 0
    }

    /// The waker to poll the connection with. What rang before is answered by that.
    pub fn answer(&self) -> &Waker {
        self.shared.state.swap(POLLED, Ordering::AcqRel);
        &self.waker
    }

    /// Whether it rang since it was answered.
    pub fn rang(&self) -> bool {
        self.shared.state.load(Ordering::Acquire) & RUNG != 0
    }

    /// Looking is over. Says whether it rang since it was answered; then nobody was called.
    pub fn hang_up(&self) -> bool {
        self.shared.state.fetch_and(!POLLED, Ordering::AcqRel) & RUNG != 0
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;
    use std::sync::atomic::{AtomicU32, Ordering};
    use std::task::{Context, Wake, Waker};

    use super::Bell;

    #[derive(Default)]
    struct Calls(AtomicU32);

    impl Wake for Calls {
        fn wake(self: Arc<Self>) {
            self.0.fetch_add(1, Ordering::Relaxed);
        }
    }

    #[test]
    fn a_task_is_called_but_not_while_it_looks() {
        let calls = Arc::new(Calls::default());
        let task = Waker::from(Arc::clone(&calls));
        let count = || calls.0.load(Ordering::Relaxed);
        let bell = Bell::new();
        assert!(!bell.listen(&Context::from_waker(&task)));

        let waker = bell.answer().clone();
        waker.wake_by_ref();
        assert!(bell.rang());
        assert!(bell.hang_up(), "nobody was called, so the looker has to know");
        assert_eq!(count(), 0);

        bell.answer();
        assert!(!bell.hang_up());
        waker.wake_by_ref();
        assert_eq!(count(), 1);
        assert!(bell.listen(&Context::from_waker(&task)));
    }
}
