//! The power is cut after every byte that an operation changes.

use super::{TestGallery, blank, crop, enrol, flash_after, flash_of, gallery, key, map, parts, template};
use facelatch::face::template::DIMENSIONS;
use facelatch::flash::{DeviceKey, KeyError, KeyPlace, Namespace, SimFlash};
use facelatch::gallery::Gallery;

/// What must be as before or as after: everybody's name, first template and number of pictures.
type People = Vec<(String, [i8; DIMENSIONS], usize)>;

fn people(flash: SimFlash, seed: u8) -> People {
    let mut gallery = gallery(flash, seed).expect("the device starts");
    assert!(gallery.damaged().is_empty(), "nobody is half there");
    let ids: Vec<u32> = gallery.people().iter().map(|person| person.id).collect();
    let known = |id| {
        let pictures = gallery.crops(id).expect("they can be read").len();
        let person = gallery.person(id).expect("just listed");
        (person.name.to_string(), person.templates[0].embedding, pictures)
    };
    ids.into_iter().map(known).collect()
}

/// Cuts `operation` after each byte: the people are as before or as after, and a start later everything works.
/// Returns the cuts.
fn cut_everywhere(start: &SimFlash, operation: impl Fn(SimFlash) -> SimFlash) -> u64 {
    let done = operation(start.clone());
    let allowed = [people(start.clone(), 1), people(done.clone(), 1)];
    let changed = done.traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        let mut flash = operation(flash);
        flash.power_up();
        let found = people(flash.clone(), 1);
        assert!(allowed.contains(&found), "cut after byte {cut} of {changed}: {found:?}");
        if cut % 8 == 0 {
            let mut again = gallery(flash, 1).expect("the device starts again");
            enrol(&mut again, "later", 9).expect("the storage still works");
        }
    }
    changed
}

fn with(flash: SimFlash, operation: impl FnOnce(&mut TestGallery)) -> SimFlash {
    let mut gallery = gallery(flash, 1).expect("loads");
    operation(&mut gallery);
    flash_after(gallery)
}

fn enrolled(flash: SimFlash, name: &str, seed: u8) -> SimFlash {
    with(flash, |gallery| {
        let _cut_or_done = enrol(gallery, name, seed);
    })
}

fn deleted(flash: SimFlash, id: u32) -> SimFlash {
    with(flash, |gallery| {
        let _cut_or_done = gallery.delete(id);
    })
}

/// Anna is there, and pages were filled by people who came and went.
fn inhabited(rounds: u8) -> SimFlash {
    let mut flash = enrolled(blank(), "Anna", 1);
    for round in 0..rounds {
        flash = enrolled(flash, "guest", 20 + round % 50);
        flash = deleted(flash, u32::from(round) + 2);
    }
    flash
}

#[test]
fn a_cut_at_any_byte_of_an_enrolment_leaves_it_whole_or_undone() {
    let (mut cuts, mut erasing) = (0, 0);
    let mut start = inhabited(0);
    for round in 0..120 {
        let done = enrolled(start.clone(), "Ben", 5);
        let erases = done.traffic().erases > start.traffic().erases;
        if round == 0 || erases {
            cuts += cut_everywhere(&start, |flash| enrolled(flash, "Ben", 5));
            erasing += u64::from(erases);
        }
        if erasing == 2 {
            break;
        }
        start = deleted(done, round + 2);
    }
    println!("enrolment: {cuts} cuts, none failed; {erasing} of the enrolments erased a page");
    assert!(cuts > 5_000 && erasing > 0, "{cuts} cuts, {erasing} with an erase");
}

#[test]
fn a_cut_at_any_byte_of_a_new_enrolment_of_the_same_person_leaves_it_whole_or_undone() {
    let mut cuts = 0;
    for rounds in [0, 5] {
        cuts += cut_everywhere(&inhabited(rounds), |flash| {
            with(flash, |gallery| {
                let _cut_or_done = gallery.enrol_again(1, &[template(40)], &[crop(40), crop(41)]);
            })
        });
    }
    println!("new enrolment: {cuts} cuts, none failed");
    assert!(cuts > 5_000, "{cuts} cuts");
}

#[test]
fn a_cut_at_any_byte_of_a_deletion_leaves_it_whole_or_undone() {
    let mut cuts = 0;
    for rounds in [0, 5, 40] {
        let start = enrolled(inhabited(rounds), "Ben", 5);
        cuts += cut_everywhere(&start, |flash| deleted(flash, u32::from(rounds) + 2));
    }
    println!("deletion: {cuts} cuts, none failed");
    assert!(cuts > 300, "{cuts} cuts");
}

/// A key place in memory, which the power cannot cut; the flash is cut between its steps.
#[derive(Default)]
struct KeyInMemory {
    adopted: bool,
}

impl KeyPlace for KeyInMemory {
    fn current(&mut self) -> Result<DeviceKey, KeyError> {
        Ok(key(if self.adopted { 2 } else { 1 }))
    }

    fn proposed(&mut self) -> Result<Option<DeviceKey>, KeyError> {
        Ok((!self.adopted).then(|| key(2)))
    }

    fn propose(&mut self, _: &DeviceKey) -> Result<(), KeyError> {
        Ok(())
    }

    fn adopt(&mut self) -> Result<(), KeyError> {
        self.adopted = true;
        Ok(())
    }
}

#[test]
fn a_cut_at_any_byte_of_a_key_change_is_ended_by_the_next_start() {
    let change = |flash, place: &mut KeyInMemory| {
        let parts = parts(flash);
        let _cut_or_done = Gallery::device_key(&mut map(&parts), place);
        flash_of(&parts.gallery)
    };
    let start = enrolled(inhabited(3), "Ben", 5);
    let place_of_anna = Namespace::PersonKey.key(1);
    let before = people(start.clone(), 1);
    let done = change(start.clone(), &mut KeyInMemory::default());
    let changed = done.traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in 1..=changed {
        let (mut flash, mut place) = (start.clone(), KeyInMemory::default());
        flash.cut_after(cut);
        let mut flash = change(flash, &mut place);
        flash.power_up();
        flash = change(flash, &mut place);
        assert!(place.adopted);
        assert_eq!(people(flash.clone(), 2), before, "cut after byte {cut} of {changed}");
        if cut % 64 == 0 || cut == changed {
            let old = flash.image().windows(73).any(|sealed| key(1).open_key(place_of_anna, sealed).is_ok());
            assert!(!old, "cut after byte {cut}: the old key still opens something");
        }
    }
    println!("key change: {changed} cuts, none failed");
    assert!(changed > 200, "{changed} cuts");
}
