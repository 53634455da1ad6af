//! Which pictures are compared with which: a file of pairs, or pairs made from a folder of people.
//!
//! ```text
//! 10 300                          folds, pairs of each kind in a fold (or one number, or nothing)
//! Anna  1  4                      pictures 1 and 4 of Anna: the same person
//! Anna  1  Ben  2                 picture 1 of Anna and picture 2 of Ben: different people
//! a/1.jpg  b/2.jpg  0             two pictures by name; 1 is the same person, 0 is not
//! ```

use std::collections::BTreeMap;
use std::path::{Path, PathBuf};

use thiserror::Error;

use crate::host::collection::{Collection, stem};

/// Folds where a file does not say.
///
/// # Source
/// Huang, Ramesh, Berg, Learned-Miller: Labeled Faces in the Wild (2007), section 5: ten-fold cross-validation.
pub const FOLDS: usize = 10;

/// Most pairs of each kind in a fold that is made from a folder; LFW has as many.
const PAIRS_IN_FOLD: usize = 300;

/// Why there are no pairs.
#[derive(Debug, Error)]
pub enum PairsError {
    /// The file cannot be read.
    #[error("cannot read the pairs {}", path.display())]
    Read {
        /// The file.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: std::io::Error,
    },
    /// A line is no pair.
    #[error(
        "{}, line {line}: expected NAME NUMBER NUMBER, NAME NUMBER NAME NUMBER or PICTURE PICTURE 0-or-1, found `{text}`",
        path.display()
    )]
    Line {
        /// The file.
        path: PathBuf,
        /// Counted from 1.
        line: usize,
        /// What stands there.
        text: String,
    },
    /// Pictures of the pairs are not there.
    #[error(
        "{missing} of {pairs} pairs name pictures that are not there, the first is {first}; give the folder that the pairs were made for, or leave those pairs out with --allow-missing"
    )]
    Missing {
        /// Pairs that cannot be compared.
        missing: usize,
        /// Pairs of the file.
        pairs: usize,
        /// The first picture that is missing.
        first: String,
    },
    /// One kind of pairs is missing.
    #[error(
        "there are {same} pairs of one person and {different} of two: both kinds are needed, with two pictures of at least two people"
    )]
    OneKind {
        /// Pairs of one person.
        same: usize,
        /// Pairs of two people.
        different: usize,
    },
}

/// Two pictures to compare.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Pair {
    /// Indices of the pictures in their collection.
    pub pictures: [usize; 2],
    /// Whether one person is on both.
    pub same: bool,
    /// The part of the cross-validation that it belongs to.
    pub fold: usize,
}

/// The pairs of a test.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Pairs {
    /// The pairs.
    pub pairs: Vec<Pair>,
    /// Pairs that were left out since a picture is missing.
    pub left_out: usize,
}

/// A pair by the names of its pictures.
type Named = ([String; 2], bool);

impl Pairs {
    /// Reads a file of pairs of pictures in `collection`; `allow_missing`: leave out what is not there.
    ///
    /// # Errors
    /// When the file cannot be read, a line is no pair, pictures are missing, or one kind of pairs is.
    pub fn read(path: &Path, collection: &Collection, allow_missing: bool) -> Result<Self, PairsError> {
        let text = std::fs::read_to_string(path)
            .map_err(|source| PairsError::Read { path: path.to_owned(), source })?;
        let (folds, named) = parse(path, &text)?;
        let stems = collection.by_stem();
        let mut pairs = Vec::with_capacity(named.len());
        let mut first_missing = None;
        for (index, (names, same)) in named.iter().enumerate() {
            let found = names.each_ref().map(|name| stems.get(name).copied());
            match found {
                [Some(a), Some(b)] => {
                    pairs.push(Pair { pictures: [a, b], same: *same, fold: index * folds / named.len() });
                }
                [a, _] => {
                    first_missing.get_or_insert(names[usize::from(a.is_some())].clone());
                }
            }
        }
        let left_out = named.len() - pairs.len();
        match first_missing {
            Some(first) if !allow_missing || pairs.is_empty() => {
                Err(PairsError::Missing { missing: left_out, pairs: named.len(), first })
            }
            _ => Self { pairs, left_out }.checked(),
        }
    }

    /// Makes pairs as LFW's were made: the people are dealt into ten folds, and of each fold as many pairs of one
    /// person as of two are drawn, 300 at most.
    ///
    /// # Errors
    /// When no person has two pictures, or there is one person only.
    pub fn of(collection: &Collection, seed: u64) -> Result<Self, PairsError> {
        let mut random = fastrand::Rng::with_seed(seed);
        let mut order: Vec<usize> = (0..collection.people.len()).collect();
        random.shuffle(&mut order);
        let mut pictures: BTreeMap<usize, Vec<usize>> = BTreeMap::new();
        for (index, picture) in collection.pictures.iter().enumerate() {
            pictures.entry(picture.person).or_default().push(index);
        }
        let folds = FOLDS.min(order.len() / 2).max(1);
        let mut pairs = Vec::new();
        for fold in 0..folds {
            let people: Vec<&[usize]> =
                order.iter().skip(fold).step_by(folds).map(|person| pictures[person].as_slice()).collect();
            let same = same_pairs(&people, &mut random);
            let different = different_pairs(&people, same.len(), &mut random);
            let pair = |same| move |pictures| Pair { pictures, same, fold };
            pairs.extend(same.into_iter().map(pair(true)));
            pairs.extend(different.into_iter().map(pair(false)));
        }
        Self { pairs, left_out: 0 }.checked()
    }

    fn checked(self) -> Result<Self, PairsError> {
        let same = self.pairs.iter().filter(|pair| pair.same).count();
        let different = self.pairs.len() - same;
        if same == 0 || different == 0 { Err(PairsError::OneKind { same, different }) } else { Ok(self) }
    }
}

fn same_pairs(people: &[&[usize]], random: &mut fastrand::Rng) -> Vec<[usize; 2]> {
    let mut all = Vec::new();
    for pictures in people {
        for (i, &a) in pictures.iter().enumerate() {
            all.extend(pictures[i + 1..].iter().map(|&b| [a, b]));
        }
    }
    random.shuffle(&mut all);
    all.truncate(PAIRS_IN_FOLD);
    all
}

/// `count` different pairs of pictures of different people, or as many as a few tries find.
fn different_pairs(people: &[&[usize]], count: usize, random: &mut fastrand::Rng) -> Vec<[usize; 2]> {
    let mut found = std::collections::BTreeSet::new();
    if people.len() < 2 {
        return Vec::new();
    }
    for _ in 0..20 * count {
        if found.len() == count {
            break;
        }
        let (a, b) = (random.usize(0..people.len()), random.usize(0..people.len()));
        if a != b {
            let one = |random: &mut fastrand::Rng, person: usize| {
                people[person][random.usize(0..people[person].len())]
            };
            let pair = [one(random, a.min(b)), one(random, a.max(b))];
            found.insert(pair);
        }
    }
    found.into_iter().collect()
}

fn parse(path: &Path, text: &str) -> Result<(usize, Vec<Named>), PairsError> {
    let mut folds = FOLDS;
    let mut pairs = Vec::new();
    for (index, line) in text.lines().enumerate() {
        let words: Vec<&str> = line.split_whitespace().collect();
        let numbers: Option<Vec<usize>> = words.iter().map(|word| word.parse().ok()).collect();
        match (words.as_slice(), numbers.as_deref()) {
            ([], _) | ([_], Some([_])) if index == 0 || words.is_empty() => {}
            ([_, _], Some([said, _])) if index == 0 && *said > 0 => folds = *said,
            _ => pairs.push(pair_of(&words).ok_or_else(|| PairsError::Line {
                path: path.to_owned(),
                line: index + 1,
                text: line.chars().take(80).collect(),
            })?),
        }
    }
    Ok((folds, pairs))
}

fn pair_of(words: &[&str]) -> Option<Named> {
    let numbered = |name: &str, number: &str| Some(format!("{name}_{:04}", number.parse::<u32>().ok()?));
    match *words {
        [name, a, b] if a.parse::<u32>().is_ok() => Some(([numbered(name, a)?, numbered(name, b)?], true)),
        [a, b, same @ ("0" | "1")] => Some(([stem(Path::new(a)), stem(Path::new(b))], same == "1")),
        [a, i, b, j] => Some(([numbered(a, i)?, numbered(b, j)?], false)),
        _ => None,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::host::collection::Picture;

    fn collection(people: &[(&str, usize)]) -> Collection {
        let mut pictures = Vec::new();
        for (person, (name, count)) in people.iter().enumerate() {
            let path = |i| PathBuf::from(format!("{name}/{name}_{:04}.jpg", i + 1));
            pictures.extend((0..*count).map(|i| Picture { path: path(i), person }));
        }
        Collection { pictures, people: people.iter().map(|(name, _)| (*name).to_owned()).collect() }
    }

    fn read(text: &str, allow_missing: bool) -> Result<Pairs, PairsError> {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let path = folder.path().join("pairs.txt");
        std::fs::write(&path, text).expect("written");
        Pairs::read(&path, &collection(&[("Anna", 4), ("Ben", 2)]), allow_missing)
    }

    #[test]
    fn a_file_in_lfw_s_format_is_read_with_its_folds() {
        let pairs =
            read("2 1\nAnna\t1\t4\nAnna\t1\tBen\t2\nBen 1 2\nAnna 2 Ben 1\n", false).expect("read").pairs;
        let shown: Vec<_> = pairs.iter().map(|p| (p.pictures, p.same, p.fold)).collect();
        assert_eq!(shown, [([0, 3], true, 0), ([0, 5], false, 0), ([4, 5], true, 1), ([1, 4], false, 1)]);
    }

    #[test]
    fn pictures_can_be_named_themselves() {
        let pairs = read("x/Anna_0001.jpg Anna_0002.png 1\nAnna_0001.jpg Ben_0001.jpg 0\n", false);
        assert_eq!(pairs.expect("read").pairs.len(), 2);
    }

    #[test]
    fn what_is_no_pair_is_told_with_its_line() {
        let error =
            read("10 300\nAnna 1 4\nAnna one 4\n", false).expect_err("a word is no number").to_string();
        assert!(error.contains("line 3") && error.contains("Anna one 4"), "{error}");
        assert!(matches!(read("\n", false), Err(PairsError::OneKind { same: 0, different: 0 })));
    }

    #[test]
    fn missing_pictures_are_told_or_left_out() {
        let text = "Anna 1 4\nAnna 1 9\nAnna 1 Ben 2\n";
        let error = read(text, false).expect_err("Anna has no ninth picture").to_string();
        assert!(error.contains("Anna_0009") && error.contains("1 of 3"), "{error}");
        assert_eq!(read(text, true).expect("the others are there").left_out, 1);
    }

    #[test]
    fn pairs_made_from_people_stay_within_their_folds() {
        let names: Vec<String> = (0..40).map(|i| format!("person {i}")).collect();
        let people: Vec<(&str, usize)> = names.iter().map(|name| (name.as_str(), 3)).collect();
        let collection = collection(&people);
        let made = Pairs::of(&collection, 7).expect("made").pairs;
        assert_eq!(made.iter().filter(|pair| pair.same).count(), 40 * 3);
        let mut fold_of = BTreeMap::new();
        for pair in &made {
            let people = pair.pictures.map(|i| collection.pictures[i].person);
            assert_eq!(people[0] == people[1], pair.same);
            for person in people {
                assert_eq!(*fold_of.entry(person).or_insert(pair.fold), pair.fold);
            }
        }
        assert_eq!(made, Pairs::of(&collection, 7).expect("made").pairs);
    }
}
