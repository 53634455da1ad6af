//! What the board is: its values with units, checked when the firmware is built.
//!
//! `boards/$BOARD.toml` (default `sim`) becomes [`BOARD`]; a file that cannot be right stops the build.

pub mod schema;

pub use schema::Board;

mod generated {
    use super::schema::Active::*;
    use super::schema::Bias::*;
    use super::schema::CameraKind::*;
    use super::schema::FlashKind::*;
    use super::schema::KeyHome::*;
    use super::schema::Wiring::*;
    use super::schema::*;

    include!(concat!(env!("OUT_DIR"), "/board.rs"));
}

/// Bytes of that board's flash that are erased together.
pub const ERASE_SIZE: usize = generated::BOARD.flash.erase_size as usize;

/// The board for which this firmware was built.
pub static BOARD: Board = generated::BOARD;

#[cfg(test)]
mod tests {
    use super::schema::read;
    use std::fs;
    use std::path::Path;

    fn boards() -> std::path::PathBuf {
        Path::new(env!("CARGO_MANIFEST_DIR")).join("boards")
    }

    fn sim() -> String {
        fs::read_to_string(boards().join("sim.toml")).expect("the simulated board's file")
    }

    fn complaint(from: &str, to: &str) -> String {
        let text = sim();
        assert!(text.contains(from), "{from} is not in sim.toml");
        read("boards/sim.toml", &text.replacen(from, to, 1)).expect_err("a bad board").to_string()
    }

    #[test]
    fn every_board_file_is_possible() {
        let mut names = Vec::new();
        for entry in fs::read_dir(boards()).expect("boards is readable") {
            let path = entry.expect("readable").path();
            if path.extension().is_some_and(|e| e == "toml") {
                let text = fs::read_to_string(&path).expect("text");
                read(&path.display().to_string(), &text).unwrap_or_else(|error| panic!("{error}"));
                names.push(path);
            }
        }
        assert!(names.len() >= 6, "{names:?}");
    }

    #[test]
    fn a_bad_value_is_told_with_file_line_and_what_was_expected() {
        assert_eq!(
            complaint("pulse_ms = 3000", "pulse_ms = 9000"),
            "boards/sim.toml:15: lock.pulse_ms is 9000; expected 100 to 5000"
        );
        let unknown = complaint("pulse_ms = 3000", "pulse = 3000");
        assert!(unknown.contains(":15:") && unknown.contains("unknown field `pulse`"), "{unknown}");
    }

    #[test]
    fn a_line_used_twice_and_a_pin_that_does_not_exist_are_refused() {
        let twice = complaint("name = \"exit\"", "name = \"strike\"");
        assert!(twice.contains("which lock.line uses already"), "{twice}");
        let keypad = |rows: &str| {
            let keypad = format!("keypad = {{ rows = {rows}, columns = [\"c1\", \"c2\", \"c3\"] }}");
            complaint("[serial]", &format!("[access]\n{keypad}\n[serial]"))
        };
        let shared = keypad(r#"["r1", "r2", "r3", "exit"]"#);
        assert!(shared.contains("access.keypad is \"exit\", which inputs.exit_button uses"), "{shared}");
        let nameless = keypad(r#"["r1", "r2", "r3", ""]"#);
        assert!(nameless.contains("a line without a name"), "{nameless}");
        let few = keypad(r#"["r1", "r2", "r3"]"#);
        assert!(few.contains("length 3") && few.contains("4"), "{few}");
        let missing = complaint("name = \"strike\"", "name = \"GPIO54\"");
        assert!(missing.contains("GPIO0 to GPIO27"), "{missing}");
    }

    #[test]
    fn flash_regions_that_overlap_or_do_not_fit_are_refused() {
        let overlap = complaint("audit = { offset = 0x280000", "audit = { offset = 0x27F000");
        assert!(overlap.contains("flash.audit overlaps flash.gallery"), "{overlap}");
        let unaligned = complaint("audit = { offset = 0x280000", "audit = { offset = 0x280010");
        assert!(unaligned.contains("whole erase blocks"), "{unaligned}");
    }

    #[test]
    fn a_flash_too_small_for_the_people_or_their_pictures_is_refused() {
        let people = complaint(
            "gallery = { offset = 0x0, size = 0x280000",
            "gallery = { offset = 0x0, size = 0x80000",
        );
        assert!(people.contains("expected at least 2008192 for enrolment.people = 1000 and"), "{people}");
        let crops =
            complaint("crops = { offset = 0xB00000, size = 0x400000", "crops = { offset = 0x0, size = 0x0");
        assert!(crops.contains("enrolment.keep_crops is true"), "{crops}");
    }

    #[test]
    fn unknown_visitors_are_kept_only_where_the_file_says_so_and_they_fit() {
        assert_eq!(read("boards/sim.toml", &sim()).expect("good").log.visitors, 0);
        let with = |visitors: &str| complaint("[flash]", &format!("[log]\nvisitors = {visitors}\n\n[flash]"));
        assert_eq!(with("1001"), "boards/sim.toml:56: log.visitors is 1001; expected 0 to 1000");
        let tight = sim().replacen("size = 0x280000", "size = 0x1F0000", 1).replacen(
            "[flash]",
            "[log]\nvisitors = 500\n\n[flash]",
            1,
        );
        let error = read("boards/sim.toml", &tight).expect_err("no room").to_string();
        assert!(
            error.contains("flash.gallery has 2031616 bytes") && error.contains("log.visitors = 500"),
            "{error}"
        );
    }

    #[test]
    fn a_board_has_the_name_of_its_file() {
        let wrong = complaint("name = \"sim\"", "name = \"other\"");
        assert!(wrong.contains("expected \"sim\""), "{wrong}");
    }
}
