-- One row: which state of the file a write-ahead log goes on from. `state` changes with the first write into an empty log,
-- and `before` is what it was until then. So the file itself has one of both, or is not the file of this log.

CREATE TABLE log_state (
    id     INTEGER PRIMARY KEY CHECK (id = 1),
    state  TEXT    NOT NULL,
    before TEXT
) STRICT;

INSERT INTO log_state VALUES (1, 'log-' || hex(randomblob(16)), NULL);
