-- A second table of the memories, with the vectors of the new model and every index. In one transaction: where the
-- table is, it is whole.
CREATE TABLE knowledge_nodes_next (LIKE knowledge_nodes INCLUDING ALL EXCLUDING INDEXES EXCLUDING STATISTICS);
ALTER TABLE knowledge_nodes_next ALTER COLUMN embedding TYPE vector(:dimension);
INSERT INTO knowledge_nodes_next (
  id, content, node_type, tags, metadata, domains, domain_scores, embedding, codebase, owner_user_id, visibility,
  shared_with_groups, created_at, updated_at, search_vec, session, passages
)
SELECT
  n.id, n.content, n.node_type, n.tags, n.metadata, n.domains, n.domain_scores, v.embedding, n.codebase,
  n.owner_user_id, n.visibility, n.shared_with_groups, n.created_at, n.updated_at, n.search_vec, n.session,
  n.passages
FROM knowledge_nodes AS n
JOIN reembedding_vectors AS v ON v.memory_id = n.id AND v.updated_at = n.updated_at;
ALTER TABLE knowledge_nodes_next
  ADD CONSTRAINT next_pkey PRIMARY KEY (id),
  ADD CONSTRAINT next_owner_user_id_fkey FOREIGN KEY (owner_user_id) REFERENCES users;
CREATE INDEX next_search_vec ON knowledge_nodes_next USING gin (search_vec);
CREATE INDEX next_tags ON knowledge_nodes_next USING gin (tags);
CREATE INDEX next_domains ON knowledge_nodes_next USING gin (domains);
CREATE INDEX next_shared_groups ON knowledge_nodes_next USING gin (shared_with_groups);
CREATE INDEX next_owner ON knowledge_nodes_next (owner_user_id);
CREATE INDEX next_codebase ON knowledge_nodes_next (codebase) WHERE codebase IS NOT NULL;
CREATE INDEX next_session ON knowledge_nodes_next (session, created_at, id) WHERE session IS NOT NULL;
CREATE INDEX next_node_type ON knowledge_nodes_next (node_type);
CREATE INDEX next_created_at ON knowledge_nodes_next (created_at DESC, id);
CREATE INDEX next_updated_at ON knowledge_nodes_next (updated_at);
CREATE INDEX next_embedding_hnsw ON knowledge_nodes_next
  USING hnsw (embedding vector_cosine_ops) WITH (m = 16, ef_construction = 64);
SELECT vestige_index_codebase_vectors('knowledge_nodes_next', 'next_codebase_embedding');
ANALYZE knowledge_nodes_next;
