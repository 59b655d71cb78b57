//! Where a memory comes from: its client, its session and its code base.

use std::fs::File;
use std::io::Read;
use std::path::{Path, PathBuf};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::Duration;

use chrono::{DateTime, Utc};
use rmcp::service::{RequestContext, RoleServer};
use tokio::sync::Mutex;
use vestige_traits::clock::new_id;
use vestige_traits::{IngestContext, limits};

/// How long a client may take to name its roots.
const ROOTS_TIMEOUT: Duration = Duration::from_secs(2);
/// The longest name of a client, in characters.
const CLIENT_CHARS: usize = 200;

#[derive(Debug)]
pub(crate) struct Origin {
    session_id: String,
    /// Where a git repository is looked for; empty, nowhere.
    pub(crate) working_dir: PathBuf,
    roots: RootsChanges,
    /// The code base of a call that names none, once it was looked for, and how often the roots had changed
    /// then.
    codebase: Mutex<Option<(u64, Option<String>)>>,
}

/// Counts how often the client has said that its roots changed.
///
/// The notification is handled by a task of its own, beside those of the requests that follow it. So whoever
/// reads the messages in their order counts it.
#[derive(Clone, Debug, Default)]
pub(crate) struct RootsChanges(Arc<AtomicU64>);

impl RootsChanges {
    pub(crate) fn changed(&self) {
        self.0.fetch_add(1, Ordering::Release);
    }

    fn count(&self) -> u64 {
        self.0.load(Ordering::Acquire)
    }
}

impl Origin {
    pub(crate) fn new(now: DateTime<Utc>) -> Self {
        Self {
            session_id: new_id(now).to_string(),
            working_dir: PathBuf::new(),
            roots: RootsChanges::default(),
            codebase: Mutex::new(None),
        }
    }

    /// The origin of a call, without what its arguments say.
    pub(crate) async fn context(&self, request: &RequestContext<RoleServer>) -> IngestContext {
        IngestContext {
            codebase: self.codebase(request).await,
            mcp_client_id: request.client_info().and_then(|client| client_id(&client.name, &client.version)),
            session_id: Some(self.session_id.clone()),
            ..IngestContext::default()
        }
    }

    /// How often the roots of the client have changed. After each change the code base is looked for again.
    pub(crate) fn roots_changes(&self) -> &RootsChanges {
        &self.roots
    }

    /// The client's first root, else the git repository of the working directory.
    async fn codebase(&self, request: &RequestContext<RoleServer>) -> Option<String> {
        let mut known = self.codebase.lock().await;
        let changes = self.roots.count();
        if let Some((of, codebase)) = &*known
            && *of == changes
        {
            return codebase.clone();
        }
        let codebase = first_root(request).await.or_else(|| repository(&self.working_dir));
        *known = Some((changes, codebase.clone()));
        codebase
    }
}

#[expect(
    deprecated,
    reason = "clients of the protocols before 2026-07-28 have roots, and no other way to say them"
)]
async fn first_root(request: &RequestContext<RoleServer>) -> Option<String> {
    request.client_capabilities()?.roots?;
    let roots = tokio::time::timeout(ROOTS_TIMEOUT, request.peer.list_roots()).await.ok()?.ok()?;
    roots.roots.first().and_then(|root| codebase_at(&root.uri))
}

/// `name version`, without characters that no store takes.
fn client_id(name: &str, version: &str) -> Option<String> {
    let id = format!("{name} {version}");
    let id: String = id.chars().filter(|c| !c.is_control()).take(CLIENT_CHARS).collect();
    Some(id.trim().to_owned()).filter(|id| !id.is_empty())
}

/// The git repository that a `file:` URI lies in, else its last folder.
fn codebase_at(uri: &str) -> Option<String> {
    let path = uri.strip_prefix("file://")?.split(['?', '#']).next()?;
    repository(Path::new(&percent_decoded(path))).or_else(|| {
        let last = path.rsplit('/').find(|segment| !segment.is_empty())?;
        name(&percent_decoded(last))
    })
}

/// The name of the git repository that `path` lies in: of its folder, or for a linked work tree of the
/// repository that it belongs to.
fn repository(path: &Path) -> Option<String> {
    let mut folders = path.ancestors().filter(|folder| !folder.as_os_str().is_empty());
    let root = folders.find(|folder| folder.join(".git").exists())?;
    match common_folder(root) {
        Some(common) => {
            let common = common.canonicalize().unwrap_or(common);
            let last = common.file_name()?.to_string_lossy().into_owned();
            match last.strip_suffix(".git") {
                // The repository has a work tree of its own around it.
                Some("") => name(&common.parent()?.file_name()?.to_string_lossy()),
                Some(bare) => name(bare),
                None => name(&last),
            }
        }
        None => name(&root.file_name()?.to_string_lossy()),
    }
}

/// What a linked work tree shares with its repository (`gitrepository-layout(5)`): `.git` is a file there. It
/// names a folder in which `commondir` names the shared one. A submodule has no such file.
fn common_folder(root: &Path) -> Option<PathBuf> {
    let git = root.join(".git");
    let own = root.join(short_text(&git)?.strip_prefix("gitdir:")?.trim());
    let common = short_text(&own.join("commondir"))?;
    Some(own.join(common.trim()))
}

/// The text of a file that holds no more than a path.
fn short_text(path: &Path) -> Option<String> {
    if !path.metadata().ok()?.is_file() {
        return None;
    }
    let mut text = String::new();
    File::open(path).ok()?.take(4096).read_to_string(&mut text).ok()?;
    Some(text)
}

fn name(text: &str) -> Option<String> {
    limits::check_name("codebase", text).is_ok().then(|| text.to_owned())
}

fn percent_decoded(text: &str) -> String {
    let mut bytes = Vec::with_capacity(text.len());
    let mut rest = text.as_bytes();
    while let Some((&first, after)) = rest.split_first() {
        let hex = after.get(..2).filter(|_| first == b'%').and_then(|hex| std::str::from_utf8(hex).ok());
        match hex.and_then(|hex| u8::from_str_radix(hex, 16).ok()) {
            Some(byte) => {
                bytes.push(byte);
                rest = &after[2..];
            }
            None => {
                bytes.push(first);
                rest = after;
            }
        }
    }
    String::from_utf8_lossy(&bytes).into_owned()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_root_is_called_like_its_folder() {
        for (uri, expected) in [
            ("file:///home/ada/tidewater", Some("tidewater")),
            ("file:///home/ada/tide%20water/", Some("tide water")),
            ("file:///C:/code/na%C3%AFve", Some("naïve")),
            ("file:///100%", Some("100%")),
            ("file:///", None),
            ("https://example.org/x", None),
            ("file:///a/%00", None),
        ] {
            assert_eq!(codebase_at(uri).as_deref(), expected, "{uri}");
        }
    }

    #[test]
    fn a_repository_is_found_from_any_folder_in_it() {
        let folder = tempfile::tempdir().unwrap();
        let deep = folder.path().join("tidewater/src/deep");
        std::fs::create_dir_all(&deep).unwrap();
        std::fs::write(folder.path().join("tidewater/.git"), "gitdir: elsewhere").unwrap();
        assert_eq!(repository(&deep).as_deref(), Some("tidewater"));
    }

    #[test]
    fn a_work_tree_belongs_to_its_repository() {
        let folder = tempfile::tempdir().unwrap();
        let at = |path: &str| folder.path().join(path);
        let write = |path: &str, text: String| {
            std::fs::create_dir_all(at(path).parent().unwrap()).unwrap();
            std::fs::write(at(path), text).unwrap();
        };
        for (repository, git) in [("tidewater/.git", "tidewater"), ("bare/tidewater.git", "tidewater")] {
            let own = format!("{repository}/worktrees/fix");
            write(&format!("{own}/commondir"), "../..\n".to_owned());
            write("trees/fix-7/.git", format!("gitdir: {}\n", at(&own).display()));
            write("trees/fix-7/src/lib.rs", String::new());
            assert_eq!(super::repository(&at("trees/fix-7/src")).as_deref(), Some(git));
            let root = format!("file://{}", at("trees/fix-7/src").display());
            assert_eq!(codebase_at(&root).as_deref(), Some(git), "of a root too");
        }
        // A submodule is a repository of its own.
        write("tidewater/.git/modules/lamp/HEAD", String::new());
        write("tidewater/lamp/.git", "gitdir: ../.git/modules/lamp\n".to_owned());
        assert_eq!(super::repository(&at("tidewater/lamp")).as_deref(), Some("lamp"));
        assert_eq!(super::repository(&at("tidewater")).as_deref(), Some("tidewater"));
    }

    #[test]
    fn a_client_is_called_by_name_and_version() {
        assert_eq!(client_id("claude-code", "2.1.0").as_deref(), Some("claude-code 2.1.0"));
        assert_eq!(client_id("a\0b\n", "").as_deref(), Some("ab"));
        assert_eq!(client_id("", ""), None);
        assert_eq!(client_id(&"é".repeat(10_000), "1").map(|id| id.chars().count()), Some(CLIENT_CHARS));
    }
}
