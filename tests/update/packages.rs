//! Packages of the released networks: what a lock takes, and what it refuses before it could do harm.

use std::path::{Path, PathBuf};
use std::sync::OnceLock;

use facelatch::host::pack::{PackError, PackOptions, build};
use facelatch::update::acceptance::{Refusal, Terms, firmware_version};
use facelatch::update::owner::OwnerKey;
use facelatch::update::package::{Manifest, Package, PackageError, seal};

use crate::key;

fn root() -> &'static Path {
    Path::new(env!("CARGO_MANIFEST_DIR"))
}

fn options() -> PackOptions {
    PackOptions {
        models: root().join("model/release"),
        instead: [None, None, None],
        version: 5,
        boards: vec!["sim".to_owned()],
        note: String::new(),
        out: PathBuf::new(),
    }
}

/// The package of the released networks.
fn released() -> &'static [u8] {
    static PACKAGE: OnceLock<Vec<u8>> = OnceLock::new();
    PACKAGE.get_or_init(|| build(&options(), &key()).expect("packed"))
}

fn terms() -> Terms {
    Terms { owner: key().public(), floor: 5, board: "sim".to_owned(), firmware: firmware_version() }
}

fn refusal(terms: &Terms, bytes: &[u8]) -> Refusal {
    let Err(refusal) = terms.check(bytes) else { panic!("not refused") };
    refusal
}

/// The released package with another manifest, signed by `key`.
fn changed(change: impl FnOnce(&mut Manifest), key: &OwnerKey) -> Vec<u8> {
    let package = Package::open(released(), &crate::key().public()).expect("opens");
    let mut manifest = package.manifest.clone();
    change(&mut manifest);
    let networks: Vec<&[u8]> = package.parts().map(|(_, onnx)| onnx).collect();
    seal(&manifest, &networks, key).expect("sealed")
}

#[test]
fn the_released_networks_become_a_package_that_a_lock_takes() {
    let package = terms().check(released()).expect("taken");
    assert_eq!(package.manifest.version, 5);
    assert!(package.manifest.parts.iter().all(|part| part.goldens.len() == 4));
    assert!(package.manifest.parts[2].contract.contains("distance_far"));
}

#[test]
fn a_forged_package_is_refused_whoever_it_claims_to_be_from() {
    let thief = OwnerKey::from_seed(&[9; 32]);
    let forged = changed(|_| (), &thief);
    assert!(matches!(refusal(&terms(), &forged), Refusal::Package(PackageError::OtherOwner { .. })));
    let mut claiming = forged;
    claiming[8..40].copy_from_slice(&key().public().0);
    assert!(matches!(refusal(&terms(), &claiming), Refusal::Package(PackageError::Signature)));
}

#[test]
fn an_older_version_another_board_and_a_newer_firmware_are_refused_with_the_reason() {
    let newer = Terms { floor: 6, ..terms() };
    assert!(matches!(refusal(&newer, released()), Refusal::Downgrade { version: 5, floor: 6 }));
    let other = Terms { board: "raspberry-pi-4".to_owned(), ..terms() };
    let words = refusal(&other, released()).to_string();
    assert!(words.contains("sim") && words.contains("raspberry-pi-4"), "{words}");
    let demanding = changed(|manifest| manifest.minimum_firmware = [9, 0, 0], &key());
    let words = refusal(&terms(), &demanding).to_string();
    assert!(words.contains("9.0.0"), "{words}");
}

#[test]
fn cut_and_lengthened_packages_are_refused() {
    let bytes = released();
    for len in [0, 3, 50, 104, 5000, bytes.len() / 2, bytes.len() - 1] {
        assert!(matches!(refusal(&terms(), &bytes[..len]), Refusal::Package(_)), "{len} bytes");
    }
    let longer = [bytes, &[0; 4]].concat();
    assert!(matches!(refusal(&terms(), &longer), Refusal::Package(PackageError::TooLong { .. })));
}

#[test]
fn a_network_that_answers_otherwise_or_always_the_same_is_refused() {
    let wrong = changed(|manifest| manifest.parts[1].goldens[2].answer[0] ^= 1, &key());
    let words = refusal(&terms(), &wrong).to_string();
    assert!(words.contains("liveness"), "{words}");
    let one =
        |manifest: &mut Manifest| manifest.parts[2].goldens = vec![manifest.parts[2].goldens[0].clone(); 4];
    assert!(matches!(refusal(&terms(), &changed(one, &key())), Refusal::Blind));
}

#[test]
fn a_network_that_the_device_could_not_run_is_not_packed_and_its_node_is_named() {
    let folder = tempfile::tempdir().expect("a temporary folder");
    let own = |name: &str| folder.path().join(name);
    let contract = std::fs::read_to_string(root().join("model/release/embedder.toml")).expect("text");
    let onnx = std::fs::read(root().join("model/release/embedder.onnx")).expect("bytes");
    let operator = b"Flatten";
    let at = onnx.windows(operator.len()).position(|w| w == operator);
    let Some(at) = at else { panic!("the released embedder has no {}", String::from_utf8_lossy(operator)) };
    let mut unknown = onnx;
    unknown[at..at + operator.len()].copy_from_slice(b"Dropout");
    let digest = sha256(&unknown);
    let line = contract.lines().find(|line| line.starts_with("sha256")).expect("a digest");
    let contract = contract.replace(line, &format!("sha256 = \"{digest}\""));
    std::fs::write(own("mine.onnx"), &unknown).expect("written");
    std::fs::write(own("mine.toml"), contract).expect("written");
    let instead = [None, None, Some(own("mine.onnx"))];
    let error = build(&PackOptions { instead, ..options() }, &key()).expect_err("refused");
    let PackError::Model(error) = error else { panic!("{error}") };
    let words = format!("{error}: {}", std::error::Error::source(&error).expect("a cause"));
    assert!(words.contains("embedder") && words.contains("node") && words.contains("Dropout"), "{words}");
}

fn sha256(bytes: &[u8]) -> String {
    use sha2::{Digest, Sha256};
    Sha256::digest(bytes).iter().map(|byte| format!("{byte:02x}")).collect()
}
