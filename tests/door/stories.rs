//! Single stories of the lock.

use std::time::Duration;

use facelatch::board::BOARD;
use facelatch::door::strike::PAUSE;
use facelatch::door::{
    Action, Agreement, ContactPolicy, Door, DoorPolicy, EnrolPolicy, Event, Face, Known, Lockout,
    LockoutPolicy, Mode, Obstacle, PersonId, Refusal, Sighting, Signal, StrikePolicy,
};
use facelatch::firmware::device::policy_of;

const TICK: Duration = Duration::from_millis(100);

const POLICY: DoorPolicy = DoorPolicy {
    strike: StrikePolicy { pulse: Duration::from_millis(300), limit: Duration::from_millis(500) },
    agreement: Agreement { needed: 2, counted: 3, refused_after: 3, gap: Duration::from_millis(200) },
    settle: Duration::from_millis(200),
    retry: Duration::from_secs(5),
    pin_patience: Duration::from_secs(2),
    show_result: Duration::from_millis(200),
    long_press: Duration::from_millis(400),
    contacts: ContactPolicy {
        grace: Duration::from_millis(200),
        held_open: Duration::from_millis(1000),
        alarm: Duration::from_secs(30),
    },
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

fn face(person: Option<u32>, track: u32, obstacle: Option<Obstacle>, captured_at: Duration) -> Event {
    Event::Seen(Sighting::One(Face {
        track,
        captured_at,
        obstacle,
        person: person.map(known),
        same_as_pending: true,
    }))
}

/// Number 1 is an administrator.
fn known(id: u32) -> Known {
    Known { id: PersonId(id), administers: id == 1, in_hours: true, needs_pin: false }
}

fn populated(now: Duration) -> Door {
    let mut door = Door::new(POLICY, Lockout::default(), now);
    let _ = door.step(&Event::Gallery { people: 2, full: false }, now);
    let _ = door.step(&Event::Button(false), now);
    door
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
    assert!(!door.locked_out_for().is_zero());
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
    assert!(!door.locked_out_for().is_zero());
}

#[test]
fn a_kept_delay_beyond_all_reason_is_the_longest_delay() {
    let kept = Lockout { failures: u32::MAX, remaining: Duration::MAX };
    let door = Door::new(POLICY, kept, TICK);
    assert_eq!(door.locked_out_for(), POLICY.lockout.longest_delay);
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

#[test]
fn a_frame_that_comes_too_late_ends_what_an_administrator_or_whoever_is_to_go_showed_before_it() {
    let shows = |door: &mut Door, now: &mut Duration, person, late: bool| {
        for at in [Some(Duration::ZERO), late.then_some(Duration::from_secs(1)), Some(Duration::ZERO)] {
            *now += TICK;
            let Some(at) = at else { continue };
            let _ = door.step(&face(Some(person), person, None, *now - at), *now);
        }
    };
    let press = |door: &mut Door, now: &mut Duration, time: Duration| {
        let _ = door.step(&Event::Button(true), *now);
        *now += time;
        door.step(&Event::Button(false), *now)
    };
    for (first, second) in [(true, false), (false, true), (false, false)] {
        let (mut door, mut now) = (populated(Duration::ZERO), Duration::from_secs(10));
        let _ = press(&mut door, &mut now, POLICY.long_press);
        shows(&mut door, &mut now, 1, first);
        shows(&mut door, &mut now, 2, second);
        let done = press(&mut door, &mut now, Duration::ZERO);
        let deletes = done.contains(&Action::Delete(PersonId(2)));
        assert_eq!(deletes, !first && !second, "{first} {second}: {done:?}");
    }
}

/// Plays events, one each tick, and returns what was done.
fn play(door: &mut Door, events: impl IntoIterator<Item = Event>) -> Vec<Action> {
    let start = door.clone();
    let mut now = Duration::from_secs(100) + start.locked_out_for();
    let _ = door.step(&Event::Tick, now);
    let mut done = Vec::new();
    for event in events {
        now += TICK;
        let event = match event {
            Event::Seen(Sighting::One(face)) => Event::Seen(Sighting::One(Face { captured_at: now, ..face })),
            other => other,
        };
        done.extend(door.step(&event, now));
    }
    done
}

fn seen(person: Option<u32>, track: u32) -> Event {
    face(person, track, None, Duration::ZERO)
}

#[test]
fn whoever_stays_in_view_after_an_opening_does_not_silence_a_forced_door() {
    let mut door = populated(Duration::ZERO);
    let mut events = vec![seen(Some(2), 1); 30];
    events.push(Event::DoorOpen(true));
    let done = play(&mut door, events);
    assert!(matches!(door.mode(), Mode::Settling { .. }), "{:?}", door.mode());
    assert!(done.contains(&Action::ForcedOpen), "{done:?}");
    assert_eq!(door.signal(), Signal::Alarm);
}

#[test]
fn the_exit_button_in_the_last_moment_of_a_pulse_gives_another_one_within_the_limit() {
    let mut door = populated(Duration::ZERO);
    let millisecond = Duration::from_millis(1);
    let _ = door.step(&Event::Exit(true), Duration::ZERO);
    let late = POLICY.strike.pulse - millisecond;
    assert!(door.step(&Event::Exit(true), late).is_empty(), "it goes on being driven");
    assert!(door.step(&Event::Tick, POLICY.strike.limit - millisecond).is_empty());
    assert_eq!(door.step(&Event::Tick, POLICY.strike.limit)[..], [Action::Strike(false)]);
    let again = door.strike_changes_at().expect("a whole pulse is owed");
    assert_eq!(again, POLICY.strike.limit + PAUSE);
    assert_eq!(door.step(&Event::Tick, again)[..], [Action::Strike(true)]);
    assert_eq!(door.strike_changes_at(), Some(again + POLICY.strike.pulse));
}

#[test]
fn a_door_that_closes_behind_somebody_who_came_in_is_locked_at_once() {
    let come_in = [seen(Some(2), 1), seen(Some(2), 1), Event::DoorOpen(true)];
    let mut door = populated(Duration::ZERO);
    let _ = play(&mut door, come_in);
    assert!(door.is_driven());
    let before_its_end = door.strike_changes_at().expect("driven") - TICK / 2;
    assert_eq!(door.step(&Event::DoorOpen(false), before_its_end)[..], [Action::Strike(false)]);

    let mut door = populated(Duration::ZERO);
    let _ = play(&mut door, [Event::Exit(true), Event::DoorOpen(true), Event::DoorOpen(false)]);
    assert!(door.is_driven(), "nothing cuts the exit button short");
}

#[test]
fn a_delay_that_was_served_is_not_served_again_after_a_restart() {
    let (mut door, now) = locked_out();
    let done = door.step(&Event::Tick, now + door.locked_out_for());
    let [Action::Keep(kept)] = done[..] else { panic!("the end of a delay is kept: {done:?}") };
    assert_eq!((kept.failures, kept.remaining), (2, Duration::ZERO));
    assert!(Door::new(POLICY, kept, Duration::ZERO).locked_out_for().is_zero());
}

#[test]
fn a_stranger_who_stays_fails_again_and_again() {
    let mut door = populated(Duration::ZERO);
    let done = play(&mut door, vec![seen(None, 1); 120]);
    let failures = done.iter().filter(|action| matches!(action, Action::Refused(_))).count();
    assert!(failures >= 2, "12 s before the camera are {failures} failures");
    assert!(!door.locked_out_for().is_zero());
}

#[test]
fn the_administrator_who_lets_a_deletion_begin_is_not_deleted_by_staying() {
    let press =
        [Event::Button(true), Event::Tick, Event::Tick, Event::Tick, Event::Tick, Event::Button(false)];
    let confirm = [Event::Button(true), Event::Button(false)];
    let stays = press.iter().cloned().chain(vec![seen(Some(1), 1); 6]).chain(confirm.clone());
    let mut door = populated(Duration::ZERO);
    let done = play(&mut door, stays);
    assert!(!done.iter().any(|action| matches!(action, Action::Delete(_))), "{done:?}");
    let mistaken = press.iter().cloned().chain(vec![seen(Some(1), 1); 3]).chain(vec![seen(Some(2), 1); 2]);
    let mut door = populated(Duration::ZERO);
    let done = play(&mut door, mistaken.chain(confirm.clone()));
    assert!(!done.iter().any(|action| matches!(action, Action::Delete(_))), "the same face: {done:?}");
    let other = press.into_iter().chain(vec![seen(Some(1), 1); 3]).chain(vec![seen(Some(2), 2); 2]);
    let mut door = populated(Duration::ZERO);
    let done = play(&mut door, other.chain(confirm));
    assert!(done.contains(&Action::Delete(PersonId(2))), "{done:?}");
}

#[test]
fn a_press_that_is_taken_for_something_else_begins_nothing_and_the_next_one_does() {
    for held in [1, 10] {
        let mut door = populated(Duration::ZERO);
        let taken = [Event::Button(true)].into_iter().chain(vec![Event::Tick; held]).chain([
            Event::PressTaken,
            Event::Tick,
            Event::Button(false),
            Event::Tick,
        ]);
        assert_eq!(play(&mut door, taken), []);
        assert_eq!(*door.mode(), Mode::Idle);
        let done = play(&mut door, [Event::Button(true), Event::Button(false)]);
        assert!(done.contains(&Action::EnrolBegin), "{done:?}");
    }
}

#[test]
fn a_press_counts_only_when_its_beginning_was_seen() {
    use Event::{Button, ButtonLost, PressTaken};
    let uncounted: [&[Event]; 5] = [
        &[Button(true), Button(false)],
        &[ButtonLost, Button(false)],
        &[Button(false), Button(true), ButtonLost, Button(true), Button(false)],
        &[Button(false), Button(true), ButtonLost, Button(false)],
        &[Button(false), Button(true), PressTaken, Button(true), Button(false)],
    ];
    for events in uncounted {
        let mut door = Door::new(POLICY, Lockout::default(), Duration::ZERO);
        assert_eq!(play(&mut door, events.iter().cloned()), [], "{events:?}");
        assert_eq!(*door.mode(), Mode::Idle, "{events:?}");
        assert!(!door.is_pressed());
        let done = play(&mut door, [Button(true), Button(false)]);
        assert!(done.contains(&Action::EnrolBegin), "the next press counts: {events:?}, {done:?}");
    }
}

#[test]
fn an_exit_button_that_is_held_while_the_device_starts_opens_once() {
    let mut door = Door::new(POLICY, Lockout::default(), Duration::ZERO);
    let held = [Event::Exit(true)].into_iter().chain(vec![Event::Tick; 50]);
    assert_eq!(play(&mut door, held), [Action::Strike(true), Action::Strike(false)]);
}

/// The same face, of somebody who needs a PIN.
fn with_pin(id: u32) -> Event {
    let Event::Seen(Sighting::One(face)) = seen(Some(id), 1) else { unreachable!("one face") };
    let person = Some(Known { needs_pin: true, ..known(id) });
    Event::Seen(Sighting::One(Face { person, ..face }))
}

#[test]
fn a_face_that_needs_a_pin_opens_with_face_and_pin_only() {
    let pin = |person, right| Event::Pin { person: PersonId(person), right };
    let asked = [with_pin(2), with_pin(2)];
    let mut door = populated(Duration::ZERO);
    let done =
        play(&mut door, asked.into_iter().chain([pin(3, true), pin(2, true), with_pin(2), with_pin(2)]));
    assert_eq!(done, [Action::AskPin(PersonId(2)), Action::Opened(PersonId(2)), Action::Strike(true)]);

    let mut door = populated(Duration::ZERO);
    let wrong =
        [with_pin(2), with_pin(2), pin(2, false), pin(2, true), with_pin(2), with_pin(2), pin(2, false)];
    let done = play(&mut door, wrong);
    let refused =
        done.iter().filter(|action| **action == Action::Refused(Refusal::WrongPin(PersonId(2)))).count();
    assert_eq!(refused, 2, "{done:?}");
    assert!(!door.is_driven() && !door.locked_out_for().is_zero(), "two failures lock everybody out");
}

#[test]
fn whoever_types_does_not_fail_for_looking_away() {
    let mut door = populated(Duration::ZERO);
    let typing = [with_pin(2), with_pin(2)].into_iter().chain(vec![seen(None, 1); 15]);
    assert_eq!(play(&mut door, typing), [Action::AskPin(PersonId(2))]);
    assert_eq!((door.signal(), door.asks_pin_of()), (Signal::EnterPin, Some(PersonId(2))));
}

#[test]
fn somebody_out_of_hours_is_told_so_and_it_is_no_failure() {
    let Event::Seen(Sighting::One(face)) = seen(Some(2), 1) else { unreachable!("one face") };
    let person = Some(Known { in_hours: false, ..known(2) });
    let late = Event::Seen(Sighting::One(Face { person, ..face }));
    let mut door = populated(Duration::ZERO);
    assert_eq!(play(&mut door, vec![late; 30]), [Action::Refused(Refusal::OutOfHours(PersonId(2)))]);
    assert!(door.locked_out_for().is_zero());
}

/// A board's door before which one face stands still for so long, a frame every 100 ms.
fn loitering(obstacle: Option<Obstacle>, person: Option<u32>, time: Duration) -> (Door, usize) {
    let mut door = Door::new(policy_of(&BOARD), Lockout::default(), Duration::ZERO);
    let _ = door.step(&Event::Gallery { people: 2, full: false }, Duration::ZERO);
    let mut failures = 0;
    for frame in 1..=(time.as_millis() / TICK.as_millis()) as u32 {
        let now = frame * TICK;
        let actions = door.step(&face(person, 1, obstacle, now), now);
        failures += actions.iter().filter(|action| matches!(action, Action::Refused(_))).count();
    }
    (door, failures)
}

#[test]
fn a_resident_who_is_refused_for_a_minute_locks_nobody_out_and_an_hour_of_bad_pictures_is_no_failure() {
    let minute = Duration::from_secs(60);
    let (mut door, failures) = loitering(Some(Obstacle::NotAlive), Some(2), minute);
    assert!((1..=2).contains(&failures) && door.locked_out_for().is_zero(), "{failures} failures");
    let better: Vec<_> = (1..=3_u32).map(|frame| face(Some(2), 1, None, minute + frame * TICK)).collect();
    let done: Vec<_> =
        (1_u32..).zip(better).flat_map(|(frame, event)| door.step(&event, minute + frame * TICK)).collect();
    assert!(done.contains(&Action::Opened(PersonId(2))), "{done:?}");

    for obstacle in
        [Obstacle::TooDark, Obstacle::Blurred, Obstacle::Turned, Obstacle::Covered, Obstacle::TooFar]
    {
        let (door, failures) = loitering(Some(obstacle), Some(2), 60 * minute);
        assert_eq!((failures, door.locked_out_for()), (0, Duration::ZERO), "{obstacle:?}");
    }
}

#[test]
fn a_picture_that_is_held_before_the_camera_for_minutes_locks_everybody_out() {
    for (obstacle, person) in [(Some(Obstacle::NotAlive), Some(2)), (None, None)] {
        let (door, failures) = loitering(obstacle, person, Duration::from_secs(150));
        assert!(failures >= 5 && !door.locked_out_for().is_zero(), "{failures} failures");
    }
}
