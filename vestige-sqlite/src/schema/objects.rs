//! The tables, indexes and triggers of a database, and how they differ from those that Vestige makes.

use std::fmt;

use rusqlite::Connection;

/// A row of `sqlite_schema`, apart from those that SQLite makes for itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) struct Object {
    /// `table`, `index`, `trigger` or `view`.
    kind: String,
    name: String,
    /// The table that it is or belongs to.
    table: String,
    sql: String,
}

/// All of a database, in the order of their names.
pub(super) fn all(connection: &Connection) -> rusqlite::Result<Vec<Object>> {
    const SQL: &str = r"SELECT CAST(type AS TEXT), CAST(name AS TEXT), CAST(tbl_name AS TEXT), CAST(sql AS TEXT)
        FROM main.sqlite_schema WHERE name NOT LIKE 'sqlite\_%' ESCAPE '\' ORDER BY name, type";
    let mut statement = connection.prepare(SQL)?;
    let objects = statement.query_map([], |row| {
        let text = |at| row.get::<_, Option<String>>(at).map(Option::unwrap_or_default);
        Ok(Object { kind: text(0)?, name: text(1)?, table: text(2)?, sql: text(3)? })
    })?;
    objects.collect()
}

impl Object {
    /// The statement that makes it.
    pub(super) fn sql(&self) -> &str {
        &self.sql
    }

    /// Whether it follows from the tables' rows, so that it can be made anew: an index, or a trigger.
    pub(super) fn is_derived(&self) -> bool {
        matches!(&*self.kind, "index" | "trigger")
    }

    /// Triggers have names of their own; tables, indexes and views share theirs.
    fn has_name_of(&self, other: &Self) -> bool {
        self.name.eq_ignore_ascii_case(&other.name) && (self.kind == "trigger") == (other.kind == "trigger")
    }

    fn equals(&self, other: &Self) -> bool {
        self.kind == other.kind
            && self.table.eq_ignore_ascii_case(&other.table)
            && tokens(&self.sql) == tokens(&other.sql)
    }

    /// The statement that removes it.
    fn drop_statement(&self) -> String {
        let plain = self.name.chars().all(of_a_word) && !self.name.starts_with(|c: char| c.is_ascii_digit());
        let kind = self.kind.to_ascii_uppercase();
        if plain {
            format!("DROP {kind} {}", self.name)
        } else {
            format!("DROP {kind} \"{}\"", self.name.replace('"', "\"\""))
        }
    }
}

impl fmt::Display for Object {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} {}", self.kind, visible(&self.name))?;
        if self.is_derived() {
            write!(f, " on {}", visible(&self.table))?;
        }
        Ok(())
    }
}

/// How a database differs from what Vestige makes.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(crate) enum Difference {
    /// Vestige makes no such object. `on_its_tables`: it belongs to a table of Vestige's.
    Foreign { object: Object, on_its_tables: bool },
    /// Vestige makes another one of that name.
    Changed(Object),
    /// It is not there.
    Missing(Object),
}

impl Difference {
    /// Whether it can change what a write stores: a trigger on a table of Vestige, or another table in place
    /// of one. An index can slow a write down or refuse it, and changes no row.
    pub(crate) fn changes_writes(&self) -> bool {
        match self {
            Self::Foreign { object, on_its_tables } => *on_its_tables && object.kind == "trigger",
            Self::Changed(object) => !object.is_index() && !object.is_of_fts5(),
            Self::Missing(object) => object.kind == "table" && !object.is_of_fts5(),
        }
    }

    /// Whether a table of Vestige's is missing or another one.
    pub(crate) fn is_of_a_table(&self) -> bool {
        match self {
            Self::Foreign { .. } => false,
            Self::Changed(object) | Self::Missing(object) => !object.is_derived() && !object.is_of_fts5(),
        }
    }

    /// Whether making Vestige's indexes and triggers anew mends it.
    pub(crate) fn is_mended_by_rebuilding(&self) -> bool {
        match self {
            Self::Foreign { .. } => false,
            Self::Changed(object) => object.is_index(),
            Self::Missing(object) => object.is_derived(),
        }
    }

    /// Whether it is about an object of this name.
    pub(super) fn is_of(&self, own: &Object) -> bool {
        let (Self::Foreign { object, .. } | Self::Changed(object) | Self::Missing(object)) = self;
        object.has_name_of(own)
    }

    /// The statement by which a person removes it. None where only a restored copy helps.
    pub(crate) fn removal(&self) -> Option<String> {
        self.drop_statement().map(|statement| visible(&statement))
    }

    pub(super) fn drop_statement(&self) -> Option<String> {
        match self {
            Self::Foreign { object, .. } => Some(object.drop_statement()),
            Self::Changed(object) if object.is_derived() => Some(object.drop_statement()),
            Self::Changed(_) | Self::Missing(_) => None,
        }
    }
}

impl Object {
    fn is_index(&self) -> bool {
        self.kind == "index"
    }

    /// A table that FTS5 makes for itself, in the words of the SQLite that made it.
    fn is_of_fts5(&self) -> bool {
        self.name.starts_with("memory_terms_")
    }
}

impl fmt::Display for Difference {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Foreign { object, .. } => write!(f, "the {object} is not Vestige's"),
            Self::Changed(object) => write!(f, "the {object} is not as Vestige makes it"),
            Self::Missing(object) => write!(f, "the {object} is missing"),
        }
    }
}

/// What `found` has otherwise than `expected`.
pub(super) fn differences(expected: &[Object], found: Vec<Object>) -> Vec<Difference> {
    let mut differences = Vec::new();
    for object in expected {
        match found.iter().find(|other| other.has_name_of(object)) {
            None => differences.push(Difference::Missing(object.clone())),
            Some(other) if !other.equals(object) => differences.push(Difference::Changed(other.clone())),
            Some(_) => {}
        }
    }
    let is_its_table =
        |name: &str| expected.iter().any(|own| own.kind == "table" && own.name.eq_ignore_ascii_case(name));
    for object in found {
        if !expected.iter().any(|own| own.has_name_of(&object)) {
            let on_its_tables = is_its_table(&object.table);
            differences.push(Difference::Foreign { object, on_its_tables });
        }
    }
    differences
}

/// The words of a statement. White space, comments, upper case and the quotes of a name make no difference:
/// SQLite rewrites them where a table is renamed, and so does a dump that is read in again.
fn tokens(sql: &str) -> Vec<String> {
    let mut tokens = Vec::new();
    let mut rest = sql.char_indices().peekable();
    while let Some((start, first)) = rest.next() {
        let ahead = rest.peek().map(|&(_, next)| next);
        match first {
            _ if first.is_whitespace() => {}
            '-' if ahead == Some('-') => {
                rest.by_ref().find(|&(_, c)| c == '\n');
            }
            '/' if ahead == Some('*') => {
                let end = sql[start + 2..].find("*/").map_or(sql.len(), |at| start + 2 + at + 1);
                while rest.next_if(|&(at, _)| at <= end).is_some() {}
            }
            '\'' | '"' | '`' | '[' => {
                let close = if first == '[' { ']' } else { first };
                let mut inside = String::new();
                while let Some((_, c)) = rest.next() {
                    if c != close {
                        inside.push(c);
                    } else if first != '[' && rest.next_if(|&(_, next)| next == close).is_some() {
                        inside.push(close);
                    } else {
                        break;
                    }
                }
                let is_plain_name = first != '\'' && inside.chars().all(of_a_word) && !inside.is_empty();
                tokens.push(if is_plain_name { inside.to_ascii_lowercase() } else { format!("{inside:?}") });
            }
            _ if of_a_word(first) => {
                let mut word = String::from(first.to_ascii_lowercase());
                while let Some((_, c)) = rest.next_if(|&(_, c)| of_a_word(c)) {
                    word.push(c.to_ascii_lowercase());
                }
                tokens.push(word);
            }
            _ => tokens.push(first.to_string()),
        }
    }
    tokens
}

/// A name from the file may hold anything, such as the end of a line.
fn visible(text: &str) -> String {
    text.chars()
        .map(|c| if c.is_control() { c.escape_default().to_string() } else { c.to_string() })
        .collect()
}

fn of_a_word(c: char) -> bool {
    c.is_alphanumeric() || c == '_'
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn white_space_comments_and_quotes_of_names_make_no_difference() {
        let written = "CREATE TABLE edges (\n  kind TEXT DEFAULT 'a  b', -- why\n  n INTEGER /* or\nnot */ REFERENCES users (id)\n)";
        let rewritten = "create table \"edges\"(kind text DEFAULT 'a  b',n INTEGER REFERENCES [users](id))";
        assert_eq!(tokens(written), tokens(rewritten));
        for other in [
            written.replace("a  b", "a b"),
            written.replace("'a  b'", "'A  b'"),
            written.replace("TEXT", "BLOB"),
            written.replace("TEXT DEFAULT", "TEXTDEFAULT"),
            written.replace("users (id)", "users (id) ON DELETE CASCADE"),
            // A name is no string.
            written.replace("'a  b'", "ab"),
        ] {
            assert_ne!(tokens(written), tokens(&other), "{other}");
        }
    }

    fn found(sql: &str) -> Vec<String> {
        let expected = Connection::open_in_memory().unwrap();
        let base = "CREATE TABLE a (x TEXT); CREATE INDEX i ON a (x); CREATE TABLE b (y)";
        expected.execute_batch(base).unwrap();
        let other = Connection::open_in_memory().unwrap();
        other.execute_batch(&format!("{base}; {sql}")).unwrap();
        let found = differences(&all(&expected).unwrap(), all(&other).unwrap());
        let writes = |one: &Difference| if one.changes_writes() { "!" } else { "" };
        found.iter().map(|one| format!("{}{one}", writes(one))).collect()
    }

    #[test]
    fn only_what_changes_rows_changes_writes() {
        assert_eq!(found(""), Vec::<String>::new());
        assert_eq!(found("ALTER TABLE b RENAME TO c; ALTER TABLE c RENAME TO b"), Vec::<String>::new());
        let trigger = "CREATE TRIGGER a AFTER INSERT ON a BEGIN UPDATE a SET x = ''; END";
        assert_eq!(found(trigger), ["!the trigger a on a is not Vestige's"]);
        let on_own = "CREATE TABLE notes (t); CREATE TRIGGER n AFTER INSERT ON notes BEGIN SELECT 1; END";
        assert_eq!(
            found(on_own),
            ["the trigger n on notes is not Vestige's", "the table notes is not Vestige's"]
        );
        assert_eq!(found("ALTER TABLE b ADD COLUMN z"), ["!the table b is not as Vestige makes it"]);
        let view = "ALTER TABLE b RENAME TO c; CREATE VIEW b AS SELECT 1 AS y";
        assert_eq!(found(view), ["!the view b is not as Vestige makes it", "the table c is not Vestige's"]);
        assert_eq!(found("DROP TABLE b"), ["!the table b is missing"]);
        assert_eq!(found("DROP INDEX i"), ["the index i on a is missing"]);
        let index = "DROP INDEX i; CREATE UNIQUE INDEX i ON a (x); CREATE INDEX \"j\nk\" ON a (x)";
        assert_eq!(
            found(index),
            ["the index i on a is not as Vestige makes it", "the index j\\nk on a is not Vestige's"]
        );
    }
}
