//! Every state that a lock can come to, and the rules that hold in all of them.
//!
//! What the lock remembers has no clock in it and there are finitely many events, so the walk ends: then there
//! is no state that it has not seen. The walk is breadth first, so that a broken rule is told with the shortest way
//! to it. States are remembered by 128 bits of hash.

use std::collections::HashMap;
use std::collections::hash_map::{DefaultHasher, Entry};
use std::hash::{Hash, Hasher};
use std::time::{Duration, Instant};

use facelatch::door::{Door, DoorPolicy, Event, Face, Lockout, Mode, Sighting};

use crate::TICK;
use crate::flaws::Flaw;
use crate::watch::Watch;

/// The moment of a happening, to which the times of its frames relate.
pub const NOW: Duration = Duration::from_secs(1000);

/// One thing that can happen.
#[derive(Debug, Clone)]
pub enum Happening {
    /// An event, after a time.
    Event(Duration, Event),
    /// The power fails, and comes back.
    Restart,
}

/// A part of what can happen at a door.
#[derive(Debug, Clone)]
pub struct Model {
    pub name: &'static str,
    pub policy: DoorPolicy,
    pub people: usize,
    pub happenings: Vec<Happening>,
    /// What is wrong with the lock, to see that the rules find it.
    pub flaw: Option<Flaw>,
}

/// A lock, and the witness who has seen all that it did.
#[derive(Clone)]
pub struct Node {
    pub door: Door,
    pub watch: Watch,
    now: Duration,
}

impl Node {
    /// The door after its first start.
    pub fn first(model: &Model) -> Self {
        Self { door: begin(model, Lockout::default(), NOW), watch: Watch::default(), now: NOW }
    }

    fn fingerprint(&self) -> u128 {
        let half = |salt: u64| {
            let mut hasher = DefaultHasher::new();
            (salt, self.door.state(), &self.watch).hash(&mut hasher);
            u128::from(hasher.finish())
        };
        half(0) << 64 | half(1)
    }

    pub fn is_at_rest(&self) -> bool {
        *self.door.mode() == Mode::Idle && !self.door.is_driven() && self.door.strike_changes_at().is_none()
    }
}

fn begin(model: &Model, kept: Lockout, now: Duration) -> Door {
    let policy = model.flaw.map_or(model.policy, |flaw| flaw.policy(model.policy));
    let mut door = Door::new(policy, kept, now);
    let _ = door.step(&Event::Gallery { people: model.people, full: false }, now);
    if model.flaw == Some(Flaw::HeldButtonPresses) {
        let _ = door.step(&Event::Button(false), now);
    }
    door
}

/// The event as it happens at `now`.
fn at(event: &Event, now: Duration) -> Event {
    let moved = |face: &Face| Face { captured_at: face.captured_at + now - NOW, ..*face };
    match event {
        Event::Seen(Sighting::One(face)) => Event::Seen(Sighting::One(moved(face))),
        Event::Seen(Sighting::Several { nearest }) => {
            Event::Seen(Sighting::Several { nearest: moved(nearest) })
        }
        other => other.clone(),
    }
}

/// What comes of a happening; an error when a rule is broken.
pub fn follow(model: &Model, node: &Node, happening: &Happening) -> Result<Node, String> {
    let mut node = node.clone();
    let Happening::Event(time, event) = happening else {
        node.door = begin(model, node.watch.kept(), node.now);
        node.watch.restart(&node.door)?;
        return Ok(node);
    };
    node.now += *time;
    let happens = at(event, node.now);
    let reaches_door = match model.flaw {
        Some(flaw) => flaw.event(happens.clone(), &node.door, node.now),
        None => happens.clone(),
    };
    let mut actions = node.door.step(&reaches_door, node.now);
    if let Some(flaw) = model.flaw {
        actions.retain(|action| flaw.lets_pass(action));
    }
    node.watch.check(model, *time, (&happens, node.now), &actions, &node.door)?;
    Ok(node)
}

/// What a whole walk came to.
pub struct Walk {
    pub states: usize,
}

/// A rule that does not hold, and the shortest way to where it does not.
#[derive(Debug)]
pub struct Broken {
    pub rule: String,
    pub way: Vec<Happening>,
}

#[derive(Default)]
struct Map {
    /// For each state: from which state and by which happening it was reached, and what time alone makes of it.
    states: HashMap<u128, (u128, usize)>,
    /// Where time alone leads from a state that is not at rest.
    onwards: HashMap<u128, u128>,
    transitions: usize,
}

/// Visits every state.
pub fn explore(model: &Model) -> Result<Walk, Broken> {
    let started = Instant::now();
    let first = Node::first(model);
    let mut map = Map::default();
    map.states.insert(first.fingerprint(), (0, 0));
    let mut frontier = vec![first];
    while !frontier.is_empty() {
        let mut next = Vec::new();
        for node in &frontier {
            map.expand(model, node, &mut next)?;
        }
        frontier = next;
    }
    map.all_come_to_rest(model)?;
    let (states, transitions) = (map.states.len(), map.transitions);
    let seconds = started.elapsed().as_secs_f32();
    if model.flaw.is_none() {
        println!("{}: all {states} states, {transitions} transitions, {seconds:.1} s", model.name);
    }
    Ok(Walk { states })
}

impl Map {
    fn expand(&mut self, model: &Model, node: &Node, next: &mut Vec<Node>) -> Result<(), Broken> {
        let here = node.fingerprint();
        for (index, happening) in model.happenings.iter().enumerate() {
            self.transitions += 1;
            let reached = follow(model, node, happening).map_err(|rule| {
                let mut way = self.way(model, here);
                way.push(happening.clone());
                Broken { rule, way }
            })?;
            let there = reached.fingerprint();
            if matches!(happening, Happening::Event(TICK, Event::Tick)) && !node.is_at_rest() {
                self.onwards.insert(here, there);
            }
            if let Entry::Vacant(entry) = self.states.entry(there) {
                entry.insert((here, index));
                next.push(reached);
            }
        }
        Ok(())
    }

    /// When nothing happens any more, the door locks and looks for people: no chain of ticks is a ring.
    fn all_come_to_rest(&self, model: &Model) -> Result<(), Broken> {
        let mut rests: HashMap<u128, bool> = HashMap::new();
        for &start in self.onwards.keys() {
            let (mut at, mut chain) = (start, Vec::new());
            while let Some(&onwards) = self.onwards.get(&at) {
                match rests.insert(at, false) {
                    None => chain.push(at),
                    Some(true) => break,
                    Some(false) => {
                        let rule = "it never comes to rest".to_owned();
                        return Err(Broken { rule, way: self.way(model, at) });
                    }
                }
                at = onwards;
            }
            rests.extend(chain.into_iter().chain([at]).map(|state| (state, true)));
        }
        Ok(())
    }

    /// What happened on the way to a state.
    fn way(&self, model: &Model, mut at: u128) -> Vec<Happening> {
        let mut way = Vec::new();
        while let Some(&(before, index)) = self.states.get(&at).filter(|(before, _)| *before != 0) {
            way.push(model.happenings[index].clone());
            at = before;
        }
        way.reverse();
        way
    }
}
