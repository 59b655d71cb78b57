-- What the store holds, in one view. $1: now.
SELECT
  counted.memories AS "memories!",
  counted.embedded AS "embedded!",
  (
    SELECT coalesce(jsonb_object_agg(node_type, memories), '{}')
    FROM (SELECT node_type, count(*) AS memories FROM knowledge_nodes GROUP BY node_type) AS types
  ) AS "by_type!: Json<BTreeMap<String, u64>>",
  (
    SELECT coalesce(jsonb_object_agg(codebase, memories), '{}')
    FROM (
      SELECT codebase, count(*) AS memories FROM knowledge_nodes WHERE codebase IS NOT NULL GROUP BY codebase
    ) AS codebases
  ) AS "by_codebase!: Json<BTreeMap<String, u64>>",
  (SELECT count(*) FROM scheduling) AS "scheduled!",
  (SELECT count(*) FROM scheduling WHERE next_review <= $1) AS "due!",
  (SELECT count(*) FROM edges) AS "edges!",
  (SELECT count(*) FROM review_events) AS "review_events!",
  (SELECT count(*) FROM domains) AS "domains!",
  (SELECT count(*) FROM users) AS "users!",
  (SELECT count(*) FROM groups) AS "groups!",
  model.name AS "model_name?",
  model.dimension AS "model_dimension?",
  model.hash AS "model_hash?",
  counted.oldest,
  counted.newest,
  (
    SELECT sum(pg_total_relation_size(relation))::int8
    FROM unnest(ARRAY[
      'knowledge_nodes', 'scheduling', 'edges', 'review_events', 'domains', 'users', 'groups', 'group_memberships',
      'embedding_model', 'keyword_passages', 'keyword_totals', 'keyword_statistics', 'checkpoints',
      'reembedding_vectors', 'unanalyzed_memories'
    ]::regclass[]) AS relation
  ) AS "size_bytes!",
  (SELECT coalesce(max(version), 0) FROM _sqlx_migrations) AS "schema_version!"
FROM (
  SELECT count(*) AS memories, count(embedding) AS embedded, min(created_at) AS oldest, max(created_at) AS newest
  FROM knowledge_nodes
) AS counted
LEFT JOIN embedding_model AS model ON true
