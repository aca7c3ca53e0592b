//! A connection of the mock: sound answers go through hyper, faulty ones are played on the
//! connection itself. To play one, the service gives hyper no answer, which hands the connection
//! back untouched; what lives on after the play is served again.

use std::sync::{Arc, Mutex, PoisonError};

use hyper::Request;
use hyper::body::Incoming;
use tokio::io::DuplexStream;
use tokio::net::TcpStream;
use tokio::sync::watch;

use super::play::{After, Line, Play};
use super::{Mock, Said};
use crate::listener::connection;
use crate::stall::Stalling;

impl Line for Stalling<TcpStream> {
    fn reset(&self) {
        if let Err(error) = self.get_ref().set_zero_linger() {
            tracing::debug!(%error, "a connection could not be reset");
        }
    }
}

impl Line for DuplexStream {
    /// A pipe knows no resets; it closes.
    fn reset(&self) {}
}

/// The answer is played, not given.
#[derive(Debug, thiserror::Error)]
#[error("the answer is played on the connection, as the mock was asked to")]
struct Played;

/// Speaks on a connection until it ends or `stopped`.
pub(super) async fn speak(mock: Arc<Mock>, mut line: impl Line, mut stopped: watch::Receiver<()>) {
    loop {
        let next = Arc::new(Mutex::new(None::<Play>));
        let serve = |request: Request<Incoming>| {
            let (mock, next) = (Arc::clone(&mock), Arc::clone(&next));
            async move {
                match mock.respond(request).await {
                    Said::Answer(response) => Ok(response),
                    Said::Play(play) => {
                        *next.lock().unwrap_or_else(PoisonError::into_inner) = Some(play);
                        Err(Played)
                    }
                }
            }
        };
        connection(&mut line, stopped.clone(), serve).await;
        let play = next.lock().unwrap_or_else(PoisonError::into_inner).take();
        let Some(play) = play else { return };
        if play.perform(&mut line, &mut stopped).await == After::Close {
            return;
        }
    }
}
