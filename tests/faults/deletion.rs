//! Deleted means gone: the raw image is searched with the device's key in hand.

use super::{TestGallery, blank, crop, enrol, flash_after, flash_of, gallery, key, parts, template};
use facelatch::flash::key::SEAL_OVERHEAD;
use facelatch::flash::{AuditLog, DeviceKey, Event, Moment, Namespace, SimFlash};

const SEALED_KEY: usize = 32 + SEAL_OVERHEAD;

/// The key that person `id` had, if the raw image holds one that the device's key opens.
fn key_in(image: &[u8], id: u32, device_key: &DeviceKey) -> Option<DeviceKey> {
    let place = Namespace::PersonKey.key(id);
    image.windows(SEALED_KEY).find_map(|sealed| device_key.open_key(place, sealed).ok())
}

/// What the raw image holds of a person: records, staged templates or pictures that `key` opens, wherever they begin
/// and however long they are.
fn opened_by(image: &[u8], id: u32, key: &DeviceKey, lengths: &[usize]) -> usize {
    let places = [Namespace::Person, Namespace::Staged, Namespace::Crops].map(|space| space.key(id));
    let opens = |sealed: &[u8]| places.iter().any(|place| key.open(*place, sealed).is_ok());
    lengths
        .iter()
        .map(|len| image.windows(*len).filter(|sealed| sealed[0] == 1 && opens(sealed)).count())
        .sum()
}

/// Whether the raw image holds a part of a template, a JPEG's head or a name.
fn cleartext_is_found(image: &[u8]) -> bool {
    let embedding: Vec<u8> = template(1).embedding.iter().map(|&x| x as u8).collect();
    let parts: Vec<&[u8]> = embedding.chunks(8).chain([&b"JFIF"[..], b"Benedict"]).collect();
    image.windows(8).any(|window| parts.iter().any(|part| window.starts_with(part)))
}

/// Benedict with templates, a picture, and templates for the next embedder; Cara; and a log of both.
fn inhabited() -> (SimFlash, u32, u32) {
    let mut gallery = gallery(blank(), 1).expect("loads");
    let ben = enrol(&mut gallery, "Benedict", 1).expect("enrolled");
    let cara = enrol(&mut gallery, "Cara", 3).expect("enrolled");
    gallery.stage(ben, &[template(60)]).expect("staged");
    gallery.enrol_again(ben, &[template(1)], &[crop(1)]).expect("enrolled again");
    gallery.stage(ben, &[template(61)]).expect("staged");
    let parts = parts(flash_after(gallery));
    let mut log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
    for event in [Event::Enrolled, Event::Opened, Event::Deleted] {
        log.push(Moment::default(), event.of(ben)).expect("logged");
    }
    (flash_of(&parts.audit), ben, cara)
}

fn deleted(flash: SimFlash, id: u32) -> SimFlash {
    let mut gallery: TestGallery = gallery(flash, 1).expect("loads");
    let _cut_or_done = gallery.delete(id);
    flash_after(gallery)
}

#[test]
fn after_a_deletion_the_image_holds_no_key_that_opens_the_person() {
    let (flash, ben, cara) = inhabited();
    let his = key_in(flash.image(), ben, &key(1)).expect("the search finds what is there");
    // Lengths of what was sealed: person, staged templates, pictures.
    let lengths: Vec<usize> =
        (100..4_000).filter(|len| opened_by(flash.image(), ben, &his, &[*len]) > 0).collect();
    assert!(lengths.len() >= 3, "{lengths:?}");
    let image = deleted(flash, ben).image().to_vec();
    assert!(key_in(&image, ben, &key(1)).is_none());
    assert!(key_in(&image, cara, &key(1)).is_some());
    assert_eq!(opened_by(&image, ben, &key(1), &lengths), 0, "nothing opens with the device's key itself");
    assert!(!cleartext_is_found(&image));
    // Whoever copied the key before finds outdated records, but no picture: that was erased.
    let crops = Namespace::Crops.key(ben);
    let pictures = |sealed: &[u8]| sealed[0] == 1 && his.open(crops, sealed).is_ok();
    assert!(!lengths.iter().any(|len| image.windows(*len).any(pictures)));
}

#[test]
fn a_deletion_cut_at_any_byte_is_ended_by_the_next_start() {
    let (start, ben, _) = inhabited();
    let changed = deleted(start.clone(), ben).traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in (1..=changed).filter(|cut| *cut < 200 || changed - cut < 200 || cut % 50 == 0) {
        let mut flash = start.clone();
        flash.cut_after(cut);
        flash = deleted(flash, ben);
        flash.power_up();
        let gallery = gallery(flash, 1).expect("the device starts");
        let enrolled = gallery.person(ben).is_some();
        let image = flash_after(gallery).image().to_vec();
        assert_eq!(key_in(&image, ben, &key(1)).is_some(), enrolled, "cut {cut}");
    }
}
