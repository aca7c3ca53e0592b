-- One file for both databases: plain types, no triggers, times in seconds since 1970.

CREATE TABLE turns (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    previous TEXT,
    conversation TEXT,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    status TEXT NOT NULL,
    owner TEXT,
    response TEXT NOT NULL,
    inputs BIGINT NOT NULL,      -- items of its input: those at the first positions
    items BIGINT NOT NULL,       -- items in all
    item_bytes BIGINT NOT NULL,  -- of their JSON
    bytes BIGINT NOT NULL,       -- what its tenant is charged for it
    PRIMARY KEY (tenant, id)
);
CREATE INDEX turns_by_previous ON turns (tenant, previous);
CREATE INDEX turns_by_expiry ON turns (expires_at);
CREATE INDEX turns_open ON turns (status) WHERE status IN ('queued', 'in_progress');

CREATE TABLE turn_items (
    tenant TEXT NOT NULL,
    turn TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (tenant, turn, position),
    FOREIGN KEY (tenant, turn) REFERENCES turns (tenant, id) ON DELETE CASCADE
);
CREATE INDEX turn_items_by_id ON turn_items (tenant, id);

CREATE TABLE events (
    tenant TEXT NOT NULL,
    turn TEXT NOT NULL,
    sequence BIGINT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (tenant, turn, sequence),
    FOREIGN KEY (tenant, turn) REFERENCES turns (tenant, id) ON DELETE CASCADE
);

CREATE TABLE conversations (
    tenant TEXT NOT NULL,
    id TEXT NOT NULL,
    created_at BIGINT NOT NULL,
    expires_at BIGINT NOT NULL,
    metadata TEXT NOT NULL,
    next BIGINT NOT NULL,        -- the position of the next item
    items BIGINT NOT NULL,
    item_bytes BIGINT NOT NULL,
    bytes BIGINT NOT NULL,
    PRIMARY KEY (tenant, id)
);
CREATE INDEX conversations_by_expiry ON conversations (expires_at);

CREATE TABLE conversation_items (
    tenant TEXT NOT NULL,
    conversation TEXT NOT NULL,
    position BIGINT NOT NULL,
    id TEXT NOT NULL,
    json TEXT NOT NULL,
    PRIMARY KEY (tenant, conversation, position),
    FOREIGN KEY (tenant, conversation) REFERENCES conversations (tenant, id) ON DELETE CASCADE
);
CREATE INDEX conversation_items_by_id ON conversation_items (tenant, id);

-- What each tenant is charged, in bytes.
CREATE TABLE charges (
    tenant TEXT PRIMARY KEY,
    bytes BIGINT NOT NULL
);

-- Until when each gateway lives.
CREATE TABLE owners (
    id TEXT PRIMARY KEY,
    alive_until BIGINT NOT NULL
);
