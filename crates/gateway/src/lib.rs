//! The gateway: the only crate that clients and models meet. It stands between a program that
//! speaks the Responses API and a model backend, translates where they differ, and records every
//! exchange.
//!
//! Begin with [`mod@exchange`], the path of one request. Around it:
//!
//! | room | what it is for |
//! |---|---|
//! | [`server`], [`listener`], [`mod@gateway`] | listens, and what all exchanges share |
//! | [`paths`] | what is served where |
//! | [`access`] | who may ask |
//! | [`route`], [`models`] | which way an exchange takes; the list of models |
//! | [`body`], [`headers`] | reads a request; which headers cross |
//! | [`history`], [`state`] | what came before a request; what is kept between requests |
//! | [`background`] | responses that are made although nobody waits |
//! | [`compaction`] | summaries in the place of what came before |
//! | [`prompts`] | what clients only name of what they say |
//! | [`upstream`] | asks the backend |
//! | [`translation`], [`stream`], [`answer`] | carry the answer |
//! | [`mod@flavour`] | tells answers as another specification has them |
//! | [`websocket`] | many exchanges over one connection |
//! | [`refusal`] | errors instead of answers |
//! | [`ledger`], [`capture`], [`secret`] | keep the account of an exchange, and record it |
//! | [`config`] | what can be set |
//! | [`mock`] | a model backend from a script |
//! | [`replay`] | a model backend from a recording |
//! | [`tap`] | listens in on an agent and the services it really talks to |
//! | [`examine`] | scenarios against a server, for the judge |
//!
//! What is absent: no module but `upstream` opens a connection to a model; no text of a request and
//! no key is logged; a caller never chooses where a request goes.

pub(crate) mod access;
pub(crate) mod answer;
pub(crate) mod background;
pub mod backplane;
pub(crate) mod body;
pub mod capture;
pub(crate) mod clock;
pub(crate) mod coding;
pub mod compaction;
pub mod config;
pub mod examine;
pub(crate) mod exchange;
pub(crate) mod flavour;
pub(crate) mod gateway;
pub(crate) mod headers;
pub(crate) mod history;
pub(crate) mod ledger;
pub(crate) mod listener;
pub mod mock;
pub mod models;
pub(crate) mod paths;
pub mod prompts;
pub(crate) mod refusal;
pub mod replay;
pub(crate) mod route;
pub(crate) mod secret;
pub mod server;
pub(crate) mod stall;
pub mod state;
pub(crate) mod strand;
pub(crate) mod stream;
pub mod tap;
pub(crate) mod translation;
pub(crate) mod upstream;
pub(crate) mod websocket;

pub use latimer_wire::chat::{PROFILES, Profile};

pub use config::{Config, ConfigError, Dialect, Settings, UpstreamConfig};
pub use server::{Server, StartError};
pub use upstream::{BadProxy, Proxy};
