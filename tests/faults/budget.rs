//! What each operation costs the chip, exactly: reads, writes, erases. A change of a number here is a decision.

use super::board::{Lock, blank, face};
use super::key;
use facelatch::flash::sim::Traffic;
use facelatch::flash::{DeviceKey, Event, Happening, KeyError, KeyPlace};
use facelatch::gallery::Gallery;

const PEOPLE: u8 = 20;

/// Operation; calls of read and bytes read, calls of write, pages erased, bytes changed.
type Cost = (&'static str, [u64; 5]);

fn spent(before: Traffic, after: Traffic) -> [u64; 5] {
    [
        after.reads - before.reads,
        after.read_bytes - before.read_bytes,
        after.writes - before.writes,
        after.erases - before.erases,
        after.changed_bytes - before.changed_bytes,
    ]
}

fn cost(lock: &mut Lock, name: &'static str, operation: impl FnOnce(&mut Lock)) -> Cost {
    let traffic = |lock: &Lock| lock.flash.with_flash(|flash| flash.traffic());
    let before = traffic(lock);
    operation(lock);
    (name, spent(before, traffic(lock)))
}

/// A place whose key is being changed from the first to the second.
#[derive(Default)]
pub struct Changing(bool);

impl KeyPlace for Changing {
    fn current(&mut self) -> Result<DeviceKey, KeyError> {
        Ok(key(1))
    }

    fn proposed(&mut self) -> Result<Option<DeviceKey>, KeyError> {
        Ok((!self.0).then(|| key(2)))
    }

    fn propose(&mut self, _: &DeviceKey) -> Result<(), KeyError> {
        Ok(())
    }

    fn adopt(&mut self) -> Result<(), KeyError> {
        self.0 = true;
        Ok(())
    }
}

#[test]
fn each_operation_costs_what_it_did() {
    let mut lock = Lock::start(blank());
    for seed in 0..PEOPLE {
        lock.enrol(seed);
    }
    let opened = Happening { distance: Some(0.5), ..Event::Opened.of(7) };
    (0..20).for_each(|_| lock.note(opened));
    lock.gallery.keep_visitors(100).expect("nobody is kept so far");
    let costs = [
        cost(&mut lock, "start", Lock::restart),
        cost(&mut lock, "decision logged", |lock| lock.note(opened)),
        cost(&mut lock, "failures kept", |lock| lock.keep_failures(1)),
        cost(&mut lock, "enrolment", |lock| {
            lock.enrol(100);
        }),
        cost(&mut lock, "new enrolment", |lock| {
            let (templates, crops) = face(101);
            lock.gallery.enrol_again(3, &templates, &crops).expect("enrolled");
        }),
        cost(&mut lock, "deletion", |lock| lock.delete(5)),
        cost(&mut lock, "newest entries read", |lock| {
            let from = lock.log.next_number() - 5;
            assert_eq!(lock.log.page(from).expect("read").len(), 5);
        }),
        cost(&mut lock, "update, 1 MiB", |lock| lock.update(2, 1 << 20)),
        cost(&mut lock, "first visitor kept", |lock| lock.keep_visit(30)),
        cost(&mut lock, "visitor kept", |lock| lock.keep_visit(31)),
        cost(&mut lock, "visitors read", |lock| assert_eq!(lock.gallery.visits().expect("read").len(), 2)),
        cost(&mut lock, "visitors forgotten", |lock| lock.gallery.forget_visitors().expect("forgotten")),
        cost(&mut lock, "key changed", |lock| {
            Gallery::<super::board::Part>::device_key(lock.gallery.map(), &mut Changing::default())
                .expect("changed");
        }),
    ];
    println!("{:<20} {:>7} {:>9} {:>7} {:>7} {:>9}", "", "reads", "bytes", "writes", "erases", "changed");
    for (name, [reads, bytes, writes, erases, changed]) in costs {
        println!("{name:<20} {reads:>7} {bytes:>9} {writes:>7} {erases:>7} {changed:>9}");
    }
    assert_eq!(costs, BUDGET);
}

/// With 20 people of five templates and pictures, on the simulated board's map.
const BUDGET: [Cost; 13] = [
    ("start", [2055, 3_616_884, 2, 0, 60]),
    ("decision logged", [2, 64, 2, 0, 64]),
    ("failures kept", [16, 114, 2, 0, 16]),
    ("enrolment", [16, 46_128, 14, 0, 23_544]),
    ("new enrolment", [19, 103_060, 4, 6, 47_796]),
    ("deletion", [168, 2_695_088, 42, 6, 24_800]),
    ("newest entries read", [113, 22_016, 0, 0, 0]),
    ("update, 1 MiB", [403, 4_199_760, 269, 257, 2_102_040]),
    ("first visitor kept", [6, 292, 6, 0, 292]),
    ("visitor kept", [3, 204, 3, 0, 204]),
    ("visitors read", [310, 42_860, 0, 0, 0]),
    ("visitors forgotten", [189, 5_265_480, 24, 0, 104]),
    ("key changed", [1125, 5_288_616, 820, 0, 4800]),
];
