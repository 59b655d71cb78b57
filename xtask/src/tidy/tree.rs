//! The files of the checkout, as the rules see them.

use std::fs;
use std::path::{Path, PathBuf};

use anyhow::{Context, Result};

/// What holds no sources.
const SKIPPED: [&str; 6] = [".git", "target", "artifacts", "corpus", "coverage", "node_modules"];

/// A file: its path from the root of the workspace, and its text where it is text.
#[derive(Debug)]
pub(super) struct File {
    pub(super) path: PathBuf,
    pub(super) text: Option<String>,
}

impl File {
    pub(super) fn has_extension(&self, extensions: &[&str]) -> bool {
        self.path.extension().is_some_and(|extension| extensions.iter().any(|wanted| extension == *wanted))
    }

    /// Lines with their numbers, from 1.
    pub(super) fn lines(&self) -> impl Iterator<Item = (usize, &str)> {
        self.text.iter().flat_map(|text| text.lines()).enumerate().map(|(index, line)| (index + 1, line))
    }
}

/// Every file of the checkout but what tools put there.
#[derive(Debug)]
pub(super) struct Tree {
    files: Vec<File>,
}

impl Tree {
    pub(super) fn read(root: &Path) -> Result<Self> {
        let mut files = Vec::new();
        let mut folders = vec![root.to_owned()];
        while let Some(folder) = folders.pop() {
            let entries =
                fs::read_dir(&folder).with_context(|| format!("cannot read {}", folder.display()))?;
            for entry in entries {
                let entry = entry?;
                let kind = entry.file_type()?;
                // In a worktree `.git` is a file.
                if SKIPPED.iter().any(|name| entry.file_name() == *name) {
                    continue;
                }
                if kind.is_dir() {
                    folders.push(entry.path());
                } else if kind.is_file() || (kind.is_symlink() && entry.path().is_file()) {
                    let bytes = fs::read(entry.path())
                        .with_context(|| format!("cannot read {}", entry.path().display()))?;
                    let path = entry.path().strip_prefix(root)?.to_owned();
                    files.push(File { path, text: String::from_utf8(bytes).ok() });
                }
            }
        }
        files.sort_by(|a, b| a.path.cmp(&b.path));
        Ok(Self { files })
    }

    #[cfg(test)]
    pub(super) fn of(files: &[(&str, &str)]) -> Self {
        let files = files
            .iter()
            .map(|(path, text)| File { path: PathBuf::from(path), text: Some((*text).to_owned()) })
            .collect();
        Self { files }
    }

    pub(super) fn files(&self) -> &[File] {
        &self.files
    }

    pub(super) fn rust(&self) -> impl Iterator<Item = &File> {
        self.files.iter().filter(|file| file.has_extension(&["rs"]))
    }

    /// The manifests of the crates; the root's, which is no crate, left out.
    pub(super) fn manifests(&self) -> impl Iterator<Item = &File> {
        self.files
            .iter()
            .filter(|file| file.path.ends_with("Cargo.toml") && file.path != Path::new("Cargo.toml"))
    }

    pub(super) fn has(&self, path: &Path) -> bool {
        self.files.iter().any(|file| file.path == path)
    }
}
