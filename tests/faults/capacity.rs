//! As many people as the board file allows fit, with all their templates, for the embedder in use and for the next.

use super::board::{Lock, blank};
use super::template;
use facelatch::board::BOARD;
use facelatch::face::template::Template;
use facelatch::gallery::{Enrolment, GalleryError, Role, TEMPLATES_PER_PERSON};

#[test]
fn a_thousand_people_with_five_templates_fit_twice_and_one_more_is_refused() {
    let mut lock = Lock::start(blank());
    let templates: Vec<Template> = (0..TEMPLATES_PER_PERSON as u8).map(template).collect();
    let name = "n".repeat(48);
    let who = Enrolment { name: &name, role: Role::Resident, templates: &templates, crops: &[] };
    for _ in 0..BOARD.enrolment.people {
        lock.gallery.enrol(&who).expect("there is room");
    }
    let next: Vec<Template> =
        templates.iter().map(|template| Template { embedding_id: 9, ..template.clone() }).collect();
    for id in 1..=BOARD.enrolment.people {
        lock.gallery.stage(id, &next).expect("there is room for the next embedder");
    }
    assert!(matches!(lock.gallery.enrol(&who), Err(GalleryError::Full { .. })));
    lock.gallery.delete(500).expect("deleted");
    lock.gallery.enrol(&who).expect("there is room again");
    lock.restart();
    assert_eq!(lock.gallery.people().len(), BOARD.enrolment.people as usize);
    assert!(lock.gallery.damaged().is_empty());
}
