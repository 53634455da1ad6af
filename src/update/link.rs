//! The lock's end of the line: bytes and time in, bytes out. It waits for nothing and keeps bounded memory.
//!
//! ```text
//!            hello                 order, signed, with the nonce          data
//! silent ------------> session ---------------------------------> transfer ----> finish
//!    ^                    |  ask: status, nonce, rate, own, reset     |
//!    '--------------------'--------- another hello, a restart --------'
//! ```
//!
//! A request that comes twice is done once and answered twice. What the lock is and does lies behind [`Lock`].

use std::time::Duration;

use super::frame::{self, Decoder, Piece};
use super::message::{
    About, Answer, Command, NONCE_BYTES, Order, PART_BYTES, PROTOCOL, Request, Status, ToHost, ToLock,
    WireError, WireSignature,
};
use super::owner::{OwnerId, Purpose};
use super::transfer::Inbox;
use super::vitals::Vitals;

/// How long a nonce may be used. A choice: far longer than any signature takes.
const NONCE_LIFE: Duration = Duration::from_secs(30);
/// A new rate must bring a good frame within this time.
pub const RATE_TRIAL: Duration = Duration::from_secs(1);
/// Silence after which a rate that worked is given up: the computer is gone.
pub const RATE_SILENCE: Duration = Duration::from_secs(3);
/// Bytes to be sent beyond which acknowledgements are left out: later ones say the same.
const OUTPUT_MOST: usize = 8 << 10;
/// Slowest rate that is taken.
const SLOWEST_BAUD: u32 = 9_600;

/// What a transfer begins with.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Begin {
    /// Bytes come from here on; so many people would have to enrol again.
    From {
        /// Bytes that are there.
        durable: u32,
        /// People without pictures for the new embedder.
        enrol_again: u32,
    },
    /// It is the package in use.
    Active,
}

/// A package that is announced.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Announced {
    /// SHA-256 of all its bytes.
    pub sha256: [u8; 32],
    /// Its bytes.
    pub bytes: u32,
    /// Its version, as the computer says.
    pub version: u32,
    /// Its embedder, as the computer says.
    pub embedding_id: u32,
}

/// What the line serves. Errors go to the computer as they are.
pub trait Lock {
    /// What the lock is.
    fn about(&self) -> About;
    /// How the lock is.
    fn status(&mut self, now: Duration) -> Status;
    /// What happens at the door, and how the lock's parts are.
    fn vitals(&mut self, now: Duration) -> Vitals;
    /// The bytes of a parcel from `offset` on, at most `len`.
    ///
    /// # Errors
    /// When there is no such parcel any more.
    fn part(&self, parcel: u32, offset: u32, len: usize) -> Result<Vec<u8>, WireError>;
    /// A random number that never comes again.
    ///
    /// # Errors
    /// When there is no randomness.
    fn nonce(&mut self) -> Result<[u8; NONCE_BYTES], WireError>;
    /// Whether the lock's button is held. Then the press is for the computer and for nothing else.
    fn take_press(&mut self) -> bool;
    /// The key for which whoever is to come into the lock is sealed.
    ///
    /// # Errors
    /// When there is no randomness.
    fn sealing(&mut self) -> Result<OwnerId, WireError>;
    /// Takes a piece of a person who is to come into the lock.
    ///
    /// # Errors
    /// When it does not follow the piece before, or is too much.
    fn put(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WireError>;
    /// Remembers the owner. Only asked when there is none and the button is held.
    ///
    /// # Errors
    /// When the storage fails.
    fn own(&mut self, owner: OwnerId) -> Result<(), WireError>;
    /// Forgets owner and people. Only asked while the button is held.
    ///
    /// # Errors
    /// When the storage fails.
    fn reset(&mut self) -> Result<(), WireError>;
    /// Makes room for a package.
    ///
    /// # Errors
    /// When it would be refused for what is known already, or the storage fails.
    fn begin(&mut self, package: &Announced) -> Result<Begin, WireError>;
    /// Bytes that are handed to [`Lock::store`] at once, at most half of the window.
    fn block_bytes(&self) -> usize;
    /// Begins to store the next bytes. Only asked when [`Lock::stored`] knows of nothing under way.
    ///
    /// # Errors
    /// When the storage fails.
    fn store(&mut self, offset: u32, bytes: &[u8]) -> Result<(), WireError>;
    /// How many bytes of the package, from its start, no power cut can take away; `None` while bytes are being
    /// stored.
    ///
    /// # Errors
    /// When the storage failed.
    fn stored(&mut self) -> Result<Option<u32>, WireError>;
    /// All bytes are stored: begins to check them. How far that is, the status says.
    ///
    /// # Errors
    /// When it cannot begin.
    fn finish(&mut self) -> Result<(), WireError>;
    /// Types on the keypad.
    ///
    /// # Errors
    /// When these are no keys, or no PIN is awaited.
    fn type_keys(&mut self, keys: &str, now: Duration) -> Result<(), WireError>;
    /// Does what the owner orders, but for transfers.
    ///
    /// # Errors
    /// When it cannot be done.
    fn obey(&mut self, command: &Command, now: Duration) -> Result<Answer, WireError>;
}

struct Session {
    id: u32,
    answered: Option<u32>,
    answer: Vec<u8>,
    nonce: Option<([u8; NONCE_BYTES], Duration)>,
}

struct Transfer {
    number: u32,
    inbox: Inbox,
}

/// The lock's end of one line.
pub struct Link {
    decoder: Decoder,
    output: Vec<u8>,
    base_baud: u32,
    baud: u32,
    give_up_at: Duration,
    session: Option<Session>,
    transfer: Option<Transfer>,
    transfers: u32,
}

impl Link {
    /// A silent line of `baud` bits a second.
    #[must_use]
    pub fn new(baud: u32) -> Self {
        Self {
            decoder: Decoder::default(),
            output: Vec::new(),
            base_baud: baud,
            baud,
            give_up_at: Duration::ZERO,
            session: None,
            transfer: None,
            transfers: 0,
        }
    }

    /// Takes bytes from the line. Whatever they are, at worst nothing happens.
    pub fn receive(&mut self, bytes: &[u8], now: Duration, lock: &mut dyn Lock) {
        let mut decoder = core::mem::take(&mut self.decoder);
        for &byte in bytes {
            if let Some(Piece::Frame(payload)) = decoder.push(byte)
                && let Ok(message) = postcard::from_bytes(payload)
            {
                self.give_up_at = now + RATE_SILENCE;
                self.take(&message, now, lock);
            }
        }
        self.decoder = decoder;
    }

    /// Does what is due: hands at most one block of a transfer to the storage, and goes back to the slow rate when
    /// nothing is heard. Returns whether more could be stored at once.
    pub fn poll(&mut self, now: Duration, lock: &mut dyn Lock) -> bool {
        if self.baud != self.base_baud && now >= self.give_up_at {
            self.baud = self.base_baud;
            self.decoder = Decoder::default();
        }
        if self.transfer.is_none() {
            return false;
        }
        let stored = self.store(lock);
        if stored.is_err() {
            self.break_off();
        }
        stored.unwrap_or(false)
    }

    /// Takes note of what is durable and hands the next block to the storage, if that is ready for it. Whether
    /// another one could follow at once.
    fn store(&mut self, lock: &mut dyn Lock) -> Result<bool, WireError> {
        let Some(Transfer { inbox, .. }) = &mut self.transfer else { return Ok(false) };
        let before = inbox.progress();
        let Some(durable) = lock.stored()? else { return Ok(false) };
        inbox.settled(durable);
        let block = lock.block_bytes();
        let mut more = false;
        if let Some((offset, bytes)) = inbox.ready(block) {
            let len = bytes.len();
            lock.store(offset, bytes)?;
            inbox.handed_on(len);
            if let Some(durable) = lock.stored()? {
                inbox.settled(durable);
                more = inbox.ready(block).is_some();
            }
        }
        if inbox.progress() != before {
            self.acknowledge();
        }
        Ok(more)
    }

    fn break_off(&mut self) {
        if let Some(Transfer { number, .. }) = self.transfer.take() {
            self.send(&ToHost::NoTransfer { transfer: number });
        }
    }

    /// Bytes for the line.
    pub fn output(&mut self) -> Vec<u8> {
        core::mem::take(&mut self.output)
    }

    /// Bytes that wait for the line.
    #[must_use]
    pub fn waiting(&self) -> usize {
        self.output.len()
    }

    /// Rate of the line in bits a second. When it changes, what was taken from [`Link::output`] before is still
    /// sent at the old rate.
    #[must_use]
    pub fn baud(&self) -> u32 {
        self.baud
    }

    fn take(&mut self, message: &ToLock<'_>, now: Duration, lock: &mut dyn Lock) {
        match *message {
            ToLock::Hello { session, .. } => {
                if self.session.as_ref().is_none_or(|known| known.id != session) {
                    self.session =
                        Some(Session { id: session, answered: None, answer: Vec::new(), nonce: None });
                    self.transfer = None;
                }
                self.send(&ToHost::Hello { session, protocol: PROTOCOL, about: lock.about() });
            }
            ToLock::Ask { session, number, ref request } => {
                self.once(session, number, |link| link.answer(request, now, lock));
            }
            ToLock::Order { session, number, order, signature } => {
                self.once(session, number, |link| link.obey(order, signature, now, lock));
            }
            ToLock::Data { transfer, offset, bytes } => match &mut self.transfer {
                Some(known) if known.number == transfer => {
                    known.inbox.take(offset, bytes);
                    self.acknowledge();
                }
                _ => self.send(&ToHost::NoTransfer { transfer }),
            },
        }
    }

    /// Answers request `number` of `session`: anew when it is new, as before when it comes again.
    fn once(
        &mut self,
        session: u32,
        number: u32,
        answer: impl FnOnce(&mut Self) -> Result<Answer, WireError>,
    ) {
        match &self.session {
            Some(known) if known.id == session => match known.answered {
                Some(last) if number == last => {
                    let again = known.answer.clone();
                    self.output.extend(again);
                    return;
                }
                Some(last) if number < last => return,
                _ => {}
            },
            _ => return self.send(&ToHost::NoSession { session }),
        }
        if self.output.len() >= OUTPUT_MOST {
            return;
        }
        let result = answer(self);
        let mut frame = Vec::new();
        encode(&ToHost::Answer { session, number, result }, &mut frame);
        self.output.extend(&frame);
        if let Some(known) = &mut self.session {
            (known.answered, known.answer) = (Some(number), frame);
        }
    }

    fn answer(&mut self, request: &Request, now: Duration, lock: &mut dyn Lock) -> Result<Answer, WireError> {
        match request {
            Request::Status => Ok(Answer::Status(lock.status(now))),
            Request::Nonce => {
                let nonce = lock.nonce()?;
                if let Some(session) = &mut self.session {
                    session.nonce = Some((nonce, now + NONCE_LIFE));
                }
                Ok(Answer::Nonce(nonce))
            }
            &Request::Rate { baud } => {
                if !(SLOWEST_BAUD..=lock.about().fastest_baud.max(self.base_baud)).contains(&baud) {
                    return Err(WireError::Rate { baud });
                }
                (self.baud, self.give_up_at) = (baud, now + RATE_TRIAL);
                Ok(Answer::Done)
            }
            &Request::Own { owner } => {
                let is_held = lock.take_press();
                match lock.about().owner {
                    Some(known) if known == owner => Ok(Answer::Done),
                    Some(known) => Err(WireError::OtherOwner { owner: known }),
                    None if !is_held => Err(WireError::Button),
                    None => lock.own(owner).map(|()| Answer::Done),
                }
            }
            Request::Reset if !lock.take_press() => Err(WireError::Button),
            Request::Reset => {
                self.transfer = None;
                lock.reset().map(|()| Answer::Done)
            }
            Request::Vitals => Ok(Answer::Vitals(lock.vitals(now))),
            &Request::Part { parcel, offset } => lock.part(parcel, offset, PART_BYTES).map(Answer::Part),
            Request::Keys { keys } => lock.type_keys(keys, now).map(|()| Answer::Done),
            Request::Sealing => lock.sealing().map(Answer::Sealing),
            Request::Put { offset, bytes } => lock.put(*offset, bytes).map(|()| Answer::Done),
        }
    }

    fn obey(
        &mut self,
        order: &[u8],
        signature: WireSignature,
        now: Duration,
        lock: &mut dyn Lock,
    ) -> Result<Answer, WireError> {
        let About { owner, device, .. } = lock.about();
        let owner = owner.ok_or(WireError::NoOwner)?;
        let nonce = self.session.as_mut().and_then(|session| session.nonce.take());
        if !owner.has_signed(Purpose::Command, order, &signature.into()) {
            return Err(WireError::Signature);
        }
        let order: Order = postcard::from_bytes(order).map_err(|_| WireError::Unknown)?;
        let fresh = nonce.is_some_and(|(nonce, until)| nonce == order.nonce && now < until);
        if !fresh || order.device != device {
            return Err(WireError::Nonce);
        }
        match order.command {
            Command::Begin { package, bytes, version, embedding_id } => {
                self.begin(&Announced { sha256: package, bytes, version, embedding_id }, lock)
            }
            Command::Finish { transfer } => self.finish(transfer, lock),
            command => lock.obey(&command, now),
        }
    }

    fn begin(&mut self, package: &Announced, lock: &mut dyn Lock) -> Result<Answer, WireError> {
        self.transfer = None;
        match lock.begin(package)? {
            Begin::Active => Ok(Answer::Active),
            Begin::From { durable, enrol_again } => {
                self.transfers = self.transfers.wrapping_add(1);
                let number = self.transfers;
                self.transfer = Some(Transfer { number, inbox: Inbox::new(package.bytes, durable) });
                Ok(Answer::Begun { transfer: number, durable, enrol_again })
            }
        }
    }

    fn finish(&mut self, number: u32, lock: &mut dyn Lock) -> Result<Answer, WireError> {
        let transfer = self.transfer.take_if(|transfer| transfer.number == number);
        let transfer = transfer.ok_or(WireError::NoTransfer)?;
        if !transfer.inbox.is_complete() {
            let durable = transfer.inbox.progress().durable;
            self.transfer = Some(transfer);
            return Err(WireError::Incomplete { durable });
        }
        lock.finish().map(|()| Answer::Done)
    }

    fn acknowledge(&mut self) {
        let Some(Transfer { number, inbox }) = &self.transfer else { return };
        let progress = inbox.progress();
        let ack = ToHost::Ack {
            transfer: *number,
            durable: progress.durable,
            received: progress.received,
            beyond: progress.beyond,
            room: progress.room,
        };
        self.send(&ack);
    }

    /// Queues a message that the computer asks for again if it is left out.
    fn send(&mut self, message: &ToHost) {
        if self.output.len() < OUTPUT_MOST {
            encode(message, &mut self.output);
        }
    }
}

/// Appends the frame of `message` to `line`. An answer that is too long for a frame becomes an error.
fn encode(message: &ToHost, line: &mut Vec<u8>) {
    let bytes = postcard::to_allocvec(message).expect("these types are always serialisable");
    match message {
        &ToHost::Answer { session, number, .. } if bytes.len() > frame::MAX_PAYLOAD => {
            let reason = format!("an answer of {} bytes does not fit into a frame", bytes.len());
            encode(&ToHost::Answer { session, number, result: Err(WireError::Storage { reason }) }, line);
        }
        _ => frame::encode(&bytes, line),
    }
}
