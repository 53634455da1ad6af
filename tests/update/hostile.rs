//! Any bytes on the line: the lock answers with an error or not at all, and its memory stays bounded.

use std::time::Duration;

use facelatch::update::link::Link;
use facelatch::update::message::{Request, ToLock, WireSignature};
use proptest::prelude::*;

use crate::key;
use crate::line::framed;
use crate::lock::MemoryLock;

/// More than the link ever keeps for the line: what it holds back at, and the longest answer.
const OUTPUT_BOUND: usize = 8 * 1024 + 2 * 1400;

fn untouched(lock: &MemoryLock) {
    assert_eq!(lock.stored, 0);
    assert_eq!(lock.people, ["Anna", "Ben"]);
    assert!(lock.announced.is_none());
}

/// Frames that are whole, but whose content is anything.
fn frames() -> impl Strategy<Value = Vec<u8>> {
    let payload = prop_oneof![
        prop::collection::vec(any::<u8>(), 0..300),
        (0..4_u8, prop::collection::vec(any::<u8>(), 0..100)).prop_map(|(tag, mut rest)| {
            rest.insert(0, tag);
            rest
        }),
        (any::<u32>(), prop::collection::vec(any::<u8>(), 0..1200)).prop_map(|(offset, bytes)| {
            postcard::to_allocvec(&ToLock::Data { transfer: 1, offset, bytes: &bytes }).unwrap()
        }),
        prop::collection::vec(any::<u8>(), 0..200).prop_map(|order| {
            let signature = WireSignature::from([7; 64]);
            let message = ToLock::Order { session: 1, number: 1, order: &order, signature };
            postcard::to_allocvec(&message).unwrap()
        }),
        (0..3_u32, any::<u32>()).prop_map(|(session, number)| {
            postcard::to_allocvec(&ToLock::Ask { session, number, request: Request::Status }).unwrap()
        }),
        (0..3_u32)
            .prop_map(|session| { postcard::to_allocvec(&ToLock::Hello { session, protocol: 1 }).unwrap() }),
    ];
    payload.prop_map(|payload| framed(&payload))
}

proptest! {
    #[test]
    fn noise_does_nothing(noise in prop::collection::vec(any::<u8>(), 0..20_000)) {
        let mut lock = MemoryLock::new(Some(key().public()));
        let mut link = Link::new(115_200);
        link.receive(&noise, Duration::ZERO, &mut lock);
        link.poll(Duration::ZERO, &mut lock);
        prop_assert!(link.waiting() <= OUTPUT_BOUND);
        untouched(&lock);
    }

    #[test]
    fn whole_frames_of_anything_change_nothing(
        frames in prop::collection::vec(frames(), 0..200), drained in any::<bool>()
    ) {
        let mut lock = MemoryLock::new(Some(key().public()));
        let mut link = Link::new(115_200);
        for (at, frame) in frames.iter().enumerate() {
            link.receive(frame, Duration::from_millis(at as u64), &mut lock);
            link.poll(Duration::from_millis(at as u64), &mut lock);
            prop_assert!(link.waiting() <= OUTPUT_BOUND, "{}", link.waiting());
            if drained {
                link.output();
            }
        }
        untouched(&lock);
    }

    #[test]
    fn the_line_comes_back_to_its_rate(baud in 9_600..=921_600_u32) {
        let mut lock = MemoryLock::new(None);
        let mut link = Link::new(115_200);
        let ask = |request| postcard::to_allocvec(&ToLock::Ask { session: 1, number: 1, request }).unwrap();
        let hello = postcard::to_allocvec(&ToLock::Hello { session: 1, protocol: 1 }).unwrap();
        link.receive(&framed(&hello), Duration::ZERO, &mut lock);
        link.receive(&framed(&ask(Request::Rate { baud })), Duration::ZERO, &mut lock);
        prop_assert_eq!(link.baud(), baud);
        link.poll(Duration::from_millis(1_001), &mut lock);
        prop_assert_eq!(link.baud(), 115_200);
    }
}
