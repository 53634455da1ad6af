//! Counts allocations: a loaded network makes none.

use std::alloc::{GlobalAlloc, Layout, System};
use std::cell::Cell;

use facelatch::inference::{LoadOptions, Network};

use crate::{RELEASED, SMALL, painted, released, small};

thread_local! {
    static COUNT: Cell<usize> = const { Cell::new(0) };
}

struct Counting;

// SAFETY: every call goes to the system's allocator with the same arguments.
unsafe impl GlobalAlloc for Counting {
    unsafe fn alloc(&self, layout: Layout) -> *mut u8 {
        COUNT.with(|count| count.set(count.get() + 1));
        // SAFETY: the caller's promises are passed on.
        unsafe { System.alloc(layout) }
    }

    unsafe fn dealloc(&self, pointer: *mut u8, layout: Layout) {
        // SAFETY: the caller's promises are passed on.
        unsafe { System.dealloc(pointer, layout) }
    }
}

#[global_allocator]
static ALLOCATOR: Counting = Counting;

#[test]
fn a_run_allocates_nothing() {
    let small_files = SMALL.map(|name| small(name, "onnx"));
    for file in small_files.into_iter().chain(RELEASED.map(released)) {
        let mut network = Network::load(&file, LoadOptions::default()).unwrap();
        let pixels = painted(network.input_shape().iter().product());
        let before = COUNT.with(Cell::get);
        network.run(&pixels).unwrap();
        let first = network.output(0)[0];
        assert_eq!(COUNT.with(Cell::get), before, "allocations in a run that gave {first}");
    }
}
