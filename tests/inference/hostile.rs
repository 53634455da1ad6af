//! Any bytes: an error or a network, never a panic that gets out.

use facelatch::inference::{LoadError, LoadOptions, MAX_MODEL_BYTES, Network};
use proptest::prelude::*;

use crate::{SMALL, painted, small};

/// Loads, and runs what loads: a network that was accepted must run.
fn load_and_run(bytes: &[u8]) -> Result<(), LoadError> {
    let mut network = Network::load(bytes, LoadOptions::default())?;
    network.run(&painted(network.input_shape().iter().product())).unwrap();
    (0..network.outputs().len()).for_each(|index| assert!(!network.output(index).is_empty()));
    Ok(())
}

#[test]
fn no_beginning_of_a_file_is_a_network() {
    let bytes = small("classifier", "onnx");
    for len in (0..bytes.len() - 1).step_by(13) {
        assert!(load_and_run(&bytes[..len]).is_err(), "the first {len} bytes");
    }
}

#[test]
fn a_file_beyond_the_limit_is_refused_unread() {
    let error = Network::load(&vec![8; MAX_MODEL_BYTES + 1], LoadOptions::default()).unwrap_err();
    assert!(matches!(error, LoadError::TooLarge { .. }), "{error}");
}

#[test]
fn an_unknown_operator_is_refused_by_the_name_of_its_node() {
    let bytes = small("classifier", "onnx");
    let at = bytes.windows(4).rposition(|w| w == b"Gemm").unwrap();
    let mut changed = bytes;
    changed[at..at + 4].copy_from_slice(b"Gelu");
    let error = Network::load(&changed, LoadOptions::default()).unwrap_err();
    assert!(matches!(&error, LoadError::Unsupported { node, .. } if node.starts_with("gemm")), "{error}");
}

#[test]
fn a_picture_of_another_size_is_refused() {
    let mut network = Network::load(&small("classifier", "onnx"), LoadOptions::default()).unwrap();
    assert!(network.run(&[0; 12]).is_err());
}

proptest! {
    #![proptest_config(ProptestConfig { cases: 300, ..ProptestConfig::default() })]

    #[test]
    fn random_bytes_never_panic(bytes in proptest::collection::vec(any::<u8>(), 0..400)) {
        prop_assert!(load_and_run(&bytes).is_err());
    }

    #[test]
    fn damaged_networks_never_panic(
        name in 0..SMALL.len(),
        damage in proptest::collection::vec((any::<prop::sample::Index>(), any::<u8>()), 1..6),
    ) {
        let mut bytes = small(SMALL[name], "onnx");
        for (index, value) in damage {
            let at = index.index(bytes.len());
            bytes[at] = value;
        }
        let _refused_or_not = load_and_run(&bytes);
    }
}
