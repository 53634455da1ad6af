//! Unknown visitors: a ring that a power cut leaves whole, and that can be forgotten for good.

use super::budget::Changing;
use super::{TestGallery, blank, enrol, flash_after, gallery, key, map, parts, template};
use facelatch::flash::{DeviceKey, Moment, Namespace, SimFlash};
use facelatch::gallery::visitors::{Visit, decode, encode};
use facelatch::gallery::{CropStore, Gallery};

/// Visitors that are kept.
const MOST: usize = 5;

fn started(flash: SimFlash, most: usize) -> TestGallery {
    let mut gallery = gallery(flash, 1).expect("the device starts");
    gallery.keep_visitors(most).expect("they are read");
    gallery
}

fn on_day(day: u64) -> Moment {
    Moment { uptime_ms: day, unix_ms: Some(day * 86_400_000) }
}

/// Visitor `seed` comes, whose track is `seed` too.
fn visit(gallery: &mut TestGallery, seed: u8) -> bool {
    gallery.keep_visit(u32::from(seed), on_day(seed.into()), &template(seed)).expect("kept")
}

fn numbers(gallery: &mut TestGallery) -> Vec<u32> {
    gallery.visits().expect("read").iter().map(|visit| visit.number).collect()
}

fn with_visits(flash: SimFlash, seeds: impl IntoIterator<Item = u8>) -> SimFlash {
    let mut gallery = started(flash, MOST);
    for seed in seeds {
        assert!(visit(&mut gallery, seed));
    }
    flash_after(gallery)
}

#[test]
fn the_last_ones_are_kept_with_time_and_nearest_person_across_starts() {
    let mut flash = blank();
    let mut gallery = started(flash, MOST);
    assert_eq!(enrol(&mut gallery, "Anna", 40).expect("enrolled"), 1);
    flash = with_visits(flash_after(gallery), 0..3);
    flash = with_visits(flash, 3..8);
    let mut gallery = started(flash, MOST);
    let visits = gallery.visits().expect("read");
    let expected = (3..8).map(|seed: u8| Visit {
        number: seed.into(),
        at: on_day(seed.into()),
        template: template(seed),
        nearest: gallery.nearest(&template(seed)).map(|found| (found.person, found.distance)),
    });
    assert_eq!(visits, expected.collect::<Vec<_>>());
    assert!(visits[0].nearest.is_some_and(|(person, distance)| person == 1 && distance > 0.0));
    assert_eq!(decode(&encode(&visits)), Some(visits));
}

#[test]
fn a_face_that_stays_is_one_visit() {
    let mut gallery = started(blank(), MOST);
    let came = [7, 7, 8, 7, 8, 9].map(|track| visit(&mut gallery, track));
    assert_eq!(came, [true, false, true, false, false, true]);
    assert_eq!(numbers(&mut gallery), [0, 1, 2]);
}

#[test]
fn nobody_is_kept_unless_it_is_asked_for() {
    let mut gallery = gallery(blank(), 1).expect("starts");
    assert!(!visit(&mut gallery, 1));
    gallery.keep_visitors(0).expect("nothing to do");
    assert!(!visit(&mut gallery, 2));
    assert_eq!((numbers(&mut gallery), gallery.visitors_at_most()), (vec![], 0));
    assert!(flash_after(gallery).image().iter().all(|byte| *byte == 0xFF), "nothing was written");
}

#[test]
fn fewer_places_keep_fewer_and_more_places_more() {
    let flash = with_visits(blank(), 0..5);
    let mut gallery = started(flash, 2);
    assert_eq!(numbers(&mut gallery), [0, 1]);
    assert!(visit(&mut gallery, 5));
    let mut gallery = started(flash_after(gallery), 4);
    assert_eq!(numbers(&mut gallery), [1, 2], "the oldest gave way, the others were emptied");
    assert!(visit(&mut gallery, 6) && visit(&mut gallery, 7) && visit(&mut gallery, 8));
    assert_eq!(numbers(&mut gallery), [2, 3, 4, 5]);
}

/// Whether anything in the flash opens as the visitors' key.
fn key_is_there(flash: &SimFlash, device_key: u8) -> bool {
    let place = Namespace::VisitorKey.key(0);
    flash.image().windows(73).any(|sealed| key(device_key).open_key(place, sealed).is_ok())
}

#[test]
fn what_is_forgotten_opens_no_more_by_command_and_by_switching_off() {
    let flash = with_visits(blank(), 0..4);
    assert!(key_is_there(&flash, 1));
    let off = started(flash.clone(), 0);
    assert!(!key_is_there(&flash_after(off), 1));
    let mut gallery = started(flash, MOST);
    gallery.forget_visitors().expect("forgotten");
    assert!(numbers(&mut gallery).is_empty());
    let flash = flash_after(gallery);
    assert!(!key_is_there(&flash, 1));
    let mut gallery = started(with_visits(flash, 10..12), MOST);
    assert_eq!(numbers(&mut gallery), [0, 1], "later ones are kept with a new key");
}

/// Cuts `operation` after each byte; `check` sees what the next start finds, and the flash then. Returns the cuts.
fn cut_everywhere(
    start: &SimFlash,
    operation: impl Fn(SimFlash) -> SimFlash,
    check: impl Fn(u64, Vec<u32>, SimFlash),
) -> u64 {
    let changed = operation(start.clone()).traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        let mut flash = operation(flash);
        flash.power_up();
        let mut gallery = started(flash, MOST);
        assert_eq!(gallery.people().len(), 1, "cut after byte {cut} of {changed}: people are as before");
        let found = numbers(&mut gallery);
        assert!(visit(&mut gallery, 200), "the ring goes on");
        check(cut, found, flash_after(gallery));
    }
    changed
}

#[test]
fn a_cut_at_any_byte_leaves_every_visit_whole_and_the_people_alone() {
    let mut gallery = gallery(blank(), 1).expect("starts");
    enrol(&mut gallery, "Anna", 40).expect("enrolled");
    let inhabited = flash_after(gallery);
    let mut cuts = 0;
    for (before, allowed) in [
        (0..0_u8, [vec![], vec![0]]),
        (0..3, [vec![0, 1, 2], vec![0, 1, 2, 3]]),
        (0..7, [vec![2, 3, 4, 5, 6], vec![3, 4, 5, 6, 7]]),
    ] {
        let start = with_visits(inhabited.clone(), before);
        let operation = |flash| {
            let mut gallery = started(flash, MOST);
            let _cut_or_done = gallery.keep_visit(100, on_day(9), &template(100));
            flash_after(gallery)
        };
        cuts += cut_everywhere(&start, operation, |cut, found, _| {
            assert!(allowed.contains(&found), "cut after byte {cut}: {found:?}");
        });
    }
    println!("visits: {cuts} cuts, none failed");
    assert!(cuts > 600, "{cuts} cuts");
    let start = with_visits(inhabited, 0..4);
    let operation = |flash| {
        let mut gallery = started(flash, MOST);
        let _cut_or_done = gallery.forget_visitors();
        flash_after(gallery)
    };
    let forgotten = cut_everywhere(&start, operation, |cut, found, flash| {
        assert!(found.is_empty() || found == [0, 1, 2, 3], "cut after byte {cut}: {found:?}");
        if found.is_empty() {
            let place = Namespace::VisitorKey.key(0);
            let old = key(1).open_key(place, &sealed_key(&start)).expect("it was there");
            let opens = |window: &[u8]| key(1).open_key(place, window).is_ok_and(|found| same(&found, &old));
            assert!(!flash.image().windows(73).any(opens), "cut after byte {cut}: the old key opens");
        }
    });
    println!("forgetting visitors: {forgotten} cuts, none failed");
    assert!(forgotten > 70, "{forgotten} cuts");
}

/// The visitors' key as it lies in the flash.
fn sealed_key(flash: &SimFlash) -> Vec<u8> {
    let place = Namespace::VisitorKey.key(0);
    let image = flash.image();
    image.windows(73).find(|sealed| key(1).open_key(place, sealed).is_ok()).expect("there is one").to_vec()
}

/// Whether two keys are one: what the first seals, the second opens.
fn same(a: &DeviceKey, b: &DeviceKey) -> bool {
    a.seal(1, b"visitor").is_ok_and(|sealed| b.open(1, &sealed).is_ok())
}

#[test]
fn visitors_go_with_the_people_to_another_device_key() {
    let parts = parts(with_visits(blank(), 0..4));
    let mut map = map(&parts);
    let new = Gallery::device_key(&mut map, &mut Changing::default()).expect("changed");
    let mut gallery = Gallery::load(map, CropStore::new(parts.crops.clone()), new, 100).expect("loads");
    gallery.keep_visitors(MOST).expect("read");
    assert_eq!(numbers(&mut gallery), [0, 1, 2, 3]);
    assert!(!key_is_there(&flash_after(gallery), 1));
}
