//! Models and kernels: whole, fitting, and computing the same bits everywhere.

use std::path::Path;

use serde::Deserialize;

use super::finding::Finding;
use crate::face::models::{ModelError, ModelFile, ModelFolder};
use crate::inference::{Isa, LoadOptions, Network};
use crate::update::golden;

/// Test patterns that each network is asked with each kernel. A choice: each has all of its layers in it.
const SEEDS: [u32; 1] = [1];

/// Looks at the models in `folder`, and at what this CPU's kernels make of them.
pub(super) fn look(folder: &Path) -> Vec<Finding> {
    let (best, all) = (Isa::best(), Isa::available());
    let names: Vec<&str> = all.iter().map(|isa| isa.name()).collect();
    let kernels = if best == Isa::Scalar {
        Finding::note(
            "kernels",
            "none for this CPU: plain code, ten times slower",
            "use a 64-bit ARM board, or x86-64 with AVX2",
        )
    } else {
        Finding::fine("kernels", format!("{}, of {}", best.name(), names.join(", ")))
    };
    let models = ModelFolder::read(folder).and_then(|models| {
        let (_, manifest) = models.files().compile()?;
        Ok((models, manifest.embedding_id))
    });
    match models {
        Err(error) => vec![unusable(folder, &error), kernels],
        Ok((models, embedder)) => {
            let found =
                format!("embedder {embedder} of {}: whole, and as its manifests say", folder.display());
            vec![Finding::fine("models", found), kernels, answers(&models, &all)]
        }
    }
}

fn unusable(folder: &Path, error: &ModelError) -> Finding {
    Finding::wrong(
        "models",
        format!("those of {} cannot be used: {error}", folder.display()),
        "copy the released models there again (model/release, or the Debian package), or name their folder with --models",
    )
}

/// Whether every kernel gives the bits of the plain definition.
fn answers(models: &ModelFolder, all: &[Isa]) -> Finding {
    let files = models.files();
    let named = [("detector", files.detector), ("liveness", files.liveness), ("embedder", files.embedder)];
    for (model, file) in named {
        let Some(expected) = digests(&file, Isa::Scalar, model) else {
            return Finding::wrong("answers", format!("the {model} does not run"), REMEDY);
        };
        if let Some(finding) = golden_row(&file, model) {
            return finding;
        }
        let differs = all.iter().find(|isa| digests(&file, **isa, model).as_ref() != Some(&expected));
        if let Some(isa) = differs {
            return Finding::wrong(
                "answers",
                format!("the {model} computes wrong numbers with {}", isa.name()),
                REMEDY,
            );
        }
    }
    let kernels = all.len();
    Finding::fine(
        "answers",
        format!(
            "all three networks compute the same bits with {kernels} kernels, the embedder what its manifest says"
        ),
    )
}

/// What a manifest may tell of its network: the answer that it gave where it was trained.
#[derive(Deserialize)]
struct WithGolden {
    golden: Option<Golden>,
}

#[derive(Deserialize)]
struct Golden {
    output: Vec<i8>,
}

/// What is wrong with a network's answer to the picture whose byte i is (7 i + 13 (i / 251)) mod 251; `None` when it is
/// the manifest's, or that tells none.
fn golden_row(file: &ModelFile<'_>, model: &'static str) -> Option<Finding> {
    let golden = toml::from_str::<WithGolden>(file.manifest).ok()?.golden?;
    let bytes: usize = file.input(model).ok()?.iter().product();
    let picture: Vec<u8> = (0..bytes).map(|i| ((7 * i + 13 * (i / 251)) % 251) as u8).collect();
    let computed = Network::load(file.onnx, LoadOptions::default()).ok().and_then(|mut network| {
        network.run(&picture).ok()?;
        Some(network.output(0).to_vec())
    });
    let is_right = computed.is_some_and(|computed| computed == golden.output);
    (!is_right).then(|| {
        Finding::wrong(
            "answers",
            format!("the {model} computes other numbers than where it was trained"),
            REMEDY,
        )
    })
}

const REMEDY: &str = "this is a fault of memory, CPU or program: test the memory (memtester), then report it";

fn digests(file: &ModelFile<'_>, isa: Isa, model: &'static str) -> Option<Vec<[u8; 32]>> {
    let [height, width, _] = file.input(model).ok()?;
    let options = LoadOptions { isa, input_size: Some([height, width]), ..LoadOptions::default() };
    let mut network = Network::load(file.onnx, options).ok()?;
    SEEDS.iter().map(|seed| golden::answer(&mut network, *seed).ok()).collect()
}
