//! A map's region looked at before anybody repairs it: what is in it, and whether the repair would lose any.
//!
//! `sequential-storage` ends an interrupted erase or move by erasing pages. After a power cut that loses nothing;
//! after damage it could erase the only copy of a record. So the repair is rehearsed in memory first. It is right
//! when what it erases is
//!
//! * a copy of what is there afterwards (the page that was being filled), or
//! * in the oldest page, and every key of it is there afterwards (the page that was being emptied).
//!
//! Anything else is damage: then the region is left as it is, and what can be read is salvaged. So are records in
//! a page that looks unused, except in the oldest page: there an erase was cut that the library does not see.

use embedded_storage_async::nor_flash::NorFlash;
use sequential_storage::cache::{Cache, Uncached};
use sequential_storage::map::{MapConfig, MapStorage};

use super::map::{MAX_RECORD, Records, newest};
use super::ready;
use super::rehearsal::Rehearsal;

/// What was found in a region.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Finding {
    /// Nothing that a repair would lose. The erase of this page was cut and is to be done again.
    Sound { erase: Option<usize> },
    /// The repair would lose something: why, and the newest record of each key that can be read.
    Damaged { reason: String, records: Records },
}

/// Looks at a region whose bytes are `image`, on a chip like `F`.
pub(super) fn survey<F: NorFlash>(image: Vec<u8>) -> Finding {
    let pages: Vec<Page> = image.chunks(F::ERASE_SIZE).map(Page::read::<F>).collect();
    let before = |page: usize| (page + pages.len() - 1) % pages.len();
    let filling =
        (0..pages.len()).find(|&page| pages[page].is_filling() && !pages[before(page)].is_filling());
    let oldest = filling.map(|filling| (filling + 1) % pages.len());
    match rehearse::<F>(image, &pages, oldest) {
        Ok(()) => Finding::Sound { erase: oldest.filter(|&page| pages[page].looks_unused()) },
        Err(reason) => {
            let in_order = (0..pages.len()).map(|i| &pages[(oldest.unwrap_or(0) + i) % pages.len()]);
            Finding::Damaged { reason, records: in_order.flat_map(|page| page.items.clone()).collect() }
        }
    }
}

/// Lets the library repair a copy, and says what that loses.
fn rehearse<F: NorFlash>(image: Vec<u8>, pages: &[Page], oldest: Option<usize>) -> Result<(), String> {
    let size = image.len() as u32;
    let mut copy = Rehearsal::<F>::new(image);
    let after = newest(&mut copy, 0..size).map_err(|error| error.to_string())?;
    for (number, page) in pages.iter().enumerate() {
        let is_oldest = oldest == Some(number);
        let must_be_newest = copy.erased().contains(&number) && !is_oldest;
        let kept = |(key, record): &(u32, Vec<u8>)| {
            after.get(key).is_some_and(|found| !must_be_newest || found == record)
        };
        if page.looks_unused() && !is_oldest || !page.items.iter().all(kept) {
            return Err(format!("block {number} holds records that a repair would lose"));
        }
    }
    Ok(())
}

/// One page as it was found.
struct Page {
    begun: bool,
    full: bool,
    items: Vec<(u32, Vec<u8>)>,
}

impl Page {
    fn read<F: NorFlash>(bytes: &[u8]) -> Self {
        Self {
            begun: is_marked(bytes[0]),
            full: is_marked(bytes[F::ERASE_SIZE - 1]),
            items: items_of::<F>(bytes),
        }
    }

    fn is_filling(&self) -> bool {
        self.begun && !self.full
    }

    /// The library would write into it, although it holds records.
    fn looks_unused(&self) -> bool {
        !self.begun && !self.full && !self.items.is_empty()
    }
}

/// Whether most of a page marker is cleared, which is how `sequential-storage` reads it.
pub(super) fn is_marked(marker: u8) -> bool {
    marker.count_zeros() >= 4
}

/// All whole records of one page, in the order in which they were written, up to the first that is not whole.
pub(super) fn items_of<F: NorFlash>(page: &[u8]) -> Vec<(u32, Vec<u8>)> {
    if page.iter().all(|byte| *byte == 0xFF) {
        return Vec::new();
    }
    let mut bytes = page.to_vec();
    bytes[..F::WRITE_SIZE].fill(0);
    bytes[F::ERASE_SIZE - F::WRITE_SIZE..].fill(0xFF);
    bytes.resize(2 * F::ERASE_SIZE, 0xFF);
    let flash = Rehearsal::<F>::new(bytes);
    let Ok(config) = MapConfig::try_new(0..2 * F::ERASE_SIZE as u32) else { return Vec::new() };
    let mut storage: MapStorage<u32, _, Cache<Uncached, Uncached, Uncached, u32>> =
        MapStorage::new(flash, config, Cache::new_uncached());
    let mut buffer = vec![0; MAX_RECORD + 64];
    let mut found = Vec::new();
    if let Ok(mut items) = ready(storage.fetch_all_items(&mut buffer)) {
        let mut value = vec![0; MAX_RECORD + 64];
        while let Ok(Some((key, record))) = ready(items.next::<&[u8]>(&mut value)) {
            found.push((key, record.to_vec()));
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::sim::ERASE_SIZE;
    use crate::flash::{Map, MapError, SimFlash};

    const PAGES: usize = 4;

    /// A map that has gone round: page 0 is full and oldest or newest, some page is being filled.
    fn used(rounds: u32) -> SimFlash {
        let mut map = Map::new(SimFlash::new(PAGES), 0..(PAGES * ERASE_SIZE) as u32).expect("opens");
        for round in 0..rounds {
            map.set(round % 5, &vec![round as u8; 300]).expect("stored");
        }
        map.into_flash()
    }

    fn open(flash: SimFlash) -> Map<SimFlash> {
        Map::new(flash, 0..(PAGES * ERASE_SIZE) as u32).expect("opens")
    }

    #[test]
    fn what_was_written_without_a_cut_is_sound() {
        for rounds in [0, 1, 12, 13, 40, 60] {
            let finding = survey::<SimFlash>(used(rounds).image().to_vec());
            assert_eq!(finding, Finding::Sound { erase: None }, "{rounds}");
        }
    }

    #[test]
    fn a_page_whose_marker_is_damaged_is_not_erased_and_nothing_is_lost() {
        for (page, bits) in [(0, 6), (1, 8), (2, 7)] {
            let mut flash = used(30);
            (0..bits).for_each(|bit| flash.flip(page * ERASE_SIZE, bit));
            let before = flash.image().to_vec();
            let mut map = open(flash);
            assert!(map.damage().is_some(), "page {page}");
            let keys: Vec<u32> = map.all().expect("salvaged").into_iter().map(|(key, _)| key).collect();
            assert_eq!(keys, [0, 1, 2, 3, 4]);
            assert!(matches!(map.set(7, b"new"), Err(MapError::Damaged { .. })));
            assert!(map.into_flash().image() == before, "page {page} was changed");
        }
    }

    #[test]
    fn an_erase_that_was_cut_is_done_again_wherever_it_began() {
        for cleared in [0..2000, 2000..4096, 0..4096 - 8] {
            let mut image = used(30).image().to_vec();
            let filling = image.chunks(ERASE_SIZE).position(|page| page[0] == 0 && page[4095] == 0xFF);
            let oldest = (filling.expect("one page is being filled") + 1) % PAGES;
            // The oldest page is blank by now: its content before it was erased is that of its copy.
            let copy = image[(oldest + PAGES - 1) % PAGES * ERASE_SIZE..][..ERASE_SIZE].to_vec();
            image[oldest * ERASE_SIZE..][..ERASE_SIZE].copy_from_slice(&copy);
            image[(oldest + 1) * ERASE_SIZE - 4..][..4].fill(0);
            for at in cleared.clone() {
                image[oldest * ERASE_SIZE + at] = 0xFF;
            }
            let mut map = open(SimFlash::from_image(image));
            assert_eq!(map.damage(), None, "{cleared:?}");
            map.set(3, b"new").expect("stored");
            assert_eq!(map.all().expect("read").len(), 5);
        }
    }

    #[test]
    fn a_record_whose_head_is_damaged_costs_no_other_one() {
        let mut flash = used(5);
        flash.flip(4 + 4, 0);
        let keys: Vec<u32> = open(flash).all().expect("read").into_iter().map(|(key, _)| key).collect();
        assert_eq!(keys, [1, 2, 3, 4]);
    }
}
