//! The test runner of this machine.

use std::process::Command;

use crate::{process, project};

/// nextest where it is installed, else cargo's own.
#[must_use]
pub fn command() -> Command {
    let mut command = project::cargo();
    if process::succeeds(project::cargo().args(["nextest", "--version"])) {
        command.args(["nextest", "run"]);
        if std::env::var_os("CI").is_some() {
            command.arg("--profile=ci");
        }
    } else {
        // Doc tests are a step of their own.
        command.args(["test", "--lib", "--bins", "--tests"]);
    }
    command
}
