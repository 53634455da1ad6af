//! Pictures of people in folders or in a list, and who is on them.
//!
//! ```text
//! FOLDER/Anna/Anna_0001.jpg   person "Anna"      (as in Labeled Faces in the Wild)
//! FOLDER/Anna_0001.jpg        person "Anna"      (flat: what stands before the last number)
//! list.txt: PATH <tab> Anna   person "Anna"      (paths are relative to the list)
//! ```

use std::collections::BTreeMap;
use std::io;
use std::path::{Path, PathBuf};

use thiserror::Error;

/// What the names of pictures end in.
const ENDINGS: [&str; 8] = ["jpg", "jpeg", "png", "webp", "bmp", "ppm", "pgm", "pnm"];

/// Folders within folders that are looked into. A choice: people, and one level above them.
const DEEPEST: usize = 4;

/// Why there are no pictures to work with.
#[derive(Debug, Error)]
pub enum CollectionError {
    /// A file or folder cannot be read.
    #[error("cannot read {}; check the path", path.display())]
    Read {
        /// Which.
        path: PathBuf,
        /// The system's word.
        #[source]
        source: io::Error,
    },
    /// There is no picture.
    #[error(
        "{} has no pictures ({}); put each person's pictures into a folder with that person's name",
        path.display(), ENDINGS.join(", ")
    )]
    Empty {
        /// Where they were looked for.
        path: PathBuf,
    },
    /// A line of a list names no picture.
    #[error("{}, line {line}: there is no picture {}", list.display(), picture.display())]
    Missing {
        /// The list.
        list: PathBuf,
        /// Line, counted from 1.
        line: usize,
        /// What it names.
        picture: PathBuf,
    },
}

/// One picture.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Picture {
    /// The file.
    pub path: PathBuf,
    /// Index of who is on it, into [`Collection::people`].
    pub person: usize,
}

/// Pictures in the order of people and file names.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Collection {
    /// The pictures.
    pub pictures: Vec<Picture>,
    /// Names of the people, in alphabetical order.
    pub people: Vec<String>,
}

impl Collection {
    /// The pictures of a folder and the folders in it, or of a list.
    ///
    /// # Errors
    /// When `path` cannot be read or has no pictures.
    pub fn read(path: &Path) -> Result<Self, CollectionError> {
        let failed = |source| CollectionError::Read { path: path.to_owned(), source };
        let mut found = Vec::new();
        if std::fs::metadata(path).map_err(failed)?.is_dir() {
            gather(path, path, DEEPEST, &mut found)?;
        } else {
            found = listed(path)?;
        }
        if found.is_empty() {
            return Err(CollectionError::Empty { path: path.to_owned() });
        }
        Ok(Self::of(found))
    }

    /// Pictures with the names of their people.
    fn of(mut found: Vec<(String, PathBuf)>) -> Self {
        found.sort();
        found.dedup();
        let mut people: Vec<String> = found.iter().map(|(name, _)| name.clone()).collect();
        people.dedup();
        let index: BTreeMap<&str, usize> =
            people.iter().enumerate().map(|(i, name)| (name.as_str(), i)).collect();
        let pictures =
            found.iter().map(|(name, path)| Picture { path: path.clone(), person: index[name.as_str()] });
        Self { pictures: pictures.collect(), people }
    }

    /// Each picture's name without folder and ending, such as `Anna_0001`, with its index.
    #[must_use]
    pub fn by_stem(&self) -> BTreeMap<String, usize> {
        self.pictures.iter().enumerate().map(|(i, picture)| (stem(&picture.path), i)).collect()
    }

    /// The pictures of the people for whom `keep` holds, of whom the others are forgotten.
    #[must_use]
    pub fn filtered(&self, keep: impl Fn(usize) -> bool) -> Self {
        let kept = self.pictures.iter().filter(|picture| keep(picture.person));
        Self::of(kept.map(|p| (self.people[p.person].clone(), p.path.clone())).collect())
    }
}

/// A file's name without folder and ending.
pub fn stem(path: &Path) -> String {
    path.file_stem().map(|stem| stem.to_string_lossy().into_owned()).unwrap_or_default()
}

fn is_picture(path: &Path) -> bool {
    path.extension().is_some_and(|ending| {
        ENDINGS.iter().any(|known| ending.to_string_lossy().eq_ignore_ascii_case(known))
    })
}

fn gather(
    root: &Path,
    folder: &Path,
    deeper: usize,
    found: &mut Vec<(String, PathBuf)>,
) -> Result<(), CollectionError> {
    let failed = |source| CollectionError::Read { path: folder.to_owned(), source };
    for entry in std::fs::read_dir(folder).map_err(failed)? {
        let path = entry.map_err(failed)?.path();
        if path.is_dir() {
            if deeper > 0 {
                gather(root, &path, deeper - 1, found)?;
            }
        } else if is_picture(&path) {
            let name = if folder == root { flat_name(&path) } else { folder_name(folder) };
            found.push((name, path));
        }
    }
    Ok(())
}

fn folder_name(folder: &Path) -> String {
    folder.file_name().map(|name| name.to_string_lossy().into_owned()).unwrap_or_default()
}

/// Who is on a picture that lies in no folder of a person: its name without the number at its end.
fn flat_name(path: &Path) -> String {
    let stem = stem(path);
    let bare = stem.trim_end_matches(|c: char| c.is_ascii_digit());
    let name = if bare.len() < stem.len() { bare.trim_end_matches(['_', '-', ' ']) } else { bare };
    if name.is_empty() { stem } else { name.to_owned() }
}

fn listed(list: &Path) -> Result<Vec<(String, PathBuf)>, CollectionError> {
    let failed = |source| CollectionError::Read { path: list.to_owned(), source };
    let text = std::fs::read_to_string(list).map_err(failed)?;
    let beside = list.parent().unwrap_or(Path::new(""));
    let mut found = Vec::new();
    for (index, line) in text.lines().enumerate().filter(|(_, line)| !line.trim().is_empty()) {
        let (file, name) = match line.split_once('\t') {
            Some((file, name)) => (file.trim(), Some(name.trim().to_owned())),
            None => (line.trim(), None),
        };
        let picture = beside.join(file);
        if !picture.is_file() {
            return Err(CollectionError::Missing { list: list.to_owned(), line: index + 1, picture });
        }
        found.push((name.unwrap_or_else(|| flat_name(&picture)), picture));
    }
    Ok(found)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn write(folder: &Path, names: &[&str]) {
        for name in names {
            let path = folder.join(name);
            std::fs::create_dir_all(path.parent().expect("lies in a folder")).expect("made");
            std::fs::write(path, b"picture").expect("written");
        }
    }

    #[test]
    fn folders_and_numbers_tell_who_is_on_a_picture() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(
            folder.path(),
            &["Ben/x.JPG", "Ben/y.png", "Anna_0001.jpg", "Anna_0002.jpg", "12.jpg", "notes.txt"],
        );
        let collection = Collection::read(folder.path()).expect("has pictures");
        assert_eq!(collection.people, ["12", "Anna", "Ben"]);
        let people: Vec<usize> = collection.pictures.iter().map(|p| p.person).collect();
        assert_eq!(people, [0, 1, 1, 2, 2]);
        assert_eq!(collection.by_stem()["Anna_0002"], 2);
        assert_eq!(collection.filtered(|person| person != 1).people, ["12", "Ben"]);
    }

    #[test]
    fn a_list_names_pictures_beside_it() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        write(folder.path(), &["a/1.jpg", "b_3.jpg"]);
        let list = folder.path().join("list.txt");
        std::fs::write(&list, "a/1.jpg\tAnna\n\nb_3.jpg\n").expect("written");
        assert_eq!(Collection::read(&list).expect("read").people, ["Anna", "b"]);
        std::fs::write(&list, "a/1.jpg\tAnna\nc.jpg\tCara\n").expect("written");
        let error = Collection::read(&list).expect_err("c.jpg is missing").to_string();
        assert!(error.contains("line 2") && error.contains("c.jpg"), "{error}");
    }

    #[test]
    fn nothing_there_says_what_to_do() {
        let folder = tempfile::tempdir().expect("a temporary folder");
        let error = Collection::read(folder.path()).expect_err("empty").to_string();
        assert!(error.contains("put each person's pictures"), "{error}");
        assert!(Collection::read(&folder.path().join("none")).is_err());
    }
}
