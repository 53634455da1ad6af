//! Which room may name which: the picture in the README, held by reading the sources.

use std::collections::BTreeSet;
use std::fs;
use std::path::{Path, PathBuf};

/// Each room of `src/`, with the rooms that it may name.
const MAY_NAME: &[(&str, &[&str])] = &[
    ("kernels", &[]),
    ("camera", &[]),
    ("door", &[]),
    ("flash", &[]),
    ("board", &[]),
    ("inference", &["kernels"]),
    ("face", &["inference", "kernels"]),
    ("gallery", &["flash", "face"]),
    ("update", &["flash", "inference"]),
    ("firmware", &["camera", "face", "gallery", "door", "update", "flash", "board"]),
    ("host", &["face", "gallery", "update", "flash", "camera", "inference", "board"]),
    ("bin", &["firmware", "host", "board"]),
];

fn sources(folder: &Path) -> Vec<PathBuf> {
    let mut found = Vec::new();
    for entry in fs::read_dir(folder).expect("the room's folder is readable") {
        let path = entry.expect("the folder's entry is readable").path();
        if path.is_dir() {
            found.extend(sources(&path));
        } else if path.extension().is_some_and(|e| e == "rs") {
            found.push(path);
        }
    }
    found
}

fn src() -> PathBuf {
    Path::new(env!("CARGO_MANIFEST_DIR")).join("src")
}

/// The rooms that `text` names through a path that starts at the crate's root.
fn rooms_named(text: &str) -> BTreeSet<String> {
    let code =
        text.lines().filter(|line| !line.trim_start().starts_with("//")).collect::<Vec<_>>().join("\n");
    let mut named = BTreeSet::new();
    for root in ["crate::", "facelatch::"] {
        for (at, _) in code.match_indices(root) {
            let rest = &code[at + root.len()..];
            if let Some(group) = rest.strip_prefix('{') {
                let group = &group[..group.find("};").unwrap_or(group.len())];
                named.extend(top_level_names(group));
            } else {
                named.insert(leading_name(rest));
            }
        }
    }
    named
}

fn leading_name(text: &str) -> String {
    text.chars().take_while(|c| c.is_alphanumeric() || *c == '_').collect()
}

fn top_level_names(group: &str) -> Vec<String> {
    let mut depth = 0;
    let mut names = vec![String::new()];
    for c in group.chars() {
        match c {
            '{' => depth += 1,
            '}' => depth -= 1,
            ',' if depth == 0 => names.push(String::new()),
            c if depth == 0 => names.last_mut().expect("starts with one name").push(c),
            _ => {}
        }
    }
    names.iter().map(|n| leading_name(n.trim())).filter(|n| !n.is_empty()).collect()
}

#[test]
fn no_room_names_a_room_that_it_may_not() {
    let mut wrong = Vec::new();
    for (room, allowed) in MAY_NAME {
        for file in sources(&src().join(room)) {
            let text = fs::read_to_string(&file).expect("a source file is text");
            for (other, _) in MAY_NAME {
                if other != room && !allowed.contains(other) && rooms_named(&text).contains(*other) {
                    wrong.push(format!("{} names {other}", file.display()));
                }
            }
        }
    }
    assert!(wrong.is_empty(), "{}", wrong.join("\n"));
}

#[test]
fn every_room_is_in_the_table() {
    for entry in fs::read_dir(src()).expect("src is readable") {
        let path = entry.expect("the folder's entry is readable").path();
        if path.is_dir() {
            let room = path.file_name().expect("a folder has a name").to_string_lossy().into_owned();
            assert!(MAY_NAME.iter().any(|(name, _)| *name == room), "src/{room} is not in MAY_NAME");
        }
    }
}

#[test]
fn only_the_inference_room_names_tract() {
    for (room, _) in MAY_NAME.iter().filter(|(room, _)| *room != "inference") {
        for file in sources(&src().join(room)) {
            let text = fs::read_to_string(&file).expect("a source file is text");
            assert!(!text.contains("tract_onnx"), "{} names tract", file.display());
        }
    }
}

#[test]
fn unsafe_code_stays_in_the_kernels_and_the_flash_driver() {
    let allowed = ["kernels", "flash/mtd.rs"];
    for (room, _) in MAY_NAME {
        for file in sources(&src().join(room)) {
            let inside = file.strip_prefix(src()).expect("lies under src").to_string_lossy().into_owned();
            let text = fs::read_to_string(&file).expect("a source file is text");
            let uses = text.lines().any(|line| {
                let code = line.split("//").next().unwrap_or("");
                code.contains("unsafe {") || code.contains("unsafe fn") || code.contains("unsafe impl")
            });
            assert!(!uses || allowed.iter().any(|a| inside.starts_with(a)), "{inside} has unsafe code");
        }
    }
}

#[test]
fn the_scanner_sees_grouped_and_plain_paths() {
    let named =
        rooms_named("use crate::{face::{a, flash}, door};\nuse crate::gallery::X;\n// crate::update\n");
    assert_eq!(named.into_iter().collect::<Vec<_>>(), ["door", "face", "gallery"]);
}
