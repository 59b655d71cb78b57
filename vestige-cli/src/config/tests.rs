use std::collections::HashMap;
use std::fs;

use clap::Parser;

use super::*;

/// A command line: the global flags and the name of a command.
#[derive(Parser)]
struct Line {
    #[command(flatten)]
    globals: GlobalArgs,
    _command: String,
}

/// Resolves the settings of `vestige ARGS stats` in a working directory with some files and variables.
fn resolve(args: &[&str], files: &[(&str, &str)], variables: &[(&str, &str)]) -> Result<Settings, String> {
    resolve_for("stats", args, files, variables)
}

fn resolve_for(
    command: &str,
    args: &[&str],
    files: &[(&str, &str)],
    variables: &[(&str, &str)],
) -> Result<Settings, String> {
    let folder = tempfile::tempdir().unwrap();
    for (path, text) in files {
        let path = folder.path().join(path);
        fs::create_dir_all(path.parent().unwrap()).unwrap();
        fs::write(path, text).unwrap();
    }
    let variables: HashMap<&str, &str> = variables.iter().copied().collect();
    let at = |name: &str| folder.path().join(name);
    if let Ok(text) = fs::read_to_string(at("here/vestige.toml")) {
        TrustedFiles::in_folder(&at("config")).add(&at("here/vestige.toml"), &text).unwrap();
    }
    let around = Surroundings {
        variable: &|name| variables.get(name).map(OsString::from),
        working_dir: Some(at("here")),
        reads_working_dir: command != "mcp",
        folders: Some(Folders {
            home: at("home"),
            config: at("config"),
            data: at("data"),
            cache: at("cache"),
        }),
    };
    let args = ["vestige"].iter().chain(args).chain([&command]);
    let line = Line::try_parse_from(args).map_err(|error| error.to_string())?;
    let mut settings = Settings::resolve(&line.globals, &around).map_err(|failure| {
        failure.line("").unwrap_or_default().replace(&folder.path().display().to_string(), "·")
    })?;
    // So that the tests can name paths.
    if let StoreChoice::Sqlite { path } = &mut settings.store {
        *path = path.strip_prefix(folder.path()).unwrap_or(path).to_owned();
    }
    if let ModelChoice::Folder(path) = &mut settings.model {
        *path = path.strip_prefix(folder.path()).unwrap_or(path).to_owned();
    }
    let cache_dir = &mut settings.embeddings.cache_dir;
    *cache_dir = cache_dir.take().map(|path| path.strip_prefix(folder.path()).unwrap_or(&path).to_owned());
    Ok(settings)
}

fn store(args: &[&str], files: &[(&str, &str)], variables: &[(&str, &str)]) -> String {
    match resolve(args, files, variables) {
        Ok(settings) => settings.store.to_string(),
        Err(error) => error,
    }
}

const HERE: (&str, &str) = ("here/vestige.toml", "[storage.sqlite]\npath = \"file.db\"\n");
const THERE: (&str, &str) = ("config/vestige.toml", "[storage.sqlite]\npath = \"~/platform.db\"\n");

#[test]
fn flags_come_before_variables_before_files_before_the_platform() {
    let variables = [("VESTIGE_DB", "variable.db")];
    assert_eq!(store(&["--db", "flag.db"], &[HERE, THERE], &variables), "here/flag.db");
    assert_eq!(store(&[], &[HERE, THERE], &variables), "here/variable.db");
    assert_eq!(store(&[], &[HERE, THERE], &[("VESTIGE_DB", "")]), "here/file.db");
    assert_eq!(store(&[], &[THERE], &[]), "home/platform.db");
    assert_eq!(store(&[], &[], &[]), "data/vestige.db");
}

#[test]
fn a_flag_comes_before_a_variable_of_the_other_backend() {
    let variables = [("VESTIGE_POSTGRES_URL", "postgres://ada:s3cret@h/d")];
    assert_eq!(store(&["--db", "flag.db"], &[], &variables), "here/flag.db");
    assert_eq!(store(&[], &[HERE], &variables), "postgres://ada@h/d");
    let both = [variables[0], ("VESTIGE_DB", "x")];
    assert!(store(&[], &[], &both).contains("both set"));
    assert!(store(&["--db", "x", "--postgres-url", "y"], &[], &[]).contains("cannot be used with"));
}

#[test]
fn a_named_configuration_file_is_the_only_one() {
    let other = ("here/sub/other.toml", "[storage.sqlite]\npath = \"beside.db\"\n");
    assert_eq!(store(&["--config", "sub/other.toml"], &[HERE, other], &[]), "here/sub/beside.db");
    assert_eq!(store(&[], &[HERE, other], &[("VESTIGE_CONFIG", "sub/other.toml")]), "here/sub/beside.db");
    assert_eq!(
        store(&["--config", "none.toml"], &[HERE], &[]),
        "there is no configuration file ·/here/none.toml"
    );
}

#[cfg(unix)]
#[test]
fn a_configuration_file_that_cannot_be_reached_is_named() {
    let folder = tempfile::tempdir().unwrap();
    let (here, config) = (folder.path().join("here"), folder.path().join("config"));
    fs::create_dir(&here).unwrap();
    let (home, data, cache) = (here.clone(), here.clone(), here.clone());
    let around = Surroundings {
        variable: &|_| None,
        working_dir: Some(here.clone()),
        reads_working_dir: true,
        folders: Some(Folders { home, config: config.clone(), data, cache }),
    };
    let command = Line::try_parse_from(["vestige", "stats"]).unwrap();
    let resolve = || match Settings::resolve(&command.globals, &around) {
        Ok(settings) => settings.store.to_string(),
        Err(failure) => failure.line("").unwrap_or_default(),
    };
    // A file in the place of the folder is no file in it.
    fs::write(&config, "").unwrap();
    assert_eq!(resolve(), here.join(STORE_FILE_NAME).display().to_string());
    fs::remove_file(&config).unwrap();
    fs::create_dir(&config).unwrap();
    std::os::unix::fs::symlink("gone.toml", config.join(FILE_NAME)).unwrap();
    let file = config.join(FILE_NAME);
    assert_eq!(resolve(), format!("{}: is a link to a file that is not there", file.display()));
    fs::remove_dir_all(&config).unwrap();
    // A link to itself cannot be looked behind.
    std::os::unix::fs::symlink(&config, &config).unwrap();
    assert!(resolve().starts_with(&format!("{}: ", config.join(FILE_NAME).display())), "{}", resolve());
}

#[test]
fn a_server_takes_no_configuration_from_the_folder_that_it_is_started_in() {
    let of_a_server = |args: &[&str], files: &[(&str, &str)]| {
        let settings = resolve_for("mcp", args, files, &[]).unwrap();
        (settings.store.to_string(), settings.model, settings.embeddings.runtime)
    };
    let hostile =
        "[storage.sqlite]\npath = \"spy.db\"\n[embeddings]\nmodel = \"./spy\"\nruntime = \"spy.so\"\n";
    let hostile = ("here/vestige.toml", hostile);
    assert_eq!(of_a_server(&[], &[hostile]), ("data/vestige.db".into(), ModelChoice::Bundled, None));
    assert_eq!(of_a_server(&[], &[hostile, THERE]).0, "home/platform.db");
    assert_eq!(of_a_server(&["--config", "vestige.toml"], &[HERE, THERE]).0, "here/file.db");
}

#[test]
fn a_mistake_in_the_file_is_named_with_its_line() {
    let files = [("here/vestige.toml", "[storage]\nbakend = \"sqlite\"\n")];
    let error = store(&[], &files, &[]);
    assert!(error.starts_with("·/here/vestige.toml:2: unknown field `bakend`"), "{error}");
}

#[test]
fn a_postgres_backend_needs_its_url() {
    let files = [("here/vestige.toml", "[storage]\nbackend = \"postgres\"\n")];
    assert!(store(&[], &files, &[]).contains("has no url"));
    let files = [(
        "here/vestige.toml",
        "[storage]\nbackend = \"postgres\"\nsqlite.path = \"x\"\npostgres.url = \"postgres://h/d\"\n",
    )];
    assert_eq!(store(&[], &files, &[]), "postgres://h/d");
}

#[test]
fn a_model_is_a_folder_only_if_it_looks_like_one() {
    let model = |text: &str| resolve(&["--model", text], &[], &[]).unwrap().model;
    assert_eq!(model("bundled"), ModelChoice::Bundled);
    assert_eq!(model("BAAI/bge-small-en-v1.5"), ModelChoice::Named("BAAI/bge-small-en-v1.5".into()));
    assert_eq!(model("./minilm"), ModelChoice::Folder("here/./minilm".into()));
    assert_eq!(model("~/minilm"), ModelChoice::Folder("home/minilm".into()));
    assert_eq!(model("/models/minilm"), ModelChoice::Folder("/models/minilm".into()));
}

#[test]
fn the_model_comes_from_flag_variable_or_file() {
    let files = [("here/vestige.toml", "[embeddings]\nmodel = \"./minilm\"\ncache_dir = \"models\"\n")];
    let settings = resolve(&[], &files, &[]).unwrap();
    assert_eq!(settings.model, ModelChoice::Folder("here/./minilm".into()));
    assert_eq!(settings.embeddings.cache_dir, Some("here/models".into()));
    let settings = resolve(&[], &files, &[("VESTIGE_MODEL", "bundled")]).unwrap();
    assert_eq!(
        (settings.model, settings.model_from),
        (ModelChoice::Bundled, Origin::Variable("VESTIGE_MODEL"))
    );
    let settings = resolve(&[], &[], &[]).unwrap();
    assert_eq!(
        (settings.model, settings.embeddings.cache_dir),
        (ModelChoice::Bundled, Some("cache/models".into()))
    );
}

#[test]
fn a_file_in_the_working_directory_counts_once_it_is_trusted_and_until_it_changes() {
    let folder = tempfile::tempdir().unwrap();
    let at = |name: &str| folder.path().join(name);
    fs::create_dir(at("here")).unwrap();
    let file = at("here/vestige.toml");
    let text = "[storage.sqlite]\npath = \"spy.db\"\n[embeddings]\nruntime = \"./spy.so\"\n";
    let (home, config, data, cache) = (at("home"), at("config"), at("data"), at("cache"));
    let around = Surroundings {
        variable: &|_| None,
        working_dir: Some(at("here")),
        reads_working_dir: true,
        folders: Some(Folders { home, config, data, cache }),
    };
    let command = Line::try_parse_from(["vestige", "stats"]).unwrap();
    let resolve = || Settings::resolve(&command.globals, &around).unwrap();
    for untrusted in [text, "no toml at all [", &"#".repeat(1 << 20)] {
        fs::write(&file, untrusted).unwrap();
        let settings = resolve();
        assert_eq!((settings.store_from, settings.embeddings.runtime), (Origin::Default, None));
        assert!(settings.ignored.is_some_and(|why| why.contains("does not count")));
    }
    fs::write(&file, text).unwrap();
    let why = resolve().ignored.unwrap();
    assert!(
        why.contains("embeddings.runtime, storage.sqlite.path") && why.contains("`vestige trust`"),
        "{why}"
    );
    TrustedFiles::in_folder(&at("config")).add(&file, text).unwrap();
    let settings = resolve();
    assert_eq!((settings.store_from, settings.ignored), (Origin::File(file.clone()), None));
    assert_eq!(settings.embeddings.runtime, Some(at("here/./spy.so")));
    fs::write(&file, format!("{text}# changed\n")).unwrap();
    assert_eq!(resolve().store_from, Origin::Default);
}
