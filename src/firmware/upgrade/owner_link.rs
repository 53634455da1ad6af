//! The device's end of the owner's cable: the line's protocol joined to the keeper and the device.

use core::fmt::Debug;
use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;

use super::keeper::{Keeper, Surroundings};
use super::served::Served;
use crate::door::Mode;
use crate::door::panel::Panel;
use crate::firmware::device::Device;
use crate::firmware::link::Link;
use crate::flash::{Event, Partition};
use crate::update::link::Link as Line;
use crate::update::message::Stage;

/// How soon it is asked again whether an errand is over. A choice: far below the time of a block on the line.
const ERRAND_PAUSE: Duration = Duration::from_millis(5);

/// The owner's cable, spoken to.
pub struct OwnerLink<F: NorFlash> {
    line: Line,
    keeper: Keeper<F>,
    incoming: Vec<u8>,
    outgoing: Vec<u8>,
    base_baud: u32,
    /// Rate of the port.
    baud: u32,
    idle: bool,
    /// What the log knows of the update.
    logged: Stage,
}

impl<F: NorFlash<Error: Debug> + Send + 'static> OwnerLink<F> {
    /// A line of `baud` bits a second on which nobody spoke yet.
    #[must_use]
    pub fn new(keeper: Keeper<F>, baud: u32) -> Self {
        let (incoming, outgoing) = (Vec::new(), Vec::new());
        Self {
            line: Line::new(baud),
            keeper,
            incoming,
            outgoing,
            base_baud: baud,
            baud,
            idle: true,
            logged: Stage::None,
        }
    }

    /// What it keeps.
    #[must_use]
    pub fn keeper(&self) -> &Keeper<F> {
        &self.keeper
    }
}

impl<F: NorFlash<Error: Debug> + Send + 'static, P: Panel> Link<Partition<F>, P> for OwnerLink<F> {
    fn receive(&mut self, bytes: &[u8], _now: Duration) {
        self.incoming.extend_from_slice(bytes);
    }

    fn work(&mut self, device: &mut Device<Partition<F>, P>, now: Duration) -> Option<Duration> {
        let around = Surroundings { frames: device.monitor().frames(), models_fail: device.models_fail() };
        let incoming = core::mem::take(&mut self.incoming);
        let mut served = Served { keeper: &mut self.keeper, device, now };
        self.line.receive(&incoming, now, &mut served);
        let more = self.line.poll(now, &mut served);
        self.keeper.work(device.gallery_mut(), around, now);
        if self.keeper.stage() != &self.logged {
            self.logged = self.keeper.stage().clone();
            if let Some(event) = event_of(&self.logged) {
                device.journal().note(event, now);
            }
        }
        self.idle = matches!(device.door().mode(), Mode::Idle) && !device.door().is_driven();
        if self.outgoing.is_empty() {
            self.outgoing = self.line.output();
        }
        let errand = self.keeper.is_working().then_some(ERRAND_PAUSE);
        if more { Some(Duration::ZERO) } else { errand }
    }

    fn outgoing(&self) -> &[u8] {
        &self.outgoing
    }

    fn sent(&mut self, count: usize) {
        self.outgoing.drain(..count.min(self.outgoing.len()));
    }

    fn baud(&mut self) -> Option<u32> {
        let wanted = self.line.baud();
        if !self.outgoing.is_empty() || wanted == self.baud {
            return None;
        }
        self.baud = wanted;
        Some(wanted)
    }

    fn cut(&mut self) {
        self.line = Line::new(self.base_baud);
        self.baud = self.base_baud;
        self.incoming.clear();
        self.outgoing.clear();
    }

    fn wants_restart(&self) -> bool {
        self.keeper.wants_restart() && self.outgoing.is_empty() && self.idle
    }
}

/// What the log tells of a stage.
fn event_of(stage: &Stage) -> Option<Event> {
    match stage {
        Stage::Trial => Some(Event::Trial),
        Stage::Confirmed => Some(Event::Updated),
        Stage::Refused { .. } => Some(Event::Refused),
        Stage::RolledBack { .. } => Some(Event::RolledBack),
        Stage::None | Stage::Receiving { .. } | Stage::Checking | Stage::Embedding { .. } => None,
    }
}
