//! Who is enrolled, as the door's actions change it.

use core::fmt::Debug;
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;

use super::{Device, Judgement, Note};
use crate::door::panel::Panel;
use crate::door::{EnrolFailure, Event, Refusal};
use crate::flash::{Event as Logged, Happening, Reason};
use crate::gallery::{Crop, Enrolment, Role};

impl<F: NorFlash<Error: Debug>, P: Panel> Device<F, P> {
    /// Keeps the face that nobody enrolled has, where the owner asked for that.
    pub(super) fn keep_visit(&mut self, reason: Refusal, now: Duration) {
        let unknown = self.last.as_ref().filter(|_| reason == Refusal::Unknown);
        let Some((track, template)) = unknown.and_then(Judgement::followed) else { return };
        if let Err(error) = self.gallery.keep_visit(track, self.journal.moment(now), template) {
            self.notes.push(Note::Failed(format!("an unknown visitor could not be kept: {error}")));
        }
    }

    pub(super) fn take_template(&mut self) {
        let Some(last) = self.last.as_ref() else { return };
        if let Some(template) = last.template.clone() {
            // More than fit are never asked for: the board file limits the templates of a person.
            let _ =
                self.pending_crops.push(Crop { quality: template.quality, pixels: Box::new(last.crop.0) });
            let _ = self.pending.push(template);
        }
    }

    pub(super) fn forget_pending(&mut self) {
        self.pending.clear();
        self.pending_crops.clear();
    }

    pub(super) fn enrol(&mut self, now: Duration) {
        let first = self.known_people() == 0;
        let (default, role) =
            if first { ("owner".to_owned(), Role::Administrator) } else { self.next_resident() };
        let name = self.next_name.take().unwrap_or(default);
        let (templates, crops) = (&self.pending, &self.pending_crops);
        match self.gallery.enrol(&Enrolment { name: &name, role, templates, crops }) {
            Ok(person) => {
                self.journal.note(Logged::Enrolled.of(person), now);
                let has_pictures = self.gallery.person(person).is_some_and(|found| found.crops.is_some());
                if self.gallery.keeps_crops() && !has_pictures {
                    let words = format!(
                        "there is no room for pictures of person {person}, who must enrol again for new models"
                    );
                    self.notes.push(Note::Failed(words));
                }
                self.monitor.enrolled(person, now);
                self.notes.push(Note::Enrolled { person, name });
            }
            Err(error) => {
                self.journal.note(Logged::NotEnrolled.because(Reason::Storage), now);
                self.notes.push(Note::Failed(error.to_string()));
                self.notes.push(Note::NotEnrolled(EnrolFailure::Storage));
                self.tell_not_done(now);
            }
        }
        self.forget_pending();
        self.tell_gallery(now);
    }

    /// Nobody can be enrolled: says whom to delete, the resident who was not here for longest.
    pub(super) fn tell_full(&mut self, now: Duration) {
        self.journal.note(Logged::NotEnrolled.because(Reason::Full), now);
        let people = self.gallery.people();
        let residents = people.iter().filter(|person| person.role == Role::Resident);
        let away = residents.map(|person| person.id).min_by_key(|id| self.journal.last_visit(*id));
        let whom = away.map_or_else(String::new, |id| match self.journal.last_visit(id) {
            Some(entry) => format!(", such as person {id}, whose last visit is entry {entry} of the log"),
            None => format!(", such as person {id}, of whom the log knows no visit"),
        });
        let enrolled = people.len();
        self.notes.push(Note::Failed(format!(
            "{enrolled} people are enrolled and no more fit: delete somebody first{whom}"
        )));
    }

    /// People with a record, whether it opens or not: while there is one, nobody is the first.
    fn known_people(&self) -> usize {
        self.gallery.people().len() + self.gallery.damaged().len()
    }

    fn next_resident(&self) -> (String, Role) {
        let highest = self.gallery.people().iter().map(|person| person.id).max().unwrap_or(0);
        (format!("resident {}", highest + 1), Role::Resident)
    }

    pub(super) fn delete(&mut self, person: u32, now: Duration) {
        match self.gallery.delete(person) {
            Ok(()) => {
                self.journal.note(Logged::Deleted.of(person), now);
                self.notes.push(Note::Deleted { person });
            }
            Err(error) => {
                let reason = Some(Reason::Storage);
                self.journal.note(Happening { reason, ..Logged::NotDeleted.of(person) }, now);
                self.notes.push(Note::Failed(error.to_string()));
                self.tell_not_done(now);
            }
        }
        self.tell_gallery(now);
    }

    /// It asks for nothing: no time has passed since the event that asked for what could not be done.
    fn tell_not_done(&mut self, now: Duration) {
        let _ = self.door.step(&Event::NotDone(EnrolFailure::Storage), now);
    }

    /// It asks for nothing, as for [`Device::tell_not_done`].
    pub(super) fn tell_gallery(&mut self, now: Duration) {
        let _ = self.door.step(&self.people_event(), now);
    }

    pub(super) fn people_event(&self) -> Event {
        Event::Gallery { people: self.known_people(), full: self.gallery.is_full() }
    }
}
