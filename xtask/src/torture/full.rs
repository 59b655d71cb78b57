//! A disk that is full: a limit on the size of files, and a small file system.

use std::fs;
use std::process::Command;

use anyhow::{Context as _, Result};

use super::child::{self, Ended, PATIENCE, Until};
use super::context::{Backend, Context};
use super::place::Place;
use super::scene::{Leaves, Scene};
use super::tally::Tally;
use super::victims::Victim;
use crate::process;

/// What is attacked: those that write much, and those that write little.
const VICTIMS: [Victim; 4] = [Victim::Import, Victim::Mcp, Victim::Import, Victim::Update];

/// A way to have no room.
struct Disk {
    name: &'static str,
    /// A shell script; `$1` is the room, in units of 512 bytes, and the command follows.
    script: &'static str,
    /// The program that runs it, with its arguments.
    shell: &'static [&'static str],
}

/// The largest file. The signal that says so is ignored, so that the write fails.
const LIMIT: Disk = Disk {
    name: "limit of file size",
    script: "trap '' XFSZ; ulimit -f \"$1\"; shift; exec \"$@\"",
    shell: &["sh", "-c"],
};

/// A file system of its own, which ends with the process. What it holds then comes back.
const SMALL_DISK: Disk = Disk {
    name: "full disk",
    script: "room=$1; shift; mkdir -p disk back && mount -t tmpfs -o size=$((room / 2))k none disk &&
        { cp memory.db disk/ || { echo 'error: no room for the store' >&2; exit 1; }; } &&
        { VESTIGE_DB=disk/memory.db \"$@\"; code=$?; cp disk/memory.db* back/; exit $code; }",
    shell: &["unshare", "--mount", "--map-root-user", "sh", "-c"],
};

/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    let mounts = process::succeeds(Command::new("unshare").args(["--mount", "--map-root-user", "true"]));
    let full = match mounts {
        true => fill(context, &SMALL_DISK)?,
        false => {
            let why = "no mount namespaces here";
            Tally::not_run(SMALL_DISK.name, Backend::Sqlite.name(), why)
        }
    };
    Ok(vec![fill(context, &LIMIT)?, full])
}

fn fill(context: &Context, disk: &Disk) -> Result<Tally> {
    let mut tally = Tally::new(disk.name, Backend::Sqlite.name());
    let mut scene = Scene::filled(context, Backend::Sqlite, context.random(disk.name), 100)?;
    let (mut refused, mut complaint) = (0_u64, String::new());
    let clock = context.clock();
    while clock.goes_on(tally.tries)? && tally.is_clean() {
        let victim = VICTIMS[scene.random.below(VICTIMS.len())];
        let size = usize::try_from(fs::metadata(scene.place.db())?.len()).unwrap_or(usize::MAX) / 512;
        // From less than there is to enough.
        let room = match scene.random.below(6) {
            0 => scene.random.below(size),
            _ => size + scene.random.below(4 * size),
        };
        tally.tries += 1;
        let attempt = victim.attempt(&mut scene)?;
        let room = room.to_string();
        let mut program = disk.shell.to_vec();
        program.extend([disk.script, "sh", &room]);
        let args: Vec<&str> = attempt.args.iter().map(String::as_str).collect();
        let mut command = scene.place.through(&program, &args);
        let ended = child::run(&mut command, attempt.input.clone(), Until::Overdue(PATIENCE))?;
        if disk.name == SMALL_DISK.name {
            bring_back(&scene.place)?;
        }
        attempt.acknowledge(&ended, &mut scene.ledger);
        let after = format!("{} in {room} units of 512 bytes", victim.name());
        if let Some(what) = wrong(&ended, victim) {
            tally.blame(format!("{after}: {what}"));
        } else if !ended.succeeded() {
            refused += 1;
            complaint = ended.complaint();
        }
        scene.check(&mut tally, &after, Leaves::Nothing)?;
    }
    tally.note(format!("{refused} of {} had too little room, such as: {complaint}", tally.tries));
    Ok(tally)
}

/// A command that fails says why in a line.
fn wrong(ended: &Ended, victim: Victim) -> Option<String> {
    let is_said = ended.succeeded() || ended.stderr.lines().any(|line| line.starts_with("error: "));
    match ended.misbehaviour() {
        // Its calls say it.
        None if victim == Victim::Mcp || is_said => None,
        None => Some(format!("it failed without a word: {}", ended.status)),
        misbehaviour => misbehaviour,
    }
}

/// Puts the store as it was on the small disk in the place of the one before. If it did not fit there, it is
/// as it was.
fn bring_back(place: &Place) -> Result<()> {
    let back = place.path("back");
    if !back.join("memory.db").exists() {
        return Ok(());
    }
    for name in ["memory.db-shm", "memory.db-wal"] {
        if place.path(name).exists() {
            fs::remove_file(place.path(name))?;
        }
    }
    for name in ["memory.db", "memory.db-wal"] {
        if back.join(name).exists() {
            fs::copy(back.join(name), place.path(name)).context("cannot bring the store back")?;
        }
    }
    fs::remove_dir_all(&back)?;
    Ok(())
}
