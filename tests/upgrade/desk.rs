//! A whole device but for its camera, on a simulated flash and with time that only the test moves; a computer is
//! at the other end of its cable.

use std::collections::VecDeque;
use std::time::Duration;

use facelatch::board::BOARD;
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
use facelatch::firmware::upgrade::{Keeper, OwnerLink, Site, UpgradeError};
use facelatch::flash::{DeviceKey, Layout, Map, Partition, Partitions, SimFlash};
use facelatch::gallery::{Crop, CropStore, Enrolment, Gallery, MatchPolicy, Role};
use facelatch::update::client::{PortFault, Wire};

use crate::packages::{Student, small_models};

/// Erase blocks of 4 KiB: gallery, crops, audit, two slots, boot record.
const BLOCKS: [u32; 6] = [8, 32, 2, 16, 16, 2];
const BAUD: u32 = 921_600;

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

fn layout() -> Layout {
    let mut at = 0;
    let mut next = |blocks: u32| {
        let begin = at;
        at += blocks * 4096;
        begin..at
    };
    Layout {
        gallery: next(BLOCKS[0]),
        crops: next(BLOCKS[1]),
        audit: next(BLOCKS[2]),
        slot_a: next(BLOCKS[3]),
        slot_b: next(BLOCKS[4]),
        boot: next(BLOCKS[5]),
    }
}

pub fn blank() -> SimFlash {
    SimFlash::new(BLOCKS.iter().sum::<u32>() as usize)
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
}

impl Running {
    /// Starts with what is in the flash; factory models are those of `student`.
    pub fn start(flash: SimFlash, student: Student, now: Duration) -> Self {
        Self::try_start(flash, student, now).unwrap_or_else(|failed| panic!("{}", failed.0))
    }

    /// As [`Running::start`]; when the power is cut meanwhile, gives the flash back.
    fn try_start(
        flash: SimFlash,
        student: Student,
        now: Duration,
    ) -> Result<Self, Box<(UpgradeError, SimFlash)>> {
        let parts = layout().divide(flash).unwrap();
        let mut gallery = gallery(&parts);
        let folder = tempfile::tempdir().unwrap();
        small_models(folder.path(), student);
        let factory = || ModelFolder::read(folder.path());
        let started =
            Keeper::start(parts.clone(), &mut gallery, Site::of(&BOARD, Where::Here), &factory, now);
        let (keeper, ready) = started.map_err(|error| Box::new((error, whole(&parts))))?;
        let judge =
            Judge::new(MatchPolicy { threshold: ready.threshold as f32, margin: 0.0 }, Liveness::Required);
        let kept = Kept { gallery, journal: Journal::open(parts.audit.clone(), || None) };
        let device = Device::new(judge, kept, NoPanel, policy_of(&BOARD), now).unwrap();
        Ok(Self { device, link: OwnerLink::new(keeper, BAUD), parts, ready })
    }

    /// The flash, after the power is gone.
    pub fn cut(self) -> SimFlash {
        let mut flash = whole(&self.parts);
        flash.power_up();
        flash
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
            self.work(now);
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
}

/// The flash as it is, a cut that is still to come among it.
fn whole(parts: &Partitions<SimFlash>) -> SimFlash {
    parts.gallery.with_flash(|flash| flash.clone())
}

fn gallery(parts: &Partitions<SimFlash>) -> Gallery<DeskFlash> {
    let map = Map::new(parts.gallery.clone(), 0..parts.gallery.size()).unwrap();
    Gallery::load(map, CropStore::new(parts.crops.clone()), DeviceKey::from_bytes([7; 32]), 10).unwrap()
}

/// A flash with an owner and so many people, enrolled under student A; the last ones without pictures.
pub fn enrolled(people: u32, without_pictures: u32) -> SimFlash {
    let mut running = Running::start(blank(), Student::A, Duration::ZERO);
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

/// The computer's end, at which the device hangs.
pub struct Desk {
    pub now: Duration,
    pub running: Option<Running>,
    pub restarts: u32,
    /// The power goes when the flash fails: `true` once it did.
    pub is_off: bool,
    to_host: VecDeque<u8>,
    dice: u32,
}

impl Desk {
    pub fn new(running: Running) -> Self {
        let (now, to_host) = (Duration::ZERO, VecDeque::new());
        Self { now, running: Some(running), restarts: 0, is_off: false, to_host, dice: 1 }
    }

    pub fn running(&mut self) -> &mut Running {
        self.running.as_mut().expect("only taken away at the end")
    }

    fn turn(&mut self) {
        if self.is_off {
            return;
        }
        let now = self.now;
        let running = self.running.as_mut().expect("only taken away at the end");
        running.work(now);
        let line = running.line();
        let count = line.outgoing().len();
        assert!(count < 12 << 10, "{count} bytes wait for the line");
        self.to_host.extend(line.outgoing());
        line.sent(count);
        let _ = line.baud();
        self.is_off = running.parts.gallery.with_flash(|flash| flash.is_cut());
        if !self.is_off && running.line().wants_restart() {
            self.restarts += 1;
            let flash = self.running.take().map(|running| whole(&running.parts)).expect("it ran");
            match Running::try_start(flash, Student::A, now) {
                Ok(running) => self.running = Some(running),
                Err(failed) => {
                    let (error, mut flash) = *failed;
                    assert!(flash.is_cut(), "{error}");
                    flash.power_up();
                    (self.running, self.is_off) = (Some(Running::start(flash, Student::A, now)), true);
                }
            }
        }
    }
}

type DeskLink = dyn Link<DeskFlash, NoPanel>;

impl Running {
    /// The device's end of the cable.
    pub fn line(&mut self) -> &mut DeskLink {
        &mut self.link
    }

    /// One turn of the device's loop.
    pub fn work(&mut self, now: Duration) {
        self.link.work(&mut self.device, now);
    }
}

impl Wire for Desk {
    fn now(&mut self) -> Duration {
        self.now
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), PortFault> {
        let now = self.now;
        if !self.is_off {
            self.running().line().receive(bytes, now);
        }
        self.turn();
        Ok(())
    }

    fn receive(&mut self, bytes: &mut [u8], until: Duration) -> Result<usize, PortFault> {
        if self.is_off {
            return Err(PortFault { reason: "the power is cut".to_owned() });
        }
        self.turn();
        if self.to_host.is_empty() {
            self.now = until.min(self.now + Duration::from_millis(50));
            return Ok(0);
        }
        let len = bytes.len().min(self.to_host.len());
        bytes.iter_mut().zip(self.to_host.drain(..len)).for_each(|(to, from)| *to = from);
        Ok(len)
    }

    fn set_baud(&mut self, _: u32) -> Result<(), PortFault> {
        Ok(())
    }

    fn random(&mut self) -> u32 {
        self.dice = self.dice.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        self.dice
    }
}
