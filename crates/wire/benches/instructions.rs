//! The two hottest paths, so often as the command line says, for `cargo xtask count` to count their
//! instructions. In: the name of a path and a number of rounds.
#![allow(clippy::unwrap_used, clippy::panic, reason = "it is run by a program")]

mod samples;

use std::hint::black_box;

fn main() {
    let arguments: Vec<String> = std::env::args().skip(1).collect();
    let [path, rounds] = arguments.as_slice() else { panic!("wanted: a path and its rounds") };
    let request = samples::request(samples::SIZES[0]);
    let stream = samples::chat_stream();
    let envelope = samples::envelope(&request);
    for _ in 0..rounds.parse().unwrap() {
        black_box(match &**path {
            "request" => samples::lowered(black_box(&request)),
            "stream" => samples::translated(envelope.clone(), black_box(&stream)),
            other => panic!("`{other}` is no path"),
        });
    }
}
