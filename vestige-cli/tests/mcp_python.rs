//! `vestige mcp` by the official Python client (`tests/python/client.py`), in a virtual environment of its
//! own.

mod common;

use std::path::{Path, PathBuf};
use std::process::Command;

use common::{PROGRAM, Vestige, skip};

const REQUIREMENTS: &str = include_str!("python/requirements.txt");

/// A Python that has the client; none where there is no Python or no package index, which is said loudly,
/// or fails where `VESTIGE_REQUIRE_PYTHON=1`.
fn python(test: &str) -> Option<PathBuf> {
    match environment() {
        Ok(python) => Some(python),
        Err(reason) => {
            assert!(std::env::var("VESTIGE_REQUIRE_PYTHON").as_deref() != Ok("1"), "{reason}");
            skip(test, &reason);
            None
        }
    }
}

/// Makes the environment once for each list of requirements. Of tests that run at the same time, one makes
/// it.
fn environment() -> Result<PathBuf, String> {
    let named = format!("python-{}", &blake3::hash(REQUIREMENTS.as_bytes()).to_hex()[..16]);
    let folder = Path::new(env!("CARGO_TARGET_TMPDIR")).join(named);
    let said = |error: std::io::Error| format!("{}: {error}", folder.display());
    let lock = std::fs::File::create(folder.with_extension("lock")).map_err(said)?;
    lock.lock().map_err(said)?;
    let (python, ready, list) =
        (folder.join("bin/python"), folder.join("ready"), folder.join("requirements.txt"));
    if !ready.exists() {
        run(Command::new("python3").args(["-m", "venv", "--clear"]).arg(&folder))?;
        std::fs::write(&list, REQUIREMENTS).map_err(said)?;
        let pip = [
            "-m",
            "pip",
            "install",
            "--quiet",
            "--disable-pip-version-check",
            "--no-deps",
            "--only-binary=:all:",
            "-r",
        ];
        run(Command::new(&python).args(pip).arg(&list))?;
        std::fs::write(ready, "").map_err(said)?;
    }
    Ok(python)
}

fn run(command: &mut Command) -> Result<(), String> {
    let output = command.output().map_err(|error| format!("{command:?}: {error}"))?;
    if output.status.success() {
        return Ok(());
    }
    let stderr = String::from_utf8_lossy(&output.stderr);
    Err(format!("{command:?}: {}", stderr.lines().last().unwrap_or_default()))
}

/// The whole conversation of `client.py`, in a folder that lies in the git repository `lighthouse`.
fn converse(vestige: &Vestige, python: &Path, mode: &str) {
    let folder = vestige.path("lighthouse/src");
    std::fs::create_dir_all(&folder).expect("a folder");
    std::fs::create_dir(vestige.path("lighthouse/.git")).expect("a folder");
    let script = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/python/client.py");
    let mut client = vestige.command_of(python.to_str().expect("UTF-8"));
    let output = client.arg(script).args([PROGRAM, mode]).current_dir(&folder).output().expect("Python runs");
    let log = std::fs::read_to_string(folder.join("server.log")).unwrap_or_default();
    let stderr = String::from_utf8_lossy(&output.stderr);
    assert!(output.status.success(), "{stderr}\nthe server said:\n{log}");
    assert_eq!(String::from_utf8_lossy(&output.stdout), "done\n");
    assert!(!log.contains("panicked"), "{log}");
    vestige.ok(&["doctor"]);
}

#[test]
fn the_official_client_uses_every_tool_after_the_initialize_handshake() {
    let Some(python) = python("the official Python client of MCP, by handshake") else { return };
    converse(&Vestige::new(), &python, "legacy");
}

#[test]
fn the_official_client_uses_every_tool_after_discovery() {
    let Some(python) = python("the official Python client of MCP, by discovery") else { return };
    converse(&Vestige::new(), &python, "auto");
}

#[cfg(unix)]
#[test]
fn the_program_of_the_generic_page_runs() {
    let Some(python) = python("the Python program of docs/clients/generic.md") else { return };
    let vestige = Vestige::new();
    let page = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/clients/generic.md");
    let page = std::fs::read_to_string(page).expect("the page");
    let program =
        page.split("```python\n").nth(1).and_then(|rest| rest.split("```").next()).expect("a program");
    let script = vestige.write("program.py", program);
    std::fs::create_dir(vestige.path("bin")).expect("a folder");
    std::os::unix::fs::symlink(PROGRAM, vestige.path("bin/vestige")).expect("a link");
    let path = format!("{}:{}", vestige.path("bin").display(), std::env::var("PATH").unwrap_or_default());
    let mut command = vestige.command_of(python.to_str().expect("UTF-8"));
    let output = command.arg(script).env("PATH", path).output().expect("Python runs");
    let stdout = String::from_utf8_lossy(&output.stdout);
    assert!(
        stdout.contains("Deploys are frozen on Fridays"),
        "{stdout}{}",
        String::from_utf8_lossy(&output.stderr)
    );
}

#[cfg(feature = "postgres-backend")]
#[test]
fn the_official_client_uses_every_tool_on_postgres() {
    let Some(database) = common::database::Database::new("the official Python client of MCP on PostgreSQL")
    else {
        return;
    };
    let Some(python) = python("the official Python client of MCP on PostgreSQL") else { return };
    converse(&Vestige::on_postgres(&database.url), &python, "auto");
}
