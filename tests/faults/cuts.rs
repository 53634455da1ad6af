//! The power is cut after every byte that an operation changes.

use super::{PAGES, gallery, key, map, template};
use facelatch::flash::SimFlash;
use facelatch::gallery::{Gallery, Role};

type Names = Vec<String>;

fn names(flash: SimFlash, seed: u8) -> Names {
    let gallery = gallery(flash, seed).expect("the device starts");
    gallery.people().iter().map(|person| person.name.to_string()).collect()
}

/// Cuts `operation` after each byte. `allowed` are the people that there may be afterwards; returns the cuts.
fn cut_everywhere(start: &SimFlash, allowed: &[Names], operation: impl Fn(SimFlash) -> SimFlash) -> u64 {
    let changed = operation(start.clone()).traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        let mut flash = operation(flash);
        flash.power_up();
        let found = names(flash.clone(), 1);
        assert!(allowed.contains(&found), "cut after byte {cut} of {changed}: {found:?}");
        let mut again = gallery(flash, 1).expect("the device starts again");
        again.enrol("later", Role::Resident, &[template(9)]).expect("the storage still works");
    }
    changed
}

fn enrol(flash: SimFlash, name: &str, seed: u8) -> SimFlash {
    let mut gallery = gallery(flash, 1).expect("loads");
    let _cut_or_done = gallery.enrol(name, Role::Resident, &[template(seed), template(seed + 1)]);
    gallery.into_map().into_flash()
}

fn delete(flash: SimFlash, id: u32) -> SimFlash {
    let mut gallery = gallery(flash, 1).expect("loads");
    let _cut_or_done = gallery.delete(id);
    gallery.into_map().into_flash()
}

/// Anna is there, and `pages_used` pages were filled by people who came and went.
fn inhabited(rounds: u8) -> SimFlash {
    let mut flash = enrol(SimFlash::new(PAGES), "Anna", 1);
    for round in 0..rounds {
        flash = enrol(flash, "guest", 20 + round % 50);
        flash = delete(flash, u32::from(round) + 2);
    }
    flash
}

fn list(names: &[&str]) -> Names {
    names.iter().map(ToString::to_string).collect()
}

#[test]
fn a_cut_at_any_byte_of_an_enrolment_leaves_it_whole_or_undone() {
    let (mut cuts, mut erasing) = (0, 0);
    for rounds in [0, 5, 40, 57, 58, 59, 60, 61, 62, 63, 64, 65] {
        let start = inhabited(rounds);
        erasing += u64::from(enrol(start.clone(), "Ben", 5).traffic().erases > start.traffic().erases);
        let allowed = [list(&["Anna"]), list(&["Anna", "Ben"])];
        cuts += cut_everywhere(&start, &allowed, |flash| enrol(flash, "Ben", 5));
    }
    println!("enrolment: {cuts} cuts, none failed; {erasing} of the enrolments erased a page");
    assert!(cuts > 5_000 && erasing > 0, "{cuts} cuts, {erasing} with an erase");
}

#[test]
fn a_cut_at_any_byte_of_a_deletion_leaves_it_whole_or_undone() {
    let mut cuts = 0;
    for rounds in [0, 5, 40, 60] {
        let start = enrol(inhabited(rounds), "Ben", 5);
        let allowed = [list(&["Anna"]), list(&["Anna", "Ben"])];
        cuts += cut_everywhere(&start, &allowed, |flash| delete(flash, u32::from(rounds) + 2));
    }
    println!("deletion: {cuts} cuts, none failed");
    assert!(cuts > 300, "{cuts} cuts");
}

#[test]
fn a_cut_at_any_byte_of_a_key_change_is_ended_by_the_next_one() {
    let change = |flash| {
        let mut map = map(flash);
        let _cut_or_done = Gallery::change_key(&mut map, &key(1), &key(2));
        map.into_flash()
    };
    let start = enrol(inhabited(3), "Ben", 5);
    let changed = change(start.clone()).traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        let mut flash = change(flash);
        flash.power_up();
        assert_eq!(names(change(flash), 2), list(&["Anna", "Ben"]), "cut after byte {cut} of {changed}");
    }
    println!("key change: {changed} cuts, none failed");
    assert!(changed > 200, "{changed} cuts");
}
