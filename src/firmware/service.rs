//! The device's one loop: hands, frames, the owner's cable and time, in this order in every turn.
//!
//! Nothing in it waits but the loop itself, and that no longer than until something is due. Buttons come
//! first: whatever the camera or the networks do, the exit button is heard.

use std::fmt::Debug;
use std::io::{self, PipeReader, Read};
use std::os::fd::AsFd;
use std::path::PathBuf;
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;
use rustix::event::{PollFd, PollFlags, Timespec, poll};
use rustix::io::Errno;
use thiserror::Error;

use super::device::{Device, Note};
use super::link::Link;
use super::port::{Port, PortError};
use super::supervisor::Supervisor;
use super::vision::{Report, Vision};
use crate::door::inputs::Inputs;
use crate::door::keypad::{Keys, SCAN};
use crate::door::lights::BEAT;
use crate::door::panel::Panel;
use crate::door::{Event, Fault, Sighting};

/// How often the loop turns while the strike is driven, beyond the turn that releases it. A choice.
const DRIVEN_BEAT: Duration = Duration::from_millis(20);
/// Camera and eyes that say nothing for this long hang: the service manager is no longer told that all is
/// well, and starts the program anew. A choice: several times of what the slowest board needs for a frame.
const VISION_SILENCE: Duration = Duration::from_secs(15);
/// How often a port that is gone is tried again. A choice.
const PORT_PAUSE: Duration = Duration::from_secs(2);
/// Bytes that are read from the port in one turn: 40 ms at 921,600 bits a second. A choice.
const PORT_BYTES: usize = 4096;

/// How often a port that cannot be waited for is looked at. A choice: a full read each time is 400 KB a second.
const PORT_BEAT: Duration = Duration::from_millis(10);

/// Why the service ended although nobody asked for it. The strike is released.
#[derive(Debug, Error)]
pub enum ServiceError {
    /// There will be no more frames.
    #[error("there are no more frames: {0}")]
    Vision(String),
    /// The system cannot wait.
    #[error("cannot wait for anything to happen")]
    Wait(#[source] io::Error),
}

/// Why the service ended as it should.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ending {
    /// It was asked to.
    Asked,
    /// The device is to be started anew: other models wait.
    Restart,
}

/// What a service is made of.
pub struct Parts<F: NorFlash, P: Panel> {
    /// The lock, the gallery and the rules.
    pub device: Device<F, P>,
    /// Camera and eyes.
    pub vision: Vision,
    /// Buttons and contacts.
    pub inputs: Box<dyn Inputs>,
    /// Where PINs are typed, if the board has a keypad.
    pub keys: Option<Box<dyn Keys>>,
    /// What is spoken over the owner's cable.
    pub link: Box<dyn Link<F, P>>,
    /// The port of that cable, and its rate in bits a second at the start of a session; `None`: there is none.
    pub port: Option<(PathBuf, u32)>,
    /// Who watches.
    pub supervisor: Box<dyn Supervisor>,
    /// The clock of the frames.
    pub clock: fn() -> Duration,
}

/// The running device.
pub struct Service<F: NorFlash, P: Panel> {
    parts: Parts<F, P>,
    cable: Cable,
    pins_broken: bool,
    keypad_broken: bool,
    blind: bool,
    silent: bool,
}

/// The owner's cable, which may be unplugged.
#[derive(Default)]
struct Cable {
    port: Option<Port>,
    try_at: Duration,
    complained: bool,
    work_at: Option<Duration>,
}

impl<F: NorFlash<Error: Debug>, P: Panel> Service<F, P> {
    /// A device that is about to run.
    #[must_use]
    pub fn new(parts: Parts<F, P>) -> Self {
        let cable = Cable::default();
        Self { parts, cable, pins_broken: false, keypad_broken: false, blind: false, silent: false }
    }

    /// Runs until a byte comes through `stop`, or other models wait for a start. The strike is released when the
    /// service is dropped.
    ///
    /// # Errors
    /// When it cannot go on.
    pub fn run(&mut self, stop: &PipeReader) -> Result<Ending, ServiceError> {
        self.parts.supervisor.ready();
        loop {
            if self.wait(stop)? {
                self.parts.supervisor.stopping();
                self.parts.device.stop((self.parts.clock)());
                self.tell_latencies();
                return Ok(Ending::Asked);
            }
            self.turn()?;
            if self.parts.link.wants_restart() {
                self.parts.supervisor.stopping();
                self.parts.device.stop((self.parts.clock)());
                return Ok(Ending::Restart);
            }
        }
    }

    /// One turn: whatever has happened is acted on.
    ///
    /// # Errors
    /// When there will be no more frames.
    pub fn turn(&mut self) -> Result<(), ServiceError> {
        self.feel();
        self.look()?;
        self.speak();
        let now = (self.parts.clock)();
        self.parts.device.happen(&Event::Tick, now);
        self.watch_over(now);
        for note in self.parts.device.notes() {
            log(&note);
        }
        Ok(())
    }

    fn tell_latencies(&self) {
        for line in self.parts.device.latencies().to_string().lines() {
            log::info!("{line}");
        }
    }

    /// The owner's cable as it is, for the service of the next start.
    #[must_use]
    pub fn unplug(&mut self) -> Option<Port> {
        self.cable.port.take()
    }

    /// Goes on with a port that is open already.
    pub fn plug(&mut self, port: Port) {
        self.cable.port = Some(port);
    }

    /// The device, for whoever wants to know how it is.
    #[must_use]
    pub fn device(&self) -> &Device<F, P> {
        &self.parts.device
    }

    /// Waits until something may have happened; whether that is the wish to stop.
    fn wait(&mut self, mut stop: &PipeReader) -> Result<bool, ServiceError> {
        let timeout = self.patience();
        let mut handles: heapless::Vec<PollFd<'_>, 8> = heapless::Vec::new();
        let mut add = |handle, flags| {
            // There is room for each handle that a board can have.
            let _ = handles.push(PollFd::from_borrowed_fd(handle, flags));
        };
        add(stop.as_fd(), PollFlags::IN);
        add(self.parts.vision.handle().as_fd(), PollFlags::IN);
        for handle in self.parts.inputs.handles() {
            add(handle, PollFlags::IN);
        }
        if let Some(handle) = self.cable.port.as_ref().and_then(Port::handle) {
            let out = if self.parts.link.outgoing().is_empty() { PollFlags::empty() } else { PollFlags::OUT };
            add(handle, PollFlags::IN | out);
        }
        let timeout = Timespec::try_from(timeout).unwrap_or(Timespec { tv_sec: 0, tv_nsec: 0 });
        match poll(&mut handles, Some(&timeout)) {
            Ok(_) | Err(Errno::INTR) => {}
            Err(error) => return Err(ServiceError::Wait(error.into())),
        }
        let asked = !handles[0].revents().is_empty();
        Ok(asked && stop.read(&mut [0; 16]).is_ok())
    }

    /// How long nothing needs to be done.
    fn patience(&self) -> Duration {
        let now = (self.parts.clock)();
        let until = |at: Duration| at.saturating_sub(now);
        let strike = self.parts.device.strike_changes_at().map(|at| until(at).min(DRIVEN_BEAT));
        let link = self.cable.work_at.map(until);
        let unseen = self.cable.port.as_ref().filter(|port| port.handle().is_none()).map(|_| PORT_BEAT);
        let typing = self.parts.keys.is_some() && self.parts.device.door().asks_pin_of().is_some();
        let keys = typing.then_some(SCAN);
        [strike, link, unseen, keys].into_iter().flatten().fold(BEAT, Duration::min)
    }

    fn feel(&mut self) {
        let Parts { device, vision, inputs, keys, clock, .. } = &mut self.parts;
        while let Some(event) = inputs.next(clock()) {
            log::debug!("{event:?}");
            vision.wake();
            device.happen(&event, clock());
        }
        if let Some(keys) = keys {
            while let Some(key) = keys.next(clock()) {
                device.key(key, clock());
            }
            if keys.is_broken() != self.keypad_broken {
                self.keypad_broken = keys.is_broken();
                let words = if self.keypad_broken { "does not answer" } else { "answers again" };
                log::warn!("the keypad {words}");
            }
        }
        let broken = inputs.is_broken() || device.panel().is_broken();
        if broken != self.pins_broken {
            self.pins_broken = broken;
            log::error!("{}", if broken { "a pin does not answer" } else { "all pins answer again" });
            device.happen(&Event::Fault(Fault::Pins, broken), clock());
        }
    }

    fn look(&mut self) -> Result<(), ServiceError> {
        let Some(report) = self.parts.vision.take() else { return Ok(()) };
        let now = (self.parts.clock)();
        let device = &mut self.parts.device;
        match report {
            Report::Seen(view) => {
                if self.blind {
                    log::info!("the camera delivers frames");
                }
                self.blind = false;
                device.happen(&Event::Fault(Fault::Camera, false), now);
                device.happen(&Event::Fault(Fault::Model, false), now);
                device.see(view, now);
            }
            Report::Stumbled(error) => device.stumble(&error, now),
            Report::Blind(error) => {
                if !self.blind {
                    log::error!("{error}");
                }
                self.blind = true;
                device.happen(&Event::Fault(Fault::Camera, true), now);
                device.happen(&Event::Seen(Sighting::Nobody), now);
            }
            Report::Ended(reason) => return Err(ServiceError::Vision(reason)),
        }
        Ok(())
    }

    fn speak(&mut self) {
        let now = (self.parts.clock)();
        if let Some((path, baud)) = &self.parts.port
            && self.cable.port.is_none()
            && now >= self.cable.try_at
        {
            self.cable.try_at = now + PORT_PAUSE;
            match Port::open(path, *baud) {
                Ok(port) => (self.cable.port, self.cable.complained) = (Some(port), false),
                Err(error) if !self.cable.complained => {
                    self.cable.complained = true;
                    log::warn!("{}", in_full(&error));
                }
                Err(_) => {}
            }
        }
        if let Err(error) = self.exchange(now) {
            log::warn!("{}", in_full(&error));
            self.cable.port = None;
            self.parts.link.cut();
        }
    }

    fn exchange(&mut self, now: Duration) -> Result<(), PortError> {
        let Parts { link, device, .. } = &mut self.parts;
        let Some(port) = &mut self.cable.port else { return Ok(()) };
        let mut bytes = [0; PORT_BYTES];
        let count = port.read(&mut bytes)?;
        if count > 0 {
            link.receive(&bytes[..count], now);
        }
        self.cable.work_at = link.work(device, now).map(|pause| now + pause);
        while !link.outgoing().is_empty() {
            let sent = port.write(link.outgoing())?;
            if sent == 0 {
                return Ok(());
            }
            link.sent(sent);
        }
        link.baud().map_or(Ok(()), |baud| port.set_baud(baud))
    }

    fn watch_over(&mut self, now: Duration) {
        let silent = now.saturating_sub(self.parts.vision.alive_at()) > VISION_SILENCE;
        if silent && !self.silent {
            log::error!("camera and networks hang");
            self.parts.device.happen(&Event::Fault(Fault::Model, true), now);
        }
        self.silent = silent;
        if !silent {
            self.parts.supervisor.alive();
        }
    }
}

/// An error with all its causes.
fn in_full(error: &dyn std::error::Error) -> String {
    let causes = std::iter::successors(error.source(), |cause| cause.source());
    causes.fold(error.to_string(), |words, cause| format!("{words}: {cause}"))
}

/// One line of the log. People are numbers here: names are the owner's, faces are nobody's.
fn log(note: &Note) {
    match note {
        Note::Shows(signal) => log::debug!("lights: {}", signal.words()),
        Note::Strike(true) => log::info!("strike driven"),
        Note::Strike(false) => log::info!("strike released"),
        Note::Opened { person, .. } => log::info!("opened for person {person}"),
        Note::Took(passage) => log::info!("from the frame to the strike {passage}"),
        Note::Refused(reason) => log::info!("refused: {}", reason.words()),
        Note::Enrolled { person, .. } => log::info!("enrolled person {person}"),
        Note::NotEnrolled(failure) => log::info!("enrolment {}", failure.words()),
        Note::Deleted { person } => log::info!("deleted person {person}"),
        Note::Alarm(what) => log::warn!("alarm: {what}"),
        Note::Failed(what) => log::error!("{what}"),
    }
}
