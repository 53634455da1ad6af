use super::*;
use crate::face::align::CROP_BYTES;
use crate::flash::{FileFlash, Layout, Partition};
use crate::gallery::{Exported, MatchPolicy};
use std::path::Path;

fn template(seed: u8) -> Template {
    let mut state = u32::from(seed) + 1;
    let output: Vec<i8> = (0..128)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 as i8
        })
        .collect();
    Template::from_output(&output, 0, 200, 1).expect("not zero")
}

fn gallery(path: &Path, key: u8, capacity: usize) -> Gallery<Partition<FileFlash>> {
    let layout = Layout {
        gallery: 0..0x1_0000,
        crops: 0x1_0000..0x2_8000,
        audit: 0..0,
        slot_a: 0..0,
        slot_b: 0..0,
        boot: 0..0,
    };
    let parts = layout.divide(FileFlash::open(path, 0x2_8000).expect("flash")).expect("divided");
    let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("map");
    let crops = CropStore::new(parts.crops);
    Gallery::load(map, crops, DeviceKey::from_bytes([key; 32]), capacity).expect("loads")
}

fn enrolment<'a>(name: &'a str, templates: &'a [Template], crops: &'a [Crop]) -> Enrolment<'a> {
    Enrolment { name, role: Role::Resident, templates, crops }
}

fn crop(shade: u8) -> Crop {
    Crop { quality: shade, pixels: Box::new([shade; CROP_BYTES]) }
}

fn of_embedder_2(seed: u8) -> Template {
    Template { embedding_id: 2, ..template(seed) }
}

#[test]
fn what_is_asked_of_a_person_is_kept_and_a_record_without_it_is_read() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    let mut before = gallery(&path, 1, 10);
    let anna = before.enrol(&enrolment("Anna", &[template(1)], &[])).expect("enrolled");
    let older = Person { access: Access::default(), ..before.people()[0].clone() };
    let pin = crate::gallery::Pin::new("2580").expect("a PIN");
    let access = Access { pin: Some(pin), hours: "mon-fri 08:00-18:00; sat 09:00-12:00".parse().ok() };
    before.set_access(anna, access.clone()).expect("kept");
    assert!(matches!(before.set_access(99, access.clone()), Err(GalleryError::Nobody { id: 99 })));
    drop(before);
    let mut after = gallery(&path, 1, 10);
    assert_eq!(after.person(anna).map(|person| person.access.clone()), Some(access));

    let version_2 = postcard::to_allocvec(&(&older.name, older.role, &older.templates, older.crops));
    let record = [&[2][..], &version_2.expect("serialisable")].concat();
    let place = Namespace::Person.key(anna);
    let sealed = after.keys[0].seal(place, &record).expect("sealed");
    after.map().set(place, &sealed).expect("written");
    drop(after);
    assert_eq!(gallery(&path, 1, 10).people(), [older]);
}

#[test]
fn people_are_there_after_a_restart_and_a_deleted_one_is_not() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    let mut before = gallery(&path, 1, 10);
    let anna = before.enrol(&enrolment("Anna", &[template(1), template(2)], &[])).expect("enrolled");
    let ben = before.enrol(&enrolment("Ben", &[template(3)], &[])).expect("enrolled");
    before.delete(ben).expect("deleted");
    let people = before.people().to_vec();
    drop(before);
    let mut after = gallery(&path, 1, 10);
    assert_eq!(after.people(), people);
    assert_eq!(after.nearest(&template(2)).map(|m| (m.person, m.distance)), Some((anna, 0.0)));
    let cara = after.enrol(&enrolment("Cara", &[template(4)], &[])).expect("enrolled");
    assert!(cara > ben, "a number is not used again");
}

#[test]
fn another_devices_records_are_told_and_left_as_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    gallery(&path, 1, 10).enrol(&enrolment("Anna", &[template(1)], &[])).expect("enrolled");
    let foreign = gallery(&path, 2, 10);
    assert!(foreign.people().is_empty());
    assert_eq!(foreign.damaged(), [1]);
    drop(foreign);
    assert_eq!(gallery(&path, 1, 10).people().len(), 1);
}

#[test]
fn a_full_gallery_says_so_before_anything_is_written() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut small = gallery(&folder.path().join("flash"), 1, 1);
    small.enrol(&enrolment("Anna", &[template(1)], &[])).expect("enrolled");
    assert!(small.is_full());
    let error = small.enrol(&enrolment("Ben", &[template(2)], &[])).expect_err("full");
    assert!(error.to_string().contains("delete somebody"), "{error}");
}

#[test]
fn look_alikes_that_are_not_told_apart_are_refused() {
    let policy = MatchPolicy { threshold: 1.0, margin: 0.1 };
    let clear = Match { person: 1, distance: 0.5, runner_up: 1.2 };
    assert!(clear.is_accepted(&policy));
    assert!(!Match { runner_up: 0.55, ..clear }.is_accepted(&policy));
    assert!(!Match { distance: 1.01, runner_up: 4.0, ..clear }.is_accepted(&policy));
}

#[test]
fn crops_come_back_nearly_as_they_were_until_their_person_is_deleted() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    let mut before = gallery(&path, 1, 10);
    let crops = [crop(40), crop(200)];
    let anna = before.enrol(&enrolment("Anna", &[template(1)], &crops)).expect("enrolled");
    assert_eq!(before.crop_places_left(), 1);
    drop(before);
    let mut after = gallery(&path, 1, 10);
    let kept = after.crops(anna).expect("read");
    for (crop, kept) in crops.iter().zip(&kept) {
        let near = crop.pixels.iter().zip(kept.pixels.iter()).all(|(a, b)| a.abs_diff(*b) <= 3);
        assert!(near && crop.quality == kept.quality);
    }
    after.delete(anna).expect("deleted");
    assert_eq!(after.crop_places_left(), 2);
    drop(after);
    assert_eq!(gallery(&path, 1, 10).crop_places_left(), 2);
}

#[test]
fn who_comes_when_no_cell_is_left_is_enrolled_without_crops() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut small = gallery(&folder.path().join("flash"), 1, 10);
    for seed in 1..=3 {
        small.enrol(&enrolment("guest", &[template(seed)], &[crop(seed)])).expect("enrolled");
    }
    let with: Vec<bool> = small.people().iter().map(|person| person.crops.is_some()).collect();
    assert_eq!(with, [true, true, false]);
    small.enrol_again(1, &[template(9)], &[crop(90)]).expect("one cell stays free for that");
    assert_eq!(small.crops(1).expect("read")[0].quality, 90);
}

#[test]
fn crops_that_the_owner_does_not_want_are_destroyed_and_no_others_kept() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    let mut before = gallery(&path, 1, 10);
    before.enrol(&enrolment("Anna", &[template(1)], &[crop(1)])).expect("enrolled");
    before.forget_crops().expect("destroyed");
    before.enrol(&enrolment("Ben", &[template(2)], &[crop(1)])).expect("enrolled");
    drop(before);
    let mut after = gallery(&path, 1, 10);
    assert_eq!((after.crops(1).expect("none"), after.crops(2).expect("none")), (Vec::new(), Vec::new()));
    assert_eq!(after.people().len(), 2);
}

#[test]
fn a_new_embedder_takes_over_with_its_staged_templates_or_leaves_the_old_ones() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    let mut old = gallery(&path, 1, 10);
    old.enrol(&enrolment("Anna", &[template(1)], &[])).expect("enrolled");
    old.enrol(&enrolment("Ben", &[template(2)], &[])).expect("enrolled");
    old.stage(1, &[of_embedder_2(3)]).expect("staged");
    drop(old);

    let mut rolled_back = gallery(&path, 1, 10);
    assert!(rolled_back.use_embedder(1).expect("read").is_empty());
    assert_eq!(rolled_back.people()[0].templates[0], template(1));
    drop(rolled_back);

    let mut confirmed = gallery(&path, 1, 10);
    assert_eq!(confirmed.use_embedder(2).expect("read"), [2], "Ben must enrol again");
    assert_eq!(confirmed.nearest(&of_embedder_2(3)).map(|m| (m.person, m.distance)), Some((1, 0.0)));
    assert!(confirmed.settle_one().expect("settled"));
    assert!(!confirmed.settle_one().expect("nobody else"));
    drop(confirmed);
    let after = gallery(&path, 1, 10);
    assert_eq!(after.people()[0].templates[0], of_embedder_2(3));
}

#[test]
fn pictures_of_people_whose_records_do_not_open_are_left_as_they_are() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let path = folder.path().join("flash");
    let mut before = gallery(&path, 1, 10);
    let anna = before.enrol(&enrolment("Anna", &[template(1)], &[crop(7)])).expect("enrolled");
    drop(before);
    let mut with_another_key = gallery(&path, 2, 10);
    assert_eq!(with_another_key.damaged(), [anna]);
    with_another_key.enrol(&enrolment("Ben", &[template(3)], &[crop(8)])).expect("enrolled");
    drop(with_another_key);
    let mut after = gallery(&path, 1, 10);
    assert_eq!(after.crops(anna).expect("still there").len(), 1);
}

#[test]
fn a_person_goes_from_one_lock_to_another_and_is_known_there_the_second_time() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut old = gallery(&folder.path().join("old"), 1, 10);
    let mut new = gallery(&folder.path().join("new"), 2, 10);
    let templates = [template(1), template(2)];
    let anna = old.enrol(&enrolment("Anna", &templates, &[crop(9), crop(90)])).expect("enrolled");
    let hours = Some("mon-fri 08:00-18:00".parse().expect("hours"));
    let access = Access { hours, ..Access::default() };
    old.set_access(anna, access.clone()).expect("kept");
    let bytes = old.export(anna).expect("exported").encode();
    let exported = Exported::decode(&bytes).expect("a person");
    new.enrol(&enrolment("Ben", &[template(3)], &[])).expect("enrolled");
    let number = new.import(&exported, 1, 0.5).expect("imported");
    assert_eq!(new.person(number).expect("there").templates[..], templates);
    assert_eq!(new.person(number).expect("there").access, access);
    assert_eq!(new.crops(number).expect("kept"), old.crops(anna).expect("kept"), "bit by bit");
    assert!(matches!(new.import(&exported, 1, 0.5), Err(GalleryError::Known { id }) if id == number));
    for at in 0..bytes.len() {
        assert!(Exported::decode(&bytes[..at]).is_none(), "cut at {at}");
    }
}

#[test]
fn templates_of_another_embedder_come_only_with_pictures_and_once() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut old = gallery(&folder.path().join("old"), 1, 10);
    let mut new = gallery(&folder.path().join("new"), 2, 10);
    let without = old.enrol(&enrolment("Anna", &[template(1)], &[])).expect("enrolled");
    let with = old.enrol(&enrolment("Ben", &[template(2)], &[crop(9)])).expect("enrolled");
    let (without, with) = (old.export(without).expect("exported"), old.export(with).expect("exported"));
    assert!(matches!(new.import(&without, 2, 0.5), Err(GalleryError::Incomparable { made: 1, here: 2 })));
    let number = new.import(&with, 2, 0.5).expect("imported");
    assert_eq!(new.use_embedder(2).expect("read"), [number], "to be computed anew");
    new.stage(number, &[of_embedder_2(7)]).expect("staged");
    new.use_embedder(2).expect("read");
    assert!(matches!(new.import(&with, 2, 0.5), Err(GalleryError::Known { id }) if id == number));
}

#[test]
fn who_could_not_have_been_enrolled_does_not_come_from_a_backup() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let mut old = gallery(&folder.path().join("old"), 1, 10);
    let anna = old.enrol(&enrolment("Anna", &[template(1)], &[])).expect("enrolled");
    let good = old.export(anna).expect("exported");
    let nowhere = Template { embedding: [0; 128], ..template(1) };
    for templates in [vec![], vec![nowhere], vec![template(1), of_embedder_2(1)]] {
        let mut person = good.clone();
        person.templates = templates.into_iter().collect();
        assert!(Exported::decode(&person.encode()).is_none());
    }
    assert!(Exported::decode(&good.encode()).is_some());
}
