-- The tables and columns are those of the PostgreSQL backend. Identifiers are the 16 bytes of
-- a UUID, times are microseconds since 1970 (UTC), arrays and objects are JSON text, vectors
-- are little-endian f32.

CREATE TABLE embedding_model (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    name       TEXT    NOT NULL,
    dimension  INTEGER NOT NULL CHECK (dimension > 0),
    hash       TEXT    NOT NULL,
    created_at INTEGER NOT NULL
) STRICT;

CREATE TABLE users (
    id           BLOB    PRIMARY KEY NOT NULL,
    handle       TEXT    NOT NULL UNIQUE,
    display_name TEXT,
    created_at   INTEGER NOT NULL,
    metadata     TEXT    NOT NULL DEFAULT '{}'
) STRICT;

INSERT INTO users (id, handle, display_name, created_at)
VALUES (x'00000000000000000000000000000001', 'local', 'Local User', 0);

CREATE TABLE groups (
    id           BLOB    PRIMARY KEY NOT NULL,
    handle       TEXT    NOT NULL UNIQUE,
    display_name TEXT,
    created_at   INTEGER NOT NULL,
    metadata     TEXT    NOT NULL DEFAULT '{}'
) STRICT;

CREATE TABLE group_memberships (
    user_id   BLOB    NOT NULL REFERENCES users (id) ON DELETE CASCADE,
    group_id  BLOB    NOT NULL REFERENCES groups (id) ON DELETE CASCADE,
    role      TEXT    NOT NULL DEFAULT 'member' CHECK (role IN ('member', 'admin')),
    joined_at INTEGER NOT NULL,
    PRIMARY KEY (user_id, group_id)
) STRICT, WITHOUT ROWID;

-- `node` is the row's number in the indexes; it never changes and `id` is what the world sees.
-- The embedding comes last, so that reading the other columns does not pass over it.
CREATE TABLE knowledge_nodes (
    node               INTEGER PRIMARY KEY AUTOINCREMENT,
    id                 BLOB    NOT NULL UNIQUE,
    content            TEXT    NOT NULL,
    node_type          TEXT    NOT NULL DEFAULT 'general',
    tags               TEXT    NOT NULL DEFAULT '[]',
    metadata           TEXT    NOT NULL DEFAULT '{}',
    domains            TEXT    NOT NULL DEFAULT '[]',
    domain_scores      TEXT    NOT NULL DEFAULT '{}',
    codebase           TEXT,
    owner_user_id      BLOB    NOT NULL DEFAULT x'00000000000000000000000000000001' REFERENCES users (id),
    visibility         TEXT    NOT NULL DEFAULT 'private' CHECK (visibility IN ('private', 'group', 'public')),
    shared_with_groups TEXT    NOT NULL DEFAULT '[]',
    created_at         INTEGER NOT NULL,
    updated_at         INTEGER NOT NULL,
    embedding          BLOB
) STRICT;

CREATE INDEX idx_knowledge_nodes_created_at ON knowledge_nodes (created_at DESC, id);
CREATE INDEX idx_knowledge_nodes_updated_at ON knowledge_nodes (updated_at);
CREATE INDEX idx_knowledge_nodes_node_type ON knowledge_nodes (node_type);
CREATE INDEX idx_knowledge_nodes_codebase ON knowledge_nodes (codebase) WHERE codebase IS NOT NULL;
CREATE INDEX idx_knowledge_nodes_owner ON knowledge_nodes (owner_user_id);

CREATE TABLE scheduling (
    memory_id      BLOB    PRIMARY KEY NOT NULL REFERENCES knowledge_nodes (id) ON DELETE CASCADE,
    stability      REAL    NOT NULL,
    difficulty     REAL    NOT NULL,
    retrievability REAL    NOT NULL,
    last_review    INTEGER,
    next_review    INTEGER,
    reps           INTEGER NOT NULL DEFAULT 0,
    lapses         INTEGER NOT NULL DEFAULT 0
) STRICT;

CREATE INDEX idx_scheduling_next_review ON scheduling (next_review, memory_id) WHERE next_review IS NOT NULL;

CREATE TABLE edges (
    source_id  BLOB    NOT NULL REFERENCES knowledge_nodes (id) ON DELETE CASCADE,
    target_id  BLOB    NOT NULL REFERENCES knowledge_nodes (id) ON DELETE CASCADE,
    edge_type  TEXT    NOT NULL DEFAULT 'related',
    weight     REAL    NOT NULL DEFAULT 1.0,
    created_at INTEGER NOT NULL,
    PRIMARY KEY (source_id, target_id, edge_type)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_edges_target ON edges (target_id);
CREATE INDEX idx_edges_type ON edges (edge_type);

-- Append only, and without a reference to the memory, so that deleting one leaves the log.
CREATE TABLE review_events (
    id          BLOB    PRIMARY KEY NOT NULL,
    memory_id   BLOB    NOT NULL,
    timestamp   INTEGER NOT NULL,
    rating      TEXT    NOT NULL CHECK (rating IN ('again', 'hard', 'good', 'easy')),
    prior_state TEXT,
    new_state   TEXT    NOT NULL
) STRICT;

CREATE INDEX idx_review_events_memory ON review_events (memory_id, timestamp);

CREATE TABLE domains (
    id           TEXT    PRIMARY KEY NOT NULL,
    label        TEXT    NOT NULL,
    centroid     BLOB,
    top_terms    TEXT    NOT NULL DEFAULT '[]',
    memory_count INTEGER NOT NULL DEFAULT 0,
    created_at   INTEGER NOT NULL,
    metadata     TEXT    NOT NULL DEFAULT '{}'
) STRICT;

-- What follows is derived from knowledge_nodes and written in the same transaction.

-- Terms, not text: folded, stemmed and joined by spaces, so the tokenizer only has to split.
-- Not contentless_delete: such a table keeps counting deleted rows, and bm25() drifts.
CREATE VIRTUAL TABLE memory_terms USING fts5 (
    content, node_type, tags,
    content = '',
    tokenize = "unicode61 remove_diacritics 0 categories 'L* M* N* P* S* Co'"
);

CREATE TABLE node_tags (
    tag  TEXT    NOT NULL,
    node INTEGER NOT NULL REFERENCES knowledge_nodes (node) ON DELETE CASCADE,
    PRIMARY KEY (tag, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_node_tags_node ON node_tags (node);

CREATE TABLE node_domains (
    domain TEXT    NOT NULL,
    node   INTEGER NOT NULL REFERENCES knowledge_nodes (node) ON DELETE CASCADE,
    PRIMARY KEY (domain, node)
) STRICT, WITHOUT ROWID;

CREATE INDEX idx_node_domains_node ON node_domains (node);

-- The quantised vectors that every process loads into memory.
CREATE TABLE vector_codes (
    node INTEGER PRIMARY KEY REFERENCES knowledge_nodes (node) ON DELETE CASCADE,
    code BLOB NOT NULL
) STRICT;

-- Which memories changed, for what processes keep of them in memory. The oldest entries go when
-- there are many; a process that missed some reads everything again.
CREATE TABLE node_changes (
    seq  INTEGER PRIMARY KEY AUTOINCREMENT,
    node INTEGER NOT NULL
) STRICT;

-- One row. `generation` changes when everything derived does.
CREATE TABLE journal_state (
    id         INTEGER PRIMARY KEY CHECK (id = 1),
    generation INTEGER NOT NULL
) STRICT;

INSERT INTO journal_state VALUES (1, 1);

CREATE TABLE transfer_checkpoints (
    name       TEXT    PRIMARY KEY NOT NULL,
    state      TEXT    NOT NULL,
    updated_at INTEGER NOT NULL
) STRICT;

-- A re-embedding under way: at most one, with the vectors it has so far.
CREATE TABLE reembedding (
    id        INTEGER PRIMARY KEY CHECK (id = 1),
    name      TEXT    NOT NULL,
    dimension INTEGER NOT NULL CHECK (dimension > 0),
    hash      TEXT    NOT NULL
) STRICT;

CREATE TABLE reembedding_vectors (
    node      INTEGER PRIMARY KEY REFERENCES knowledge_nodes (node) ON DELETE CASCADE,
    embedding BLOB
) STRICT;
