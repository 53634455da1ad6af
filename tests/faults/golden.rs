//! Images of every format version that ever was, and the readers that still take them.
//!
//! `FACELATCH_WRITE_GOLDEN=1 cargo test --test faults golden` writes images of the versions that have none yet. One that is
//! there is never written again: it is what devices have. The device key is 32 times 0x2A.
//!
//! ```text
//! tests/data/flash/1.bin   person 1, log entries 1 (made by hand from the picture of bytes in each module)
//! tests/data/flash/2.bin   person 2 with crops 1, staged templates 1, threshold 1, log entries 2, boot record 1, slot 1
//! tests/data/flash/3.bin   person 3: with PIN and hours
//! ```

use std::fs;
use std::path::PathBuf;

use facelatch::face::align::CROP_BYTES;
use facelatch::face::template::Template;
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{
    AuditLog, DeviceKey, Event, Happening, Layout, Map, Moment, Namespace, Partitions, Reason, SimFlash,
    Slots,
};
use facelatch::gallery::{Access, Calibrated, Crop, CropStore, Enrolment, Gallery, Pin, Role};
use sequential_storage::cache::Cache;
use sequential_storage::queue::{QueueConfig, QueueStorage};
use sha2::{Digest, Sha256};

use super::{flash_of, template};

const SEED: u8 = 0x2A;

fn key() -> DeviceKey {
    super::key(SEED)
}

/// 26 pages: as small as every part allows.
fn layout() -> Layout {
    let pages = |from: usize, to: usize| (from * ERASE_SIZE) as u32..(to * ERASE_SIZE) as u32;
    Layout {
        gallery: pages(0, 2),
        audit: pages(2, 4),
        boot: pages(4, 6),
        slot_a: pages(6, 8),
        slot_b: pages(8, 10),
        crops: pages(10, 26),
    }
}

fn parts(flash: SimFlash) -> Partitions<SimFlash> {
    layout().divide(flash).expect("the layout fits")
}

fn path(version: u32) -> PathBuf {
    PathBuf::from(env!("CARGO_MANIFEST_DIR")).join(format!("tests/data/flash/{version}.bin"))
}

/// The kept image of a version; made first if it is asked for and not there.
fn image(version: u32, make: fn() -> SimFlash) -> SimFlash {
    let path = path(version);
    if std::env::var_os("FACELATCH_WRITE_GOLDEN").is_some() && !path.exists() {
        fs::create_dir_all(path.parent().expect("a folder")).expect("made");
        fs::write(&path, make().image()).expect("written");
    }
    SimFlash::from_image(fs::read(&path).expect("the image of this version is kept"))
}

fn templates(seed: u8) -> [Template; 2] {
    [template(seed), template(seed + 1)]
}

fn crop() -> Crop {
    Crop { quality: 150, pixels: Box::new([90; CROP_BYTES]) }
}

fn package() -> Vec<u8> {
    (0..3_000_u32).map(|at| (at / 11) as u8).collect()
}

/// Person 1: name, role, templates. Log entry 1: number, uptime, event, person, distance, linked without its version.
fn version_1() -> SimFlash {
    let parts = parts(SimFlash::new(26));
    let mut map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages");
    let (person_key, key_place) = (DeviceKey::from_bytes([7; 32]), Namespace::PersonKey.key(1));
    map.set(key_place, &key().seal_key(key_place, &person_key).expect("sealed")).expect("stored");
    let person =
        postcard::to_allocvec(&("Anna", Role::Administrator, templates(1).as_slice())).expect("bytes");
    let place = Namespace::Person.key(1);
    let sealed = person_key.seal(place, &[&[1][..], &person].concat()).expect("sealed");
    map.set(place, &sealed).expect("stored");
    let config = QueueConfig::try_new(0..parts.audit.size()).expect("whole pages");
    let mut queue = QueueStorage::new(parts.audit.clone(), config, Cache::new_uncached());
    let mut before = [0_u8; 16];
    for (number, event, person, distance) in
        [(0_u32, Event::Started, None, None), (1, Event::Opened, Some(1_u32), Some(0.25_f32))]
    {
        let entry = postcard::to_allocvec(&(number, 1_000_u64, event, person, distance)).expect("bytes");
        let digest = Sha256::new().chain_update(before).chain_update(&entry).finalize();
        let link: [u8; 16] = std::array::from_fn(|at| digest[at]);
        ready(queue.push(&[&[1][..], &before, &link, &entry].concat(), true)).expect("logged");
        before = link;
    }
    flash_of(&parts.audit)
}

/// The result of a future that never waits.
fn ready<T>(future: impl Future<Output = T>) -> T {
    let mut future = std::pin::pin!(future);
    let mut context = std::task::Context::from_waker(std::task::Waker::noop());
    match future.as_mut().poll(&mut context) {
        std::task::Poll::Ready(result) => result,
        std::task::Poll::Pending => panic!("memory never waits"),
    }
}

fn version_2() -> SimFlash {
    let parts = parts(SimFlash::new(26));
    let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages");
    let mut gallery = Gallery::load(map, CropStore::new(parts.crops.clone()), key(), 10).expect("loads");
    let (templates, crops) = (templates(1), [crop()]);
    let who = Enrolment { name: "Anna", role: Role::Administrator, templates: &templates, crops: &crops };
    let anna = gallery.enrol(&who).expect("enrolled");
    let staged = template(9);
    gallery.stage(anna, &[Template { embedding_id: 2, ..staged }]).expect("staged");
    Calibrated { embedding_id: 1, threshold: 0.75 }.write(gallery.map()).expect("written");
    let mut log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
    for (at, what) in logged() {
        log.push(at, what).expect("logged");
    }
    let mut slots = Slots::open(&parts).expect("opens");
    let hash = Sha256::digest(package());
    slots.begin(3_000, std::array::from_fn(|at| hash[at])).expect("announced");
    slots.write(0, &package()).expect("stored");
    let image = slots.finish(3).expect("whole");
    slots.try_out(image).expect("on trial");
    slots.confirm().expect("confirmed");
    flash_of(&parts.audit)
}

const HOURS: &str = "mon-fri 08:00-18:30; sat 10:00-14:00";

fn version_3() -> SimFlash {
    let parts = parts(SimFlash::new(26));
    let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages");
    let mut gallery = Gallery::load(map, CropStore::new(parts.crops.clone()), key(), 10).expect("loads");
    let templates = templates(1);
    let who = Enrolment { name: "Anna", role: Role::Administrator, templates: &templates, crops: &[] };
    let anna = gallery.enrol(&who).expect("enrolled");
    let access = Access { pin: Pin::new("2580").ok(), hours: HOURS.parse().ok() };
    gallery.set_access(anna, access).expect("kept");
    flash_of(&parts.gallery)
}

fn logged() -> [(Moment, Happening); 3] {
    let at = Moment { uptime_ms: 1_000, unix_ms: Some(1_790_000_000_000) };
    [
        (Moment::default(), Event::Started.into()),
        (at, Happening { distance: Some(0.25), ..Event::Opened.of(1) }),
        (at, Event::NotEnrolled.because(Reason::TwoFaces)),
    ]
}

/// Anna as she was enrolled, in all versions.
fn anna_of(parts: &Partitions<SimFlash>) -> Gallery<facelatch::flash::Partition<SimFlash>> {
    let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).expect("whole pages");
    assert_eq!(map.damage(), None);
    let gallery = Gallery::load(map, CropStore::new(parts.crops.clone()), key(), 10).expect("loads");
    let [anna] = gallery.people() else { panic!("{:?}", gallery.people().len()) };
    assert_eq!((anna.id, &*anna.name, anna.role), (1, "Anna", Role::Administrator));
    assert_eq!(anna.templates.as_slice(), templates(1));
    gallery
}

#[test]
fn an_image_of_version_1_is_read() {
    let parts = parts(image(1, version_1));
    let mut gallery = anna_of(&parts);
    assert!(gallery.crops(1).expect("none were kept").is_empty());
    let mut log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
    log.push(Moment::default(), Event::Stopped).expect("goes on in the present version");
    let (entries, gaps) = log.entries().expect("read");
    let events: Vec<Happening> = entries.iter().map(|entry| entry.what).collect();
    let opened = Happening { distance: Some(0.25), ..Event::Opened.of(1) };
    assert_eq!((events, gaps), (vec![Event::Started.into(), opened, Event::Stopped.into()], Vec::new()));
    assert_eq!(entries[1].at, Moment { uptime_ms: 1_000, unix_ms: None });
}

#[test]
fn an_image_of_version_3_is_read() {
    let gallery = anna_of(&parts(image(3, version_3)));
    let Access { pin, hours } = &gallery.people()[0].access;
    assert!(pin.is_some_and(|pin| pin.is("2580") && !pin.is("2581")));
    assert_eq!(hours.as_ref().map(ToString::to_string).as_deref(), Some(HOURS));
}

#[test]
fn an_image_of_version_2_is_read() {
    let parts = parts(image(2, version_2));
    let mut gallery = anna_of(&parts);
    assert_eq!(gallery.people()[0].access, Access::default());
    assert_eq!(gallery.crops(1).expect("read").iter().map(|crop| crop.quality).collect::<Vec<_>>(), [150]);
    let kept = Calibrated::read(gallery.map()).expect("read");
    assert_eq!(kept, Some(Calibrated { embedding_id: 1, threshold: 0.75 }));
    assert!(gallery.use_embedder(2).expect("read").is_empty(), "the staged templates are there");
    let mut log = AuditLog::open(parts.audit.clone(), 0..parts.audit.size()).expect("opens");
    let (entries, gaps) = log.entries().expect("read");
    let found: Vec<(Moment, Happening)> = entries.iter().map(|entry| (entry.at, entry.what)).collect();
    assert_eq!((found, gaps), (logged().to_vec(), Vec::new()));
    let mut slots = Slots::open(&parts).expect("opens");
    let active = slots.record().active.expect("confirmed");
    assert_eq!((active.version, slots.record().floor), (3, 3));
    assert_eq!(slots.read(&active).expect("whole"), package());
}
