//! Turns `boards/$BOARD.toml` into constants, or stops the build and says what is wrong with it.

use std::path::Path;
use std::{env, fs, process};

#[allow(dead_code, reason = "the firmware uses all of it")]
#[path = "src/board/schema.rs"]
mod schema;

fn main() {
    println!("cargo::rerun-if-env-changed=BOARD");
    println!("cargo::rerun-if-changed=boards");
    println!("cargo::rerun-if-changed=src/board");
    leave_constructors_out();
    let name = env::var("BOARD").unwrap_or_else(|_| "sim".to_owned());
    if let Err(reason) = generate(&name) {
        println!("cargo::error={reason}");
        process::exit(1);
    }
}

/// Links the firmware by `boards/linker/ld`, where gcc links: without the constructors by which tract registers all
/// operators and kernels, which keep three quarters of the program alive.
fn leave_constructors_out() {
    println!("cargo::rerun-if-changed=boards/linker/ld");
    let variable = |name: &str| env::var(name).unwrap_or_default();
    let firmware = env::var_os("CARGO_FEATURE_DEVICE").is_some();
    if firmware && variable("CARGO_CFG_TARGET_OS") == "linux" {
        let folder = variable("CARGO_MANIFEST_DIR");
        println!("cargo::rustc-link-arg-bin=facelatchd=-B{folder}/boards/linker");
    }
}

fn generate(name: &str) -> Result<(), String> {
    let file = format!("boards/{name}.toml");
    let text = fs::read_to_string(&file)
        .map_err(|error| format!("BOARD={name}: {file}: {error}; expected one of: {}", known()))?;
    let board = schema::read(&file, &text).map_err(|error| error.to_string())?;
    let target = Path::new(&env::var("OUT_DIR").map_err(|error| error.to_string())?).join("board.rs");
    fs::write(&target, format!("pub const BOARD: Board = {board:#?};\n")).map_err(|error| error.to_string())
}

fn known() -> String {
    let mut names: Vec<String> = fs::read_dir("boards")
        .into_iter()
        .flatten()
        .flatten()
        .filter_map(|entry| entry.file_name().into_string().ok()?.strip_suffix(".toml").map(str::to_owned))
        .collect();
    names.sort();
    names.join(", ")
}
