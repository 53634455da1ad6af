//! A whole device but for its camera, on a simulated flash and with time that only the test moves; a computer's
//! line ends at its cable.

use std::time::Duration;

use facelatch::board::BOARD;
use facelatch::door::Event;
use facelatch::door::panel::Panel;
use facelatch::door::signal::Pattern;
use facelatch::face::models::ModelFolder;
use facelatch::face::template::Template;
use facelatch::firmware::device::{Device, Kept, policy_of};
use facelatch::firmware::errand::Where;
use facelatch::firmware::journal::Journal;
use facelatch::firmware::judge::{Judge, Liveness};
use facelatch::firmware::link::Link;
use facelatch::firmware::ready::Ready;
use facelatch::firmware::upgrade::{Keeper, OwnerLink, Site};
use facelatch::flash::{DeviceKey, Layout, Map, Partition, Partitions, SimFlash};
use facelatch::gallery::{Crop, CropStore, Enrolment, Gallery, MatchPolicy, Role};

use crate::line::{FarEnd, LOCK_PERIOD};
use crate::students::Student;

/// Erase blocks of 4 KiB: gallery, crops, audit, two slots (large ones for packages of trained networks), boot record.
const BLOCKS: [u32; 6] = [8, 32, 2, 16, 16, 2];
const LARGE_SLOT: u32 = 320;
const BAUD: u32 = 115_200;

pub struct NoPanel;

impl Panel for NoPanel {
    fn strike(&mut self, driven: bool, _: Duration) {
        assert!(!driven, "nobody stands at this door");
    }
    fn show(&mut self, _: Pattern, _: Duration) {}
    fn watch(&mut self, _: Duration) {}
    fn is_broken(&self) -> bool {
        false
    }
}

fn blocks(student: Student) -> [u32; 6] {
    let [gallery, crops, audit, slot_a, slot_b, boot] = BLOCKS;
    if student.is_trained() {
        [gallery, crops, audit, LARGE_SLOT, LARGE_SLOT, boot]
    } else {
        [gallery, crops, audit, slot_a, slot_b, boot]
    }
}

fn layout(student: Student) -> Layout {
    let mut at = 0;
    let mut ranges = blocks(student)
        .map(|blocks| {
            let begin = at;
            at += blocks * 4096;
            begin..at
        })
        .into_iter();
    let mut next = || ranges.next().expect("six parts");
    Layout { gallery: next(), crops: next(), audit: next(), slot_a: next(), slot_b: next(), boot: next() }
}

/// A flash for a device whose first models are those of `student`.
pub fn blank(student: Student) -> SimFlash {
    SimFlash::new(blocks(student).iter().sum::<u32>() as usize)
}

/// The picture of a face that is none: patches of one colour, another for each person.
pub fn crop(person: u32) -> Crop {
    let mut pixels = Box::new([0; 112 * 112 * 3]);
    for (at, value) in pixels.iter_mut().enumerate() {
        let (row, column, channel) = (at / 336 / 16, at % 336 / 48, at % 3);
        *value = ((row * 37 + column * 61 + channel * 17) as u32 * (person + 3) % 251) as u8;
    }
    Crop { quality: 200, pixels }
}

type DeskFlash = Partition<SimFlash>;

/// The device with power.
pub struct Running {
    pub device: Device<DeskFlash, NoPanel>,
    pub link: OwnerLink<SimFlash>,
    pub parts: Partitions<SimFlash>,
    ready: Ready,
    baud: u32,
}

impl Running {
    /// Starts with what is in the flash; factory models are those of `student`.
    pub fn start(flash: SimFlash, student: Student, now: Duration) -> Self {
        let parts = layout(student).divide(flash).unwrap();
        let mut gallery = gallery(&parts);
        let factory = || ModelFolder::read(student.folder());
        let site = Site::of(&BOARD, Where::Here);
        let (keeper, ready) = Keeper::start(parts.clone(), &mut gallery, site, &factory, now).unwrap();
        let judge =
            Judge::new(MatchPolicy { threshold: ready.threshold as f32, margin: 0.0 }, Liveness::Required);
        let kept = Kept { gallery, journal: Journal::open(parts.audit.clone(), || None) };
        let device = Device::new(judge, kept, NoPanel, policy_of(&BOARD), now).unwrap();
        Self { device, link: OwnerLink::new(keeper, BAUD), parts, ready, baud: BAUD }
    }

    /// The flash, as it is at this moment.
    pub fn flash(&self) -> SimFlash {
        self.parts.gallery.with_flash(|flash| flash.clone())
    }

    /// The flash, after the power is gone.
    pub fn cut(self) -> SimFlash {
        self.flash()
    }

    /// Somebody presses the enrol button and holds it.
    pub fn press(&mut self) {
        for down in [false, true] {
            self.device.happen(&Event::Button(down), Duration::ZERO);
        }
    }

    pub fn version(&self) -> u32 {
        self.link.keeper().version()
    }

    /// The template of a person's picture by the embedder in use.
    pub fn probe(&mut self, person: u32) -> Template {
        let crop = crop(person);
        self.ready.analyzer.embed(&crop.pixels, crop.quality).unwrap()
    }

    /// Lets the device work until it has nothing to do by itself.
    pub fn settle(&mut self, now: Duration) {
        while self.link.keeper().is_working() {
            self.turn(now);
        }
    }

    /// Everybody must be recognised by the picture of their enrolment, and as nobody else.
    pub fn expect_everybody(&mut self, people: u32, when: &str) {
        for person in 1..=people {
            let probe = self.probe(person);
            let found = self.device.gallery().nearest(&probe).unwrap();
            let accepted = found.is_accepted(self.device.judge().policy());
            assert!(accepted && found.person == person, "{when}: person {person} is taken for {found:?}");
        }
    }

    /// The device's end of the cable.
    pub fn line(&mut self) -> &mut DeskLink {
        &mut self.link
    }

    /// One turn of the device's loop; whether there is more to do at once.
    pub fn turn(&mut self, now: Duration) -> bool {
        self.link.work(&mut self.device, now) == Some(Duration::ZERO)
    }
}

type DeskLink = dyn Link<DeskFlash, NoPanel>;

fn gallery(parts: &Partitions<SimFlash>) -> Gallery<DeskFlash> {
    let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).unwrap();
    Gallery::load(map, CropStore::new(parts.crops.clone()), DeviceKey::from_bytes([7; 32]), 10).unwrap()
}

/// A flash with so many people, enrolled under `student`; the last ones without pictures.
pub fn enrolled(student: Student, people: u32, without_pictures: u32) -> SimFlash {
    let mut running = Running::start(blank(student), student, Duration::ZERO);
    for person in 1..=people {
        let template = running.probe(person);
        let kept = if person > people - without_pictures { vec![] } else { vec![crop(person)] };
        let name = format!("person {person}");
        let enrolment =
            Enrolment { name: &name, role: Role::Administrator, templates: &[template], crops: &kept };
        assert_eq!(running.device.gallery_mut().enrol(&enrolment).unwrap(), person);
    }
    running.cut()
}

/// A device that hangs at a line, through all its starts.
pub struct Desk {
    student: Student,
    /// Only taken away while it starts anew.
    running: Option<Running>,
    now: Duration,
    lines: u64,
    pub restarts: u32,
}

impl Desk {
    pub fn new(flash: SimFlash, student: Student) -> Self {
        Self {
            student,
            running: Some(Running::start(flash, student, Duration::ZERO)),
            now: Duration::ZERO,
            lines: 1,
            restarts: 0,
        }
    }

    pub fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("it runs")
    }

    /// Goes on with nobody at the cable.
    pub fn go_on(mut self: &mut Self, time: Duration) {
        let until = self.now + time;
        while self.now < until {
            let now = self.now + LOCK_PERIOD;
            if self.wants_restart() {
                self.restart(now);
            }
            self.work(now);
            self.output();
        }
    }

    /// A number that is another one for each line.
    pub fn lines(&mut self) -> u64 {
        self.lines += 1;
        self.lines
    }

    /// The flash, after the power is gone.
    pub fn cut(self) -> SimFlash {
        self.running.expect("it runs").cut()
    }
}

impl FarEnd for &mut Desk {
    fn receive(&mut self, bytes: &[u8], now: Duration) {
        self.running().line().receive(bytes, now);
    }

    fn work(&mut self, now: Duration) -> bool {
        self.now = now;
        self.running().turn(now)
    }

    fn output(&mut self) -> Vec<u8> {
        let running = self.running();
        let bytes = running.line().outgoing().to_vec();
        assert!(bytes.len() < 12 << 10, "{} bytes wait for the line", bytes.len());
        running.line().sent(bytes.len());
        running.baud = running.line().baud().unwrap_or(running.baud);
        bytes
    }

    fn baud(&self) -> u32 {
        self.running.as_ref().expect("it runs").baud
    }

    fn wants_restart(&self) -> bool {
        let running = self.running.as_ref().expect("it runs");
        Link::<DeskFlash, NoPanel>::wants_restart(&running.link)
    }

    fn restart(&mut self, now: Duration) {
        self.restarts += 1;
        let flash = self.running.take().expect("it runs").cut();
        self.running = Some(Running::start(flash, self.student, now));
    }

    fn now(&self) -> Duration {
        self.now
    }

    fn store_time(&self) -> Duration {
        Duration::from_millis(20)
    }
}
