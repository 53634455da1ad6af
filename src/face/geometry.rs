//! Points, boxes and the five landmarks, in pixels of the picture that was analysed.
//!
//! Coordinates grow to the right and downwards. A pixel's centre lies at integers, as in the labels that
//! the networks were trained on.

/// A position in pixels.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Point {
    /// To the right.
    pub x: f32,
    /// Downwards.
    pub y: f32,
}

impl Point {
    /// The position `(x, y)`.
    #[must_use]
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Distance to `other` in pixels.
    #[must_use]
    pub fn distance(self, other: Self) -> f32 {
        let (dx, dy) = (self.x - other.x, self.y - other.y);
        (dx * dx + dy * dy).sqrt()
    }

    /// The point `share` of the way to `other`; 0 is this one, 1 the other.
    #[must_use]
    pub fn towards(self, other: Self, share: f32) -> Self {
        Self { x: self.x + share * (other.x - self.x), y: self.y + share * (other.y - self.y) }
    }
}

/// The five landmarks of a face: left eye, right eye, nose, left and right mouth corner.
///
/// Left and right are the picture's, not the person's.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Landmarks(pub [Point; 5]);

impl Landmarks {
    /// The eye on the left of the picture.
    #[must_use]
    pub fn left_eye(&self) -> Point {
        self.0[0]
    }

    /// The eye on the right of the picture.
    #[must_use]
    pub fn right_eye(&self) -> Point {
        self.0[1]
    }

    /// The tip of the nose.
    #[must_use]
    pub fn nose(&self) -> Point {
        self.0[2]
    }

    /// Distance between the eyes in pixels.
    #[must_use]
    pub fn eye_distance(&self) -> f32 {
        self.left_eye().distance(self.right_eye())
    }

    /// The same face in the picture's mirror image, which is `width` pixels wide.
    #[must_use]
    pub fn mirrored(&self, width: f32) -> Self {
        Self([1, 0, 2, 4, 3].map(|i: usize| Point::new(width - self.0[i].x, self.0[i].y)))
    }

    /// Every landmark that `share` of the way to the other's.
    #[must_use]
    pub fn towards(&self, other: &Self, share: f32) -> Self {
        Self(std::array::from_fn(|i| self.0[i].towards(other.0[i], share)))
    }

    /// Mean distance between the landmarks of two sets.
    #[must_use]
    pub fn mean_distance(&self, other: &Self) -> f32 {
        self.0.iter().zip(&other.0).map(|(a, b)| a.distance(*b)).sum::<f32>() / 5.0
    }

    /// Whether every coordinate is a number.
    #[must_use]
    pub fn is_finite(&self) -> bool {
        self.0.iter().all(|p| p.x.is_finite() && p.y.is_finite())
    }
}

/// An upright box in pixels; `right` and `bottom` lie outside of it.
#[derive(Debug, Clone, Copy, PartialEq, Default)]
pub struct Bounds {
    /// Left edge.
    pub left: f32,
    /// Upper edge.
    pub top: f32,
    /// Right edge.
    pub right: f32,
    /// Lower edge.
    pub bottom: f32,
}

impl Bounds {
    /// Width in pixels, at least 0.
    #[must_use]
    pub fn width(&self) -> f32 {
        (self.right - self.left).max(0.0)
    }

    /// Height in pixels, at least 0.
    #[must_use]
    pub fn height(&self) -> f32 {
        (self.bottom - self.top).max(0.0)
    }

    /// Area in square pixels.
    #[must_use]
    pub fn area(&self) -> f32 {
        self.width() * self.height()
    }

    /// The middle.
    #[must_use]
    pub fn centre(&self) -> Point {
        Point::new((self.left + self.right) / 2.0, (self.top + self.bottom) / 2.0)
    }

    /// Area of the overlap over the area of the union, `0.0..=1.0`; 0 for empty boxes.
    #[must_use]
    pub fn overlap(&self, other: &Self) -> f32 {
        let shared = self.shared(other);
        let union = self.area() + other.area() - shared;
        if union > 0.0 { shared / union } else { 0.0 }
    }

    /// Area of the overlap over the area of the smaller box, `0.0..=1.0`; 0 for empty boxes.
    #[must_use]
    pub fn within(&self, other: &Self) -> f32 {
        let smaller = self.area().min(other.area());
        if smaller > 0.0 { self.shared(other) / smaller } else { 0.0 }
    }

    /// Area of the overlap.
    fn shared(&self, other: &Self) -> f32 {
        Self {
            left: self.left.max(other.left),
            top: self.top.max(other.top),
            right: self.right.min(other.right),
            bottom: self.bottom.min(other.bottom),
        }
        .area()
    }

    /// Left, top, right, bottom, as drawing code likes them.
    #[must_use]
    pub fn edges(&self) -> [f32; 4] {
        [self.left, self.top, self.right, self.bottom]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn overlap_is_one_for_equals_and_zero_apart() {
        let a = Bounds { left: 0.0, top: 0.0, right: 10.0, bottom: 10.0 };
        let b = Bounds { left: 5.0, top: 0.0, right: 15.0, bottom: 10.0 };
        let far = Bounds { left: 20.0, top: 20.0, right: 30.0, bottom: 30.0 };
        assert_eq!(a.overlap(&a), 1.0);
        assert!((a.overlap(&b) - 1.0 / 3.0).abs() < 1e-6);
        assert_eq!(a.overlap(&far), 0.0);
    }

    #[test]
    fn inverted_and_empty_boxes_overlap_nothing() {
        let inverted = Bounds { left: 10.0, top: 10.0, right: 0.0, bottom: 0.0 };
        assert_eq!(inverted.area(), 0.0);
        assert_eq!(inverted.overlap(&inverted), 0.0);
        assert_eq!(Bounds::default().overlap(&Bounds::default()), 0.0);
    }
}
