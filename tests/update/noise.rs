//! Whatever comes through the cable, the device answers or is silent; its memory is bounded.

use std::time::Duration;

use facelatch::update::frame;
use facelatch::update::message::{Request, ToLock};
use proptest::prelude::*;

use crate::cuts::owned;
use crate::desk::{Running, blank};
use crate::students::Student;

/// Bytes that may come: noise, whole frames of noise, whole frames that begin as messages do.
fn piece() -> impl Strategy<Value = Vec<u8>> {
    let framed = |payload: Vec<u8>| {
        let mut line = Vec::new();
        frame::encode(&payload, &mut line);
        line
    };
    let bytes = |most| prop::collection::vec(any::<u8>(), 0..most);
    prop_oneof![
        bytes(3000),
        bytes(1200).prop_map(framed),
        (0..5_u8, bytes(60)).prop_map(move |(kind, rest)| framed([&[kind][..], &rest].concat())),
        (any::<u32>(), 0..3_u32).prop_map(move |(number, request)| {
            let request = [Request::Status, Request::Nonce, Request::Vitals][request as usize].clone();
            let ask = ToLock::Ask { session: 1, number, request };
            framed(postcard::to_allocvec(&ask).expect("serialisable"))
        }),
        Just(framed(
            postcard::to_allocvec(&ToLock::Hello { session: 1, protocol: 1 }).expect("serialisable")
        )),
    ]
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(24))]

    #[test]
    fn any_bytes_give_answers_or_silence_and_change_nothing(
        pieces in prop::collection::vec(piece(), 1..40), drains in any::<bool>()
    ) {
        let mut running = Running::start(owned(Student::SmallA, 1, 0), Student::SmallA, Duration::ZERO);
        let before = running.parts.gallery.with_flash(|flash| flash.image().to_vec());
        let mut now = Duration::ZERO;
        for piece in pieces {
            now += Duration::from_millis(20);
            running.line().receive(&piece, now);
            running.turn(now);
            let waiting = running.line().outgoing().len();
            prop_assert!(waiting < 12 << 10, "{} bytes wait", waiting);
            if drains {
                running.line().sent(waiting);
            }
        }
        prop_assert_eq!(running.version(), 0);
        prop_assert!(running.parts.gallery.with_flash(|flash| flash.image() == before));
    }
}

#[test]
fn a_cable_that_is_pulled_within_a_frame_leaves_no_trace() {
    let mut running = Running::start(blank(Student::SmallA), Student::SmallA, Duration::ZERO);
    let mut hello = Vec::new();
    let message = ToLock::Hello { session: 1, protocol: 1 };
    frame::encode(&postcard::to_allocvec(&message).expect("serialisable"), &mut hello);
    let now = Duration::from_secs(1);
    running.line().receive(&hello[..hello.len() - 2], now);
    running.turn(now);
    running.line().cut();
    running.line().receive(&hello, now);
    running.turn(now);
    assert!(!running.line().outgoing().is_empty(), "a whole hello is answered");
}
