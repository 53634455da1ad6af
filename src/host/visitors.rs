//! `facelatch visitors`: the unknown faces that a lock keeps, grouped by whose they are: who came on which days.
//!
//! Only locks whose board file asks for it keep any. There are no pictures: templates are fetched with the owner's key
//! and compared here, and nothing of them is written to a file.

use core::fmt::{self, Debug, Display};
use std::collections::{BTreeMap, BTreeSet};
use std::io::{self, Write};
use std::path::PathBuf;

use clap::Args;
use embedded_storage_async::nor_flash::NorFlash;
use jiff::Timestamp;
use serde::Serialize;
use thiserror::Error;

use super::arguments::{distance, share};
use super::cable::CableError;
use super::cluster::{JOINED, distance_at};
use super::lock::Lock;
use super::models;
use super::output::{Form, Json};
use crate::face::models::ModelError;
use crate::face::template::Template;
use crate::gallery::cluster::{self, by_corrected_linkage};
use crate::gallery::visitors::decode;
use crate::gallery::{Gallery, GalleryError, Visit};
use crate::update::client::ClientError;
use crate::update::message::Command;

/// Why nothing can be told of visitors.
#[derive(Debug, Error)]
pub enum VisitorsError {
    /// The lock or the cable.
    #[error(transparent)]
    Cable(#[from] CableError),
    /// The lock in a folder cannot be read.
    #[error(transparent)]
    Gallery(#[from] GalleryError),
    /// The models, which say what distances mean.
    #[error(transparent)]
    Model(#[from] ModelError),
    /// The visitors were seen by another embedder.
    #[error(
        "the visitors were seen by embedder {seen}, but the models here have embedder {here}: give the folder of the lock's models by --models, or a distance by --cut"
    )]
    Embedder {
        /// The lock's.
        seen: u32,
        /// That of the models.
        here: u32,
    },
    /// The number of visits.
    #[error(transparent)]
    Number(#[from] cluster::ClusterError),
    /// The output is gone.
    #[error("cannot write the output")]
    Output(#[from] io::Error),
}

impl VisitorsError {
    /// What the program ends with, as [`CableError::exit_status`].
    #[must_use]
    pub fn exit_status(&self) -> u8 {
        if let Self::Cable(error) = self { error.exit_status() } else { 2 }
    }
}

const EXAMPLES: &str = "Examples:
  facelatch visitors                       who came to the lock at the owner's cable, and on which days
  facelatch visitors --state lock/         the same of a simulated lock that is not running
  facelatch visitors --erase               destroy all that are kept

A lock keeps unknown visitors only if its board file says how many (log.visitors), which none does as it comes. One face that
was refused, alive and seen well, is one visit; the newest take the place of the oldest. Days are those of UTC.

Mind the law. Templates of people who pass by are biometric data. In the European Union (GDPR, article 9) and in many other
places you need their explicit consent, or a law that allows it, and a sign at the door is neither. Ask before you switch it on.";

/// Whose visitors, and how they are joined.
#[derive(Debug, Clone, Args)]
#[command(after_help = EXAMPLES)]
pub struct VisitorsOptions {
    /// Whose.
    #[command(flatten)]
    pub lock: Lock,
    /// Destroy all that are kept.
    #[arg(long, conflicts_with_all = ["rate", "cut", "models"])]
    pub erase: bool,
    /// Share of strangers that are as near as the farthest visits that are joined: more joins more.
    #[arg(long, value_name = "RATE", default_value_t = JOINED, value_parser = share, allow_negative_numbers = true)]
    pub rate: f64,
    /// Join visits up to this mean squared distance (0 to 4) instead.
    #[arg(long, value_name = "DISTANCE", conflicts_with = "rate", value_parser = distance, allow_negative_numbers = true)]
    pub cut: Option<f32>,
    /// Folder of the lock's models, which say what distances mean.
    #[arg(long, value_name = "FOLDER", default_value = models::released())]
    pub models: PathBuf,
    /// For programs.
    #[command(flatten)]
    pub form: Json,
}

impl VisitorsOptions {
    /// The distance up to which visits are one person's.
    fn distance(&self, visits: &[Visit]) -> Result<f32, VisitorsError> {
        if let Some(cut) = self.cut {
            return Ok(cut);
        }
        let manifest = models::embedder_manifest(&self.models)?;
        let (here, newest) = (manifest.embedding_id, visits.last());
        match newest.map(|visit| visit.template.embedding_id).filter(|seen| *seen != here) {
            Some(seen) => Err(VisitorsError::Embedder { seen, here }),
            None => Ok(distance_at(&manifest, self.rate)),
        }
    }
}

/// One unknown person.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Visitor {
    /// Visits.
    pub visits: usize,
    /// The days (UTC) on which this person came, each with the times; oldest first.
    pub days: BTreeMap<String, Vec<String>>,
    /// Visits of which the lock did not know the time.
    pub undated: usize,
    /// The enrolled person who is most like one of the visits, and the squared distance.
    pub nearest: Option<(u32, f32)>,
}

/// All that are kept.
#[derive(Debug, Clone, PartialEq, Serialize)]
pub struct Visitors {
    /// Visits that are kept.
    pub visits: usize,
    /// The squared distance up to which visits were joined.
    pub cut: f32,
    /// Embedders that saw them; visits of two are never joined.
    pub embedders: BTreeSet<u32>,
    /// Who came most often first.
    pub visitors: Vec<Visitor>,
}

impl Visitors {
    /// Groups visits whose mean squared distance is at most `cut`.
    ///
    /// # Errors
    /// When there are too many.
    pub fn of(visits: &[Visit], cut: f32) -> Result<Self, cluster::ClusterError> {
        let templates: Vec<&Template> = visits.iter().map(|visit| &visit.template).collect();
        let numbers = by_corrected_linkage(&templates, cut)?;
        let count = numbers.iter().max().map_or(0, |last| last + 1);
        let mut members: Vec<Vec<&Visit>> = vec![Vec::new(); count];
        visits.iter().zip(numbers).for_each(|(visit, number)| members[number].push(visit));
        Ok(Self {
            visits: visits.len(),
            cut,
            embedders: templates.iter().map(|template| template.embedding_id).collect(),
            visitors: members.iter().map(|visits| Visitor::of(visits)).collect(),
        })
    }
}

impl Visitor {
    fn of(visits: &[&Visit]) -> Self {
        let mut days: BTreeMap<String, Vec<String>> = BTreeMap::new();
        for (day, time) in visits.iter().filter_map(|visit| day_and_time(visit)) {
            days.entry(day).or_default().push(time);
        }
        days.values_mut().for_each(|times| times.sort_unstable());
        let dated: usize = days.values().map(Vec::len).sum();
        let nearest = visits.iter().filter_map(|visit| visit.nearest).min_by(|a, b| a.1.total_cmp(&b.1));
        Self { visits: visits.len(), days, undated: visits.len() - dated, nearest }
    }
}

/// Such as `2026-11-25` and `16:31`.
fn day_and_time(visit: &Visit) -> Option<(String, String)> {
    let unix_ms = i64::try_from(visit.at.unix_ms?).ok()?;
    let text = Timestamp::from_millisecond(unix_ms).ok()?.to_string();
    let (day, time) = text.split_once('T')?;
    Some((day.to_owned(), time.get(..5)?.to_owned()))
}

/// A number of things, such as `1 day` and `5 days`.
fn several(count: usize, thing: &str) -> String {
    if count == 1 { format!("1 {thing}") } else { format!("{count} {thing}s") }
}

impl Display for Visitors {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { visits, cut, embedders, visitors } = self;
        if *visits == 0 {
            return f.write_str("nobody unknown came since visitors are kept");
        }
        let people = if visitors.len() == 1 {
            "1 unknown person".to_owned()
        } else {
            format!("{} unknown people", visitors.len())
        };
        write!(f, "{} of {people}, joined up to distance {cut:.2}", several(*visits, "visit"))?;
        if embedders.len() > 1 {
            write!(
                f,
                "\nthey were seen by {} embedders: who came before and after new models is told as two",
                embedders.len()
            )?;
        }
        for (number, visitor) in visitors.iter().enumerate() {
            let Visitor { visits, days, undated, nearest } = visitor;
            write!(f, "\n\nunknown person {} came {}{}", number + 1, times(*visits), on(days.len()))?;
            if let Some((person, distance)) = nearest {
                write!(f, "; at distance {distance:.2} from person {person}")?;
            }
            for (day, times) in days {
                write!(f, "\n  {day}  {}", times.join(", "))?;
            }
            if *undated > 0 {
                write!(f, "\n  {} while the lock's clock was not set", several(*undated, "visit"))?;
            }
        }
        Ok(())
    }
}

/// On how many days, as far as that is known.
fn on(days: usize) -> String {
    if days == 0 { String::new() } else { format!(" on {}", several(days, "day")) }
}

fn times(count: usize) -> String {
    match count {
        1 => "once".to_owned(),
        2 => "twice".to_owned(),
        more => format!("{more} times"),
    }
}

/// What `--erase` did.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Serialize)]
struct Erased {
    result: &'static str,
}

impl Display for Erased {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("no visitor is kept any more")
    }
}

/// Tells of visitors, or has them destroyed. `gallery` is that of the lock in a folder, if `options` name one.
///
/// # Errors
/// When there is no lock, it keeps no visitors, or the models are not its own.
pub fn run<F: NorFlash<Error: Debug>>(
    options: &VisitorsOptions,
    gallery: Option<Gallery<F>>,
    out: &mut dyn Write,
) -> Result<(), VisitorsError> {
    let form = Form::of(options.form.json);
    if options.erase {
        match gallery {
            Some(mut gallery) => gallery.forget_visitors()?,
            None => options
                .lock
                .at_cable(|client, key| Ok(client.order(key, &Command::ForgetVisitors).map(|_| ())?))?,
        }
        return Ok(form.tell(&Erased { result: "erased" }, out)?);
    }
    let visits = match gallery {
        Some(mut gallery) => gallery.visits()?,
        None => options.lock.at_cable(|client, key| {
            let content = client.parcel(key, &Command::Visitors)?;
            Ok(decode(&content).ok_or(ClientError::Answer)?)
        })?,
    };
    let visitors = Visitors::of(&visits, options.distance(&visits)?)?;
    Ok(form.tell(&visitors, out)?)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::flash::Moment;
    use crate::gallery::towards::towards;

    const DAY_MS: u64 = 86_400_000;
    /// 2026-11-20 00:00 UTC.
    const FRIDAY_MS: u64 = 1_795_132_800_000;

    fn visit(number: u32, person: usize, unix_ms: Option<u64>) -> Visit {
        let mut directions = [0.0; 8];
        directions[person] = 1.0;
        directions[7] = 0.05 * (number % 5) as f32;
        let at = Moment { uptime_ms: 0, unix_ms };
        Visit { number, at, template: towards(&directions), nearest: Some((2, 1.0 + number as f32 / 100.0)) }
    }

    #[test]
    fn who_came_on_five_days_is_told_so() {
        let at = |day: u64, minutes: u64| Some(FRIDAY_MS + day * DAY_MS + minutes * 60_000);
        let mut visits: Vec<Visit> = (0..5).map(|day| visit(day, 0, at(day.into(), 485))).collect();
        visits.push(visit(5, 0, at(4, 1_090)));
        visits.push(visit(6, 1, None));
        let told = Visitors::of(&visits, 1.0).expect("few");
        assert_eq!(told.visitors.iter().map(|visitor| visitor.visits).collect::<Vec<_>>(), [6, 1]);
        let words = told.to_string();
        assert!(words.starts_with("7 visits of 2 unknown people, joined up to distance 1.00"), "{words}");
        for line in [
            "unknown person 1 came 6 times on 5 days; at distance 1.00 from person 2",
            "  2026-11-20  08:05",
            "  2026-11-24  08:05, 18:10",
            "unknown person 2 came once; at distance 1.06 from person 2",
            "  1 visit while the lock's clock was not set",
        ] {
            assert!(words.lines().any(|told| told == line), "{line:?} is not in:\n{words}");
        }
    }

    #[test]
    fn nobody_is_said_to_be_nobody() {
        let words = Visitors::of(&[], 1.0).expect("none").to_string();
        assert_eq!(words, "nobody unknown came since visitors are kept");
    }
}
