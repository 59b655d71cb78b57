-- Puts the second table in the place of the first, under the names of migration 0001. What refers to the memories
-- is checked after the switch, not under its locks.
ALTER TABLE scheduling DROP CONSTRAINT scheduling_memory_id_fkey;
ALTER TABLE edges DROP CONSTRAINT edges_source_id_fkey, DROP CONSTRAINT edges_target_id_fkey;
DROP TABLE knowledge_nodes;
ALTER TABLE knowledge_nodes_next RENAME TO knowledge_nodes;
ALTER TABLE knowledge_nodes RENAME CONSTRAINT next_pkey TO knowledge_nodes_pkey;
ALTER TABLE knowledge_nodes RENAME CONSTRAINT next_owner_user_id_fkey TO knowledge_nodes_owner_user_id_fkey;
ALTER INDEX next_search_vec RENAME TO idx_knowledge_nodes_search_vec;
ALTER INDEX next_tags RENAME TO idx_knowledge_nodes_tags;
ALTER INDEX next_domains RENAME TO idx_knowledge_nodes_domains;
ALTER INDEX next_shared_groups RENAME TO idx_knowledge_nodes_shared_groups;
ALTER INDEX next_owner RENAME TO idx_knowledge_nodes_owner;
ALTER INDEX next_codebase RENAME TO idx_knowledge_nodes_codebase;
ALTER INDEX next_session RENAME TO idx_knowledge_nodes_session;
ALTER INDEX next_node_type RENAME TO idx_knowledge_nodes_node_type;
ALTER INDEX next_created_at RENAME TO idx_knowledge_nodes_created_at;
ALTER INDEX next_updated_at RENAME TO idx_knowledge_nodes_updated_at;
ALTER INDEX next_embedding_hnsw RENAME TO idx_knowledge_nodes_embedding_hnsw;
-- Not there for long vectors.
ALTER INDEX IF EXISTS next_codebase_embedding RENAME TO idx_knowledge_nodes_codebase_embedding;
ALTER TABLE scheduling ADD CONSTRAINT scheduling_memory_id_fkey
  FOREIGN KEY (memory_id) REFERENCES knowledge_nodes ON DELETE CASCADE NOT VALID;
ALTER TABLE edges
  ADD CONSTRAINT edges_source_id_fkey FOREIGN KEY (source_id) REFERENCES knowledge_nodes ON DELETE CASCADE NOT VALID,
  ADD CONSTRAINT edges_target_id_fkey FOREIGN KEY (target_id) REFERENCES knowledge_nodes ON DELETE CASCADE NOT VALID;
SELECT vestige_count_memories_of('knowledge_nodes');
UPDATE domains SET centroid = NULL WHERE centroid IS NOT NULL;
DELETE FROM embedding_model;
INSERT INTO embedding_model (name, dimension, hash, created_at)
SELECT name, dimension, hash, now() FROM reembedding;
DELETE FROM reembedding;
