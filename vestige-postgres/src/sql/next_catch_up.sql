-- Makes the second table what the first is: versions that are gone go, versions that have a vector come.
DELETE FROM knowledge_nodes_next AS next
WHERE NOT EXISTS (SELECT FROM knowledge_nodes AS n WHERE n.id = next.id AND n.updated_at = next.updated_at);
INSERT INTO knowledge_nodes_next (
  id, content, node_type, tags, metadata, domains, domain_scores, embedding, codebase, owner_user_id, visibility,
  shared_with_groups, created_at, updated_at, search_vec, session, passages
)
SELECT
  n.id, n.content, n.node_type, n.tags, n.metadata, n.domains, n.domain_scores, v.embedding, n.codebase,
  n.owner_user_id, n.visibility, n.shared_with_groups, n.created_at, n.updated_at, n.search_vec, n.session,
  n.passages
FROM knowledge_nodes AS n
JOIN reembedding_vectors AS v ON v.memory_id = n.id AND v.updated_at = n.updated_at
WHERE NOT EXISTS (SELECT FROM knowledge_nodes_next AS next WHERE next.id = n.id);
