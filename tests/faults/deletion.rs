//! Deleted means gone: the raw image is searched with the device's key in hand.

use super::{blank, enrol, flash_after, gallery, key, template};
use facelatch::flash::{Namespace, SimFlash};

/// Whether a key that person `id` had can be opened from the raw image by the device's key `seed`.
fn key_is_found(image: &[u8], id: u32, seed: u8) -> bool {
    const SEALED_KEY: usize = 32 + facelatch::flash::key::SEAL_OVERHEAD;
    let place = Namespace::PersonKey.key(id);
    image.windows(SEALED_KEY).any(|sealed| key(seed).open(place, sealed).is_ok())
}

#[test]
fn after_a_deletion_the_image_holds_no_key_that_opens_the_person() {
    let mut gallery = gallery(blank(), 1).expect("loads");
    let ben = enrol(&mut gallery, "Ben", 1).expect("enrolled");
    let cara = enrol(&mut gallery, "Cara", 3).expect("enrolled");
    let flash = flash_after(gallery);
    assert!(key_is_found(flash.image(), ben, 1), "the search finds what is there");
    let mut gallery = super::gallery(flash, 1).expect("loads");
    gallery.delete(ben).expect("deleted");
    let flash = flash_after(gallery);
    assert!(!key_is_found(flash.image(), ben, 1));
    assert!(key_is_found(flash.image(), cara, 1));
    let cleartext: Vec<u8> = template(1).embedding.iter().map(|&x| x as u8).collect();
    assert!(!flash.image().windows(16).any(|window| window == &cleartext[..16]));
}

#[test]
fn a_deletion_cut_at_any_byte_is_ended_by_the_next_start() {
    let mut before = gallery(blank(), 1).expect("loads");
    let ben = enrol(&mut before, "Ben", 1).expect("enrolled");
    let start = flash_after(before);
    let delete = |flash: SimFlash| {
        let mut gallery = gallery(flash, 1).expect("loads");
        let _cut_or_done = gallery.delete(ben);
        flash_after(gallery)
    };
    let changed = delete(start.clone()).traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in (1..=changed).filter(|cut| *cut < 200 || changed - cut < 200 || cut % 50 == 0) {
        let mut flash = start.clone();
        flash.cut_after(cut);
        flash = delete(flash);
        flash.power_up();
        let gallery = gallery(flash, 1).expect("the device starts");
        let enrolled = gallery.person(ben).is_some();
        assert_eq!(key_is_found(flash_after(gallery).image(), ben, 1), enrolled, "cut {cut}");
    }
}
