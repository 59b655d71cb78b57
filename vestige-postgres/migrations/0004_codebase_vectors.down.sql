DROP INDEX IF EXISTS idx_knowledge_nodes_codebase_embedding;
DROP FUNCTION vestige_index_codebase_vectors(regclass, text);
