//! Any bytes as the flash: an error or damage that is told, never a panic or a person who was not enrolled.

use super::{ALL_PAGES, PAGES, blank, enrol, flash_after, gallery, template};
use facelatch::flash::SimFlash;
use facelatch::flash::sim::ERASE_SIZE;
use proptest::prelude::*;

/// More in a nightly run: `FACELATCH_IMAGES=100000`.
fn images() -> u32 {
    std::env::var("FACELATCH_IMAGES").ok().and_then(|count| count.parse().ok()).unwrap_or(2_000)
}

fn inhabited() -> SimFlash {
    let mut gallery = gallery(blank(), 1).expect("loads");
    for seed in 0..4 {
        enrol(&mut gallery, "Anna", seed).expect("enrolled");
    }
    flash_after(gallery)
}

proptest! {
    #![proptest_config(ProptestConfig { cases: images(), failure_persistence: None, ..Default::default() })]

    #[test]
    fn random_images_hold_nobody(seed in any::<u64>(), density in 0_u32..=8) {
        let mut state = seed | 1;
        let mut random = || {
            state ^= state << 13;
            state ^= state >> 7;
            state ^= state << 17;
            state
        };
        let mut image = vec![0xFF; ALL_PAGES * ERASE_SIZE];
        for byte in &mut image[..PAGES * ERASE_SIZE] {
            if random() % 8 < u64::from(density) {
                *byte = random() as u8;
            }
        }
        if let Ok(gallery) = gallery(SimFlash::from_image(image), 1) {
            prop_assert!(gallery.people().is_empty());
        }
    }

    #[test]
    fn damaged_images_hold_nobody_else(damage in prop::collection::vec((0..PAGES * 4096, 0_u8..8), 1..60)) {
        let mut flash = inhabited();
        for (at, bit) in damage {
            flash.flip(at % 3000, bit);
            flash.flip(at, bit);
        }
        if let Ok(gallery) = gallery(flash, 1) {
            for person in gallery.people() {
                prop_assert_eq!(&person.templates[0], &template(person.id as u8 - 1));
            }
        }
    }
}

#[test]
fn a_worn_page_ends_writing_and_the_gallery_keeps_deciding_from_memory() {
    let mut flash = inhabited();
    (0..PAGES).for_each(|page| flash.wear_out(page));
    let mut gallery = gallery(flash, 1).expect("it can be read");
    assert!(enrol(&mut gallery, "Ben", 9).is_err());
    assert_eq!(gallery.people().len(), 4);
    assert_eq!(gallery.nearest(&template(0)).map(|found| (found.person, found.distance)), Some((1, 0.0)));
}
