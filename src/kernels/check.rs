//! Every kernel against the definition, for every instruction set that this CPU has.

use super::add::AddSpec;
use super::conv::{Conv, ConvSpec};
use super::isa::Isa;
use super::requant::Requant;
use super::shape::ConvShape;

/// Lists the instruction sets that must run, separated by commas: a missing one fails the tests.
const EXPECTED: &str = "FACELATCH_EXPECT_ISAS";

/// A multiplicative generator (Knuth's MMIX constants): tests are the same everywhere.
struct Random(u64);

impl Random {
    fn next(&mut self) -> u32 {
        self.0 = self.0.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1_442_695_040_888_963_407);
        (self.0 >> 33) as u32
    }

    fn below(&mut self, end: usize) -> usize {
        self.next() as usize % end
    }

    fn byte(&mut self) -> i8 {
        self.next() as u8 as i8
    }
}

/// How the values of a case are drawn.
#[derive(Debug, Clone, Copy)]
enum Paint {
    Random,
    /// Inputs -128 with zero point 127 and weights -127: the largest pairs of products and sums.
    Low,
    /// Inputs 127 with zero point -128 and weights -127 and 127 in turns.
    High,
}

impl Paint {
    fn zero_point(self, random: &mut Random) -> i8 {
        match self {
            Self::Random => random.byte(),
            Self::Low => 127,
            Self::High => -128,
        }
    }
}

fn spec(random: &mut Random, shape: ConvShape, paint: Paint, prelu: bool) -> ConvSpec {
    let len = shape.filter_len();
    let weights: Vec<i8> = (0..shape.filters * len)
        .map(|i| match paint {
            Paint::Random => random.byte().max(-127),
            Paint::Low => -127,
            Paint::High => [-127, 127][i % 2],
        })
        .collect();
    let zero_point = random.byte();
    let factors = |random: &mut Random| -> Vec<f32> {
        let spread = 40.0 / (73.0 * 73.0 * (len as f32).sqrt());
        (0..shape.filters).map(|_| spread * (0.5 + random.below(1000) as f32 / 1000.0)).collect()
    };
    let slope = prelu.then(|| factors(random).iter().map(|f| 0.3 * f).collect());
    let low = if !prelu && random.below(2) == 0 { zero_point } else { -128 };
    let requant = Requant { scale: factors(random), slope, zero_point, low };
    let bias = (0..shape.filters).map(|_| random.next() as i32 % 20_000).collect();
    ConvSpec { shape, weights, bias, input_zero_point: paint.zero_point(random), requant }
}

fn input(random: &mut Random, len: usize, paint: Paint) -> Vec<i8> {
    (0..len)
        .map(|_| match paint {
            Paint::Random => random.byte(),
            Paint::Low => -128,
            Paint::High => 127,
        })
        .collect()
}

fn run(spec: &ConvSpec, isa: Isa, input: &[i8], split: usize) -> Vec<i8> {
    let conv = Conv::new(spec.clone(), isa).unwrap();
    let mut scratch = vec![99; conv.scratch_len()];
    let mut out = vec![55; spec.shape.output_len()];
    let rows = spec.shape.output()[0];
    let split = split.min(rows);
    let (upper, lower) = out.split_at_mut(split * spec.shape.output_row());
    conv.run_rows(input, 0..split, &mut scratch, upper);
    conv.run_rows(input, split..rows, &mut scratch, lower);
    out
}

fn check(isa: Isa, random: &mut Random, shape: ConvShape) {
    for (paint, prelu) in
        [(Paint::Random, false), (Paint::Random, true), (Paint::Low, false), (Paint::High, true)]
    {
        let spec = spec(random, shape, paint, prelu);
        let input = input(random, shape.input_len(), paint);
        let want = run(&spec, Isa::Scalar, &input, 0);
        let got = run(&spec, isa, &input, random.below(4));
        if let Some(at) = want.iter().zip(&got).position(|(w, g)| w != g) {
            panic!("{}: {shape:?} {paint:?}: value {at} is {} instead of {}", isa.name(), got[at], want[at]);
        }
    }
}

fn for_each_isa(check: impl Fn(Isa)) {
    let ran: Vec<&str> = Isa::available().into_iter().map(|isa| (check(isa), isa.name()).1).collect();
    println!("ran: {}", ran.join(","));
    for expected in std::env::var(EXPECTED).unwrap_or_default().split(',').filter(|name| !name.is_empty()) {
        assert!(ran.contains(&expected), "{expected} is in {EXPECTED}, but only {ran:?} ran");
    }
}

fn square(kernel: usize, stride: usize, pad: usize) -> ConvShape {
    ConvShape {
        input: [7, 9],
        channels: 3,
        filters: 5,
        kernel: [kernel; 2],
        stride: [stride; 2],
        pad_before: [pad; 2],
        pad_after: [pad; 2],
        depthwise: false,
    }
}

/// Channel counts: tails of every tile width, and whole tiles.
const CHANNELS: [usize; 14] = [1, 2, 3, 7, 8, 13, 16, 17, 31, 32, 61, 64, 67, 131];

#[test]
fn pointwise_layers_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(1);
        for channels in CHANNELS {
            for filters in CHANNELS {
                let input = [1 + random.below(3), 1 + random.below(17)];
                check(isa, &mut random, ConvShape { input, channels, filters, ..square(1, 1, 0) });
            }
        }
    });
}

#[test]
fn dense_convolutions_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(2);
        for (kernel, stride, pad) in
            [(3, 1, 1), (3, 2, 1), (2, 2, 0), (5, 1, 2), (1, 2, 0), (3, 3, 0), (5, 2, 4)]
        {
            for channels in [1, 3, 8, 11, 32] {
                for filters in [1, 5, 16, 24, 70] {
                    let input = [5 + random.below(7), 5 + random.below(11)];
                    let shape = ConvShape { input, channels, filters, ..square(kernel, stride, pad) };
                    check(isa, &mut random, shape);
                }
            }
        }
    });
}

#[test]
fn depthwise_convolutions_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(3);
        for (kernel, stride, pad) in
            [(3, 1, 1), (3, 2, 1), (3, 1, 0), (5, 1, 2), (5, 2, 2), (7, 1, 0), (2, 1, 1), (3, 2, 4)]
        {
            for channels in CHANNELS {
                let input = [7 + random.below(4), 7 + random.below(13)];
                let shape = ConvShape {
                    input,
                    channels,
                    filters: channels,
                    depthwise: true,
                    ..square(kernel, stride, pad)
                };
                check(isa, &mut random, shape);
            }
        }
    });
}

#[test]
fn uneven_padding_and_strides_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(4);
        for depthwise in [false, true] {
            for pad in 0..3 {
                let shape = ConvShape {
                    input: [6, 5],
                    channels: 19,
                    filters: 19,
                    kernel: [3, 2],
                    stride: [1 + pad % 2, 2 - pad % 2],
                    pad_before: [pad, 0],
                    pad_after: [0, pad],
                    depthwise,
                };
                check(isa, &mut random, shape);
            }
        }
    });
}

#[test]
fn one_pixel_and_whole_picture_kernels_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(5);
        for depthwise in [false, true] {
            for (input, kernel) in [([1, 1], [1, 1]), ([7, 7], [7, 7]), ([1, 1], [3, 3]), ([16, 2], [16, 2])]
            {
                let pad = if kernel > input { [1, 1] } else { [0, 0] };
                let shape =
                    ConvShape { input, kernel, channels: 40, filters: 40, depthwise, ..square(1, 1, 0) };
                check(isa, &mut random, ConvShape { pad_before: pad, pad_after: pad, ..shape });
            }
        }
    });
}

/// One, and the primes next to the widths of vectors and tiles.
const PRIMES: [usize; 16] = [1, 2, 3, 5, 7, 11, 13, 17, 19, 29, 31, 37, 47, 53, 67, 131];

fn random_shape(random: &mut Random) -> ConvShape {
    let depthwise = random.below(3) == 0;
    let channels = PRIMES[random.below(PRIMES.len())];
    let pair = |random: &mut Random, least: usize, end: usize| {
        [least + random.below(end - least), least + random.below(end - least)]
    };
    ConvShape {
        input: [PRIMES[random.below(9)], PRIMES[random.below(9)]],
        channels,
        filters: if depthwise { channels } else { PRIMES[random.below(PRIMES.len())] },
        kernel: pair(random, 1, 6),
        stride: pair(random, 1, 4),
        pad_before: pair(random, 0, 3),
        pad_after: pair(random, 0, 3),
        depthwise,
    }
}

#[test]
fn random_shapes_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(7);
        let mut checked = 0;
        while checked < 150 {
            let shape = random_shape(&mut random);
            if shape.output_len() > 0 {
                check(isa, &mut random, shape);
                checked += 1;
            }
        }
    });
}

#[test]
fn three_by_three_layers_of_many_channels_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(9);
        for (channels, filters) in [(16, 16), (18, 8), (34, 17), (40, 40), (46, 25), (128, 3)] {
            for pad in 0..3 {
                let input = [3 + random.below(9), 3 + random.below(15)];
                let uneven = [pad, random.below(3)];
                let shape = ConvShape { input, channels, filters, pad_after: uneven, ..square(3, 1, pad) };
                check(isa, &mut random, shape);
            }
        }
    });
}

#[test]
fn layers_of_several_bands_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(8);
        for (channels, kernel, stride) in
            [(40, 3, 1), (41, 3, 1), (64, 1, 1), (3, 6, 4), (67, 3, 2), (5, 1, 3)]
        {
            let input = [67, 41];
            check(isa, &mut random, ConvShape { input, channels, filters: 5, ..square(kernel, stride, 1) });
        }
    });
}

#[test]
fn additions_equal_the_definition() {
    for_each_isa(|isa| {
        let mut random = Random(6);
        for (len, slope) in [(1, None), (15, None), (64, None), (131, None), (64, Some(vec![0.2; 16]))] {
            let spec = AddSpec {
                channels: if slope.is_some() { 16 } else { 1 },
                zero_points: [random.byte(), random.byte()],
                factors: [0.83, 1.7],
                slope,
                zero_point: random.byte(),
                low: -128,
            };
            let (a, b) = (input(&mut random, len, Paint::Random), input(&mut random, len, Paint::Random));
            let (mut want, mut got) = (vec![1; len], vec![2; len]);
            spec.run(Isa::Scalar, &a, &b, &mut want);
            spec.run(isa, &a, &b, &mut got);
            assert_eq!(want, got, "{} {spec:?}", isa.name());
        }
    });
}
