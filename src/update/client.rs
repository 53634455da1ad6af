//! The computer's end of the line: asks, orders and sends packages, whatever the line loses.
//!
//! It is a plain procedure over a [`Wire`], whose clock may be virtual. Every step has a time-out and is repeated
//! with growing pauses; a lock that was started anew in between is greeted anew. Nothing waits for ever.

use std::collections::VecDeque;
use std::time::Duration;

use thiserror::Error;

use super::frame::{self, Decoder, Piece};
use super::link::{RATE_SILENCE, RATE_TRIAL};
use super::message::{About, Answer, Command, Order, PROTOCOL, Request, Stage, ToHost, ToLock, WireError};
use super::owner::{OwnerKey, Purpose};
use super::sealed::SealError;

/// Silence after which the lock is given up. Longer than a lock takes to start.
pub const PATIENCE: Duration = Duration::from_secs(30);
/// First pause before a request is repeated; it doubles up to [`LONGEST_PAUSE`].
pub(super) const FIRST_PAUSE: Duration = Duration::from_millis(300);
const LONGEST_PAUSE: Duration = Duration::from_secs(2);
/// Longest that one request is repeated, even though something is heard.
const REQUEST_MOST: Duration = Duration::from_secs(120);
/// How often an order is given anew because the lock was started anew or forgot its nonce.
const ORDER_ATTEMPTS: u32 = 8;
/// Rates that are tried, the fastest first.
const RATES: [u32; 4] = [1_500_000, 921_600, 460_800, 230_400];
/// Lines of the console that are kept.
const CONSOLE_LINES: usize = 200;

/// The port failed: it is gone, or the system refuses.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
#[error("the serial port failed: {reason}")]
pub struct PortFault {
    /// The system's word.
    pub reason: String,
}

/// A serial line and a clock.
pub trait Wire {
    /// The time.
    fn now(&mut self) -> Duration;
    /// Sends bytes, or queues them.
    ///
    /// # Errors
    /// When the port is gone.
    fn send(&mut self, bytes: &[u8]) -> Result<(), PortFault>;
    /// Waits for bytes until then; returns how many came, 0 when none did.
    ///
    /// # Errors
    /// When the port is gone.
    fn receive(&mut self, bytes: &mut [u8], until: Duration) -> Result<usize, PortFault>;
    /// Changes the rate, in bits a second, once all is sent.
    ///
    /// # Errors
    /// When the port cannot do it.
    fn set_baud(&mut self, baud: u32) -> Result<(), PortFault>;
    /// A random number.
    fn random(&mut self) -> u32;
}

/// Why a lock did not do what was asked.
#[derive(Debug, Clone, PartialEq, Eq, Error)]
pub enum ClientError {
    /// Nothing is heard.
    #[error("nothing answers at this port")]
    Silent {
        /// For how long.
        seconds: u64,
    },
    /// It answers, but never to the question.
    #[error(
        "the line is too bad: no answer came through in {seconds} s; try another cable, or a slower --baud"
    )]
    Noisy {
        /// For how long.
        seconds: u64,
    },
    /// It speaks another version.
    #[error("the lock speaks protocol {lock}, this program {PROTOCOL}: use the same version on both sides")]
    Protocol {
        /// The lock's version.
        lock: u8,
    },
    /// It refuses.
    #[error(transparent)]
    Lock(#[from] WireError),
    /// The port.
    #[error(transparent)]
    Port(#[from] PortFault),
    /// It answers something that was not asked.
    #[error("the lock gave an answer that does not fit the question: update its firmware or this program")]
    Answer,
    /// The transfer does not get on.
    #[error("the transfer does not get on: {durable} of {bytes} bytes after several attempts")]
    Stuck {
        /// Bytes that the lock has.
        durable: u32,
        /// Bytes of the package.
        bytes: u32,
    },
    /// The lock takes too long.
    #[error("the lock has not got on with the update for {seconds} s; ask again with: facelatch status")]
    Slow {
        /// For how long.
        seconds: u64,
    },
    /// It was refused after it was checked.
    #[error("the lock refuses the package and keeps its old models: {reason}")]
    Refused {
        /// Why.
        reason: String,
    },
    /// It failed its trial.
    #[error("the new models failed their trial, the lock went back to the old ones: {reason}")]
    RolledBack {
        /// Why.
        reason: String,
    },
    /// The owner does not want it.
    #[error("nothing was sent")]
    Cancelled,
    /// What came cannot be opened.
    #[error(transparent)]
    Sealed(#[from] SealError),
}

impl ClientError {
    /// Whether it comes from the line, which may be better the next time.
    #[must_use]
    pub fn is_of_the_line(&self) -> bool {
        matches!(self, Self::Silent { .. } | Self::Noisy { .. } | Self::Port(_) | Self::Stuck { .. })
    }
}

/// A session with a lock.
pub struct Client<'w> {
    pub(super) wire: &'w mut dyn Wire,
    decoder: Decoder,
    heard: VecDeque<ToHost>,
    console: VecDeque<String>,
    about: About,
    session: u32,
    number: u32,
    base_baud: u32,
    baud: u32,
    heard_at: Duration,
    too_fast: u32,
}

impl<'w> Client<'w> {
    /// Greets the lock at the other end of `wire`, which runs at `baud` bits a second.
    ///
    /// # Errors
    /// When nothing answers within `patience`, or the lock speaks another version.
    pub fn connect(wire: &'w mut dyn Wire, baud: u32, patience: Duration) -> Result<Self, ClientError> {
        wire.set_baud(baud)?;
        let (heard_at, session) = (wire.now(), wire.random());
        let about = About {
            board: String::new(),
            firmware: [0; 3],
            capabilities: 0,
            device: [0; 8],
            owner: None,
            slot_bytes: 0,
            window_bytes: 0,
            fastest_baud: baud,
        };
        let mut client = Self {
            wire,
            decoder: Decoder::default(),
            heard: VecDeque::new(),
            console: VecDeque::new(),
            about,
            session,
            number: 0,
            base_baud: baud,
            baud,
            heard_at,
            too_fast: u32::MAX,
        };
        client.greet(patience)?;
        Ok(client)
    }

    /// What the lock said of itself.
    #[must_use]
    pub fn about(&self) -> &About {
        &self.about
    }

    /// Rate of the line, in bits a second.
    #[must_use]
    pub fn baud(&self) -> u32 {
        self.baud
    }

    /// Lines that the lock's console wrote in between.
    pub fn console(&mut self) -> impl Iterator<Item = String> + '_ {
        self.console.drain(..)
    }

    /// Asks something that anybody may ask.
    ///
    /// # Errors
    /// When the lock refuses or nothing answers.
    pub fn ask(&mut self, request: &Request) -> Result<Answer, ClientError> {
        loop {
            self.number += 1;
            let (session, number) = (self.session, self.number);
            let message = ToLock::Ask { session, number, request: request.clone() };
            if let Some(result) = self.exchange(&message, number)? {
                return Ok(result?);
            }
        }
    }

    /// Listens for a while to whatever comes by itself.
    ///
    /// # Errors
    /// When the port is gone.
    pub fn idle(&mut self, time: Duration) -> Result<(), ClientError> {
        let until = self.wire.now() + time;
        while self.hear(until)?.is_some() {}
        Ok(())
    }

    /// Orders something as the owner. It may have been done when an error is returned.
    ///
    /// # Errors
    /// When the lock refuses or nothing answers.
    pub fn order(&mut self, key: &OwnerKey, command: &Command) -> Result<Answer, ClientError> {
        let mut last = WireError::Nonce;
        for _ in 0..ORDER_ATTEMPTS {
            let Answer::Nonce(nonce) = self.ask(&Request::Nonce)? else { return Err(ClientError::Answer) };
            let order = Order { device: self.about.device, nonce, command: command.clone() };
            let order = postcard::to_allocvec(&order).expect("these types are always serialisable");
            let signature = key.sign(Purpose::Command, &order).into();
            self.number += 1;
            let (session, number) = (self.session, self.number);
            match self.exchange(&ToLock::Order { session, number, order: &order, signature }, number)? {
                Some(Err(WireError::Nonce)) => last = WireError::Nonce,
                Some(result) => return Ok(result?),
                None => {}
            }
        }
        Err(last.into())
    }

    /// Makes the line as fast as both ends can and it was good at so far.
    ///
    /// # Errors
    /// When nothing answers any more, even at the first rate.
    pub fn speed_up(&mut self) -> Result<(), ClientError> {
        let most = self.about.fastest_baud.min(self.too_fast.saturating_sub(1));
        for baud in RATES.into_iter().filter(|rate| *rate <= most) {
            if baud <= self.baud {
                break;
            }
            if self.change_rate(baud)? {
                break;
            }
            self.too_fast = baud;
        }
        Ok(())
    }

    /// Goes back to the first rate and never tries this one or a faster one again.
    ///
    /// # Errors
    /// When nothing answers any more.
    pub fn slow_down(&mut self) -> Result<(), ClientError> {
        self.too_fast = self.too_fast.min(self.baud);
        if self.baud != self.base_baud {
            let base = self.base_baud;
            self.change_rate(base)?;
        }
        Ok(())
    }

    /// Whether the line works at `baud` after both ends changed to it.
    fn change_rate(&mut self, baud: u32) -> Result<bool, ClientError> {
        match self.ask(&Request::Rate { baud }) {
            Err(ClientError::Lock(_)) => return Ok(false),
            other => other?,
        };
        if self.wire.set_baud(baud).is_err() {
            self.back_to_base()?;
            return Ok(false);
        }
        (self.baud, self.decoder) = (baud, Decoder::default());
        for _ in 0..4 {
            self.send_hello()?;
            let until = self.wire.now() + Duration::from_millis(200);
            if self.wait_for_hello(until)? {
                return Ok(true);
            }
        }
        self.back_to_base()?;
        Ok(false)
    }

    /// Waits until the lock went back to the first rate by itself, and greets it there.
    fn back_to_base(&mut self) -> Result<(), ClientError> {
        let quiet_until = self.wire.now() + RATE_TRIAL;
        while self.wire.now() < quiet_until {
            self.listen(quiet_until)?;
        }
        self.wire.set_baud(self.base_baud)?;
        (self.baud, self.decoder) = (self.base_baud, Decoder::default());
        self.greet(PATIENCE)
    }

    /// Begins a session, or takes up the one that is there.
    ///
    /// # Errors
    /// When nothing answers within `patience`.
    pub fn greet(&mut self, patience: Duration) -> Result<(), ClientError> {
        let began = self.wire.now();
        let mut pause = FIRST_PAUSE;
        loop {
            self.send_hello()?;
            let until = self.wire.now() + pause;
            if self.wait_for_hello(until)? {
                return Ok(());
            }
            let waited = self.wire.now() - began;
            if waited > patience {
                return Err(ClientError::Silent { seconds: waited.as_secs() });
            }
            if self.baud != self.base_baud && waited > RATE_SILENCE {
                self.too_fast = self.too_fast.min(self.baud);
                self.wire.set_baud(self.base_baud)?;
                (self.baud, self.decoder) = (self.base_baud, Decoder::default());
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    fn send_hello(&mut self) -> Result<(), ClientError> {
        self.send(&ToLock::Hello { session: self.session, protocol: PROTOCOL })
    }

    fn wait_for_hello(&mut self, until: Duration) -> Result<bool, ClientError> {
        while let Some(message) = self.hear(until)? {
            let ToHost::Hello { session, protocol, about } = message else { continue };
            if session == self.session {
                if protocol != PROTOCOL {
                    return Err(ClientError::Protocol { lock: protocol });
                }
                self.about = about;
                return Ok(true);
            }
        }
        Ok(false)
    }

    /// Sends a request until it is answered; `None` when the lock does not know the session any more: then it
    /// was greeted anew.
    fn exchange(
        &mut self,
        message: &ToLock<'_>,
        number: u32,
    ) -> Result<Option<Result<Answer, WireError>>, ClientError> {
        let began = self.wire.now();
        self.heard_at = began;
        let mut pause = FIRST_PAUSE;
        loop {
            self.send(message)?;
            let until = self.wire.now() + pause;
            while let Some(heard) = self.hear(until)? {
                match heard {
                    ToHost::Answer { session, number: answered, result }
                        if session == self.session && answered == number =>
                    {
                        return Ok(Some(result));
                    }
                    ToHost::NoSession { session } if session == self.session => {
                        self.session = self.wire.random();
                        self.greet(PATIENCE)?;
                        return Ok(None);
                    }
                    _ => {}
                }
            }
            let now = self.wire.now();
            if now - began > REQUEST_MOST {
                return Err(ClientError::Noisy { seconds: (now - began).as_secs() });
            }
            if now - self.heard_at > RATE_SILENCE {
                self.greet(PATIENCE)?;
            }
            pause = (pause * 2).min(LONGEST_PAUSE);
        }
    }

    pub(super) fn send(&mut self, message: &ToLock<'_>) -> Result<(), ClientError> {
        let payload = postcard::to_allocvec(message).expect("these types are always serialisable");
        let mut line = Vec::with_capacity(payload.len() + payload.len() / 254 + frame::OVERHEAD);
        frame::encode(&payload, &mut line);
        Ok(self.wire.send(&line)?)
    }

    /// The next message, if one comes until then.
    pub(super) fn hear(&mut self, until: Duration) -> Result<Option<ToHost>, ClientError> {
        loop {
            if let Some(message) = self.heard.pop_front() {
                return Ok(Some(message));
            }
            if self.wire.now() >= until {
                return Ok(None);
            }
            self.listen(until)?;
        }
    }

    /// Takes in what has come already.
    pub(super) fn take_in(&mut self) -> Result<(), ClientError> {
        self.listen(Duration::ZERO)
    }

    /// When something good was heard last.
    pub(super) fn heard_at(&self) -> Duration {
        self.heard_at
    }

    fn listen(&mut self, until: Duration) -> Result<(), ClientError> {
        let mut bytes = [0; 4096];
        let len = self.wire.receive(&mut bytes, until)?;
        for &byte in &bytes[..len] {
            match self.decoder.push(byte) {
                Some(Piece::Frame(payload)) => {
                    if let Ok(message) = postcard::from_bytes(payload) {
                        self.heard.push_back(message);
                        self.heard_at = self.wire.now();
                    }
                }
                Some(Piece::Text(text)) => {
                    self.console.extend(text.lines().map(str::to_owned));
                    let surplus = self.console.len().saturating_sub(CONSOLE_LINES);
                    self.console.drain(..surplus);
                }
                Some(Piece::Damaged) | None => {}
            }
        }
        Ok(())
    }
}

/// Whether an update is over, and how.
pub(super) fn outcome(stage: &Stage) -> Option<Result<(), ClientError>> {
    match stage {
        Stage::Confirmed => Some(Ok(())),
        Stage::Refused { reason } => Some(Err(ClientError::Refused { reason: reason.clone() })),
        Stage::RolledBack { reason } => Some(Err(ClientError::RolledBack { reason: reason.clone() })),
        Stage::None | Stage::Receiving { .. } | Stage::Checking | Stage::Embedding { .. } | Stage::Trial => {
            None
        }
    }
}
