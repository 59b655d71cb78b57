-- The column comes behind the embedding. A record without a session has nothing there, and nothing is passed over to
-- find that out: the beginning of a row says which columns are null.

ALTER TABLE knowledge_nodes ADD COLUMN session TEXT;

-- Memories of a session stand in it in this order.
CREATE INDEX idx_knowledge_nodes_session ON knowledge_nodes (session, created_at, id) WHERE session IS NOT NULL;
