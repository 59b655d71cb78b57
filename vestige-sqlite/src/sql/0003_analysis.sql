-- One row: the analysis that the terms in memory_terms are from. Empty: not known, so that they are made anew.

CREATE TABLE term_analysis (
    id          INTEGER PRIMARY KEY CHECK (id = 1),
    fingerprint TEXT    NOT NULL
) STRICT;

INSERT INTO term_analysis VALUES (1, '');
