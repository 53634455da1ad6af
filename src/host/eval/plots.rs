//! ROC, DET and the distances themselves as SVG.

use std::fmt::Display;

use plotters::coord::Shift;
use plotters::prelude::*;
use statrs::distribution::{ContinuousCDF, Normal};
use thiserror::Error;

use super::curve::Curve;
use super::verification::Scored;

const SIZE: (u32, u32) = (560, 400);
const BLUE: RGBColor = RGBColor(31, 95, 160);
const RED: RGBColor = RGBColor(190, 60, 50);
/// Rarest error on the axes of a DET plot, `0.0..=1.0`.
const RAREST: f64 = 1e-6;

/// A plot could not be drawn.
#[derive(Debug, Error)]
#[error("a plot cannot be drawn: {reason}")]
pub struct PlotError {
    /// The drawing library's word.
    pub reason: String,
}

fn failed(error: impl Display) -> PlotError {
    PlotError { reason: error.to_string() }
}

/// A curve with its name.
pub type Named<'a> = (&'a str, &'a Curve);

/// True accepts over false accepts, which are drawn by decades.
///
/// # Errors
/// When it cannot be drawn.
pub fn roc(curves: &[Named<'_>]) -> Result<String, PlotError> {
    drawing(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d((RAREST..1.0).log_scale(), 0.0..1.0)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("strangers accepted")
            .y_desc("true accepts")
            .x_label_formatter(&|far| format!("{far:.0e}"))
            .y_label_formatter(&|tar| format!("{:.0} %", 100.0 * tar))
            .draw()
            .map_err(failed)?;
        for (index, (name, curve)) in curves.iter().enumerate() {
            let points = curve.drawn().into_iter().filter(|(far, _)| *far > 0.0);
            let colour = colour(index);
            let line = chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(failed)?;
            line.label(*name).legend(move |(x, y)| PathElement::new([(x, y), (x + 16, y)], colour));
        }
        chart
            .configure_series_labels()
            .position(SeriesLabelPosition::LowerRight)
            .background_style(WHITE)
            .border_style(BLACK.mix(0.3))
            .draw()
            .map_err(failed)
    })
}

/// Refused over accepted wrongly, both on the scale on which normal distributions are straight lines.
///
/// # Errors
/// When it cannot be drawn.
///
/// # Source
/// Martin, Doddington, Kamm, Ordowski, Przybocki: The DET curve in assessment of detection task performance
/// (Eurospeech 1997).
pub fn det(curves: &[Named<'_>]) -> Result<String, PlotError> {
    let normal = Normal::standard();
    let deviate = |rate: f64| normal.inverse_cdf(rate.clamp(RAREST, 1.0 - RAREST));
    let percent = |deviate: &f64| match normal.cdf(*deviate) {
        rare if rare < 1e-4 => format!("{rare:.0e}"),
        rate => format!("{:.2} %", 100.0 * rate),
    };
    drawing(|area| {
        let axis = deviate(RAREST)..deviate(0.6);
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(64)
            .build_cartesian_2d(axis.clone(), axis)
            .map_err(failed)?;
        chart
            .configure_mesh()
            .x_desc("strangers accepted")
            .y_desc("enrolled people refused")
            .x_label_formatter(&percent)
            .y_label_formatter(&percent)
            .draw()
            .map_err(failed)?;
        for (index, (_, curve)) in curves.iter().enumerate() {
            let seen = curve.drawn().into_iter().filter(|(far, tar)| *far > 0.0 && *tar > 0.4 && *far < 0.6);
            let points = seen.map(|(far, tar)| (deviate(far), deviate(1.0 - tar)));
            chart.draw_series(LineSeries::new(points, colour(index).stroke_width(2))).map_err(failed)?;
        }
        Ok(())
    })
}

/// How many pairs lie at which distance, those of one person in blue and those of two in red.
///
/// # Errors
/// When it cannot be drawn.
pub fn distances(pairs: &[Scored]) -> Result<String, PlotError> {
    let density = |same: bool| {
        let mut cells = vec![0.0; 80];
        let of_kind: Vec<&Scored> = pairs.iter().filter(|pair| pair.same == same).collect();
        for pair in &of_kind {
            cells[((pair.distance * 20.0) as usize).min(79)] += 20.0 / of_kind.len() as f64;
        }
        cells.into_iter().enumerate().map(|(i, share)| ((i as f64 + 0.5) / 20.0, share)).collect::<Vec<_>>()
    };
    let (same, different) = (density(true), density(false));
    let highest = same.iter().chain(&different).map(|(_, share)| *share).fold(0.1, f64::max);
    drawing(|area| {
        let mut chart = ChartBuilder::on(area)
            .margin(12)
            .x_label_area_size(42)
            .y_label_area_size(56)
            .build_cartesian_2d(0.0..4.0, 0.0..highest * 1.05)
            .map_err(failed)?;
        chart.configure_mesh().x_desc("squared distance").y_desc("density").draw().map_err(failed)?;
        for (points, colour) in [(same, BLUE), (different, RED)] {
            chart.draw_series(LineSeries::new(points, colour.stroke_width(2))).map_err(failed)?;
        }
        Ok(())
    })
}

fn colour(index: usize) -> RGBColor {
    if index == 0 { BLUE } else { RED }
}

type Area<'a> = DrawingArea<SVGBackend<'a>, Shift>;

fn drawing(draw: impl FnOnce(&Area<'_>) -> Result<(), PlotError>) -> Result<String, PlotError> {
    let mut svg = String::new();
    {
        let area = SVGBackend::with_string(&mut svg, SIZE).into_drawing_area();
        area.fill(&WHITE).map_err(failed)?;
        draw(&area)?;
        area.present().map_err(failed)?;
    }
    Ok(svg)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn curves_are_drawn_also_where_nobody_is_taken_for_somebody_else() {
        let apart = Curve::of([(0.1, 5, 0), (2.0, 0, 5)]);
        let mixed = Curve::of((0..400).map(|i| (i as f32 / 100.0, 400 - i, i)));
        for plot in
            [roc(&[("apart", &apart), ("mixed", &mixed)]), det(&[("apart", &apart), ("mixed", &mixed)])]
        {
            let svg = plot.expect("drawn");
            assert!(svg.starts_with("<svg") && svg.contains("polyline"), "{svg}");
            assert!(!svg.contains("NaN"), "{svg}");
        }
    }

    #[test]
    fn distances_of_one_kind_only_are_drawn() {
        let pair = |distance| Scored { distance, same: true, fold: 0, people: [0, 0] };
        assert!(distances(&[pair(0.1), pair(4.0)]).expect("drawn").contains("polyline"));
    }
}
