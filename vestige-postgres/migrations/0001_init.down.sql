DROP TABLE domains;
DROP TABLE review_events;
DROP FUNCTION vestige_refuse_change();
DROP TABLE edges;
DROP TABLE scheduling;
DROP TABLE knowledge_nodes;
DROP TABLE group_memberships;
DROP TABLE groups;
DROP TABLE users;
DROP FUNCTION vestige_model_takes(text, integer, text, integer);
DROP FUNCTION vestige_model_matches(text, integer, text, integer);
DROP TABLE embedding_model;
DROP FUNCTION vestige_search_vec(text, text, text[]);
DROP FUNCTION vestige_terms(text);
DROP FUNCTION vestige_terms_of_words(text);
DROP FUNCTION vestige_terms_by_word(text);
DROP FUNCTION vestige_words(text);
DROP FUNCTION vestige_words_unicode(text);
-- The extension stays: others may use it.
