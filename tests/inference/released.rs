//! The released networks: the same bits from all kernels, on every processor.

use std::num::NonZeroUsize;

use facelatch::inference::{LoadOptions, Network};
use facelatch::kernels::isa::Isa;

use crate::{RELEASED, SMALL, painted, read, released, small};

/// FNV-1a, 64 bits (Fowler, Noll, Vo; RFC 9923), over all outputs.
fn bits(network: &Network) -> u64 {
    let outputs = (0..network.outputs().len()).flat_map(|index| network.output(index));
    outputs.fold(0xcbf2_9ce4_8422_2325, |hash, &value| {
        (hash ^ u64::from(value as u8)).wrapping_mul(0x0100_0000_01b3)
    })
}

fn bits_of(bytes: &[u8], isa: Isa, input_size: Option<[usize; 2]>) -> u64 {
    let options = LoadOptions { isa, input_size, ..LoadOptions::default() };
    let mut network = Network::load(bytes, options).unwrap();
    network.run(&painted(network.input_shape().iter().product())).unwrap();
    bits(&network)
}

/// `tests/arm/run.sh` compares the lines that this prints between processors.
#[test]
fn all_kernels_compute_the_same_bits() {
    let mut files: Vec<(String, Vec<u8>, Option<[usize; 2]>)> = vec![];
    for name in SMALL {
        files.push((format!("small {name}"), small(name, "onnx"), None));
    }
    for name in RELEASED {
        files.push((name.to_owned(), released(name), None));
    }
    files.push(("detector at 240x320".to_owned(), released("detector"), Some([240, 320])));
    for (name, bytes, size) in files {
        let expected = bits_of(&bytes, Isa::Scalar, size);
        for isa in Isa::available() {
            assert_eq!(bits_of(&bytes, isa, size), expected, "{name} on {}", isa.name());
        }
        println!("bits {name}: {expected:016x}");
    }
}

/// The manifest's golden vector is what ONNX Runtime computes in f32: exactly, since the scales are powers of two.
#[test]
fn the_embedder_computes_what_onnx_runtime_computes() {
    let manifest = String::from_utf8(read("model/release/embedder.toml")).unwrap();
    let manifest: toml::Table = toml::from_str(&manifest).unwrap();
    let golden = manifest["golden"]["output"].as_array().unwrap();
    let golden: Vec<i64> = golden.iter().map(|value| value.as_integer().unwrap()).collect();
    let mut network = Network::load(&released("embedder"), LoadOptions::default()).unwrap();
    network.run(&painted(network.input_shape().iter().product())).unwrap();
    let computed: Vec<i64> = network.output(0).iter().map(|&value| i64::from(value)).collect();
    assert_eq!(computed, golden);
}

#[test]
fn the_detector_loads_for_other_picture_sizes() {
    let bytes = released("detector");
    for size in [[120, 160], [240, 320], [96, 128]] {
        let options = LoadOptions { input_size: Some(size), ..LoadOptions::default() };
        let network = Network::load(&bytes, options).unwrap();
        assert_eq!(network.input_shape()[..2], size);
        let cells: Vec<[usize; 2]> = network.outputs().iter().map(|o| [o.shape[0], o.shape[1]]).collect();
        assert!(cells.contains(&[size[0].div_ceil(8), size[1].div_ceil(8)]), "{size:?}: {cells:?}");
    }
}

#[test]
fn threads_change_no_bit() {
    for name in RELEASED {
        let bytes = released(name);
        let expected = bits_of(&bytes, Isa::best(), None);
        for threads in 2..=4 {
            let threads = NonZeroUsize::new(threads).unwrap();
            let mut network =
                Network::load(&bytes, LoadOptions { threads, ..LoadOptions::default() }).unwrap();
            network.run(&painted(network.input_shape().iter().product())).unwrap();
            assert_eq!(bits(&network), expected, "{name} on {threads} threads");
        }
    }
}

#[test]
fn the_unfused_network_computes_nearly_the_same() {
    for name in SMALL {
        let bytes = small(name, "onnx");
        let mut fused = Network::load(&bytes, LoadOptions::default()).unwrap();
        let mut unfused = Network::load_unfused(&bytes, None).unwrap();
        assert_eq!(fused.outputs(), unfused.outputs());
        fused.run(&small(name, "pixels")).unwrap();
        unfused.run(&small(name, "pixels")).unwrap();
        for index in 0..fused.outputs().len() {
            let pairs = fused.output(index).iter().zip(unfused.output(index));
            assert!(pairs.clone().all(|(a, b)| a.abs_diff(*b) <= 2), "{name}, output {index}");
        }
    }
}
