//! Where the memory lies and which model embeds it: flags, then the environment, then `vestige.toml`,
//! then the platform's own folders.
//!
//! The `vestige.toml` in the working directory counts if it is trusted ([`crate::trusted_files`]), and to
//! `vestige mcp` not at all: a client starts the server in the folder of whatever project it works on.

use std::ffi::OsString;
use std::io::ErrorKind;
use std::path::{Path, PathBuf};
use std::time::Duration;

use crate::config_file::{Backend, ConfigFile, Embeddings};
use crate::failure::Failure;
use crate::globals::GlobalArgs;
use crate::secret::PostgresUrl;
use crate::trusted_files::{self, TrustedFiles};

/// The configuration's file name, in the working directory and in the platform's folder.
pub(crate) const FILE_NAME: &str = "vestige.toml";
const STORE_FILE_NAME: &str = "vestige.db";
const DEFAULT_CONNECTIONS: u32 = 5;
const DEFAULT_TIMEOUT_SECONDS: u32 = 60;

/// What one run of the command works with.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Settings {
    pub(crate) store: StoreChoice,
    /// Who chose the store.
    pub(crate) store_from: Origin,
    pub(crate) model: ModelChoice,
    /// Who chose the model.
    pub(crate) model_from: Origin,
    /// How the model is run; the paths in it are whole.
    pub(crate) embeddings: Embeddings,
    /// How long a call may take; none for ever.
    pub(crate) timeout: Option<Duration>,
    /// The `vestige.toml` that was read.
    pub(crate) file: Option<PathBuf>,
    /// Why the `vestige.toml` in the working directory does not count, where it does not.
    pub(crate) ignored: Option<String>,
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum StoreChoice {
    Sqlite { path: PathBuf },
    Postgres { url: PostgresUrl, max_connections: u32 },
}

impl StoreChoice {
    /// The file it lies in; none for a server.
    pub(crate) fn file(&self) -> Option<&std::path::Path> {
        match self {
            Self::Sqlite { path } => Some(path),
            Self::Postgres { .. } => None,
        }
    }
}

impl std::fmt::Display for StoreChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Sqlite { path } => write!(f, "{}", path.display()),
            Self::Postgres { url, .. } => write!(f, "{url}"),
        }
    }
}

#[derive(Clone, Debug, PartialEq)]
pub(crate) enum ModelChoice {
    /// The model inside the program.
    Bundled,
    /// A model of fastembed's list.
    Named(String),
    /// A folder that holds a model's files.
    Folder(PathBuf),
}

impl std::fmt::Display for ModelChoice {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Bundled => f.write_str("bundled"),
            Self::Named(name) => f.write_str(name),
            Self::Folder(path) => write!(f, "{}", path.display()),
        }
    }
}

/// Where a setting comes from.
#[derive(Clone, Debug, PartialEq)]
pub(crate) enum Origin {
    Flag(&'static str),
    Variable(&'static str),
    File(PathBuf),
    Default,
}

impl std::fmt::Display for Origin {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        match self {
            Self::Flag(name) | Self::Variable(name) => f.write_str(name),
            Self::File(path) => write!(f, "{}", path.display()),
            Self::Default => f.write_str("default"),
        }
    }
}

/// What the process finds around it.
pub(crate) struct Surroundings<'a> {
    pub(crate) variable: &'a dyn Fn(&str) -> Option<OsString>,
    /// None where it is gone, or may not be asked for.
    pub(crate) working_dir: Option<PathBuf>,
    /// Whether a configuration file in the working directory counts if it is trusted.
    pub(crate) reads_working_dir: bool,
    pub(crate) folders: Option<Folders>,
}

/// The platform's folders for this user.
#[derive(Clone, Debug)]
pub(crate) struct Folders {
    pub(crate) home: PathBuf,
    pub(crate) config: PathBuf,
    pub(crate) data: PathBuf,
    pub(crate) cache: PathBuf,
}

impl Folders {
    pub(crate) fn of_this_platform() -> Option<Self> {
        let home = directories::BaseDirs::new()?.home_dir().to_owned();
        let project = directories::ProjectDirs::from("", "", "vestige")?;
        Some(Self {
            home,
            config: project.config_dir().to_owned(),
            data: project.data_dir().to_owned(),
            cache: project.cache_dir().to_owned(),
        })
    }
}

impl Surroundings<'_> {
    /// A variable that is set and not empty.
    fn text(&self, name: &'static str) -> Result<Option<String>, Failure> {
        match (self.variable)(name).filter(|value| !value.is_empty()) {
            None => Ok(None),
            Some(value) => value
                .into_string()
                .map(Some)
                .map_err(|_| Failure::usage(format!("the environment variable {name} is not UTF-8"))),
        }
    }

    fn path(&self, name: &'static str) -> Option<PathBuf> {
        (self.variable)(name).filter(|value| !value.is_empty()).map(PathBuf::from)
    }

    /// `path` as a configuration file in `base` means it: relative to `base`, `~/` being the home folder.
    fn resolve(&self, path: &Path, base: Option<&Path>) -> Result<PathBuf, Failure> {
        match (path.strip_prefix("~"), &self.folders) {
            (Ok(rest), Some(folders)) => Ok(folders.home.join(rest)),
            _ => whole(path, base),
        }
    }

    /// `path` as the shell means it: relative to the working directory.
    fn whole(&self, path: &Path) -> Result<PathBuf, Failure> {
        whole(path, self.working_dir.as_deref())
    }

    /// The configuration file that a flag or a variable names.
    fn named_file(&self, globals: &GlobalArgs) -> Result<Option<PathBuf>, Failure> {
        let named = globals.config.clone().or_else(|| self.path("VESTIGE_CONFIG"));
        named.map(|path| self.whole(&path)).transpose()
    }

    /// The configuration file in the working directory, if it is trusted; if not, why it does not count.
    fn file_here(&self) -> Result<Option<PathBuf>, String> {
        let here = self.working_dir.as_ref().filter(|_| self.reads_working_dir);
        let Some(path) = here.map(|folder| folder.join(FILE_NAME)) else { return Ok(None) };
        if path.symlink_metadata().is_err() {
            return Ok(None);
        }
        let ignored = |why: &str| format!("{} does not count: {why}", path.display());
        let text = trusted_files::read(&path).map_err(|why| ignored(&why))?;
        let trusted = self.folders.as_ref().map(|folders| TrustedFiles::in_folder(&folders.config));
        if trusted.is_some_and(|trusted| trusted.contains(&path, &text)) {
            return Ok(Some(path));
        }
        let sets = match trusted_files::settings_named(&text) {
            names if names.is_empty() => String::new(),
            names => format!(" (it sets {names})"),
        };
        Err(ignored(&format!("you have not trusted it as it is{sets}; read it, then run `vestige trust`")))
    }

    /// The configuration file in the platform's folder.
    fn file_of_the_platform(&self) -> Result<Option<PathBuf>, Failure> {
        let Some(path) = self.folders.as_ref().map(|folders| folders.config.join(FILE_NAME)) else {
            return Ok(None);
        };
        // A link that leads nowhere is no absence of a file: without what it says memories would go
        // elsewhere. A folder that this user may not look into has none for them.
        match path.symlink_metadata() {
            Ok(_) => Ok(Some(path)),
            Err(error)
                if matches!(
                    error.kind(),
                    ErrorKind::NotFound | ErrorKind::NotADirectory | ErrorKind::PermissionDenied
                ) =>
            {
                Ok(None)
            }
            Err(error) => Err(Failure::usage(format!("{}: {error}", path.display()))),
        }
    }
}

/// A path that is relative to `base`. Only such a one needs it.
fn whole(path: &Path, base: Option<&Path>) -> Result<PathBuf, Failure> {
    match base {
        _ if path.is_absolute() => Ok(path.to_owned()),
        Some(base) => Ok(base.join(path)),
        None => Err(Failure::message(format!(
            "{}: there is no working directory for it to be relative to; go to a folder that exists, or give the whole path",
            path.display()
        ))),
    }
}

impl Settings {
    /// Decides what this run works with.
    pub(crate) fn resolve(globals: &GlobalArgs, around: &Surroundings<'_>) -> Result<Self, Failure> {
        let (mut path, mut ignored) = (around.named_file(globals)?, None);
        if path.is_none() {
            path = around.file_here().unwrap_or_else(|why| {
                ignored = Some(why);
                None
            });
        }
        if path.is_none() {
            path = around.file_of_the_platform()?;
        }
        let file = path.as_deref().map(ConfigFile::read).transpose()?.unwrap_or_default();
        let (store, store_from) = store_choice(globals, around, &file, path.as_deref())?;
        let (model, model_from) = model_choice(globals, around, &file, path.as_deref())?;
        let timeout = timeout(globals, around, &file)?;
        let folder = path.as_deref().and_then(Path::parent);
        let mut embeddings = file.embeddings;
        embeddings.cache_dir = match embeddings.cache_dir {
            Some(dir) => Some(around.resolve(&dir, folder)?),
            None => around.folders.as_ref().map(|folders| folders.cache.join("models")),
        };
        embeddings.runtime = embeddings.runtime.map(|path| around.resolve(&path, folder)).transpose()?;
        Ok(Self { store, store_from, model, model_from, embeddings, timeout, file: path, ignored })
    }
}

fn timeout(
    globals: &GlobalArgs,
    around: &Surroundings<'_>,
    file: &ConfigFile,
) -> Result<Option<Duration>, Failure> {
    let seconds = match (globals.timeout, around.text("VESTIGE_TIMEOUT")?) {
        (Some(seconds), _) => seconds,
        (None, Some(text)) => text.trim().parse().map_err(|_| {
            Failure::usage(format!("VESTIGE_TIMEOUT is {text:?}, must be a whole number of seconds"))
        })?,
        (None, None) => file.timeout_seconds.unwrap_or(DEFAULT_TIMEOUT_SECONDS),
    };
    Ok((seconds > 0).then(|| Duration::from_secs(seconds.into())))
}

fn store_choice(
    globals: &GlobalArgs,
    around: &Surroundings<'_>,
    file: &ConfigFile,
    file_path: Option<&Path>,
) -> Result<(StoreChoice, Origin), Failure> {
    let max_connections = file.storage.postgres.max_connections.unwrap_or(DEFAULT_CONNECTIONS);
    let sqlite = |path: &Path| around.whole(path).map(|path| StoreChoice::Sqlite { path });
    let postgres = |url: String| StoreChoice::Postgres { url: PostgresUrl::new(url), max_connections };

    match (&globals.db, &globals.postgres_url) {
        // clap sees it only where both stand on one side of the command.
        (Some(_), Some(_)) => {
            return Err(Failure::usage("--db cannot be used with --postgres-url; give one of them"));
        }
        (Some(path), None) => return Ok((sqlite(path)?, Origin::Flag("--db"))),
        (None, Some(url)) => return Ok((postgres(url.clone()), Origin::Flag("--postgres-url"))),
        (None, None) => {}
    }
    match (around.path("VESTIGE_DB"), around.text("VESTIGE_POSTGRES_URL")?) {
        (Some(_), Some(_)) => {
            return Err(Failure::usage(
                "VESTIGE_DB and VESTIGE_POSTGRES_URL are both set; unset one of them, or say --db or --postgres-url",
            ));
        }
        (Some(path), None) => return Ok((sqlite(&path)?, Origin::Variable("VESTIGE_DB"))),
        (None, Some(url)) => return Ok((postgres(url), Origin::Variable("VESTIGE_POSTGRES_URL"))),
        (None, None) => {}
    }
    if let Some(file_path) = file_path {
        let from = Origin::File(file_path.to_owned());
        match file.storage.backend()? {
            Some(Backend::Postgres) => {
                let url = file.storage.postgres.url.clone().ok_or_else(|| {
                    Failure::usage(format!(
                        "{}: the backend is \"postgres\" and [storage.postgres] has no url; \
                         write `url = \"postgres://user@host/database\"` there",
                        file_path.display()
                    ))
                })?;
                return Ok((StoreChoice::Postgres { url, max_connections }, from));
            }
            Some(Backend::Sqlite) | None => {
                if let Some(path) = &file.storage.sqlite.path {
                    let path = around.resolve(path, file_path.parent())?;
                    return Ok((StoreChoice::Sqlite { path }, from));
                }
            }
        }
    }
    let folders = around.folders.as_ref().ok_or_else(|| {
        Failure::usage("there is no home folder to keep the memory in; say where with --db or VESTIGE_DB")
    })?;
    Ok((StoreChoice::Sqlite { path: folders.data.join(STORE_FILE_NAME) }, Origin::Default))
}

fn model_choice(
    globals: &GlobalArgs,
    around: &Surroundings<'_>,
    file: &ConfigFile,
    file_path: Option<&Path>,
) -> Result<(ModelChoice, Origin), Failure> {
    let here = around.working_dir.as_deref();
    if let Some(name) = &globals.model {
        return Ok((read_model(name, around, here)?, Origin::Flag("--model")));
    }
    if let Some(name) = around.text("VESTIGE_MODEL")? {
        return Ok((read_model(&name, around, here)?, Origin::Variable("VESTIGE_MODEL")));
    }
    match (&file.embeddings.model, file_path) {
        (Some(name), Some(path)) => {
            Ok((read_model(name, around, path.parent())?, Origin::File(path.to_owned())))
        }
        _ => Ok((ModelChoice::Bundled, Origin::Default)),
    }
}

/// Names of models hold slashes too (`BAAI/bge-small-en-v1.5`), so a folder is what looks like nothing else.
fn read_model(text: &str, around: &Surroundings<'_>, base: Option<&Path>) -> Result<ModelChoice, Failure> {
    let path = Path::new(text);
    let is_folder =
        path.is_absolute() || text.starts_with("./") || text.starts_with("../") || path.starts_with("~");
    match text {
        "bundled" => Ok(ModelChoice::Bundled),
        _ if is_folder || matches!(text, "." | "..") => around.resolve(path, base).map(ModelChoice::Folder),
        name => Ok(ModelChoice::Named(name.to_owned())),
    }
}

#[cfg(test)]
mod tests;
