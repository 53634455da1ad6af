//! A calibration in words.

use std::io::{self, Write};

use super::enrolled::Likeness;
use super::probes::Probes;
use super::strangers::{Limit, Proposal};
use super::{CalibrateError, CalibrateOptions, Calibration};
use crate::host::statistics::Rate;

/// Prints a calibration, as text or as JSON.
pub fn tell(
    found: &Calibration,
    options: &CalibrateOptions,
    out: &mut dyn Write,
) -> Result<(), CalibrateError> {
    if options.json {
        serde_json::to_writer_pretty(&mut *out, found).map_err(io::Error::from)?;
        return Ok(writeln!(out)?);
    }
    let Calibration { embedding_id, people, templates, threshold, margin, .. } = found;
    writeln!(out, "embedder {embedding_id}, threshold {threshold:.3}, margin {margin:.2}")?;
    writeln!(out, "{people} people are enrolled with {templates} templates")?;
    strangers(found, out)?;
    enrolled(found, out)?;
    if let Some(probes) = &found.probes {
        pictures(probes, out)?;
    }
    writeln!(out, "\nthresholds, by how many strangers may be let in at one look")?;
    for proposal in &found.proposals {
        writeln!(out, "  {}", in_words(proposal))?;
    }
    match found.written {
        Some(threshold) => writeln!(out, "\nwritten: the lock uses {threshold:.3} from its next start on")?,
        None if options.state.is_some() => {
            writeln!(
                out,
                "\nnothing was written; add --write to give the lock the threshold for {:.0e}",
                options.far
            )?;
        }
        None => {}
    }
    Ok(())
}

fn strangers(found: &Calibration, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nstrangers who are let in at one look")?;
    writeln!(
        out,
        "  computed  at most {:.1e}, from the released test and the number of templates",
        found.computed_upper_95
    )?;
    let Rate { events, trials, .. } = found.nobody_accepted;
    writeln!(
        out,
        "  counted   {events} of {trials} templates of nobody: {}",
        bounds(&found.nobody_accepted)
    )?;
    if let Some(rate @ Rate { events, trials, .. }) = &found.visits_accepted {
        writeln!(
            out,
            "  at the door  {events} of {trials} unknown visits that the lock kept: {}",
            bounds(rate)
        )?;
    }
    writeln!(out, "  (templates of nobody can warn, not reassure: the people of one street are more alike)")
}

fn enrolled(found: &Calibration, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\nthe people who are enrolled")?;
    let Rate { events, trials, .. } = found.self_rejections;
    if trials > 0 {
        writeln!(
            out,
            "  {events} of {trials} templates are refused by the same person's others: {}",
            bounds(&found.self_rejections)
        )?;
        writeln!(out, "  (taken within seconds of each other: expect more at the door; --probes tells)")?;
    }
    for pair in &found.look_alikes {
        let [a, b] = &pair.names;
        let meaning = match pair.kind {
            Likeness::Mistaken => {
                "WARNING: either can be taken for the other; they need a stricter threshold"
            }
            Likeness::Refused => "alike: either may be refused at times",
        };
        writeln!(out, "  {a} and {b}, distance {:.2}: {meaning}", pair.distance)?;
    }
    if found.look_alikes.is_empty() {
        writeln!(out, "  nobody looks like anybody else")?;
    }
    Ok(())
}

fn pictures(probes: &Probes, out: &mut dyn Write) -> io::Result<()> {
    writeln!(out, "\npictures at the threshold in use; intervals are over people")?;
    let interval = |interval: Option<(f64, f64)>| {
        interval.map_or(String::new(), |(low, high)| format!(", 95 % within {low:.2e} to {high:.2e}"))
    };
    for (what, rate, over_people) in [
        ("of enrolled people are refused", probes.refused, probes.refused_interval_95),
        ("of enrolled people open for somebody else", probes.mistaken, None),
        ("of strangers open", probes.strangers_accepted, probes.strangers_interval_95),
    ] {
        let Rate { events, trials, .. } = rate;
        if trials > 0 {
            writeln!(out, "  {events} of {trials} {what}: {:.2e}{}", rate.rate, interval(over_people))?;
        }
    }
    Ok(())
}

fn bounds(rate: &Rate) -> String {
    if rate.events == 0 {
        return format!("below {:.1e}, with 95 % confidence", rate.upper_95);
    }
    format!("{:.1e}, 95 % within {:.1e} to {:.1e}", rate.rate, rate.lower_95, rate.upper_95)
}

fn in_words(proposal: &Proposal) -> String {
    let wanted = proposal.wanted;
    let reason = match proposal.by {
        Limit::ComputedAndCounted => "the released test; templates of nobody do not contradict it",
        Limit::Computed => "the released test; templates of nobody are too few to contradict it",
        Limit::Counted => "the templates of nobody, of whom more are let in than the released test says",
        Limit::Unsupported => "the released test is too small to promise so little with so many templates",
    };
    match proposal.threshold {
        Some(threshold) => format!("{wanted:.0e}  threshold {threshold:.3}  by {reason}"),
        None => format!("{wanted:.0e}  no threshold     {reason}"),
    }
}
