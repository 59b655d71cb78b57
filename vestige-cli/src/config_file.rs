//! `vestige.toml`.

use std::io;
use std::num::NonZeroUsize;
use std::path::{Path, PathBuf};

use serde::Deserialize;

use crate::failure::Failure;
use crate::secret::PostgresUrl;

/// The file as it is written. Nothing in it is required.
#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct ConfigFile {
    /// How long a call may take; 0 for ever.
    pub(crate) timeout_seconds: Option<u32>,
    pub(crate) storage: Storage,
    pub(crate) embeddings: Embeddings,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Storage {
    backend: Option<Backend>,
    pub(crate) sqlite: Sqlite,
    pub(crate) postgres: Postgres,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Backend {
    Sqlite,
    Postgres,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Sqlite {
    /// Relative to the file's folder.
    pub(crate) path: Option<PathBuf>,
}

#[derive(Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Postgres {
    pub(crate) url: Option<PostgresUrl>,
    pub(crate) max_connections: Option<u32>,
}

#[derive(Clone, Debug, Default, PartialEq, Deserialize)]
#[serde(default, deny_unknown_fields)]
pub(crate) struct Embeddings {
    /// `bundled`, the name of a fastembed model, or a folder of files.
    pub(crate) model: Option<String>,
    /// Where downloaded models stay. Relative to the file's folder, like every path.
    pub(crate) cache_dir: Option<PathBuf>,
    /// The ONNX Runtime library; else the environment variable `ORT_DYLIB_PATH`.
    pub(crate) runtime: Option<PathBuf>,
    /// How much of a text the model reads.
    pub(crate) max_tokens: Option<NonZeroUsize>,
    /// Which model a folder holds, if the folder's own name does not say it.
    pub(crate) name: Option<String>,
    /// How a folder's model makes one vector of many; known for the models of the list.
    pub(crate) pooling: Option<Pooling>,
    /// What goes before a document, with its trailing blank.
    pub(crate) document_prefix: Option<String>,
    /// What goes before a question, with its trailing blank.
    pub(crate) query_prefix: Option<String>,
}

#[derive(Clone, Copy, Debug, PartialEq, Deserialize)]
#[serde(rename_all = "lowercase")]
pub(crate) enum Pooling {
    Mean,
    Cls,
}

impl Storage {
    /// The backend that is named, or the only one that is described.
    pub(crate) fn backend(&self) -> Result<Option<Backend>, Failure> {
        match (self.backend, &self.sqlite.path, &self.postgres.url) {
            (Some(backend), _, _) => Ok(Some(backend)),
            (None, Some(_), Some(_)) => Err(Failure::usage(
                "vestige.toml describes a sqlite and a postgres store; say which by `backend = \"…\"` in [storage]",
            )),
            (None, Some(_), None) => Ok(Some(Backend::Sqlite)),
            (None, None, Some(_)) => Ok(Some(Backend::Postgres)),
            (None, None, None) => Ok(None),
        }
    }
}

impl ConfigFile {
    /// Reads the file at `path`, which has to exist.
    pub(crate) fn read(path: &Path) -> Result<Self, Failure> {
        let text = std::fs::read_to_string(path).map_err(|error| match error.kind() {
            io::ErrorKind::NotFound if path.is_symlink() => {
                Failure::usage(format!("{}: is a link to a file that is not there", path.display()))
            }
            io::ErrorKind::NotFound => {
                Failure::usage(format!("there is no configuration file {}", path.display()))
            }
            _ => Failure::usage(format!("{}: {error}", path.display())),
        })?;
        Self::parse(&text).map_err(|(line, message)| {
            Failure::usage(match line {
                Some(line) => format!("{}:{line}: {message}", path.display()),
                None => format!("{}: {message}", path.display()),
            })
        })
    }

    fn parse(text: &str) -> Result<Self, (Option<usize>, String)> {
        toml::from_str(text).map_err(|error| {
            let line = error.span().map(|span| text[..span.start.min(text.len())].matches('\n').count() + 1);
            (line, error.message().replace('\n', "; "))
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_whole_file_is_read() {
        let file = ConfigFile::parse(
            "[storage]\nbackend = \"postgres\"\n[storage.sqlite]\npath = \"m.db\"\n\
             [storage.postgres]\nurl = \"postgres://u:p@h/d\"\nmax_connections = 3\n\
             [embeddings]\nmodel = \"bundled\"\ncache_dir = \"c\"\n",
        )
        .unwrap();
        assert_eq!(file.storage.backend().unwrap(), Some(Backend::Postgres));
        assert_eq!(file.storage.postgres.max_connections, Some(3));
        assert!(!format!("{file:?}").contains("u:p"), "{file:?}");
    }

    #[test]
    fn an_unknown_key_is_an_error_with_its_line() {
        for (text, expected_line, expected) in [
            ("[storage]\nbakend = \"sqlite\"\n", 2, "unknown field `bakend`"),
            ("[storage]\n\n[storage.sqlite]\nfile = \"x\"\n", 4, "unknown field `file`"),
            ("colour = true\n", 1, "unknown field `colour`"),
            ("[storage]\nbackend = \"mysql\"\n", 2, "unknown variant `mysql`"),
            ("[storage.postgres]\nmax_connections = -1\n", 2, "expected u32"),
            ("[storage\n", 1, ""),
        ] {
            let (line, message) = ConfigFile::parse(text).unwrap_err();
            assert_eq!(line, Some(expected_line), "{text:?}: {message}");
            assert!(message.contains(expected) && !message.contains('\n'), "{text:?}: {message}");
        }
    }

    #[test]
    fn two_stores_without_a_choice_are_an_error() {
        let file =
            ConfigFile::parse("[storage]\nsqlite.path = \"a\"\npostgres.url = \"postgres://h/d\"\n").unwrap();
        assert!(file.storage.backend().is_err());
        let file = ConfigFile::parse("storage.postgres.url = \"postgres://h/d\"\n").unwrap();
        assert_eq!(file.storage.backend().unwrap(), Some(Backend::Postgres));
    }
}
