//! `kill -9` at a random moment of each command that changes a store.

use std::time::Duration;

use anyhow::Result;

use super::child::{PATIENCE, Until};
use super::context::{Backend, Context};
use super::scene::Scene;
use super::tally::Tally;
use super::victims::Victim;

/// How many memories a store has before.
const BEFORE: u64 = 80;
/// After how many tries a new store is taken, so that young ones and old ones are hit.
const TRIES_OF_A_STORE: u64 = 12;

/// After how many faults there is no need to go on.
const ENOUGH: usize = 20;
/// How many commands the short form attacks on each store.
const SHORT_FORM_COMMANDS: usize = 6;

/// Each command on each store.
///
/// # Errors
///
/// Where something fails that is not under attack.
pub(super) fn attack(context: &Context) -> Result<Vec<Tally>> {
    let mut tallies = Vec::new();
    for &backend in context.backends() {
        let mut store = Store::new(context, backend)?;
        for victim in context.some_of(&Victim::ALL, SHORT_FORM_COMMANDS, backend.name()) {
            tallies.push(kill(&mut store, victim)?);
        }
    }
    Ok(tallies)
}

/// The store that is attacked, and then another.
struct Store<'a> {
    context: &'a Context,
    backend: Backend,
    scene: Scene,
    tries: u64,
}

impl<'a> Store<'a> {
    fn new(context: &'a Context, backend: Backend) -> Result<Self> {
        let random = context.random(&format!("kill {}", backend.name()));
        Ok(Self { context, backend, scene: Scene::filled(context, backend, random, BEFORE)?, tries: 0 })
    }

    /// Takes a new store where the old one was tried often enough, or an empty one.
    fn renew(&mut self, victim: Victim) -> Result<()> {
        let memories = if victim == Victim::Make { 0 } else { BEFORE };
        if memories == 0 || self.tries >= TRIES_OF_A_STORE {
            let random = self.scene.random.fork();
            self.scene = Scene::filled(self.context, self.backend, random, memories)?;
            self.tries = if memories == 0 { TRIES_OF_A_STORE } else { 0 };
        }
        self.tries += 1;
        Ok(())
    }
}

fn kill(store: &mut Store<'_>, victim: Victim) -> Result<Tally> {
    let mut tally = Tally::new(&format!("kill -9: {}", victim.name()), store.backend.name());
    store.renew(victim)?;
    let mut span = uncut(&mut store.scene, victim, &mut tally)?;
    let clock = store.context.clock();
    while clock.goes_on(tally.tries)? && tally.wrongs() < ENOUGH {
        store.renew(victim)?;
        let scene = &mut store.scene;
        tally.tries += 1;
        let attempt = victim.attempt(scene)?;
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
            uncut(scene, Victim::Add, &mut tally)?;
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
