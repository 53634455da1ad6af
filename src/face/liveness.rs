//! A living face, or a picture of one: one crop at a time, and a track of crops.

use super::crop::Layers;
use super::decode::sigmoid;
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
}

/// The liveness network with its buffers.
pub struct LivenessJudge {
    network: Box<dyn Network>,
    settings: LivenessSettings,
    input: RgbImage,
}

impl LivenessJudge {
    /// A judge of a compiled network.
    ///
    /// # Errors
    /// When the network's input is no picture.
    pub fn new(network: Box<dyn Network>, settings: LivenessSettings) -> Result<Self, NetworkError> {
        let (height, width) = network.input_size();
        let input = RgbImage::new(width, height)
            .map_err(|error| NetworkError::Run { reason: format!("its input: {error}") })?;
        Ok(Self { network, settings, input })
    }

    /// How it is fed and read.
    #[must_use]
    pub fn settings(&self) -> &LivenessSettings {
        &self.settings
    }

    /// The logit of "this face is alive": above 0 more likely than not, without bounds.
    ///
    /// # Errors
    /// When the network fails or its output is not as the settings say.
    pub fn logit(&mut self, picture: &Layers<'_>, face: &Bounds) -> Result<f32, NetworkError> {
        let window = context(face, self.settings.crop_factor);
        picture.draw_window(&window, &mut self.input.view_mut());
        self.network.run(self.input.pixels())?;
        let output = output_of(&*self.network, 0, (1, 1, self.settings.outputs))?;
        let of = |index: usize| output.values.get(index).map_or(0.0, |&value| output.number(value));
        let live = of(self.settings.live_index);
        Ok(if self.settings.outputs == 2 { live - of(1 - self.settings.live_index.min(1)) } else { live })
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
            let settings = LivenessSettings { crop_factor: 1.2, live_index, outputs, least_score: 0.5 };
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
