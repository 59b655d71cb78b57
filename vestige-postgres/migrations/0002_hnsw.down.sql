DROP INDEX IF EXISTS idx_knowledge_nodes_embedding_hnsw;
DROP FUNCTION vestige_build_hnsw();
