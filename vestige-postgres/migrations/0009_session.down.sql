-- In one statement, so that the locks are held to the end without a transaction around it, as under `psql -f`.
DO $down$
BEGIN
LOCK TABLE reembedding IN EXCLUSIVE MODE;
LOCK TABLE knowledge_nodes IN ACCESS EXCLUSIVE MODE;
DROP TABLE IF EXISTS knowledge_nodes_next;

-- The index goes with the column.
ALTER TABLE knowledge_nodes DROP COLUMN session;
END
$down$;
