//! One probe against 1,000 people with 5 templates each.

use std::hint::black_box;
use std::time::Instant;

use facelatch::face::template::Template;
use facelatch::gallery::matching::Index;
use facelatch::gallery::{Access, Person, Role};

const PEOPLE: u32 = 1_000;
const ROUNDS: usize = 300;

fn template(seed: u32) -> Template {
    let mut state = seed;
    let output: Vec<i8> = (0..128)
        .map(|_| {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            (state >> 24) as u8 as i8
        })
        .collect();
    Template::from_output(&output, 0, 200, 1).expect("not zero")
}

fn person(id: u32) -> Person {
    let templates = (0..5).map(|i| template(5 * id + i)).collect();
    Person {
        id,
        name: heapless::String::new(),
        role: Role::Resident,
        templates,
        crops: None,
        access: Access::default(),
    }
}

fn main() {
    let people: Vec<Person> = (1..=PEOPLE).map(person).collect();
    let mut index = Index::default();
    index.fill(&people);
    let probe = template(4_321);
    let mut times: Vec<f64> = (0..ROUNDS)
        .map(|_| {
            let start = Instant::now();
            black_box(black_box(&index).nearest(black_box(&probe)));
            start.elapsed().as_secs_f64() * 1e6
        })
        .collect();
    times.sort_by(f64::total_cmp);
    println!(
        "matching {PEOPLE} x 5 templates: {:.0} us median, {:.0} us best of {ROUNDS}",
        times[ROUNDS / 2],
        times[0]
    );
}
