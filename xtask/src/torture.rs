//! `cargo xtask torture`: the real command under attack, from outside.
//!
//! Each attack runs `vestige` as its users do, keeps the books of what it acknowledged, and compares them
//! with what fresh processes read. What was acknowledged is there; what was not is there whole or not at all;
//! nothing panics, and nothing hangs.

mod child;
mod client;
mod context;
mod copies;
mod crowd;
mod damage;
mod databases;
mod full;
mod kills;
mod ledger;
mod place;
mod proxy;
mod random;
mod relay;
mod scene;
mod snapshot;
mod stopped;
mod tally;
mod victims;

use std::time::{Duration, Instant, SystemTime, UNIX_EPOCH};

use anyhow::{Result, bail};
use clap::Args;

use crate::pg::{OptionalPostgresArgs, Server, ServerArgs};
use crate::process::{self, Quiet};
use context::Context;
use databases::Databases;
use place::Program;
use tally::Tally;

/// How long an attack lasts in the short form, in seconds.
const SHORT_SECONDS: u64 = 1;

/// The arguments of `cargo xtask torture`.
#[derive(Debug, Default, Args)]
pub struct TortureArgs {
    /// How long each row of the table is attacked, in seconds. Each is tried twice at least.
    #[arg(long, value_name = "N", default_value_t = 20)]
    pub seconds: u64,
    /// As little of everything as shows something: a minute or two in all.
    #[arg(long, conflicts_with = "seconds")]
    pub short: bool,
    /// Only attacks whose name contains this.
    #[arg(long, value_name = "NAME")]
    pub only: Option<String>,
    /// Repeat the run that printed this seed.
    #[arg(long, value_name = "N")]
    pub seed: Option<u64>,
    /// Attack the command as it is released.
    #[arg(long)]
    pub release: bool,
    /// Where PostgreSQL comes from.
    #[command(flatten)]
    pub postgres: OptionalPostgresArgs,
}

/// An attack: its name, and what does it.
type Attack = (&'static str, fn(&Context) -> Result<Vec<Tally>>);

const ATTACKS: [Attack; 7] = [
    ("kill", kills::attack),
    ("copy", copies::attack),
    ("proxy", proxy::attack),
    ("stop", stopped::attack),
    ("full", full::attack),
    ("crowd", crowd::attack),
    ("damage", damage::attack),
];

/// Attacks the command, and prints a table: attack, store, tries, acknowledged, lost.
///
/// # Errors
///
/// Where something acknowledged is lost, a command panics or hangs, or an attack cannot be made.
#[allow(clippy::print_stdout, reason = "the table is this command's result")]
pub fn run(args: &TortureArgs) -> Result<()> {
    process::caught_signal()?;
    let wanted = |(name, _): &&Attack| args.only.as_ref().is_none_or(|only| name.contains(only.as_str()));
    let attacks: Vec<_> = ATTACKS.iter().filter(wanted).collect();
    if attacks.is_empty() {
        let names: Vec<_> = ATTACKS.iter().map(|(name, _)| *name).collect();
        bail!("there is no such attack: {}", names.join(", "));
    }
    let server = server(args)?;
    let program = Program::build(args.release)?;
    let databases = server.as_ref().map(Databases::on).transpose()?;
    let context = Context {
        program,
        databases,
        seed: args.seed.unwrap_or_else(any_seed),
        is_short: args.short,
        time: Duration::from_secs(if args.short { SHORT_SECONDS } else { args.seconds }),
    };
    say(&format!("seed {}", context.seed));
    let mut tallies = Vec::new();
    for (name, attack) in attacks {
        let began = Instant::now();
        let attacked = attack(&context);
        if process::caught_signal()?.is_some() {
            return Err(Quiet(130).into());
        }
        tallies.extend(attacked?);
        say(&format!("{name}: {:.0} s", began.elapsed().as_secs_f64()));
    }
    tally::print(&tallies, std::io::stdout().lock())?;
    drop(context);
    server.map_or(Ok(()), Server::stop)?;
    if !tally::all_clean(&tallies) {
        bail!("not everything was withstood");
    }
    Ok(())
}

fn server(args: &TortureArgs) -> Result<Option<Server>> {
    if args.postgres.no_postgres {
        return Ok(None);
    }
    match args.postgres.server.provider.resolve() {
        Ok(provider) => Server::start(&ServerArgs::new(provider, false)).map(Some),
        Err(lack) => {
            say(&format!("PostgreSQL is not attacked: {lack:#}"));
            Ok(None)
        }
    }
}

/// One that no other run had.
fn any_seed() -> u64 {
    let now = SystemTime::now().duration_since(UNIX_EPOCH).unwrap_or_default();
    u64::from(now.subsec_nanos()) ^ (u64::from(std::process::id()) << 32)
}

#[allow(clippy::print_stderr, reason = "this is a command-line program")]
fn say(line: &str) {
    eprintln!("{line}");
}
