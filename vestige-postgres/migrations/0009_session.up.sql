-- A memory may be part of a session: of a conversation, or of a work session.

-- A second table of a re-embedding would have no session; it is built again. One that is being built is waited for first.
LOCK TABLE reembedding IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- Rewrites nothing.
ALTER TABLE knowledge_nodes ADD COLUMN session text;
-- Memories of a session stand in it in this order.
CREATE INDEX idx_knowledge_nodes_session ON knowledge_nodes (session, created_at, id) WHERE session IS NOT NULL;
