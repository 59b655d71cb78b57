LOCK TABLE reembedding IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- The index goes with the column.
ALTER TABLE knowledge_nodes DROP COLUMN session;
