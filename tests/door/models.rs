//! The parts of what can happen at a door, each walked to its end.

use std::time::Duration;

use facelatch::door::{
    Agreement, ContactPolicy, DoorPolicy, EnrolFailure, EnrolPolicy, Event, Face, Fault, Known,
    LockoutPolicy, Obstacle, PersonId, Sighting, StrikePolicy,
};

use crate::explore::{Broken, Happening, Model, NOW, explore};
use crate::flaws::{self, Flaw};
use crate::{TICK, ticks};

/// Short times: each is as many steps as it takes to tell it from the others.
const POLICY: DoorPolicy = DoorPolicy {
    strike: StrikePolicy { pulse: ticks(1), limit: ticks(2) },
    agreement: Agreement { needed: 2, counted: 2, refused_after: 2, gap: ticks(1) },
    settle: ticks(1),
    retry: ticks(2),
    pin_patience: ticks(2),
    show_result: ticks(1),
    long_press: ticks(2),
    contacts: ContactPolicy { grace: ticks(1), held_open: ticks(2), alarm: ticks(2) },
    enrol: EnrolPolicy { templates: 2, spacing: ticks(1), patience: ticks(3) },
    lockout: LockoutPolicy { failures: 2, first_delay: ticks(2), longest_delay: ticks(3) },
};

/// Number 1 is an administrator.
fn face(person: Option<u32>, track: u32, obstacle: Option<Obstacle>) -> Face {
    let known = |id| Known { id: PersonId(id), administers: id == 1, in_hours: true, needs_pin: false };
    let person = person.map(known);
    Face { track, captured_at: NOW, obstacle, person, same_as_pending: true }
}

fn one(face: Face) -> Event {
    Event::Seen(Sighting::One(face))
}

/// A frame that is none.
fn from_the_future(face: Face) -> Event {
    one(Face { captured_at: NOW + ticks(1), ..face })
}

fn model(name: &'static str, policy: DoorPolicy, people: usize, events: Vec<Event>) -> Model {
    let both = |event: Event| [Duration::ZERO, TICK].map(|time| Happening::Event(time, event.clone()));
    let events = events.into_iter().chain([Event::Tick]).flat_map(both);
    Model { name, policy, people, happenings: events.chain([Happening::Restart]).collect(), flaw: None }
}

/// Who comes, who is a stranger, who is a photograph, and when.
fn recognition() -> Model {
    let agreement = Agreement { counted: 3, ..POLICY.agreement };
    let taken = |at| one(Face { captured_at: at, ..face(Some(1), 1, None) });
    let events = vec![
        Event::Seen(Sighting::Nobody),
        one(face(Some(1), 1, None)),
        one(face(Some(2), 1, None)),
        one(face(Some(1), 2, None)),
        one(face(None, 1, None)),
        one(face(Some(1), 1, Some(Obstacle::NotAlive))),
        taken(NOW - ticks(1)),
        taken(NOW - ticks(2)),
        from_the_future(face(Some(1), 1, None)),
        Event::OwnerUnlock,
        Event::Fault(Fault::Camera, true),
        Event::Fault(Fault::Camera, false),
    ];
    model("recognition", DoorPolicy { agreement, ..POLICY }, 2, events)
}

/// Strangers and photographs again and again, among them somebody who is enrolled.
fn lockout() -> Model {
    let events = vec![
        Event::Seen(Sighting::Nobody),
        one(face(Some(1), 1, None)),
        one(face(None, 1, None)),
        one(face(None, 2, Some(Obstacle::NotAlive))),
        one(face(None, 2, Some(Obstacle::Blurred))),
        Event::Seen(Sighting::Several { nearest: face(Some(1), 1, None) }),
        Event::Exit(true),
        Event::OwnerUnlock,
    ];
    model("lockout", POLICY, 1, events)
}

/// Strike, exit button, door contact and case, with one frame enough to open.
fn strike() -> Model {
    let agreement = Agreement { needed: 1, counted: 1, ..POLICY.agreement };
    let strike = StrikePolicy { pulse: ticks(2), limit: ticks(3) };
    let events = vec![
        Event::Seen(Sighting::Nobody),
        one(face(Some(1), 1, None)),
        Event::Exit(true),
        Event::Exit(false),
        Event::OwnerUnlock,
        Event::DoorOpen(true),
        Event::DoorOpen(false),
        Event::Tamper(true),
        Event::Tamper(false),
        Event::Fault(Fault::Pins, true),
        Event::Fault(Fault::Pins, false),
    ];
    model("strike and door", DoorPolicy { agreement, strike, ..POLICY }, 1, events)
}

/// Enrolment and deletion by the button.
fn procedures(name: &'static str, people: usize) -> Model {
    let events = vec![
        Event::Seen(Sighting::Nobody),
        one(face(Some(1), 1, None)),
        one(face(Some(2), 2, None)),
        one(Face { same_as_pending: false, ..face(None, 2, None) }),
        one(face(None, 2, None)),
        from_the_future(face(Some(1), 1, None)),
        Event::Seen(Sighting::Several { nearest: face(None, 2, None) }),
        Event::Button(true),
        Event::Button(false),
        Event::ButtonLost,
        Event::PressTaken,
        Event::OwnerEnrol,
        Event::Exit(true),
        Event::NotDone(EnrolFailure::Storage),
    ];
    let strike = StrikePolicy { pulse: ticks(1), limit: ticks(1) };
    let lockout = LockoutPolicy { failures: 1, first_delay: ticks(2), longest_delay: ticks(2) };
    let policy = DoorPolicy { strike, lockout, settle: ticks(2), retry: ticks(1), ..POLICY };
    model(name, policy, people, events)
}

/// Somebody who needs a PIN, somebody out of hours, and PINs.
fn second_factor() -> Model {
    let late = Face {
        person: face(Some(3), 1, None).person.map(|known| Known { in_hours: false, ..known }),
        ..face(None, 1, None)
    };
    let events = vec![
        Event::Seen(Sighting::Nobody),
        one(face(Some(1), 1, None)),
        one(with_pin(face(Some(2), 1, None))),
        one(late),
        one(face(None, 1, None)),
        one(face(None, 2, None)),
        Event::Exit(true),
        pin(1, true),
        pin(2, true),
        pin(2, false),
        Event::Fault(Fault::Model, true),
        Event::Fault(Fault::Model, false),
    ];
    model("second factor", POLICY, 3, events)
}

/// Enrolment and deletion where the administrator needs a PIN.
fn leave_by_pin() -> Model {
    let events = vec![
        Event::Seen(Sighting::Nobody),
        one(with_pin(face(Some(1), 1, None))),
        one(face(Some(1), 1, None)),
        from_the_future(with_pin(face(Some(1), 1, None))),
        one(face(Some(2), 2, None)),
        one(face(None, 2, None)),
        pin(1, true),
        pin(1, false),
        pin(2, true),
        Event::Button(true),
        Event::Button(false),
    ];
    let strike = StrikePolicy { pulse: ticks(1), limit: ticks(1) };
    let lockout = LockoutPolicy { failures: 1, first_delay: ticks(2), longest_delay: ticks(2) };
    model("leave by PIN", DoorPolicy { strike, lockout, retry: ticks(1), ..POLICY }, 2, events)
}

fn with_pin(face: Face) -> Face {
    Face { person: face.person.map(|known| Known { needs_pin: true, ..known }), ..face }
}

fn pin(person: u32, right: bool) -> Event {
    Event::Pin { person: PersonId(person), right }
}

/// All of them.
pub fn all() -> Vec<Model> {
    vec![
        second_factor(),
        leave_by_pin(),
        recognition(),
        lockout(),
        strike(),
        procedures("procedures", 2),
        procedures("first person", 0),
    ]
}

fn holds(model: &Model) {
    match explore(model) {
        Ok(walk) => assert!(walk.states > 1000, "the walk must reach far: {}", walk.states),
        Err(Broken { rule, way }) => {
            let way: Vec<_> = way.iter().map(|happening| format!("{happening:?}")).collect();
            panic!("{}: {rule}, after\n{}", model.name, way.join("\n"));
        }
    }
}

#[test]
fn nobody_opens_without_fresh_living_evidence() {
    holds(&recognition());
}

#[test]
fn no_delay_after_failures_is_skipped() {
    holds(&lockout());
}

#[test]
fn the_strike_keeps_its_limit_and_the_exit_button_is_never_gated() {
    holds(&strike());
}

#[test]
fn nobody_enrols_or_deletes_without_leave() {
    holds(&procedures("procedures", 2));
    holds(&procedures("first person", 0));
}

#[test]
fn face_hours_and_pin_are_joined_by_and() {
    holds(&second_factor());
    holds(&leave_by_pin());
}

#[test]
fn every_flaw_is_found() {
    for flaw in flaws::ALL {
        let model = match flaw {
            Flaw::OldFramesCount | Flaw::PhotographsCount | Flaw::TracksAreMixed | Flaw::OneFrameIsEnough => {
                recognition()
            }
            Flaw::DelayIsShort | Flaw::NothingIsKept | Flaw::ServedIsNotKept | Flaw::StayingIsFree => {
                lockout()
            }
            Flaw::ExitWaitsForLockout => lockout(),
            Flaw::ReleaseIsLost | Flaw::LimitIsTooLong | Flaw::PulseIsTooLong => strike(),
            Flaw::ExitWaitsForPulse | Flaw::SettlingHidesForcedDoor | Flaw::LeaveLastsLong => strike(),
            Flaw::GiverIsChosen | Flaw::EverybodyAdministers => procedures("procedures", 2),
            Flaw::LateFramesEndNothing | Flaw::HeldButtonPresses => procedures("procedures", 2),
            Flaw::LostPressesCount | Flaw::TakenPressesCount => procedures("procedures", 2),
            Flaw::WrongPinCounts | Flaw::PinIsNotAsked | Flaw::HoursAreIgnored => second_factor(),
            Flaw::WrongPinIsFree | Flaw::PinIsAwaitedForLong | Flaw::PinSkipsLockout => second_factor(),
            Flaw::ExitWaitsForPin | Flaw::AskingHidesOthers => second_factor(),
            Flaw::LeaveWithoutPin => leave_by_pin(),
        };
        let name = model.name;
        match explore(&Model { flaw: Some(flaw), ..model }) {
            Err(Broken { rule, way }) => {
                println!("{flaw:?}: after {} happenings of \"{name}\": {rule}", way.len());
            }
            Ok(_) => panic!("nothing finds {flaw:?}"),
        }
    }
}
