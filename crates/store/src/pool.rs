//! A bounded set of connections, and a bounded queue before it. In: whoever needs one. Out: a
//! [`Lease`], or `Busy` in bounded time. It opens nothing itself: a lease may come without a
//! connection, and who has it opens one.

use std::sync::{Arc, Mutex, PoisonError};
use std::time::Duration;

use tokio::sync::{OwnedSemaphorePermit, Semaphore};

use crate::StoreError;

pub(crate) struct Pool<C> {
    idle: Mutex<Vec<C>>,
    /// One for each connection that may be used.
    free: Arc<Semaphore>,
    /// One for each that is used or waited for.
    places: Arc<Semaphore>,
    wait: Duration,
}

/// The right to use one connection. What is not given back is closed.
pub(crate) struct Lease<C> {
    /// The connection, if one was idle.
    pub connection: Option<C>,
    pool: Arc<Pool<C>>,
    _permits: [OwnedSemaphorePermit; 2],
}

impl<C> Pool<C> {
    /// At most `size` connections at once, with `queue` waiting for one, each at most so long.
    pub fn new(size: usize, queue: usize, wait: Duration) -> Arc<Self> {
        Arc::new(Pool {
            idle: Mutex::default(),
            free: Arc::new(Semaphore::new(size)),
            places: Arc::new(Semaphore::new(size + queue)),
            wait,
        })
    }

    /// Keeps a connection for the next who needs one.
    pub fn keep(&self, connection: C) {
        self.idle.lock().unwrap_or_else(PoisonError::into_inner).push(connection);
    }

    pub async fn lease(self: &Arc<Self>) -> Result<Lease<C>, StoreError> {
        let place = Arc::clone(&self.places).try_acquire_owned();
        let place =
            place.map_err(|_| StoreError::Busy("too many are waiting for it".to_owned()))?;
        let free = tokio::time::timeout(self.wait, Arc::clone(&self.free).acquire_owned()).await;
        let Ok(Ok(free)) = free else {
            let ms = self.wait.as_millis();
            return Err(StoreError::Busy(format!("no connection was free within {ms} ms")));
        };
        let connection = self.idle.lock().unwrap_or_else(PoisonError::into_inner).pop();
        Ok(Lease { connection, pool: Arc::clone(self), _permits: [place, free] })
    }
}

impl<C> Lease<C> {
    /// Gives a connection back that can be used again.
    pub fn give_back(self, connection: C) {
        self.pool.keep(connection);
    }
}
