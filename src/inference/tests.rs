use super::*;

const NAMES: [&str; 3] = ["embedder", "detector", "classifier"];

fn file(name: &str, kind: &str) -> Vec<u8> {
    let path = format!("{}/tests/data/models/{name}.{kind}", env!("CARGO_MANIFEST_DIR"));
    std::fs::read(&path).unwrap_or_else(|error| panic!("{path}: {error}"))
}

fn all_outputs(network: &Network) -> Vec<i8> {
    (0..network.outputs().len()).flat_map(|i| network.output(i).to_vec()).collect()
}

#[test]
fn outputs_equal_onnx_runtime_but_for_single_steps() {
    for name in NAMES {
        let mut network = Network::load(&file(name, "onnx"), LoadOptions::default()).unwrap();
        network.run(&file(name, "pixels")).unwrap();
        let got = all_outputs(&network);
        let expected: Vec<i8> = file(name, "expected").iter().map(|&b| b as i8).collect();
        assert_eq!(got.len(), expected.len(), "{name}");
        let off: Vec<u8> = got.iter().zip(&expected).map(|(g, e)| g.abs_diff(*e)).collect();
        let worst = off.iter().max().unwrap();
        let wrong = off.iter().filter(|&&d| d > 0).count();
        println!("{name}: {wrong} of {} differ, at most by {worst}", got.len());
        assert!(
            *worst <= 2 && wrong * 10 <= got.len(),
            "{name}: {wrong} of {} differ, at most by {worst}",
            got.len()
        );
    }
}

#[test]
fn tract_runs_the_fused_graph_to_the_same_values() {
    use tract_onnx::prelude::*;
    for name in NAMES {
        let typed = onnx::read(&file(name, "onnx"), None).unwrap();
        let fused = fuse::fuse(&typed).unwrap();
        let [height, width, channels] = fused.input().unwrap();
        let pixels = Tensor::from_shape(&[1, height, width, channels], &file(name, "pixels")).unwrap();
        let results = fused.model.into_runnable().unwrap().run(tvec!(pixels.into_tvalue())).unwrap();
        let mut network = Network::load(&file(name, "onnx"), LoadOptions::default()).unwrap();
        network.run(&file(name, "pixels")).unwrap();
        for (index, result) in results.iter().enumerate() {
            let plain = result.try_as_plain_ram().unwrap();
            assert_eq!(plain.as_slice::<i8>().unwrap(), network.output(index), "{name}, output {index}");
        }
    }
}
