//! New models over a serial line that does its worst, to a lock in memory and to the whole device.

#![allow(clippy::unwrap_used, reason = "a test that cannot go on fails")]

mod backup;
mod cuts;
mod desk;
mod faults;
mod hostile;
mod line;
mod lock;
mod noise;
mod numbers;
mod orders;
mod packages;
mod pulled;
mod refusals;
mod starts;
mod students;
mod two_programs;
mod visitors;
mod watch;

use facelatch::update::message::Stage;
use facelatch::update::owner::OwnerKey;
use facelatch::update::upload::{Upload, Watch};
use line::Dice;

fn key() -> OwnerKey {
    OwnerKey::from_seed(&[1; 32])
}

/// A package as the line sees it: bytes.
fn package(bytes: usize, seed: u64) -> Vec<u8> {
    let mut dice = Dice::new(seed ^ 0xABCD);
    (0..bytes).map(|_| dice.below(256) as u8).collect()
}

fn upload<'a>(package: &'a [u8], key: &'a OwnerKey) -> Upload<'a> {
    Upload { package, version: 2, embedding_id: 3, key }
}

/// Notes what an upload tells.
struct Notes {
    stages: Vec<Stage>,
    console: Vec<String>,
    durable: u32,
    /// The slowest rate at which anything was sent.
    slowest: u32,
    asked: Option<u32>,
    says_no: bool,
}

impl Default for Notes {
    fn default() -> Self {
        let (stages, console) = (Vec::new(), Vec::new());
        Self { stages, console, durable: 0, slowest: u32::MAX, asked: None, says_no: false }
    }
}

impl Watch for Notes {
    fn enrol_again(&mut self, people: u32) -> bool {
        self.asked = Some(people);
        !self.says_no
    }

    fn sent(&mut self, durable: u32, _: u32, baud: u32) {
        (self.durable, self.slowest) = (durable, self.slowest.min(baud));
    }

    fn stage(&mut self, stage: &Stage) {
        self.stages.push(stage.clone());
    }

    fn console(&mut self, line: &str) {
        self.console.push(line.to_owned());
    }
}
