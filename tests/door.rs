//! The lock against every short sequence of events, and against long random ones.

use std::collections::HashSet;
use std::time::Duration;

use facelatch::door::enrol::EnrolPolicy;
use facelatch::door::{
    Action, Agreement, Door, DoorPolicy, Event, Face, Fault, Lockout, LockoutPolicy, Mode, Obstacle,
    PersonId, Sighting,
};
use proptest::prelude::*;

const POLICY: DoorPolicy = DoorPolicy {
    pulse: Duration::from_millis(300),
    agreement: Agreement { needed: 2, counted: 3, gap: Duration::from_millis(200) },
    settle: Duration::from_millis(200),
    frames_to_refuse: 3,
    show_result: Duration::from_millis(200),
    long_press: Duration::from_millis(400),
    held_open: Duration::from_millis(1000),
    enrol: EnrolPolicy {
        templates: 2,
        spacing: Duration::from_millis(100),
        patience: Duration::from_millis(1000),
    },
    lockout: LockoutPolicy {
        failures: 2,
        first_delay: Duration::from_secs(30),
        longest_delay: Duration::from_secs(3600),
    },
};

const TICK: Duration = Duration::from_millis(100);

fn face(person: Option<u32>, track: u32, obstacle: Option<Obstacle>, captured_at: Duration) -> Event {
    Event::Seen(Sighting::One(Face {
        track,
        captured_at,
        obstacle,
        person: person.map(|id| (PersonId(id), id == 1)),
        same_as_pending: true,
    }))
}

/// What can happen in one step, at `now`.
fn events(now: Duration) -> Vec<Event> {
    let old = now.saturating_sub(Duration::from_millis(500));
    vec![
        Event::Tick,
        Event::Seen(Sighting::Nobody),
        face(Some(1), 1, None, now),
        face(Some(2), 1, None, now),
        face(None, 2, None, now),
        face(Some(1), 3, Some(Obstacle::NotAlive), now),
        face(Some(1), 1, None, old),
        Event::Button(true),
        Event::Button(false),
        Event::Exit(true),
        Event::DoorOpen(true),
        Event::DoorOpen(false),
        Event::Fault(Fault::Camera, true),
        Event::Fault(Fault::Camera, false),
    ]
}

/// Whether a frame is fresh, living evidence for a person.
fn evidence(event: &Event, now: Duration) -> Option<PersonId> {
    let Event::Seen(Sighting::One(face)) = event else { return None };
    let fresh = now.saturating_sub(face.captured_at) <= POLICY.agreement.gap;
    face.person.filter(|_| fresh && face.obstacle.is_none()).map(|(person, _)| person)
}

/// What must hold after every step. `votes`: the frames of evidence in the last steps, newest last.
struct Watch {
    driven_since: Option<Duration>,
    votes: Vec<Option<PersonId>>,
}

impl Watch {
    fn new() -> Self {
        Self { driven_since: None, votes: Vec::new() }
    }

    fn check(&mut self, before: &Door, event: &Event, actions: &[Action], after: &Door, now: Duration) {
        if matches!(event, Event::Seen(_)) {
            self.votes.push(evidence(event, now));
        }
        for action in actions {
            match action {
                Action::Strike(true) => self.driven_since = Some(now),
                Action::Strike(false) => self.driven_since = None,
                Action::Opened(person) => {
                    let votes = self.votes.iter().rev().take(POLICY.agreement.counted);
                    let agreed = votes.filter(|vote| **vote == Some(*person)).count();
                    assert!(agreed >= POLICY.agreement.needed, "opened for {person:?} on {:?}", self.votes);
                    assert!(before.locked_out_for(now).is_zero(), "opened while locked out");
                }
                _ => {}
            }
        }
        assert_eq!(self.driven_since.is_some(), after.is_driven());
        if let Some(since) = self.driven_since {
            assert!(now < since + POLICY.pulse, "driven for longer than the pulse");
        }
        if actions.contains(&Action::Strike(true)) {
            let asked = matches!(event, Event::Exit(true) | Event::OwnerUnlock);
            let opened = actions.iter().any(|action| matches!(action, Action::Opened(_)));
            assert!(asked || opened, "{event:?} drove the strike");
        }
        if *event == Event::Exit(true) {
            assert!(after.is_driven(), "the exit button always opens");
        }
    }
}

fn populated(now: Duration) -> Door {
    let mut door = Door::new(POLICY, Lockout::default(), now);
    let _ = door.step(&Event::Gallery { people: 2, full: false }, now);
    door
}

#[test]
fn no_sequence_of_six_events_opens_without_fresh_living_agreeing_evidence_or_leave() {
    let mut states = HashSet::new();
    let mut steps = 0_u64;
    let mut frontier = vec![(populated(Duration::ZERO), Watch::new())];
    for depth in 1..=6_u32 {
        let now = TICK * depth;
        let mut next = Vec::new();
        for (door, watch) in &frontier {
            for event in events(now) {
                let mut after = door.clone();
                let mut watched = Watch { driven_since: watch.driven_since, votes: watch.votes.clone() };
                let actions = after.step(&event, now);
                watched.check(door, &event, &actions, &after, now);
                steps += 1;
                let recent: Vec<_> = watched.votes.iter().rev().take(3).copied().collect();
                if states.insert(format!("{after:?}{recent:?}{:?}", watched.driven_since)) {
                    next.push((after, watched));
                }
            }
        }
        frontier = next;
    }
    println!("{} states, {steps} steps", states.len());
    assert!(states.len() > 10_000, "the walk must reach far: {}", states.len());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 256, failure_persistence: None, ..ProptestConfig::default() })]

    #[test]
    fn long_random_days_never_break_the_rules_and_always_end_locked(
        choices in proptest::collection::vec((0_usize..14, 10_u64..400), 1..400)
    ) {
        let mut door = populated(Duration::ZERO);
        let mut watch = Watch::new();
        let mut now = Duration::ZERO;
        for (choice, milliseconds) in choices {
            for _ in 0..milliseconds / 50 {
                now += Duration::from_millis(50);
                let before = door.clone();
                let actions = door.step(&Event::Tick, now);
                watch.check(&before, &Event::Tick, &actions, &door, now);
            }
            let event = events(now).swap_remove(choice);
            let before = door.clone();
            let actions = door.step(&event, now);
            watch.check(&before, &event, &actions, &door, now);
        }
        for _ in 0..200 {
            now += TICK;
            let _ = door.step(&Event::Seen(Sighting::Nobody), now);
        }
        prop_assert!(!door.is_driven());
        prop_assert!(matches!(door.mode(), Mode::Idle));
    }
}

#[test]
fn failures_lock_everybody_out_and_a_restart_does_not_shorten_it() {
    let mut door = populated(Duration::ZERO);
    let mut kept = Lockout::default();
    let mut now = Duration::ZERO;
    for track in 1..=2 {
        for _ in 0..4 {
            now += TICK;
            for action in &door.step(&face(None, track, None, now), now) {
                if let Action::Keep(lockout) = action {
                    kept = *lockout;
                }
            }
        }
    }
    assert_eq!(kept.remaining, Duration::from_secs(30));
    let mut restarted = Door::new(POLICY, kept, Duration::ZERO);
    let _ = restarted.step(&Event::Gallery { people: 2, full: false }, Duration::ZERO);
    let mut opened_at = None;
    for step in 1..400 {
        let now = TICK * step;
        let actions = restarted.step(&face(Some(1), 9, None, now), now);
        if actions.iter().any(|action| matches!(action, Action::Opened(_))) {
            opened_at = Some(now);
            break;
        }
    }
    assert_eq!(opened_at, Some(Duration::from_secs(30)));
}

/// A door after two failures: locked out for 30 s.
fn locked_out() -> (Door, Duration) {
    let mut door = populated(Duration::ZERO);
    let mut now = Duration::ZERO;
    for track in 1..=2 {
        for _ in 0..4 {
            now += TICK;
            let _ = door.step(&face(None, track, None, now), now);
        }
    }
    assert!(!door.locked_out_for(now).is_zero());
    (door, now)
}

#[test]
fn nobody_enrols_while_the_door_is_locked_out() {
    let (mut door, mut now) = locked_out();
    let _ = door.step(&Event::Button(true), now);
    let _ = door.step(&Event::Button(false), now);
    for _ in 0..20 {
        now += TICK;
        let actions = door.step(&face(Some(1), 8, None, now), now);
        assert!(actions.is_empty(), "{actions:?}");
    }
    assert!(matches!(door.mode(), Mode::Idle));
}

#[test]
fn failing_to_authorise_an_enrolment_counts_as_a_failure() {
    let mut door = populated(Duration::ZERO);
    let mut now = Duration::ZERO;
    let mut refused = 0;
    for track in 1..=2 {
        now += TICK;
        let _ = door.step(&Event::Button(true), now);
        let _ = door.step(&Event::Button(false), now);
        for _ in 0..6 {
            now += TICK;
            let actions = door.step(&face(None, track, None, now), now);
            refused += actions.iter().filter(|action| matches!(action, Action::Refused(_))).count();
        }
        for _ in 0..15 {
            now += TICK;
            let _ = door.step(&Event::Seen(Sighting::Nobody), now);
        }
    }
    assert_eq!(refused, 2);
    assert!(!door.locked_out_for(now).is_zero());
}

#[test]
fn a_kept_delay_beyond_all_reason_is_the_longest_delay() {
    let kept = Lockout { failures: u32::MAX, remaining: Duration::MAX };
    let door = Door::new(POLICY, kept, TICK);
    assert_eq!(door.locked_out_for(TICK), POLICY.lockout.longest_delay);
}

#[test]
fn frames_from_the_future_open_nothing() {
    let mut door = populated(Duration::ZERO);
    for step in 1..20 {
        let now = TICK * step;
        let actions = door.step(&face(Some(1), 1, None, now + Duration::from_secs(9000)), now);
        assert!(actions.is_empty(), "{actions:?}");
    }
}

#[test]
fn later_enrolment_needs_an_administrator_first() {
    let mut door = populated(Duration::ZERO);
    let mut now = TICK;
    let _ = door.step(&Event::Button(true), now);
    let _ = door.step(&Event::Button(false), now);
    for _ in 0..5 {
        now += TICK;
        let actions = door.step(&face(None, 4, None, now), now);
        assert!(!actions.contains(&Action::EnrolTake), "a stranger cannot enrol himself");
    }
    for _ in 0..2 {
        now += TICK;
        let _ = door.step(&face(Some(1), 5, None, now), now);
    }
    let mut taken = 0;
    for _ in 0..4 {
        now += TICK;
        let actions = door.step(&face(None, 6, None, now), now);
        taken += actions.iter().filter(|action| **action == Action::EnrolTake).count();
    }
    assert_eq!(taken, 2);
}

#[test]
fn two_faces_or_an_enrolled_one_end_an_enrolment() {
    let two = |now| {
        let Event::Seen(Sighting::One(nearest)) = face(None, 1, None, now) else { unreachable!("one face") };
        Event::Seen(Sighting::Several { nearest })
    };
    for spoil in [two(TICK), face(Some(2), 1, None, TICK)] {
        let mut door = populated(Duration::ZERO);
        let _ = door.step(&Event::OwnerEnrol, TICK);
        let actions = door.step(&spoil, TICK);
        assert!(actions.iter().any(|action| matches!(action, Action::EnrolAbort(_))), "{actions:?}");
    }
}
