//! Long random days: the models' times are short and each has a part of the events; here they are a board's, with
//! everything at once.

use std::hash::{BuildHasher, RandomState};
use std::time::Duration;

use facelatch::board::BOARD;
use facelatch::door::Event;
use facelatch::firmware::device::policy_of;
use proptest::prelude::*;
use proptest::sample::Index;
use proptest::test_runner::{RngSeed, TestRunner};

use crate::explore::{Happening, Model, Node, follow};
use crate::{TICK, models};

/// Something that happens a few times in a row.
type Step = (Happening, usize);

/// A day on which the events of a few models happen: what takes six certain events in a row is found among fifteen
/// that belong together, and hardly ever among all.
///
/// # Source
/// Groce, Zhang, Eide, Chen, Regehr: Swarm Testing, ISSTA 2012.
fn day(models: Vec<Model>) -> impl Strategy<Value = Vec<Step>> {
    let step = (any::<Index>(), any::<Index>(), 0_u32..9, 1_usize..9);
    let parts = (prop::collection::vec(any::<Index>(), 1..4), prop::collection::vec(step, 1..200));
    parts.prop_map(move |(some, steps)| {
        let chosen = |(model, choice, fifths, times): (Index, Index, u32, usize)| {
            let happening = match choice.get(&model.get(&some).get(&models).happenings) {
                Happening::Event(_, event) => Happening::Event(TICK / 5 * fifths, event.clone()),
                Happening::Restart => Happening::Restart,
            };
            (happening, times)
        };
        steps.into_iter().map(chosen).collect()
    })
}

fn live(model: &Model, day: &[Step]) -> Result<(), String> {
    let mut node = Node::first(model);
    for happening in day.iter().flat_map(|(happening, times)| std::iter::repeat_n(happening, *times)) {
        node = follow(model, &node, happening)?;
    }
    for _ in 0..200 {
        node = follow(model, &node, &Happening::Event(TICK, Event::Tick))?;
    }
    if node.is_at_rest() { Ok(()) } else { Err("it does not come to rest".to_owned()) }
}

#[test]
fn long_random_days_never_break_the_rules_and_always_end_locked() {
    let model =
        Model { name: "days", policy: policy_of(&BOARD), people: 2, happenings: Vec::new(), flaw: None };
    let mut config = ProptestConfig { cases: 2000, failure_persistence: None, ..ProptestConfig::default() };
    if config.rng_seed == RngSeed::Random {
        config.rng_seed = RngSeed::Fixed(RandomState::new().hash_one(Duration::ZERO));
    }
    let seed = config.rng_seed;
    let lived = TestRunner::new(config)
        .run(&day(models::all()), |day| live(&model, &day).map_err(TestCaseError::fail));
    if let Err(error) = lived {
        panic!("{error}\nagain: PROPTEST_RNG_SEED={seed} cargo test --test door long_random");
    }
}
