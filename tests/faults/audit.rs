//! The log under power cuts, bit flips and ten years of use.

use super::PAGES;
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{AuditLog, Event, SimFlash};

fn open(flash: SimFlash) -> AuditLog<SimFlash> {
    let size = flash.image().len() as u32;
    AuditLog::open(flash, 0..size).expect("opens")
}

fn filled(pages: usize, entries: u64) -> SimFlash {
    let mut log = open(SimFlash::new(pages));
    for at_ms in 0..entries {
        log.push(at_ms, Event::Opened, Some(7), Some(0.5)).expect("logged");
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
    for entries in (0..3).chain(520..600) {
        let start = filled(PAGES, entries);
        let push = |flash: SimFlash| {
            let mut log = open(flash);
            let _cut_or_done = log.push(entries, Event::Unknown, None, Some(1.5));
            log.into_flash()
        };
        let (before, after) = (start.traffic(), push(start.clone()).traffic());
        let changed = after.changed_bytes - before.changed_bytes;
        erasing += after.erases - before.erases;
        for cut in 1..=changed {
            let mut flash = start.clone();
            flash.cut_after(cut);
            flash = push(flash);
            flash.power_up();
            let mut log = open(flash);
            log.push(entries + 1, Event::Started, None, None).expect("the log goes on");
            let (found, gaps) = log.entries().expect("read");
            assert_eq!(gaps, [], "{entries} entries, cut {cut} of {changed}");
            let mut whole = found.iter().filter(|entry| entry.event == Event::Opened);
            assert_eq!(whole.next_back().map(|entry| u64::from(entry.number) + 1).unwrap_or(0), entries);
        }
        cuts += changed;
    }
    println!("log: {cuts} cuts, none failed; {erasing} pages were erased");
    assert!(cuts > 5_000 && erasing > 0, "{cuts} cuts, {erasing} erases");
}

#[test]
fn ten_years_of_200_decisions_a_day_wear_less_than_a_tenth_of_the_chip() {
    let (pages, entries, decisions) = (64, 20_000, 10.0 * 365.25 * 200.0);
    let most = filled(pages, entries).erase_counts().iter().copied().max().unwrap_or(0);
    let in_ten_years = f64::from(most) / entries as f64 * decisions;
    println!(
        "log: {most} erases of the worst of {pages} pages for {entries} entries, {in_ten_years:.0} in ten years"
    );
    assert!(most > 0 && in_ten_years < 10_000.0, "{in_ten_years}");
}
