//! Packages of small networks that nobody trained, and folders of models.

use std::fs;
use std::path::{Path, PathBuf};

use facelatch::host::pack::{PackOptions, build};
use facelatch::update::owner::OwnerKey;
use sha2::{Digest, Sha256};

/// Two embedders that have nothing in common.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Student {
    A,
    B,
}

impl Student {
    fn file(self) -> &'static str {
        if self == Self::A { "student-a" } else { "student-b" }
    }

    pub fn embedding_id(self) -> u32 {
        if self == Self::A { 101 } else { 102 }
    }

    /// Far below the distance of two of the film's people, far above that of two frames of one.
    fn threshold(self) -> f32 {
        if self == Self::A { 0.008 } else { 0.001 }
    }

    fn contract(self, sha256: &str) -> String {
        format!(
            "sha256 = \"{sha256}\"\ninput = [112, 112, 3]\nembedding_id = {}\nthreshold = {1}\n\
             [[distance_far]]\ndistance = {1}\nfar = 1e-7\nfar_upper_95 = 1e-6\n",
            self.embedding_id(),
            self.threshold()
        )
    }
}

pub fn owner() -> OwnerKey {
    OwnerKey::from_seed(&[1; 32])
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

/// A folder of models whose detector finds nobody, for tests without frames.
pub fn small_models(folder: &Path, student: Student) {
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
    put_student(folder, student);
}

/// The released models, but for an embedder that nobody trained.
pub fn released_but_for_the_embedder(folder: &Path, student: Student) {
    let release = sources().join("model/release");
    for name in ["detector.onnx", "detector.toml", "liveness.onnx", "liveness.toml"] {
        fs::copy(release.join(name), folder.join(name)).unwrap();
    }
    put_student(folder, student);
}

fn put_student(folder: &Path, student: Student) {
    let onnx = sources().join("tests/data/models").join(student.file()).with_extension("onnx");
    put(folder, "embedder", &onnx, |sha256| student.contract(sha256));
}

/// A package of small models.
pub fn package(student: Student, version: u32, boards: &[&str], key: &OwnerKey) -> Vec<u8> {
    let folder = tempfile::tempdir().unwrap();
    small_models(folder.path(), student);
    let options = PackOptions {
        models: folder.path().to_owned(),
        instead: [None, None, None],
        version,
        boards: boards.iter().map(|name| (*name).to_owned()).collect(),
        note: "a test".to_owned(),
        out: PathBuf::new(),
    };
    build(&options, key).unwrap()
}
