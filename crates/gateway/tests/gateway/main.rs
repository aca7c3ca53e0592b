//! The gateway as its clients and backends meet it: real sockets on both sides. A client is raw
//! bytes, a backend is the scripted mock or is played by the test, byte by byte.
#![allow(
    clippy::unwrap_used,
    clippy::expect_used,
    clippy::panic,
    clippy::indexing_slicing,
    missing_docs
)]

mod background;
mod backplane;
mod bad_days;
mod bodies;
mod broken_sockets;
mod chat_clients;
mod compaction;
mod config;
mod conversations;
mod ends;
mod errors;
mod examine;
mod faults;
mod flavour;
mod forgetful;
mod leaving;
mod mock;
mod passing;
mod pool;
mod prompts;
mod recording;
mod replaying;
mod state;
mod streaming;
mod support;
mod surface;
mod tapping;
mod uploading;
mod websocket;
