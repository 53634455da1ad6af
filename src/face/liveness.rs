//! A living face, or a picture of one: one crop at a time, and a track of crops.
//!
//! Two judges are added up: the network, which learnt from attacks, and the lack of fine detail, which needs no
//! learning and so holds for screens that nobody has seen yet.

use super::crop::Layers;
use super::decode::sigmoid;
use super::detail::DetailMeter;
use super::geometry::Bounds;
use super::image::RgbImage;
use super::network::{Network, NetworkError, output_of};
use serde::Deserialize;

/// How a liveness network is fed and read; all from its manifest.
#[derive(Debug, Clone, Copy, PartialEq, Deserialize)]
pub struct LivenessSettings {
    /// Side of the square crop over the longer side of the face's box.
    pub crop_factor: f32,
    /// Index of the output that speaks for a living face.
    pub live_index: usize,
    /// Numbers of the output: 1 (the logit of a living face) or 2 (their difference is the logit).
    pub outputs: usize,
    /// Least score of a living face, `0.0..=1.0`.
    pub least_score: f32,
    /// Fine detail, as [`DetailMeter::detail`] measures it, from which on a picture says nothing against life.
    #[serde(default)]
    pub full_detail: f32,
    /// What each unit of detail below that takes from the logit; 0 where detail is not asked for.
    #[serde(default)]
    pub detail_weight: f32,
}

impl LivenessSettings {
    /// What a lack of `detail` adds to the logit: 0 from [`full_detail`](Self::full_detail) on, negative below.
    fn penalty(&self, detail: f32) -> f32 {
        self.detail_weight * (detail - self.full_detail).min(0.0)
    }
}

/// The liveness network with its buffers.
pub struct LivenessJudge {
    network: Box<dyn Network>,
    settings: LivenessSettings,
    input: RgbImage,
    meter: Option<DetailMeter>,
}

impl LivenessJudge {
    /// A judge of a compiled network.
    ///
    /// # Errors
    /// When the network's input is no picture, or the settings ask for detail and it is no square or too small.
    pub fn new(network: Box<dyn Network>, settings: LivenessSettings) -> Result<Self, NetworkError> {
        let (height, width) = network.input_size();
        let input = RgbImage::new(width, height)
            .map_err(|error| NetworkError::Run { reason: format!("its input: {error}") })?;
        let mut meter = None;
        if settings.detail_weight > 0.0 {
            let square = (width == height).then(|| DetailMeter::new(width)).flatten();
            let reason = || format!("its input of {width}x{height} pixels is too small to measure detail in");
            meter = Some(square.ok_or_else(|| NetworkError::Run { reason: reason() })?);
        }
        Ok(Self { network, settings, input, meter })
    }

    /// How it is fed and read.
    #[must_use]
    pub fn settings(&self) -> &LivenessSettings {
        &self.settings
    }

    /// The logit of "this face is alive": above 0 more likely than not, without bounds.
    ///
    /// # Errors
    /// When the network fails, or its output is not as the settings say or no finite number.
    pub fn logit(&mut self, picture: &Layers<'_>, face: &Bounds) -> Result<f32, NetworkError> {
        let window = context(face, self.settings.crop_factor);
        picture.draw_window(&window, &mut self.input.view_mut());
        self.network.run(self.input.pixels())?;
        let output = output_of(&*self.network, 0, (1, 1, self.settings.outputs))?;
        let of = |index: usize| output.values.get(index).map_or(0.0, |&value| output.number(value));
        let live = of(self.settings.live_index);
        let logit =
            if self.settings.outputs == 2 { live - of(1 - self.settings.live_index.min(1)) } else { live };
        if !logit.is_finite() {
            return Err(NetworkError::Run { reason: format!("its answer is {logit}") });
        }
        let detail = self.meter.as_mut().map_or(f32::INFINITY, |meter| meter.detail(&self.input));
        Ok(logit + self.settings.penalty(detail))
    }
}

/// The square around the middle of `face`, `factor` times its longer side.
fn context(face: &Bounds, factor: f32) -> Bounds {
    let centre = face.centre();
    let half = factor * face.width().max(face.height()) / 2.0;
    Bounds { left: centre.x - half, top: centre.y - half, right: centre.x + half, bottom: centre.y + half }
}

/// One score, `0.0..=1.0`, of the logits of several frames of one face: the sigmoid of their mean. `None`
/// without logits.
///
/// Frames of one track are no independent witnesses, so their logits are averaged, not added.
#[must_use]
pub fn combined_score(logits: impl IntoIterator<Item = f32>) -> Option<f32> {
    let (sum, count) = logits.into_iter().fold((0.0, 0_u32), |(sum, count), logit| (sum + logit, count + 1));
    (count > 0).then(|| sigmoid(sum / count as f32))
}

#[cfg(test)]
mod tests {
    use super::super::crop::Pyramid;
    use super::super::network::Output;
    use super::*;

    #[test]
    fn the_context_is_a_square_around_the_face() {
        let face = Bounds { left: 10.0, top: 20.0, right: 30.0, bottom: 60.0 };
        assert_eq!(context(&face, 1.5).edges(), [-10.0, 10.0, 50.0, 70.0]);
    }

    fn plain() -> LivenessSettings {
        let (full_detail, detail_weight) = (0.0, 0.0);
        LivenessSettings {
            crop_factor: 1.2,
            live_index: 0,
            outputs: 1,
            least_score: 0.5,
            full_detail,
            detail_weight,
        }
    }

    #[test]
    fn detail_that_is_missing_takes_from_the_logit_and_more_than_enough_adds_nothing() {
        let settings = LivenessSettings { full_detail: -0.9, detail_weight: 6.0, ..plain() };
        assert!((settings.penalty(-1.4) + 3.0).abs() < 1e-5);
        assert_eq!([settings.penalty(-0.9), settings.penalty(2.0), plain().penalty(-3.0)], [0.0, 0.0, 0.0]);
    }

    #[test]
    fn a_network_of_small_pictures_is_refused_when_detail_is_asked_for() {
        let settings = LivenessSettings { full_detail: -0.9, detail_weight: 6.0, ..plain() };
        let refused = LivenessJudge::new(Box::new(Echo([0; 2], 1)), settings).err().unwrap();
        assert!(refused.to_string().contains("8x8 pixels is too small"), "{refused}");
    }

    /// A network that answers with its upper left pixel's red and green.
    struct Echo([i8; 2], usize);

    impl Network for Echo {
        fn input_size(&self) -> (usize, usize) {
            (8, 8)
        }

        fn run(&mut self, pixels: &[u8]) -> Result<(), NetworkError> {
            self.0 = [(pixels[0] / 2) as i8, (pixels[1] / 2) as i8];
            Ok(())
        }

        fn output(&self, index: usize) -> Option<Output<'_>> {
            let values = self.0.get(..self.1)?;
            let output = Output { values, rows: 1, columns: 1, channels: self.1, scale: 0.5, zero_point: 10 };
            (index == 0).then_some(output)
        }
    }

    #[test]
    fn one_logit_is_read_as_it_is_and_two_as_their_difference() {
        let mut picture = RgbImage::new(32, 32).unwrap();
        picture.pixels_mut().chunks_exact_mut(3).for_each(|p| p.copy_from_slice(&[60, 100, 0]));
        let face = Bounds { left: 8.0, top: 8.0, right: 24.0, bottom: 24.0 };
        let mut pyramid = Pyramid::default();
        let layers = pyramid.build(picture.view(), 8);
        for (outputs, live_index, logit) in [(1, 0, 10.0), (2, 0, -10.0), (2, 1, 10.0)] {
            let settings = LivenessSettings { live_index, outputs, ..plain() };
            let mut judge = LivenessJudge::new(Box::new(Echo([0; 2], outputs)), settings).unwrap();
            assert_eq!(judge.logit(&layers, &face).unwrap(), logit, "{outputs} {live_index}");
        }
    }

    #[test]
    fn one_certain_frame_does_not_outvote_many_doubts() {
        assert_eq!(combined_score([]), None);
        assert!((combined_score([2.0, 2.0]).unwrap() - sigmoid(2.0)).abs() < 1e-6);
        assert!(combined_score([4.0, -2.0, -2.0, -2.0]).unwrap() < 0.5);
    }
}
