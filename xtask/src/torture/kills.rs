//! `kill -9` at a random moment of each command that changes a store.

use std::time::Duration;

use anyhow::Result;

use super::child::{PATIENCE, Until};
use super::context::{Backend, Context};
use super::scene::Scene;
use super::tally::Tally;
use super::victims::Victim;

/// How many memories a store has before.
const BEFORE: u64 = 40;
/// After how many tries a new store is taken, so that young ones and old ones are hit.
const TRIES_OF_A_STORE: u64 = 12;

/// Each command on each store.
///
/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    let mut tallies = Vec::new();
    for &backend in context.backends() {
        for victim in Victim::ALL {
            tallies.push(kill(context, backend, victim)?);
        }
    }
    Ok(tallies)
}

fn kill(context: &Context, backend: Backend, victim: Victim) -> Result<Tally> {
    let attack = format!("kill -9: {}", victim.name());
    let mut tally = Tally::new(&attack, backend.name());
    let mut random = context.random(&format!("{attack} {}", backend.name()));
    let memories = if victim == Victim::Make { 0 } else { BEFORE };
    let mut scene = Scene::filled(context, backend, random.fork(), memories)?;
    let mut span = uncut(&mut scene, victim, &mut tally)?;
    let clock = context.clock();
    while clock.goes_on(tally.tries)? && tally.wrongs() < 20 {
        if victim == Victim::Make || (tally.tries + 1).is_multiple_of(TRIES_OF_A_STORE) {
            scene = Scene::filled(context, backend, random.fork(), memories)?;
        }
        tally.tries += 1;
        let attempt = victim.attempt(&mut scene)?;
        let moment = scene.random.moment(span);
        let ended = scene.place.run_with(&attempt.args, attempt.input.clone(), Until::Kill(moment))?;
        attempt.acknowledge(&ended, &mut scene.ledger);
        let after = format!("killed after {} ms (try {})", moment.as_millis(), tally.tries);
        if !ended.was_killed() {
            span = (span + ended.took) / 2;
            if !ended.succeeded() {
                tally.blame(format!("{after}: `{}` failed: {}", ended.what, ended.complaint()));
            }
        }
        if let Some(misbehaviour) = ended.misbehaviour() {
            tally.blame(misbehaviour);
        }
        scene.check(&mut tally, &after, victim.leaves())?;
        if victim == Victim::Make {
            // What a store's making left behind is no obstacle to the next.
            uncut(&mut scene, Victim::Add, &mut tally)?;
            scene.check(&mut tally, &after, Victim::Add.leaves())?;
        }
    }
    Ok(tally)
}

/// Runs the command to its end, and returns how long it takes.
fn uncut(scene: &mut Scene, victim: Victim, tally: &mut Tally) -> Result<Duration> {
    let attempt = victim.attempt(scene)?;
    let ended = scene.place.run_with(&attempt.args, attempt.input.clone(), Until::Overdue(PATIENCE))?;
    attempt.acknowledge(&ended, &mut scene.ledger);
    if let Some(misbehaviour) = ended.misbehaviour() {
        tally.blame(misbehaviour);
    } else if !ended.succeeded() {
        tally.blame(format!("`{}` failed, not under attack: {}", ended.what, ended.complaint()));
    }
    Ok(ended.took)
}
