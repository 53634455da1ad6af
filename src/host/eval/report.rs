//! The evaluation in words, for a terminal and as a page that holds its own pictures.

use std::io::{self, Cursor, Write};

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use image::{ImageFormat, RgbImage};
use maud::{DOCTYPE, Markup, PreEscaped, html};

use super::Evaluation;
use crate::host::eval::all_pairs::AllPairs;
use crate::host::eval::identification::Identification;
use crate::host::eval::verification::Verification;
use crate::host::statistics::Rate;

/// Pictures that go into the page.
#[derive(Debug, Default)]
pub struct Figures {
    /// Plots as SVG, with a title each.
    pub plots: Vec<(&'static str, String)>,
    /// Sheets of the worst pairs, with a title and a caption for each pair.
    pub worst: Vec<WorstPairs>,
}

/// The worst pairs of one kind.
#[derive(Debug)]
pub struct WorstPairs {
    /// What went wrong.
    pub title: &'static str,
    /// The pairs' crops: two in a row.
    pub sheet: RgbImage,
    /// For each row: the pictures' names and their distance.
    pub captions: Vec<String>,
}

/// Writes the evaluation as text.
///
/// # Errors
/// When the output is gone.
pub fn text(evaluation: &Evaluation, out: &mut dyn Write) -> io::Result<()> {
    let Evaluation { embedding_id, threshold, pictures, pairs, all, identification, .. } = evaluation;
    writeln!(out, "embedder {embedding_id}, threshold {threshold:.3}")?;
    writeln!(out, "{pictures}")?;
    writeln!(out, "\n{}", pairs_in_words(pairs))?;
    writeln!(out, "  accuracy              {}", accuracy(pairs))?;
    writeln!(out, "  equal error rate      {}", percent(pairs.equal_error))?;
    writeln!(out, "  area under the ROC    {:.5}", pairs.area_under_roc)?;
    writeln!(out, "  strangers accepted    true accepts, 95 % over people   up to distance")?;
    for [far, tar, threshold] in operating_rows(pairs) {
        writeln!(out, "  {far:<20}  {tar:<31}  {threshold}")?;
    }
    writeln!(out, "\n{}", all_in_words(all))?;
    writeln!(out, "  distance  strangers accepted  upper 95 %  one person refused")?;
    for [distance, far, upper, frr] in table_rows(all) {
        writeln!(out, "  {distance:>8}  {far:>18}  {upper:>10}  {frr:>18}")?;
    }
    writeln!(out, "  {}", doubt(all))?;
    if let Some(found) = identification {
        writeln!(out, "\n{}", identification_in_words(found))?;
        for [what, rate] in identification_rows(found) {
            writeln!(out, "  {what:<34} {rate}")?;
        }
    }
    Ok(())
}

/// The evaluation as one HTML page that needs no other file.
///
/// # Errors
/// When a picture cannot be encoded.
pub fn page(evaluation: &Evaluation, figures: &Figures) -> Result<String, image::ImageError> {
    let Evaluation { embedding_id, threshold, pairs, all, .. } = evaluation;
    let worst: Vec<Markup> = figures.worst.iter().map(worst_pairs).collect::<Result<_, _>>()?;
    let page = html! {
        (DOCTYPE)
        html lang="en" {
            head {
                meta charset="utf-8";
                title { "facelatch: how well embedder " (embedding_id) " tells people apart" }
                style { (PreEscaped(STYLE)) }
            }
            body {
                h1 { "How well embedder " (embedding_id) " tells people apart" }
                p.warning { "This page shows faces of the pictures that were tested. Keep it as you keep those pictures." }
                p { (evaluation.source) ". " (evaluation.pictures) "." }
                h2 { "Pairs" }
                p { (pairs_in_words(pairs)) ". The threshold of the release is " (format!("{threshold:.3}")) "." }
                dl {
                    dt { "Accuracy" } dd { (accuracy(pairs)) }
                    dt { "Equal error rate" } dd { (percent(pairs.equal_error)) }
                    dt { "Area under the ROC" } dd { (format!("{:.5}", pairs.area_under_roc)) }
                }
                (table(&["strangers accepted", "true accepts, 95 % over people", "up to distance"], operating_rows(pairs)))
                @for (title, svg) in &figures.plots { figure { figcaption { (title) } (PreEscaped(svg)) } }
                h2 { "What a distance means" }
                p { (all_in_words(all)) ". " (doubt(all)) }
                (table(&["distance", "strangers accepted", "upper 95 %", "one person refused"], table_rows(all)))
                @if let Some(found) = &evaluation.identification {
                    h2 { "Who is it?" }
                    p { (identification_in_words(found)) }
                    (table(&["", "share"], identification_rows(found)))
                }
                @for pairs in &worst { (pairs) }
            }
        }
    };
    Ok(page.into_string())
}

const STYLE: &str = "body{font:16px/1.5 system-ui,sans-serif;max-width:62rem;margin:2rem auto;padding:0 1rem;color:#1c1e22}\
table{border-collapse:collapse}td,th{padding:.2rem .9rem;border-bottom:1px solid #ddd;text-align:right}\
figure{display:inline-block;margin:.5rem}dl{display:grid;grid-template-columns:max-content auto;gap:.2rem 1rem}\
dd{margin:0}.warning{background:#fff3cd;padding:.5rem 1rem}.worst{display:flex;gap:1rem}\
.worst ol{list-style:none;margin:0;padding:0}.worst li{height:116px}";

fn table<const N: usize>(heads: &[&str; N], rows: impl IntoIterator<Item = [String; N]>) -> Markup {
    html! {
        table {
            tr { @for head in heads { th { (head) } } }
            @for row in rows { tr { @for cell in row { td { (cell) } } } }
        }
    }
}

fn worst_pairs(worst: &WorstPairs) -> Result<Markup, image::ImageError> {
    let mut bytes = Cursor::new(Vec::new());
    worst.sheet.write_to(&mut bytes, ImageFormat::Jpeg)?;
    let source = format!("data:image/jpeg;base64,{}", STANDARD.encode(bytes.into_inner()));
    Ok(html! {
        h2 { (worst.title) }
        div.worst {
            img src=(source) alt=(worst.title) width=(worst.sheet.width()) height=(worst.sheet.height());
            ol { @for caption in &worst.captions { li { (caption) } } }
        }
    })
}

fn pairs_in_words(pairs: &Verification) -> String {
    let mut text = format!("{} pairs of one person and {} of two", pairs.same, pairs.different);
    if pairs.without_template > 0 {
        text += &format!(", {} of them with a picture that has no template: refused", pairs.without_template);
    }
    if pairs.left_out > 0 {
        text += &format!("; {} pairs left out, their pictures are not there", pairs.left_out);
    }
    text
}

fn accuracy(pairs: &Verification) -> String {
    format!(
        "{} +- {:.2} (mean of {} folds, standard error)",
        percent(pairs.accuracy),
        100.0 * pairs.standard_error,
        pairs.folds.len()
    )
}

fn operating_rows(pairs: &Verification) -> Vec<[String; 3]> {
    let row = |at: &super::verification::TarAtFar| {
        let Some(measured) = at.measured else {
            let needed = (1.0 / at.far).round();
            return [
                format!("{:.0e}", at.far),
                format!("too few pairs: {needed} of two people needed"),
                "-".into(),
            ];
        };
        let interval = at
            .interval_95
            .map_or(String::new(), |(low, high)| format!(" ({} to {})", percent(low), percent(high)));
        [format!("{:.0e}", at.far), percent(measured.tar) + &interval, format!("{:.3}", measured.threshold)]
    };
    pairs.tar_at_far.iter().map(row).collect()
}

fn all_in_words(all: &AllPairs) -> String {
    format!(
        "All {} comparisons of two people and {} of one, among {} pictures of {} people",
        all.different, all.same, all.pictures, all.people
    )
}

fn table_rows(all: &AllPairs) -> Vec<[String; 4]> {
    let row = |row: &super::all_pairs::Row| {
        [
            format!("{:.2}", row.distance),
            format!("{:.1e}", row.false_accepts.rate),
            format!("{:.1e}", row.false_accepts.upper_95),
            percent(row.frr),
        ]
    };
    all.rows.iter().map(row).collect()
}

fn doubt(all: &AllPairs) -> String {
    format!(
        "Comparisons share people, so they are not independent: the bound is the 97.5th percentile of 200 draws of whole \
         people with replacement, and never below that of as many independent pairs (rule of three where there was no \
         error). People who share no comparison could only show a rate below {:.0e}.",
        all.bound_of_disjoint_pairs
    )
}

fn identification_in_words(found: &Identification) -> String {
    format!(
        "{} people enrolled, the others are strangers; {} nearest templates vote, up to distance {:.3}",
        found.enrolled, found.neighbours, found.threshold
    )
}

fn identification_rows(found: &Identification) -> Vec<[String; 2]> {
    [
        ("nearest template is the right person", found.first_is_right),
        ("recognised", found.recognised),
        ("taken for somebody else", found.mistaken),
        ("strangers taken for somebody", found.strangers_accepted),
    ]
    .map(|(what, rate)| [what.to_owned(), rate_in_words(&rate)])
    .to_vec()
}

fn rate_in_words(rate: &Rate) -> String {
    format!("{} ({} of {})", percent(rate.rate), rate.events, rate.trials)
}

fn percent(share: f64) -> String {
    format!("{:.2} %", 100.0 * share)
}
