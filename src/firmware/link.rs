//! Where the owner's cable meets the device.

use std::time::Duration;

use embedded_storage_async::nor_flash::NorFlash;

use super::device::Device;
use crate::door::panel::Panel;

/// The device's end of what is spoken over the owner's cable.
///
/// The service calls it in every turn of its loop, in this order: [`Link::receive`] with what came in,
/// [`Link::work`], then [`Link::outgoing`] and [`Link::sent`] until the port takes no more.
///
/// Contract: no call waits, and none takes longer than about 20 ms: the exit button waits for it. What takes
/// longer is cut into pieces, one for each [`Link::work`].
pub trait Link<F: NorFlash, P: Panel> {
    /// Takes bytes that came in, in pieces of any length; line noise among them.
    fn receive(&mut self, bytes: &[u8], now: Duration);

    /// Goes on with what is to be done. Returns when it wants to be called again, even if nothing comes in:
    /// `None` when it only waits for bytes, zero when there is more to do at once.
    fn work(&mut self, device: &mut Device<F, P>, now: Duration) -> Option<Duration>;

    /// Bytes that wait to go out; empty when there are none.
    fn outgoing(&self) -> &[u8];

    /// The first `count` of [`Link::outgoing`] are on their way.
    fn sent(&mut self, count: usize);

    /// The rate at which the port should run from now on, bits a second, once everything outgoing was sent;
    /// `None` leaves it.
    fn baud(&mut self) -> Option<u32>;

    /// Whether the device is to start anew at a good moment: other models wait.
    fn wants_restart(&self) -> bool {
        false
    }

    /// The cable was unplugged or the port failed: what was begun is to be resumed later.
    fn cut(&mut self);
}

/// A cable on which nobody speaks.
#[derive(Debug, Clone, Copy, Default)]
pub struct Silent;

impl<F: NorFlash, P: Panel> Link<F, P> for Silent {
    fn receive(&mut self, _bytes: &[u8], _now: Duration) {}

    fn work(&mut self, _device: &mut Device<F, P>, _now: Duration) -> Option<Duration> {
        None
    }

    fn outgoing(&self) -> &[u8] {
        &[]
    }

    fn sent(&mut self, _count: usize) {}

    fn baud(&mut self) -> Option<u32> {
        None
    }

    fn cut(&mut self) {}
}
