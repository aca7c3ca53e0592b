//! What a server owes its clients to remember: responses with their items and events, and
//! conversations. In: opaque ids, JSON that stays text, and the time. Out: the same, by id, or an
//! error that says what to do. Nothing here reads JSON, a clock or a key, and nothing is shared
//! between tenants.
//!
//! | room | what it is for |
//! |---|---|
//! | [`Store`] | the one trait; begin here |
//! | [`Turn`], [`Thread`], [`Conversation`], [`StoredItem`], [`StoredEvent`] | what is remembered |
//! | [`Id`], [`Tenant`] | whose it is and what it is called |
//! | [`StoreError`] | why not |
//! | [`Memory`] | a store that ends with the process |
//! | [`Sqlite`] | a store in one file |
//! | `Postgres` | a store that several gateways share; feature `postgres` |

mod error;
mod id;
mod memory;
mod model;
mod pool;
#[cfg(feature = "postgres")]
mod postgres;
mod relational;
mod sqlite;
mod store;

pub use error::{Measure, StoreError, What};
pub use id::{Id, InvalidId, Tenant};
pub use memory::{Memory, MemoryLimits};
pub use model::{
    Bounds, Conversation, EventPage, ItemPage, NEVER, Page, StoredEvent, StoredItem, Thread, Turn,
    TurnStatus, Update,
};
#[cfg(feature = "postgres")]
pub use postgres::{Postgres, PostgresOptions};
pub use sqlite::{Sqlite, SqliteOptions};
pub use store::{Pending, Store};
