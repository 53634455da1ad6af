//! A package to a lock, from the first byte to models that are active for good.

use std::time::Duration;

use sha2::{Digest, Sha256};

use super::client::{Client, ClientError, PATIENCE, outcome};
use super::message::{Answer, Command, SEGMENT_BYTES, Stage, ToHost, ToLock, WireError};
use super::owner::OwnerKey;
use super::transfer::{Outbox, Progress};

/// Begins without any progress after which the transfer is given up.
const BEGINS: u32 = 6;
/// How often the lock is asked how far it is.
const POLL: Duration = Duration::from_millis(250);
/// Longest that a lock stays at one step of checking or trial.
const STAGE_MOST: Duration = Duration::from_secs(600);
/// Segments among which repeats are counted.
const JUDGED: u64 = 128;
/// Repeats among them from which on the line is made slower. A choice: at a quarter the faster rate is not faster.
const REPEATS_MOST: u64 = JUDGED / 4;

/// Who follows an upload.
pub trait Watch {
    /// So many people would have to enrol again. Returns whether to go on.
    fn enrol_again(&mut self, people: u32) -> bool;
    /// Bytes of the package that the lock has for good, and the rate of the line in bits a second.
    fn sent(&mut self, durable: u32, bytes: u32, baud: u32);
    /// What the lock does with it.
    fn stage(&mut self, stage: &Stage);
    /// A line of the lock's console.
    fn console(&mut self, line: &str);
}

/// How an upload ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Uploaded {
    /// The new models are active.
    Confirmed {
        /// Segments that had to be sent again.
        repeated: u64,
    },
    /// They were active before; nothing was sent.
    Already,
}

/// A package with what the lock is told of it first.
pub struct Upload<'a> {
    /// All its bytes.
    pub package: &'a [u8],
    /// Its version.
    pub version: u32,
    /// Its embedder.
    pub embedding_id: u32,
    /// Whose it is.
    pub key: &'a OwnerKey,
}

enum Sent {
    All,
    /// The lock must be asked again where to go on.
    Interrupted,
}

impl Upload<'_> {
    /// Sends the package and waits until the lock confirmed it.
    ///
    /// # Errors
    /// When the lock refuses the package, takes it back after its trial, or the line is gone. What the lock has
    /// of the package, it keeps for the next attempt.
    pub fn run(&self, client: &mut Client<'_>, watch: &mut dyn Watch) -> Result<Uploaded, ClientError> {
        let mut repeated = 0;
        let (mut best, mut begins, mut asked) = (0, 0, false);
        loop {
            let begun = match self.begin(client) {
                Err(ClientError::Lock(error)) if error.is_recoverable() && begins < BEGINS => {
                    begins += 1;
                    self.settled(client, watch)?;
                    self.pause(client, watch)?;
                    continue;
                }
                other => other?,
            };
            let Some((transfer, durable, enrol_again)) = begun else { return Ok(Uploaded::Already) };
            if enrol_again > 0 && !asked && !watch.enrol_again(enrol_again) {
                return Err(ClientError::Cancelled);
            }
            asked = true;
            begins = if durable > best { 0 } else { begins + 1 };
            best = best.max(durable);
            if begins > BEGINS {
                return Err(self.stuck(client, best));
            }
            let (sent, more) = self.send(client, watch, transfer, durable)?;
            repeated += more;
            if matches!(sent, Sent::Interrupted) {
                continue;
            }
            match client.order(self.key, &Command::Finish { transfer }) {
                Err(ClientError::Lock(error)) if error.is_recoverable() => continue,
                other => other?,
            };
            // Without an outcome the lock was started anew before it had checked the package.
            if let Some(outcome) = outcome(&self.settled(client, watch)?) {
                return outcome.map(|()| Uploaded::Confirmed { repeated });
            }
        }
    }

    /// The transfer's number, where to go on, and how many people have to enrol again; `None` when the package
    /// is active already.
    fn begin(&self, client: &mut Client<'_>) -> Result<Option<(u32, u32, u32)>, ClientError> {
        client.speed_up()?;
        let command = Command::Begin {
            package: Sha256::digest(self.package).into(),
            bytes: self.bytes(),
            version: self.version,
            embedding_id: self.embedding_id,
        };
        match client.order(self.key, &command)? {
            Answer::Begun { transfer, durable, enrol_again } => Ok(Some((transfer, durable, enrol_again))),
            Answer::Active => Ok(None),
            _ => Err(ClientError::Answer),
        }
    }

    fn bytes(&self) -> u32 {
        self.package.len() as u32
    }

    /// Why the lock does not get on, if it says.
    fn stuck(&self, client: &mut Client<'_>, durable: u32) -> ClientError {
        match client.status() {
            Ok(status) => outcome(&status.update)
                .and_then(Result::err)
                .unwrap_or(ClientError::Stuck { durable, bytes: self.bytes() }),
            Err(error) => error,
        }
    }

    /// Sends segments until the lock has all, or does not know the transfer any more, or falls silent.
    fn send(
        &self,
        client: &mut Client<'_>,
        watch: &mut dyn Watch,
        transfer: u32,
        durable: u32,
    ) -> Result<(Sent, u64), ClientError> {
        // 8 data bits, a start bit and a stop bit.
        let byte_time = Duration::from_nanos(10_000_000_000 / u64::from(client.baud().max(1)));
        let window = client.about().window_bytes;
        let now = client.wire.now();
        let mut outbox = Outbox::new(self.bytes(), durable, window, byte_time, now);
        let mut judged = (0, 0);
        while !outbox.is_complete() {
            // What the lock says is heard between two segments: the line may be slower than its rate, and sending wait.
            let until = match outbox.to_send() {
                Some((offset, len)) => {
                    let bytes = &self.package[offset as usize..][..len];
                    client.send(&ToLock::Data { transfer, offset, bytes })?;
                    outbox.sent(client.wire.now());
                    client.take_in()?;
                    None
                }
                None => Some(outbox.deadline()),
            };
            match client.hear(until.unwrap_or_default())? {
                Some(ToHost::Ack { transfer: number, durable, received, beyond, room })
                    if number == transfer =>
                {
                    let now = client.wire.now();
                    outbox.heard(Progress { durable, received, beyond, room }, now);
                    watch.sent(durable, self.bytes(), client.baud());
                }
                Some(ToHost::NoTransfer { transfer: number }) if number == transfer => {
                    return Ok((Sent::Interrupted, outbox.repeated()));
                }
                Some(ToHost::NoSession { .. }) => return Ok((Sent::Interrupted, outbox.repeated())),
                Some(_) => {}
                None if until.is_none() => {}
                None if client.wire.now() >= client.heard_at() + super::link::RATE_SILENCE => {
                    client.greet(PATIENCE)?;
                    return Ok((Sent::Interrupted, outbox.repeated()));
                }
                None => {
                    let now = client.wire.now();
                    outbox.timed_out(now);
                }
            }
            client.console().for_each(|line| watch.console(&line));
            let segments = u64::from(outbox.progress().durable) / SEGMENT_BYTES as u64;
            if segments >= judged.0 + JUDGED {
                if outbox.repeated() > judged.1 + REPEATS_MOST {
                    client.slow_down()?;
                    return Ok((Sent::Interrupted, outbox.repeated()));
                }
                judged = (segments, outbox.repeated());
            }
        }
        Ok((Sent::All, outbox.repeated()))
    }

    /// Waits while the lock checks and tries a package; returns what came of it.
    fn settled(&self, client: &mut Client<'_>, watch: &mut dyn Watch) -> Result<Stage, ClientError> {
        let mut last = Stage::None;
        let mut since = client.wire.now();
        loop {
            let status = client.status()?;
            if status.update != last {
                watch.stage(&status.update);
                (last, since) = (status.update, client.wire.now());
            }
            if !matches!(last, Stage::Checking | Stage::Embedding { .. } | Stage::Trial) {
                return Ok(last);
            }
            let waited = client.wire.now() - since;
            if waited > STAGE_MOST {
                return Err(ClientError::Slow { seconds: waited.as_secs() });
            }
            self.pause(client, watch)?;
        }
    }

    fn pause(&self, client: &mut Client<'_>, watch: &mut dyn Watch) -> Result<(), ClientError> {
        client.idle(POLL)?;
        client.console().for_each(|line| watch.console(&line));
        Ok(())
    }
}

impl From<super::package::PackageError> for ClientError {
    fn from(error: super::package::PackageError) -> Self {
        Self::Lock(WireError::Refused { reason: error.to_string() })
    }
}
