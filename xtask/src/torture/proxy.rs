//! A network that breaks: connections that are cut, or fall silent, after a number of bytes.

use std::time::Duration;

use anyhow::{Context as _, Result};

use super::child::{self, Ended, Until};
use super::context::{Backend, Context};
use super::relay::{Relay, Then};
use super::scene::{Leaves, Scene};
use super::tally::Tally;
use super::victims::{Attempt, Victim};

const VICTIMS: [Victim; 5] = [Victim::Add, Victim::Import, Victim::Update, Victim::Delete, Victim::Search];
/// How long a command may wait for a server that was cut off.
const CUT: Duration = Duration::from_secs(45);
/// How long a command may wait for a server that says nothing: for a connection, and for several statements
/// that may each take as long as the URL says.
const SILENT: Duration = Duration::from_secs(60);
/// How long that is, in milliseconds.
const STATEMENT_TIMEOUT: &str = "options=-cstatement_timeout%3D5000";

/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    if context.databases.is_none() {
        return Ok(Vec::new());
    }
    Ok(vec![
        broken(context, "connection cut", Then::Cut)?,
        broken(context, "connection silent", Then::FallSilent)?,
    ])
}

fn broken(context: &Context, attack: &str, then: Then) -> Result<Tally> {
    let mut tally = Tally::new(attack, Backend::Postgres.name());
    let mut scene = Scene::filled(context, Backend::Postgres, context.random(attack), 60)?;
    let mut traffic = Vec::new();
    for victim in VICTIMS {
        let attempt = victim.attempt(&mut scene)?;
        let (ended, bytes) = through(&scene, &attempt, u64::MAX, Then::Cut)?;
        attempt.acknowledge(&ended, &mut scene.ledger);
        if !ended.succeeded() {
            tally.blame(format!("`{}` failed through a relay: {}", ended.what, ended.complaint()));
        }
        traffic.push(bytes);
    }
    let (mut failed, mut complaint) = (0_u64, String::new());
    let clock = context.clock();
    while clock.goes_on(tally.tries)? && tally.wrongs() < 5 {
        tally.tries += 1;
        let which = scene.random.below(VICTIMS.len());
        let victim = VICTIMS[which];
        let limit = scene.random.below(usize::try_from(traffic[which]).unwrap_or(usize::MAX)) as u64;
        let attempt = victim.attempt(&mut scene)?;
        let (ended, _) = through(&scene, &attempt, limit, then)?;
        attempt.acknowledge(&ended, &mut scene.ledger);
        let after = format!("{}, {limit} bytes of {}", victim.name(), traffic[which]);
        if let Some(misbehaviour) = ended.misbehaviour() {
            tally.blame(format!("{after}: {misbehaviour}"));
        } else if !ended.succeeded() {
            failed += 1;
            complaint = format!("after {:.1} s: {}", ended.took.as_secs_f64(), ended.complaint());
            if !ended.stderr.lines().any(|line| line.starts_with("error: ")) {
                tally.blame(format!("{after}: it failed without a word: {}", ended.status));
            }
        }
        scene.check(&mut tally, &after, Leaves::Nothing)?;
    }
    tally.note(format!("{failed} of {} failed, such as {complaint}", tally.tries));
    Ok(tally)
}

/// Runs a command through a relay, and returns how many bytes went through it.
fn through(scene: &Scene, attempt: &Attempt, limit: u64, then: Then) -> Result<(Ended, u64)> {
    let url = scene.place.database().context("this needs a database")?.url();
    let (server, url) = url_parts(url).context("the server is reached by no address")?;
    let relay = Relay::start(server, limit, then)?;
    let mut url = url.replace('\0', &relay.address().to_string());
    if then == Then::FallSilent {
        url.push(if url.contains('?') { '&' } else { '?' });
        url.push_str(STATEMENT_TIMEOUT);
    }
    let mut command = scene.place.command(&attempt.args);
    command.env("VESTIGE_POSTGRES_URL", url);
    let patience = match then {
        Then::Cut => CUT,
        Then::FallSilent => SILENT,
    };
    let ended = child::run(&mut command, attempt.input.clone(), Until::Overdue(patience))?;
    Ok((ended, relay.bytes()))
}

/// The address in a URL, and the URL with a NUL in its place.
fn url_parts(url: &str) -> Option<(&str, String)> {
    let (scheme, rest) = url.split_once("://")?;
    let (user, rest) = rest.rsplit_once('@')?;
    let (address, path) = rest.split_once('/')?;
    (!address.is_empty()).then(|| (address, format!("{scheme}://{user}@\0/{path}")))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_address_of_a_url_is_found_and_replaced() {
        let (address, url) = url_parts("postgres://me:pass@db.example:5432/memory?sslmode=disable").unwrap();
        assert_eq!(address, "db.example:5432");
        assert_eq!(url.replace('\0', "h:1"), "postgres://me:pass@h:1/memory?sslmode=disable");
        assert!(url_parts("postgres:///memory?host=/run").is_none());
    }
}
