//! The store in memory.

use latimer_store::{Memory, MemoryLimits};

use crate::conformance;

#[tokio::test]
async fn conforms() {
    let limits =
        MemoryLimits { tenant_bytes: conformance::TENANT_BYTES, ..MemoryLimits::default() };
    conformance::hold(&Memory::new(limits)).await;
}
