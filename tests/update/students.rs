//! Embedders with nothing in common, folders of models with each, and packages of them.

use std::fs;
use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use facelatch::face::models::ModelFolder;
use facelatch::face::template::Template;
use facelatch::host::pack::{PackOptions, build};
use facelatch::update::owner::OwnerKey;
use sha2::{Digest, Sha256};
use tempfile::TempDir;

use crate::desk::crop;

/// Two small embedders that nobody trained, with networks as small beside them; and two that were trained, with the
/// released ones.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Student {
    SmallA,
    SmallB,
    /// Released before [`Student::Released`], from another training.
    Earlier,
    Released,
}

impl Student {
    const ALL: [Self; 4] = [Self::SmallA, Self::SmallB, Self::Earlier, Self::Released];

    pub fn is_trained(self) -> bool {
        matches!(self, Self::Earlier | Self::Released)
    }

    /// A folder of models with this embedder.
    pub fn folder(self) -> &'static Path {
        static FOLDERS: [OnceLock<TempDir>; 4] = [const { OnceLock::new() }; 4];
        let place = Self::ALL.iter().position(|student| *student == self).expect("one of them");
        FOLDERS[place]
            .get_or_init(|| {
                let folder = tempfile::tempdir().unwrap();
                self.put(folder.path());
                folder
            })
            .path()
    }

    fn put(self, folder: &Path) {
        let release = sources().join("model/release");
        let models = sources().join("tests/data/models");
        match self {
            Self::SmallA => put_small(folder, &models.join("student-a.onnx"), (101, 0.008)),
            Self::SmallB => put_small(folder, &models.join("student-b.onnx"), (102, 0.001)),
            Self::Earlier => {
                copy(&release, folder, &["detector", "liveness"]);
                copy(&models.join("earlier"), folder, &["embedder"]);
            }
            Self::Released => copy(&release, folder, &["detector", "liveness", "embedder"]),
        }
    }

    /// A package with this embedder.
    pub fn package(self, version: u32, boards: &[&str], key: &OwnerKey) -> Vec<u8> {
        let options = PackOptions {
            models: self.folder().to_owned(),
            instead: [None, None, None],
            version,
            boards: boards.iter().map(|name| (*name).to_owned()).collect(),
            note: "a test".to_owned(),
            out: PathBuf::new(),
        };
        build(&options, key).unwrap()
    }
}

fn copy(from: &Path, to: &Path, models: &[&str]) {
    for name in models.iter().flat_map(|model| [format!("{model}.onnx"), format!("{model}.toml")]) {
        fs::copy(from.join(&name), to.join(&name)).unwrap();
    }
}

fn sources() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).to_owned()
}

fn put(folder: &Path, name: &str, onnx: &Path, contract: impl FnOnce(&str) -> String) {
    let bytes = fs::read(onnx).unwrap();
    let sha256: String = Sha256::digest(&bytes).iter().map(|byte| format!("{byte:02x}")).collect();
    fs::write(folder.join(name).with_extension("onnx"), bytes).unwrap();
    fs::write(folder.join(name).with_extension("toml"), contract(&sha256)).unwrap();
}

/// Models whose detector finds nobody, for tests without frames. The embedder's threshold lies far below the distance of two of
/// the tests' people, far above that of two pictures of one.
fn put_small(folder: &Path, embedder: &Path, (embedding_id, threshold): (u32, f32)) {
    let models = sources().join("tests/data/models");
    put(folder, "detector", &models.join("finder.onnx"), |sha256| {
        format!(
            "sha256 = \"{sha256}\"\ninput = [24, 32, 3]\ncell_offset = 0.5\nleast_score = 0.9\nmost_overlap = 0.35\n\
             refine = false\n[[level]]\nstride = 8\nscore = \"score\"\nbox = \"box\"\nlandmarks = \"landmarks\"\n"
        )
    });
    put(folder, "liveness", &models.join("classifier.onnx"), |sha256| {
        format!(
            "sha256 = \"{sha256}\"\ninput = [20, 12, 3]\ncrop_factor = 1.2\noutputs = 2\nlive_index = 0\nleast_score = 0.5\n"
        )
    });
    put(folder, "embedder", embedder, |sha256| {
        format!(
            "sha256 = \"{sha256}\"\ninput = [112, 112, 3]\nembedding_id = {embedding_id}\nthreshold = {threshold}\n\
             [[distance_far]]\ndistance = {threshold}\nfar = 1e-7\nfar_upper_95 = 1e-6\n"
        )
    });
}

#[test]
fn the_trained_embedders_have_nothing_in_common() {
    let embedder = |student: Student| {
        let folder = ModelFolder::read(student.folder()).unwrap();
        let (mut embedder, manifest) = folder.files().compile_embedder().unwrap();
        let pictures = (1..=3).map(crop);
        let templates: Vec<Template> =
            pictures.map(|crop| embedder.embed(&crop.pixels, crop.quality).unwrap()).collect();
        (templates, manifest)
    };
    let (before, _) = embedder(Student::Earlier);
    let (after, manifest) = embedder(Student::Released);
    for (before, after) in before.iter().zip(&after) {
        assert_ne!(before.embedding_id, after.embedding_id);
        let alike = Template { embedding_id: after.embedding_id, ..before.clone() };
        let distance = alike.distance(after);
        assert!(distance > manifest.threshold, "old templates would do for the new embedder: {distance}");
        println!("templates of one picture by both are {distance:.2} apart");
    }
}
