//! What a distance means: the false accept rate measured on a named test, with its bound.

use crate::face::models::EmbedderManifest;
use serde::{Deserialize, Serialize};
use thiserror::Error;

/// One row of the table: two different people were this near or nearer in this share of comparisons.
#[derive(Debug, Clone, Copy, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct Rate {
    /// Squared Euclidean distance, `0.0..=4.0`.
    pub distance: f64,
    /// Measured false accept rate of one comparison, `0.0..=1.0`.
    pub far: f64,
    /// Upper end of its 95 % confidence interval.
    pub far_upper_95: f64,
}

/// Why a table cannot be used.
#[derive(Debug, Clone, PartialEq, Error)]
pub enum FarTableError {
    /// It has no rows.
    #[error("the table of distances and false accept rates is empty")]
    Empty,
    /// Rows must grow in distance and never fall in rate.
    #[error("the table of distances and false accept rates does not grow at distance {distance}")]
    Order {
        /// The first row that is wrong.
        distance: f64,
    },
}

/// Distances and their false accept rates, in growing order.
#[derive(Debug, Clone, PartialEq)]
pub struct FarTable(Vec<Rate>);

impl FarTable {
    /// A table of `rates`.
    ///
    /// # Errors
    /// When it is empty, out of order, or a number is not within its range.
    pub fn new(rates: Vec<Rate>) -> Result<Self, FarTableError> {
        if rates.is_empty() {
            return Err(FarTableError::Empty);
        }
        let possible = |r: &Rate| {
            (0.0..=4.0).contains(&r.distance) && (0.0..=1.0).contains(&r.far) && r.far_upper_95 >= r.far
        };
        if let Some(wrong) = rates.iter().find(|rate| !possible(rate)) {
            return Err(FarTableError::Order { distance: wrong.distance });
        }
        match rates.windows(2).find(|pair| pair[0].distance >= pair[1].distance || pair[0].far > pair[1].far)
        {
            Some(pair) => Err(FarTableError::Order { distance: pair[1].distance }),
            None => Ok(Self(rates)),
        }
    }

    /// The table of an embedder.
    ///
    /// # Errors
    /// As [`FarTable::new`].
    pub fn of(embedder: &EmbedderManifest) -> Result<Self, FarTableError> {
        let rate = |row: &crate::face::models::DistanceFar| Rate {
            distance: f64::from(row.distance),
            far: row.far,
            far_upper_95: row.far_upper_95,
        };
        Self::new(embedder.distance_far.iter().map(rate).collect())
    }

    /// The upper bound of the false accept rate at `distance`: that of the next row, 1 beyond the last.
    #[must_use]
    pub fn upper_bound(&self, distance: f64) -> f64 {
        self.0.iter().find(|rate| distance <= rate.distance).map_or(1.0, |rate| rate.far_upper_95)
    }

    /// The greatest distance of the table whose bound is at most `wanted`; `None` when the test was too
    /// small to promise it.
    #[must_use]
    pub fn threshold(&self, wanted: f64) -> Option<f64> {
        self.0.iter().take_while(|rate| rate.far_upper_95 <= wanted).last().map(|rate| rate.distance)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn table() -> FarTable {
        let row = |distance, far| Rate { distance, far, far_upper_95: far * 2.0 };
        FarTable::new(vec![row(0.5, 1e-6), row(0.8, 1e-4), row(1.0, 1e-3)]).expect("in order")
    }

    #[test]
    fn a_distance_between_rows_gets_the_worse_bound() {
        assert_eq!(table().upper_bound(0.6), 2e-4);
        assert_eq!(table().upper_bound(0.5), 2e-6);
        assert_eq!(table().upper_bound(1.01), 1.0);
    }

    #[test]
    fn a_threshold_is_promised_only_where_the_bound_holds() {
        assert_eq!(table().threshold(2e-4), Some(0.8));
        assert_eq!(table().threshold(1e-4), Some(0.5));
        assert_eq!(table().threshold(1e-7), None);
    }

    #[test]
    fn a_table_that_falls_is_refused() {
        let row = |distance, far| Rate { distance, far, far_upper_95: far };
        let error = FarTable::new(vec![row(0.5, 1e-3), row(0.8, 1e-4)]);
        assert_eq!(error, Err(FarTableError::Order { distance: 0.8 }));
    }
}
