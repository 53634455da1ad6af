//! Deleted means gone: the raw image is searched with the device's key in hand.

use super::{PAGES, gallery, key, template};
use facelatch::flash::{Namespace, SimFlash};
use facelatch::gallery::Role;

/// Whether a key that person `id` had can be opened from the raw image by the device's key `seed`.
fn key_is_found(image: &[u8], id: u32, seed: u8) -> bool {
    const SEALED_KEY: usize = 32 + facelatch::flash::key::SEAL_OVERHEAD;
    let place = Namespace::PersonKey.key(id);
    image.windows(SEALED_KEY).any(|sealed| key(seed).open(place, sealed).is_ok())
}

#[test]
fn after_a_deletion_the_image_holds_no_key_that_opens_the_person() {
    let mut gallery = gallery(SimFlash::new(PAGES), 1).expect("loads");
    let ben = gallery.enrol("Ben", Role::Resident, &[template(1)]).expect("enrolled");
    let cara = gallery.enrol("Cara", Role::Resident, &[template(2)]).expect("enrolled");
    let mut flash = gallery.into_map().into_flash();
    assert!(key_is_found(flash.image(), ben, 1), "the search finds what is there");
    let mut gallery = super::gallery(flash, 1).expect("loads");
    gallery.delete(ben).expect("deleted");
    flash = gallery.into_map().into_flash();
    assert!(!key_is_found(flash.image(), ben, 1));
    assert!(key_is_found(flash.image(), cara, 1));
    let cleartext: Vec<u8> = template(1).embedding.iter().map(|&x| x as u8).collect();
    assert!(!flash.image().windows(16).any(|window| window == &cleartext[..16]));
}

#[test]
fn a_deletion_cut_at_any_byte_is_ended_by_the_next_start() {
    let mut before = gallery(SimFlash::new(PAGES), 1).expect("loads");
    let ben = before.enrol("Ben", Role::Resident, &[template(1)]).expect("enrolled");
    let start = before.into_map().into_flash();
    let delete = |flash: SimFlash| {
        let mut gallery = gallery(flash, 1).expect("loads");
        let _cut_or_done = gallery.delete(ben);
        gallery.into_map().into_flash()
    };
    let changed = delete(start.clone()).traffic().changed_bytes - start.traffic().changed_bytes;
    for cut in 1..=changed {
        let mut flash = start.clone();
        flash.cut_after(cut);
        flash = delete(flash);
        flash.power_up();
        let gallery = gallery(flash, 1).expect("the device starts");
        let enrolled = gallery.person(ben).is_some();
        assert_eq!(key_is_found(gallery.into_map().into_flash().image(), ben, 1), enrolled, "cut {cut}");
    }
}
