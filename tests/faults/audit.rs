//! The log under power cuts, bit flips and ten years of use.

use super::PAGES;
use facelatch::flash::audit::verify;
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{AuditLog, Event, Gap, Happening, MapError, Moment, Record, SimFlash};

fn open(flash: SimFlash) -> AuditLog<SimFlash> {
    let size = flash.image().len() as u32;
    AuditLog::open(flash, 0..size).expect("opens")
}

fn at(uptime_ms: u64) -> Moment {
    Moment { uptime_ms, unix_ms: Some(1_790_000_000_000 + uptime_ms) }
}

fn opened() -> Happening {
    Happening { distance: Some(0.5), ..Event::Opened.of(7) }
}

fn filled(pages: usize, entries: u64) -> SimFlash {
    let mut log = open(SimFlash::new(pages));
    for at_ms in 0..entries {
        log.push(at(at_ms), opened()).expect("logged");
    }
    log.into_flash()
}

#[test]
fn the_ring_keeps_the_newest_entries_and_its_chain_holds() {
    let (entries, gaps) = open(filled(PAGES, 1_000)).entries().expect("read");
    assert_eq!((gaps, entries.last().map(|entry| entry.number)), (Vec::new(), Some(999)));
    assert!(entries.len() > 300 && entries.len() < 1_000, "{}", entries.len());
}

#[test]
fn a_flipped_bit_in_any_entry_is_told() {
    let flash = filled(PAGES, 20);
    let used = flash.image().iter().rposition(|byte| *byte != 0xFF).expect("entries");
    let mut told = 0;
    for at in 4..used {
        let mut damaged = flash.clone();
        damaged.flip(at, 0);
        let Ok(mut log) = AuditLog::open(damaged, 0..(PAGES * ERASE_SIZE) as u32) else { continue };
        let Ok((entries, gaps)) = log.entries() else { continue };
        let cut_short = entries.last().map(|entry| entry.number) != Some(19);
        let oldest_lost = entries.first().map(|entry| entry.number) != Some(0);
        let whole = entries.len() == 20 && gaps.is_empty();
        assert!(whole || !gaps.is_empty() || cut_short || oldest_lost, "byte {at}");
        told += usize::from(!gaps.is_empty());
    }
    assert!(told > 500, "{told}");
}

#[test]
fn a_cut_at_any_byte_of_an_entry_keeps_all_that_was_logged() {
    let (mut cuts, mut erasing) = (0, 0);
    // The first entries, those that begin a block, and one that erases.
    for entries in (0..3).chain(54..66).chain(400..600) {
        let start = filled(PAGES, entries);
        let push = |flash: SimFlash| {
            let mut log = open(flash);
            let _cut_or_done = log.push(at(entries), Happening { event: Event::Unknown, ..opened() });
            log.into_flash()
        };
        let (before, after) = (start.traffic(), push(start.clone()).traffic());
        let changed = after.changed_bytes - before.changed_bytes;
        let erases = after.erases - before.erases;
        if erasing > 0 || entries >= 400 && erases == 0 {
            continue;
        }
        erasing += erases;
        for cut in 1..=changed {
            let mut flash = start.clone();
            flash.cut_after(cut);
            flash = push(flash);
            flash.power_up();
            let mut log = open(flash);
            log.push(at(entries + 1), Event::Started).expect("the log goes on");
            let (found, gaps) = log.entries().expect("read");
            assert_eq!(gaps, [], "{entries} entries, cut {cut} of {changed}");
            let mut whole = found.iter().filter(|entry| entry.what.event == Event::Opened);
            assert_eq!(whole.next_back().map(|entry| u64::from(entry.number) + 1).unwrap_or(0), entries);
        }
        cuts += changed;
    }
    println!("log: {cuts} cuts, none failed; {erasing} pages were erased");
    assert!(cuts > 5_000 && erasing > 0, "{cuts} cuts, {erasing} erases");
}

#[test]
fn whoever_asks_page_by_page_gets_the_whole_log_in_order() {
    for entries in [0, 1, 59, 60, 200, 3_000] {
        let mut log = open(filled(PAGES, entries));
        let (whole, mut pages, mut from) = (log.records().expect("read"), Vec::new(), 0);
        loop {
            let page = log.page(from).expect("read");
            let Some(last) = page.iter().rev().find_map(Record::entry) else { break };
            from = last.number + 1;
            pages.extend(page);
        }
        assert_eq!(pages, whole, "{entries} entries");
        assert_eq!(u64::from(log.next_number()), entries);
        let newest = log.page(log.next_number().saturating_sub(1)).expect("read");
        assert_eq!(newest.as_slice(), whole.last().map_or(&[][..], std::slice::from_ref));
    }
}

#[test]
fn an_entry_that_was_taken_out_altered_or_moved_is_told() {
    let records = open(filled(PAGES, 10)).records().expect("read");
    let gaps = |records: &[Record]| verify(records).1;
    assert_eq!(gaps(&records), []);
    let taken = [&records[..4], &records[6..]].concat();
    assert_eq!(gaps(&taken), [Gap::Missing(4, 5)]);
    let mut altered = records.clone();
    *altered[3].body.last_mut().expect("a body") ^= 1;
    assert_eq!(gaps(&altered), [Gap::Altered(3), Gap::Missing(3, 3)]);
    let mut moved = records;
    moved.swap(2, 3);
    assert!(gaps(&moved).contains(&Gap::Unlinked(2)));
}

#[test]
fn an_erase_that_was_cut_anywhere_is_ended_and_the_log_goes_on() {
    let start = filled(PAGES, 1_000);
    let newest = (0..PAGES).find(|page| {
        let image = start.image();
        image[page * ERASE_SIZE] == 0 && image[(page + 1) * ERASE_SIZE - 1] == 0xFF
    });
    let oldest = (newest.expect("one page is being filled") + 1) % PAGES;
    for cleared in [0..2_000, 2_000..ERASE_SIZE, 0..ERASE_SIZE - 4, 100..ERASE_SIZE, 0..ERASE_SIZE] {
        let mut image = start.image().to_vec();
        image[oldest * ERASE_SIZE..][cleared.clone()].fill(0xFF);
        image[oldest * ERASE_SIZE + ERASE_SIZE - 4..][..4].fill(0xFF);
        image[oldest * ERASE_SIZE..][..4].fill(0xFF);
        let mut log = open(SimFlash::from_image(image));
        for more in 0..100 {
            log.push(at(1_000 + more), Event::Started).expect("logged");
        }
        let (entries, gaps) = log.entries().expect("read");
        assert_eq!(
            (gaps, entries.last().map(|entry| entry.number)),
            (Vec::new(), Some(1_099)),
            "{cleared:?}"
        );
    }
}

#[test]
fn what_is_no_log_is_refused_and_left_as_it_is() {
    let mut image = vec![0xFF; PAGES * ERASE_SIZE];
    image[5_000..9_000].fill(0x5A);
    let refused = AuditLog::open(SimFlash::from_image(image), 0..(PAGES * ERASE_SIZE) as u32);
    assert!(matches!(refused, Err(MapError::Damaged { .. })));
}
