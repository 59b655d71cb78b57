-- Terms of every script are split as they are. unicode61 folds and splits by the Unicode of its day (6.1), ascii
-- leaves alone whatever is not ASCII. Of ASCII's symbols those stay that a term may hold, as in c++ and .net.
-- The terms are made anew at the end of the upgrade.

DROP TABLE memory_terms;

CREATE VIRTUAL TABLE memory_terms USING fts5 (
    content, node_type, tags,
    content = '',
    tokenize = "ascii tokenchars '+#.*'"
);

UPDATE term_analysis SET fingerprint = '';
