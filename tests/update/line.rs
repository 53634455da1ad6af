//! A serial line with virtual time that loses, flips, repeats, delays and cuts, all from one seed; a lock at its
//! other end.

use std::collections::VecDeque;
use std::time::Duration;

use facelatch::update::client::{PortFault, Wire};
use facelatch::update::frame;

/// Bytes that an operating system takes before a write waits.
const QUEUE_BYTES: u32 = 4096;
/// How often the lock looks at its line when nothing comes.
pub const LOCK_PERIOD: Duration = Duration::from_millis(20);

/// Random numbers of one seed (xorshift64*).
#[derive(Debug, Clone)]
pub struct Dice(u64);

impl Dice {
    pub fn new(seed: u64) -> Self {
        Self(seed.wrapping_mul(0x9E37_79B9_7F4A_7C15) | 1)
    }

    pub fn number(&mut self) -> u64 {
        self.0 ^= self.0 >> 12;
        self.0 ^= self.0 << 25;
        self.0 ^= self.0 >> 27;
        self.0.wrapping_mul(0x2545_F491_4F6C_DD1D) >> 16
    }

    pub fn below(&mut self, limit: u64) -> u64 {
        self.number() % limit.max(1)
    }

    /// Whether something with this chance in a million happens.
    pub fn hits(&mut self, millionths: u32) -> bool {
        self.below(1_000_000) < u64::from(millionths)
    }
}

/// What the line does, in chances of a million.
#[derive(Debug, Clone, Copy, Default)]
pub struct Faults {
    /// Each frame is lost.
    pub lose: u32,
    /// Each byte has a bit flipped.
    pub flip: u32,
    /// Each frame comes twice.
    pub repeat: u32,
    /// Each frame comes later than the ones sent after it, up to so much.
    pub late: Duration,
    /// Each frame is cut off within.
    pub tear: u32,
    /// The line is dead for up to 8 s, once in so many frames; 0: never.
    pub outage_in: u64,
    /// The lock is started anew, once in so many frames that it hears; 0: never.
    pub restart_in: u64,
    /// Lines of a console are written between frames.
    pub console: u32,
    /// The cable is pulled for good at this time.
    pub pulled_at: Option<Duration>,
    /// The cable is pulled for good after so many bytes of both directions.
    pub pulled_after: Option<u64>,
    /// Rates above this one arrive as garbage.
    pub best_baud: Option<u32>,
}

struct Chunk {
    at: Duration,
    baud: u32,
    bytes: Vec<u8>,
}

#[derive(Default)]
struct Pipe {
    chunks: VecDeque<Chunk>,
    free_at: Duration,
}

impl Pipe {
    /// Puts bytes on the line; each takes ten bits.
    fn send(&mut self, mut bytes: Vec<u8>, baud: u32, now: Duration, faults: &Faults, dice: &mut Dice) {
        if bytes.is_empty() {
            return;
        }
        let taken = Duration::from_nanos(10_000_000_000 / u64::from(baud) * bytes.len() as u64);
        self.free_at = self.free_at.max(now) + taken;
        if dice.hits(faults.tear) {
            bytes.truncate(dice.below(bytes.len() as u64) as usize);
        }
        if faults.flip > 0 {
            bytes.iter_mut().for_each(|byte| *byte ^= u8::from(dice.hits(faults.flip)) << dice.below(8));
        }
        let times = if dice.hits(faults.lose) { 0 } else { 1 + usize::from(dice.hits(faults.repeat)) };
        for _ in 0..times {
            let late = Duration::from_micros(dice.below(faults.late.as_micros() as u64 + 1));
            let chunk = Chunk { at: self.free_at + late, baud, bytes: bytes.clone() };
            let place =
                self.chunks.iter().rposition(|other| other.at <= chunk.at).map_or(0, |place| place + 1);
            self.chunks.insert(place, chunk);
        }
    }

    fn next_at(&self) -> Option<Duration> {
        self.chunks.front().map(|chunk| chunk.at)
    }

    /// What arrived until `now` for an end that listens at `baud`.
    fn arrived(&mut self, now: Duration, baud: u32, faults: &Faults, dice: &mut Dice) -> Option<Vec<u8>> {
        self.chunks.front().filter(|chunk| chunk.at <= now)?;
        let chunk = self.chunks.pop_front()?;
        let garbled = chunk.baud != baud || faults.best_baud.is_some_and(|best| chunk.baud > best);
        Some(match garbled {
            true => chunk.bytes.iter().map(|_| dice.below(256) as u8).collect(),
            false => chunk.bytes,
        })
    }
}

/// What hangs at the other end of a line, with a plug that can be pulled.
pub trait FarEnd {
    /// Takes bytes from the line.
    fn receive(&mut self, bytes: &[u8], now: Duration);
    /// One turn of its loop; whether it has more to do at once.
    fn work(&mut self, now: Duration) -> bool;
    /// Its bytes for the line.
    fn output(&mut self) -> Vec<u8>;
    /// The rate at which it listens, in bits a second.
    fn baud(&self) -> u32;
    /// Whether it wants to be started anew.
    fn wants_restart(&self) -> bool;
    /// Starts anew: what memory holds is forgotten.
    fn restart(&mut self, now: Duration);
    /// When it was last heard.
    fn now(&self) -> Duration {
        Duration::ZERO
    }
    /// What storing one block takes.
    fn store_time(&self) -> Duration;
}

/// A computer's end of the line; a lock is at the other.
pub struct Line<E> {
    pub now: Duration,
    pub faults: Faults,
    /// Bytes on the line in both directions.
    pub carried: u64,
    end: E,
    limit: Duration,
    end_baud: u32,
    host_baud: u32,
    to_lock: Pipe,
    to_host: Pipe,
    dice: Dice,
    dead_until: Duration,
    lock_busy_until: Duration,
    lock_next: Duration,
}

impl<E: FarEnd> Line<E> {
    /// A line that runs at `baud` at first.
    pub fn new(seed: u64, faults: Faults, baud: u32, end: E) -> Self {
        let now = end.now();
        Self {
            now,
            faults,
            carried: 0,
            limit: now + Duration::from_secs(4 * 3600),
            end_baud: end.baud(),
            host_baud: baud,
            to_lock: Pipe::default(),
            to_host: Pipe::default(),
            dice: Dice::new(seed),
            dead_until: Duration::ZERO,
            lock_busy_until: Duration::ZERO,
            lock_next: Duration::ZERO,
            end,
        }
    }

    /// As many of the bytes as get through a cable that may be dead now or pulled within.
    fn carry(&mut self, mut bytes: Vec<u8>) -> Vec<u8> {
        if self.faults.outage_in > 0 && self.dice.below(self.faults.outage_in) == 0 {
            self.dead_until = self.now + Duration::from_millis(self.dice.below(8_000));
        }
        if self.now < self.dead_until || self.faults.pulled_at.is_some_and(|at| self.now >= at) {
            return Vec::new();
        }
        let left = self.faults.pulled_after.map_or(u64::MAX, |after| after - self.carried);
        bytes.truncate(usize::try_from(left).unwrap_or(usize::MAX));
        self.carried += bytes.len() as u64;
        bytes
    }

    /// Lets the lock do what it does at this moment.
    fn lock_acts(&mut self) {
        if self.now < self.lock_busy_until {
            return;
        }
        while let Some(bytes) = self.to_lock.arrived(self.now, self.end_baud, &self.faults, &mut self.dice) {
            self.end.receive(&bytes, self.now);
            if self.faults.restart_in > 0 && self.dice.below(self.faults.restart_in) == 0 {
                self.restart();
            }
        }
        if self.end.wants_restart() {
            self.restart();
        }
        let more = self.end.work(self.now);
        self.lock_sends();
        if more {
            self.lock_busy_until = self.lock_busy_until.max(self.now + self.end.store_time());
        }
        self.lock_next = self.lock_busy_until.max(self.now + if more { Duration::ZERO } else { LOCK_PERIOD });
    }

    fn lock_sends(&mut self) {
        let mut output = self.end.output();
        if self.dice.hits(self.faults.console) {
            let text = b"[INFO] nobody at the door\n[WARN] it is dark\n";
            let at = self.dice.below(output.len() as u64 + 1) as usize;
            output.splice(at..at, text.iter().copied());
        }
        if !output.is_empty() {
            let output = self.carry(output);
            self.to_host.send(output, self.end_baud, self.now, &self.faults, &mut self.dice);
        }
        self.end_baud = self.end.baud();
    }

    fn restart(&mut self) {
        self.end.restart(self.now);
        self.end_baud = self.end.baud();
        self.lock_busy_until = self.now + Duration::from_millis(1500);
        self.to_lock.chunks.clear();
    }

    /// Goes to the next thing that happens, but not beyond `until`.
    fn step(&mut self, until: Duration) {
        let heard = self.to_lock.next_at().map(|at| at.max(self.lock_busy_until));
        let arrives = self.to_host.next_at().filter(|at| *at > self.now);
        let next = [heard, Some(self.lock_next), arrives].into_iter().flatten().min();
        self.now = next.unwrap_or(until).clamp(self.now, until);
        self.lock_acts();
    }
}

impl<E: FarEnd> Wire for Line<E> {
    fn now(&mut self) -> Duration {
        self.now
    }

    fn send(&mut self, bytes: &[u8]) -> Result<(), PortFault> {
        let queue = Duration::from_nanos(10_000_000_000 / u64::from(self.host_baud) * u64::from(QUEUE_BYTES));
        while self.to_lock.free_at > self.now + queue {
            let until = self.to_lock.free_at - queue;
            self.step(until);
        }
        let bytes = self.carry(bytes.to_vec());
        self.to_lock.send(bytes, self.host_baud, self.now, &self.faults, &mut self.dice);
        Ok(())
    }

    fn receive(&mut self, bytes: &mut [u8], until: Duration) -> Result<usize, PortFault> {
        loop {
            if let Some(chunk) = self.to_host.arrived(self.now, self.host_baud, &self.faults, &mut self.dice)
            {
                let len = chunk.len().min(bytes.len());
                bytes[..len].copy_from_slice(&chunk[..len]);
                return Ok(len);
            }
            if self.now >= until {
                return Ok(0);
            }
            if self.now > self.limit {
                return Err(PortFault { reason: "HANGS".to_owned() });
            }
            self.step(until);
        }
    }

    fn set_baud(&mut self, baud: u32) -> Result<(), PortFault> {
        while self.to_lock.free_at > self.now {
            let until = self.to_lock.free_at;
            self.step(until);
        }
        self.host_baud = baud;
        Ok(())
    }

    fn random(&mut self) -> u32 {
        self.dice.number() as u32
    }
}

/// The bytes of a payload's frame.
pub fn framed(payload: &[u8]) -> Vec<u8> {
    let mut line = Vec::new();
    frame::encode(payload, &mut line);
    line
}
