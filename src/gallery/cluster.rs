//! Faces without names, grouped by whose they are.
//!
//! Two ways, as in the FaceNet paper: agglomerative clustering, for when nobody knows how many people there are,
//! and k-means, for when somebody does. Both take templates in any order and give each a cluster's number; the
//! largest cluster is number 0.
//!
//! # Source
//! Schroff, Kalenichenko, Philbin: FaceNet (CVPR 2015), sections 1 and 5.4.

use kodama::{Method, linkage};
use thiserror::Error;

use crate::face::template::{DIMENSIONS, FARTHEST, Template};

/// Most faces that are linked: their distances take 4 bytes for every two, 200 MB in all.
pub const MOST_FACES: usize = 10_000;

/// Faces of others by which it is told how near a face is to everybody. A choice, made on other people than those by
/// whom it is reported: 50 to 200 do the same.
const NEAREST_OTHERS: usize = 100;
/// The cut of the first pass, as a share of that of the second. A choice, made on the same people.
const FIRST_PASS: f32 = 0.93;

/// Most rounds of k-means. A choice: it settles in a few dozen.
const MOST_ROUNDS: usize = 100;

/// Why faces cannot be clustered.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Error)]
pub enum ClusterError {
    /// There are too many.
    #[error(
        "{faces} faces are more than {MOST_FACES}, whose distances fit into memory: cluster fewer at once"
    )]
    TooMany {
        /// Faces that were given.
        faces: usize,
    },
    /// There are fewer faces than people.
    #[error("{faces} faces cannot be {clusters} people")]
    TooFew {
        /// Faces that were given.
        faces: usize,
        /// Clusters that were asked for.
        clusters: usize,
    },
}

/// Groups faces by average linkage: the two groups whose members are nearest on average are joined, again and
/// again, until the nearest two are more than `cut` (squared distance, `0.0..=4.0`) apart.
///
/// Templates of different embedders are never joined below a cut of 4.
///
/// # Errors
/// When there are more than [`MOST_FACES`].
///
/// # Source
/// Sokal, Michener: A statistical method for evaluating systematic relationships (1958), by the algorithm of
/// Müllner: Modern hierarchical, agglomerative clustering algorithms (2011).
pub fn by_average_linkage(faces: &[&Template], cut: f32) -> Result<Vec<usize>, ClusterError> {
    linked(faces, cut, |_, _, distance| distance)
}

/// Groups faces by average linkage in two passes. Blurred or turned faces are near to everybody, and join people who
/// are not one. So a first pass with a lower cut finds most of each person's faces; then each face's distances grow by
/// half of what it is nearer to the nearest faces outside of its group than faces are on average, or shrink by as much;
/// and with these a second pass groups anew.
///
/// # Errors
/// As [`by_average_linkage`].
///
/// # Source
/// Adaptive score normalisation of speaker recognition, its mean alone: Matějka et al., Analysis of score normalization
/// in multilingual speaker recognition (Interspeech 2017); the first pass, which keeps a person's own faces out of it,
/// is added here.
pub fn by_corrected_linkage(faces: &[&Template], cut: f32) -> Result<Vec<usize>, ClusterError> {
    let groups = by_average_linkage(faces, FIRST_PASS * cut)?;
    let nearness: Vec<Option<f32>> = (0..faces.len()).map(|face| nearness(faces, &groups, face)).collect();
    let known = nearness.iter().flatten();
    let mean = known.clone().sum::<f32>() / known.count().max(1) as f32;
    let beyond = |face: usize| nearness[face].map_or(0.0, |near| (near - mean) / 2.0);
    linked(faces, cut, |a, b, distance| match distance {
        FARTHEST.. => distance,
        _ => (distance - beyond(a) - beyond(b)).max(0.0),
    })
}

/// Mean squared distance of a face to the nearest faces outside of its group; `None` when there are none.
fn nearness(faces: &[&Template], groups: &[usize], face: usize) -> Option<f32> {
    let others = faces.iter().zip(groups).filter(|(_, group)| **group != groups[face]);
    let mut distances: Vec<f32> = others
        .map(|(other, _)| faces[face].distance(other))
        .filter(|distance| *distance < FARTHEST)
        .collect();
    if distances.len() > NEAREST_OTHERS {
        distances.select_nth_unstable_by(NEAREST_OTHERS - 1, f32::total_cmp);
        distances.truncate(NEAREST_OTHERS);
    }
    (!distances.is_empty()).then(|| distances.iter().sum::<f32>() / distances.len() as f32)
}

/// Average linkage, cut at `cut`, of distances as `corrected` makes them of two faces' numbers and their distance.
fn linked(
    faces: &[&Template],
    cut: f32,
    corrected: impl Fn(usize, usize, f32) -> f32,
) -> Result<Vec<usize>, ClusterError> {
    let count = faces.len();
    if count > MOST_FACES {
        return Err(ClusterError::TooMany { faces: count });
    }
    let mut distances = Vec::with_capacity(count * count.saturating_sub(1) / 2);
    for (index, face) in faces.iter().enumerate() {
        let others = faces.iter().enumerate().skip(index + 1);
        distances.extend(others.map(|(other, template)| corrected(index, other, face.distance(template))));
    }
    let tree = linkage(&mut distances, count, Method::Average);
    let mut members: Vec<Vec<usize>> = (0..count).map(|face| vec![face]).collect();
    for step in tree.steps() {
        if step.dissimilarity > cut {
            members.push(Vec::new());
            continue;
        }
        let mut joined = std::mem::take(&mut members[step.cluster1]);
        joined.append(&mut members[step.cluster2]);
        members.push(joined);
    }
    Ok(numbered(members, count))
}

/// Groups faces into `clusters` by k-means on the unit sphere; `random` gives numbers in `0.0..1.0`.
///
/// Written here: the crates that offer it bring an array library and Euclidean means, while templates are unit
/// vectors whose mean must be brought back to unit length.
///
/// # Errors
/// When there are fewer faces than clusters.
///
/// # Source
/// Dhillon, Modha: Concept decompositions for large sparse text data using clustering (2001); the first centres
/// by Arthur, Vassilvitskii: k-means++ (SODA 2007).
pub fn by_k_means(
    faces: &[&Template],
    clusters: usize,
    random: &mut dyn FnMut() -> f64,
) -> Result<Vec<usize>, ClusterError> {
    if clusters == 0 || faces.len() < clusters {
        return Err(ClusterError::TooFew { faces: faces.len(), clusters });
    }
    let points: Vec<Point> = faces.iter().map(|face| unit(face.embedding.map(f32::from))).collect();
    let mut centres = first_centres(&points, clusters, random);
    let mut nearest = vec![usize::MAX; points.len()];
    for _ in 0..MOST_ROUNDS {
        let before = nearest.clone();
        for (cluster, point) in nearest.iter_mut().zip(&points) {
            *cluster = nearest_centre(&centres, point).0;
        }
        if nearest == before {
            break;
        }
        move_centres(&mut centres, &points, &nearest);
    }
    let mut members = vec![Vec::new(); clusters];
    for (face, cluster) in nearest.into_iter().enumerate() {
        members[cluster].push(face);
    }
    Ok(numbered(members, faces.len()))
}

type Point = [f32; DIMENSIONS];

fn unit(mut point: Point) -> Point {
    let length = point.iter().map(|x| x * x).sum::<f32>().sqrt();
    if length > 0.0 {
        point.iter_mut().for_each(|x| *x /= length);
    }
    point
}

/// Squared distance of two unit vectors.
fn apart(a: &Point, b: &Point) -> f32 {
    (2.0 - 2.0 * a.iter().zip(b).map(|(x, y)| x * y).sum::<f32>()).max(0.0)
}

fn nearest_centre(centres: &[Point], point: &Point) -> (usize, f32) {
    let distances = centres.iter().map(|centre| apart(centre, point)).enumerate();
    distances.min_by(|a, b| a.1.total_cmp(&b.1)).expect("there is at least one centre")
}

/// Each centre is a point, the likelier the farther it is from the centres before it.
fn first_centres(points: &[Point], clusters: usize, random: &mut dyn FnMut() -> f64) -> Vec<Point> {
    let first = (random() * points.len() as f64) as usize;
    let mut centres = vec![points[first.min(points.len() - 1)]];
    let mut distances: Vec<f32> = points.iter().map(|point| apart(&centres[0], point)).collect();
    while centres.len() < clusters {
        let mut left = random() * distances.iter().map(|d| f64::from(*d)).sum::<f64>();
        let drawn = distances.iter().position(|distance| {
            left -= f64::from(*distance);
            left < 0.0
        });
        let centre = points[drawn.unwrap_or(points.len() - 1)];
        for (distance, point) in distances.iter_mut().zip(points) {
            *distance = distance.min(apart(&centre, point));
        }
        centres.push(centre);
    }
    centres
}

/// Puts every centre into the middle of its points; one that has none stays.
fn move_centres(centres: &mut [Point], points: &[Point], nearest: &[usize]) {
    let mut sums = vec![[0.0; DIMENSIONS]; centres.len()];
    for (point, cluster) in points.iter().zip(nearest) {
        sums[*cluster].iter_mut().zip(point).for_each(|(sum, x)| *sum += x);
    }
    for (centre, sum) in centres.iter_mut().zip(sums) {
        if sum.iter().any(|x| *x != 0.0) {
            *centre = unit(sum);
        }
    }
}

/// The number of every face's cluster, when the largest is number 0 and of equals that with the first face.
fn numbered(mut members: Vec<Vec<usize>>, faces: usize) -> Vec<usize> {
    members.retain(|cluster| !cluster.is_empty());
    members.iter_mut().for_each(|cluster| cluster.sort_unstable());
    members.sort_by_key(|cluster| (std::cmp::Reverse(cluster.len()), cluster[0]));
    let mut numbers = vec![0; faces];
    for (number, cluster) in members.iter().enumerate() {
        cluster.iter().for_each(|face| numbers[*face] = number);
    }
    numbers
}

/// How well clusters are people, when it is known who is who.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Agreement {
    /// Of every two faces in one cluster, the share that is one person.
    pub precision: f64,
    /// Of every two faces of one person, the share that is in one cluster.
    pub recall: f64,
    /// Share of the faces that are of their cluster's most frequent person.
    pub purity: f64,
}

impl Agreement {
    /// Compares clusters with people, both given for each face.
    #[must_use]
    pub fn of(clusters: &[usize], people: &[usize]) -> Self {
        let together = pairs_within(clusters.iter().copied());
        let of_one_person = pairs_within(people.iter().copied());
        let both = pairs_within(clusters.iter().zip(people));
        let share = |part: u64, whole: u64| if whole == 0 { 1.0 } else { part as f64 / whole as f64 };
        let mut largest = std::collections::BTreeMap::new();
        for ((cluster, _), count) in counted(clusters.iter().zip(people)) {
            let most: &mut u64 = largest.entry(*cluster).or_default();
            *most = count.max(*most);
        }
        Self {
            precision: share(both, together),
            recall: share(both, of_one_person),
            purity: share(largest.values().sum(), clusters.len() as u64),
        }
    }

    /// The harmonic mean of precision and recall: the pairwise F measure.
    #[must_use]
    pub fn f(&self) -> f64 {
        let sum = self.precision + self.recall;
        if sum > 0.0 { 2.0 * self.precision * self.recall / sum } else { 0.0 }
    }
}

fn counted<T: Ord>(labels: impl Iterator<Item = T>) -> std::collections::BTreeMap<T, u64> {
    let mut counts = std::collections::BTreeMap::new();
    labels.for_each(|label| *counts.entry(label).or_default() += 1);
    counts
}

/// Pairs of equal labels.
fn pairs_within<T: Ord>(labels: impl Iterator<Item = T>) -> u64 {
    counted(labels).values().map(|n| n * (n - 1) / 2).sum()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::gallery::towards::towards;
    use proptest::prelude::*;

    /// Faces of `people` people (seven at most), `each` of every one, near each other and far from all others.
    fn faces(people: usize, each: usize) -> Vec<Template> {
        let face = |i: usize| {
            let mut directions = [0.0; 8];
            directions[i % people] = 1.0;
            directions[7] = 0.05 * (i / people) as f32;
            towards(&directions)
        };
        (0..people * each).map(face).collect()
    }

    fn seeded() -> impl FnMut() -> f64 {
        let mut state = 1_u64;
        move || {
            state = state.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
            (state >> 11) as f64 / (1_u64 << 53) as f64
        }
    }

    #[test]
    fn people_who_are_apart_are_found_both_ways() {
        let templates = faces(7, 5);
        let faces: Vec<&Template> = templates.iter().collect();
        let people: Vec<usize> = (0..35).map(|i| i % 7).collect();
        let linked = by_average_linkage(&faces, 1.0).expect("few faces");
        let corrected = by_corrected_linkage(&faces, 1.0).expect("few faces");
        let grouped = by_k_means(&faces, 7, &mut seeded()).expect("more faces than people");
        for clusters in [linked, corrected, grouped] {
            let agreement = Agreement::of(&clusters, &people);
            assert_eq!((agreement.f(), agreement.purity), (1.0, 1.0), "{clusters:?}");
        }
    }

    #[test]
    fn the_cut_decides_how_many_there_are() {
        let templates = faces(3, 4);
        let faces: Vec<&Template> = templates.iter().collect();
        let count = |cut: f32| by_average_linkage(&faces, cut).expect("few").into_iter().max().map(|n| n + 1);
        assert_eq!(count(0.0), Some(12));
        assert_eq!(count(1.0), Some(3));
        assert_eq!(count(4.0), Some(1));
    }

    #[test]
    fn a_face_that_is_near_to_everybody_joins_nobody() {
        let people = faces(2, 6);
        let blurred = towards(&[1.0, 1.0]);
        let all: Vec<&Template> = people.iter().chain([&blurred]).collect();
        let plain = by_average_linkage(&all, 1.0).expect("few");
        let corrected = by_corrected_linkage(&all, 1.0).expect("few");
        assert!(plain[12] == plain[0] || plain[12] == plain[1], "it joins a person: {plain:?}");
        assert_eq!(corrected, [0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 0, 1, 2]);
    }

    #[test]
    fn without_others_nothing_is_corrected() {
        let templates = faces(1, 5);
        let faces: Vec<&Template> = templates.iter().collect();
        assert_eq!(by_corrected_linkage(&faces, 1.0), by_average_linkage(&faces, 1.0));
        assert_eq!(by_corrected_linkage(&[], 1.0), Ok(Vec::new()));
    }

    #[test]
    fn impossible_numbers_are_refused() {
        let template = faces(1, 1).remove(0);
        let many = vec![&template; MOST_FACES + 1];
        assert_eq!(by_average_linkage(&many, 1.0), Err(ClusterError::TooMany { faces: MOST_FACES + 1 }));
        let error = by_k_means(&many[..2], 3, &mut seeded());
        assert_eq!(error, Err(ClusterError::TooFew { faces: 2, clusters: 3 }));
        assert_eq!(by_average_linkage(&[], 1.0), Ok(Vec::new()));
    }

    #[test]
    fn equal_faces_make_one_cluster_and_leave_the_others_empty() {
        let template = faces(1, 1).remove(0);
        let clusters = by_k_means(&[&template; 6], 3, &mut seeded()).expect("as many as needed");
        assert_eq!(clusters, [0; 6]);
    }

    #[test]
    fn agreement_is_that_of_the_textbook() {
        let agreement = Agreement::of(&[0, 0, 0, 1, 1], &[7, 7, 8, 8, 8]);
        assert_eq!((agreement.precision, agreement.recall), (0.5, 0.5));
        assert_eq!((agreement.f(), agreement.purity), (0.5, 0.8));
    }

    proptest! {
        #[test]
        fn measures_lie_between_nought_and_one(labels in prop::collection::vec((0_usize..5, 0_usize..5), 1..40)) {
            let (clusters, people): (Vec<_>, Vec<_>) = labels.into_iter().unzip();
            let agreement = Agreement::of(&clusters, &people);
            prop_assert!((0.0..=1.0).contains(&agreement.f()));
            prop_assert!(agreement.purity > 0.0 && agreement.purity <= 1.0);
            prop_assert_eq!(Agreement::of(&people, &people).f(), 1.0);
        }
    }
}
