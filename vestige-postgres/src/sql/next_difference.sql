-- How many memories have no new vector, and by how many versions the two tables differ.
SELECT
  (
    SELECT count(*) FROM knowledge_nodes AS n
    WHERE NOT EXISTS (SELECT FROM reembedding_vectors AS v WHERE v.memory_id = n.id AND v.updated_at = n.updated_at)
  ) AS pending,
  (
    SELECT count(*)
    FROM (SELECT id, updated_at FROM knowledge_nodes) AS n
    FULL JOIN (SELECT id, updated_at FROM knowledge_nodes_next) AS next USING (id, updated_at)
    WHERE n.id IS NULL OR next.id IS NULL
  ) AS different
