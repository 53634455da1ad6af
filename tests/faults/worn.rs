//! The whole device on a chip that wears out while it runs: it keeps deciding, tells, and writes nothing more.

use std::path::Path;
use std::time::Duration;

use facelatch::board::BOARD;
use facelatch::camera::Camera;
use facelatch::camera::replay::{Replay, ReplayOptions};
use facelatch::door::Event;
use facelatch::face::models::ModelFolder;
use facelatch::firmware::device::{Device, Kept, Note, policy_of};
use facelatch::firmware::eyes::Eyes;
use facelatch::firmware::journal::Journal;
use facelatch::firmware::judge::{Judge, Liveness};
use facelatch::firmware::scene::{Hand, Scene};
use facelatch::firmware::sim::SimPanel;
use facelatch::flash::sim::ERASE_SIZE;
use facelatch::flash::{Partition, SimFlash};
use facelatch::gallery::{CropStore, Gallery, MatchPolicy};

use super::{ALL_PAGES, PAGES, blank, enrol, flash_after, flash_of, gallery, key, map, parts};

type TestDevice = Device<Partition<SimFlash>, SimPanel>;

struct Stage {
    scene: Scene,
    eyes: Eyes,
    device: TestDevice,
    flash: Partition<SimFlash>,
    /// Time of the device when the film begins anew.
    began: Duration,
}

impl Stage {
    fn new(flash: SimFlash, capacity: usize) -> Self {
        let root = Path::new(env!("CARGO_MANIFEST_DIR"));
        let models = ModelFolder::read(&root.join("model/release")).expect("the released models");
        let (analyzer, manifest) = models.files().compile().expect("they run");
        let parts = parts(flash);
        let gallery = Gallery::load(map(&parts), CropStore::new(parts.crops.clone()), key(1), capacity);
        let kept =
            Kept { gallery: gallery.expect("loads"), journal: Journal::open(parts.audit.clone(), || None) };
        let policy = MatchPolicy { threshold: manifest.threshold, margin: BOARD.recognition.margin as f32 };
        let judge = Judge::new(policy, Liveness::Required);
        let device = Device::new(judge, kept, SimPanel::new(&BOARD), policy_of(&BOARD), Duration::ZERO);
        let mut device = device.expect("starts");
        device.happen(&Event::Button(false), Duration::ZERO);
        Self {
            scene: Scene::read(&root.join("boards/sim")).expect("the bundled scene"),
            eyes: Eyes::new(analyzer),
            device,
            flash: parts.audit,
            began: Duration::ZERO,
        }
    }

    /// Plays the film up to the end of a chapter, from its beginning, with or without its presses of the button; what
    /// was told in that chapter.
    fn play_to(&mut self, title: &str, pressing: bool) -> Vec<Note> {
        let period = Duration::from_secs(1) / self.scene.fps;
        let replay = ReplayOptions { period: Some(period), start: Duration::ZERO, looping: false };
        let mut camera = Replay::open(&self.scene.frames, replay).expect("opens");
        let chapter =
            self.scene.chapters.iter().find(|chapter| chapter.title == title).expect("such a chapter");
        let (from, to) = (chapter.from, chapter.to);
        let mut hands = self.scene.hands.iter().peekable();
        let (mut film, mut told) = (Duration::ZERO, Vec::new());
        while film < to {
            let now = self.began + film;
            while let Some((_, hand)) = hands.next_if(|(at, _)| *at <= film) {
                match hand {
                    Hand::ButtonPress if pressing => self.device.happen(&Event::Button(true), now),
                    Hand::ButtonRelease if pressing => self.device.happen(&Event::Button(false), now),
                    _ => {}
                }
            }
            let mut frame = camera.next_frame(period).expect("a frame");
            frame.captured_at = now;
            let view = self.eyes.look(&frame).expect("seen");
            self.device.see(view, now);
            let notes: Vec<Note> = self.device.notes().collect();
            told.extend(notes.into_iter().filter(|note| film >= from || matches!(note, Note::Failed(_))));
            film += period;
        }
        self.began += film + Duration::from_secs(60);
        told
    }

    fn wear_out(&self) -> SimFlash {
        self.flash.with_flash(|flash| {
            (0..ALL_PAGES).for_each(|page| flash.wear_out(page));
            flash.clone()
        })
    }
}

fn any(notes: &[Note], wanted: fn(&Note) -> bool) -> bool {
    notes.iter().any(wanted)
}

#[test]
fn a_device_whose_flash_wears_out_keeps_deciding_tells_it_and_writes_nothing_more() {
    let mut stage = Stage::new(blank(), 10);
    let enrolled = stage.play_to("owner enrols", true);
    assert!(any(&enrolled, |note| matches!(note, Note::Enrolled { .. })), "{enrolled:?}");
    let before = stage.wear_out();
    let told = stage.play_to("stranger", false);
    assert!(any(&told, |note| matches!(note, Note::Refused(_))), "{told:?}");
    assert!(
        any(&told, |note| matches!(note, Note::Failed(what) if what.contains("log is not written"))),
        "{told:?}"
    );
    let home = stage.play_to("owner comes home", false);
    assert!(any(&home, |note| matches!(note, Note::Opened { .. })), "{home:?}");
    let after = flash_of(&stage.flash);
    assert!(after.image() == before.image(), "something was written");
    let again = stage.play_to("stranger", false);
    assert!(
        !any(&again, |note| matches!(note, Note::Failed(what) if what.contains("log"))),
        "it is told once"
    );
    let tried = flash_of(&stage.flash).traffic().writes - after.traffic().writes;
    assert_eq!(tried, 0, "a part that failed is left alone");
    let mut restarted = Stage::new(flash_of(&stage.flash), 10);
    let home = restarted.play_to("owner comes home", false);
    assert!(any(&home, |note| matches!(note, Note::Opened { .. })), "{home:?}");
}

#[test]
fn somebody_for_whose_pictures_there_is_no_room_is_enrolled_and_it_is_told() {
    let mut gallery = gallery(blank(), 1).expect("loads");
    enrol(&mut gallery, "Ben", 1).expect("enrolled");
    enrol(&mut gallery, "Cara", 5).expect("enrolled");
    assert_eq!(gallery.crop_places_left(), 0);
    let mut stage = Stage::new(flash_after(gallery), 10);
    stage.device.happen(&Event::OwnerEnrol, Duration::ZERO);
    let told = stage.play_to("owner enrols", false);
    assert!(any(&told, |note| matches!(note, Note::Enrolled { .. })), "{told:?}");
    assert!(
        any(&told, |note| matches!(note, Note::Failed(what) if what.contains("no room for pictures"))),
        "{told:?}"
    );
}

#[test]
fn a_damaged_flash_and_a_log_that_is_none_are_told_at_the_start() {
    let mut image = blank().image().to_vec();
    image[..PAGES * ERASE_SIZE].fill(0x5A);
    image[8 * ERASE_SIZE..9 * ERASE_SIZE].fill(0x5A);
    let mut stage = Stage::new(SimFlash::from_image(image.clone()), 10);
    let told: Vec<Note> = stage.device.notes().collect();
    assert!(
        any(&told, |note| matches!(note, Note::Failed(what) if what.contains("only in part"))),
        "{told:?}"
    );
    assert!(
        any(&told, |note| matches!(note, Note::Failed(what) if what.contains("log cannot be read"))),
        "{told:?}"
    );
    stage.play_to("owner enrols", true);
    assert!(flash_of(&stage.flash).image() == image, "what is damaged is left as it is");
}

#[test]
fn a_full_gallery_says_so_before_it_begins_and_whom_to_delete() {
    let mut stage = Stage::new(blank(), 1);
    stage.play_to("owner enrols", true);
    let now = stage.began;
    stage.device.happen(&Event::Button(true), now);
    stage.device.happen(&Event::Button(false), now + Duration::from_millis(100));
    let notes: Vec<Note> = stage.device.notes().collect();
    assert!(
        any(&notes, |note| matches!(note, Note::Failed(what) if what.contains("delete somebody first"))),
        "{notes:?}"
    );
    assert!(!stage.device.is_enrolling());
}
