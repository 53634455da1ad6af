//! Years at the door: how often each page is erased.

use super::board::{Lock, blank};
use facelatch::board::BOARD;
use facelatch::board::schema::Region;
use facelatch::flash::sim::ERASE_SIZE;

const DECISIONS_A_DAY: u64 = 200;
/// Unknown visitors that are kept: as many as a board may ask for.
const VISITORS: usize = 1_000;
/// Erase cycles that a serial NOR chip promises.
///
/// # Source
/// Winbond W25Q128JV datasheet, features: "min. 100K program-erase cycles per sector".
const PROMISED: f64 = 100_000.0;

/// Years that are lived through, the rest of ten is extrapolated; ten with `FACELATCH_YEARS=10`.
fn years() -> u64 {
    std::env::var("FACELATCH_YEARS").ok().and_then(|years| years.parse().ok()).unwrap_or(1)
}

/// A day of decisions; every week a start, and somebody comes and somebody goes; every month new models.
fn live(lock: &mut Lock, day: u64) {
    (0..DECISIONS_A_DAY).for_each(|_| lock.decide());
    if day.is_multiple_of(7) {
        lock.restart();
        let oldest = lock.gallery.people().first().map(|person| person.id).expect("somebody lives here");
        lock.delete(oldest);
        lock.enrol(day as u8);
    }
    if day.is_multiple_of(30) {
        lock.update(day as u32 / 30 + 1, 2 << 20);
    }
}

#[test]
fn ten_years_of_200_decisions_a_day_wear_less_than_a_tenth_of_each_part() {
    let mut lock = Lock::start_with(blank(), VISITORS);
    for seed in 0..10 {
        lock.enrol(seed);
    }
    let years = years();
    (0..years * 365).for_each(|day| live(&mut lock, day));
    let flash = lock.stop();
    let map = &BOARD.flash;
    let parts: [(&str, Region); 6] = [
        ("gallery", map.gallery),
        ("crops", map.crops),
        ("audit", map.audit),
        ("slot a", map.slot_a),
        ("slot b", map.slot_b),
        ("boot", map.boot),
    ];
    println!("{years} of ten years lived; erases of a page in ten years, at most, of {PROMISED:.0}");
    for (name, Region { offset, size }) in parts {
        let pages = offset as usize / ERASE_SIZE..(offset + size) as usize / ERASE_SIZE;
        let erases = &flash.erase_counts()[pages];
        // One more than was counted: the next erase may have been near.
        let in_ten = |erases: u32| (f64::from(erases) + 1.0) * 10.0 / years as f64;
        let worst = in_ten(erases.iter().copied().max().unwrap_or(0));
        let mean = erases.iter().copied().map(in_ten).sum::<f64>() / erases.len() as f64;
        println!(
            "{name:<8} {:>5} pages, worst {worst:>5.0}, mean {mean:>6.1}  {}",
            erases.len(),
            picture(erases)
        );
        assert!(worst < PROMISED / 10.0, "{name}: {worst}");
    }
}

/// The counters as 48 bars, each the highest of its pages, relative to the part's highest.
fn picture(erases: &[u32]) -> String {
    let highest = erases.iter().copied().max().unwrap_or(0).max(1);
    let bar = |pages: &[u32]| {
        let height = pages.iter().copied().max().unwrap_or(0) * 8 / highest;
        [' ', '▁', '▂', '▃', '▄', '▅', '▆', '▇', '█'][height as usize]
    };
    erases.chunks(erases.len().div_ceil(48)).map(bar).collect()
}
