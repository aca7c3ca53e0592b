//! What each room of the core takes, so that a regression is found in its room: `cargo bench`.
#![allow(clippy::unwrap_used, missing_docs, reason = "a measurement")]

mod samples;

use std::num::NonZeroUsize;

use divan::counter::{BytesCount, ItemsCount};
use divan::{Bencher, black_box};
use latimer_wire::chat::{LiftOptions, Lower, StopSequences, lift_request};
use latimer_wire::json::Raw;
use latimer_wire::note::Notes;
use latimer_wire::responses::{self, Envelope, Event, Fold, Grammar, Mend, Request, Response};

use self::samples::SIZES;

fn main() {
    divan::main();
}

fn envelope() -> Envelope {
    samples::envelope(&samples::request(SIZES[0]))
}

/// The events of one answer, printed.
fn events() -> Vec<String> {
    let mut events = Vec::new();
    samples::lift(envelope(), &samples::chunks(), |event| {
        events.push(String::new());
        event.print(events.last_mut().unwrap());
    });
    events
}

fn parsed(events: &[String]) -> Vec<Event<'_>> {
    events.iter().map(|text| Event::parse(text, None).unwrap()).collect()
}

fn seen(event: &Event<'_>) {
    black_box(event);
}

/// Throughput is given in the bytes and in the number of `parts`.
fn over<'b, 'c>(bencher: Bencher<'b, 'c>, parts: &[String]) -> Bencher<'b, 'c> {
    let bytes: usize = parts.iter().map(String::len).sum();
    bencher.counter(BytesCount::new(bytes)).counter(ItemsCount::new(parts.len()))
}

mod json {
    use super::*;

    #[divan::bench(args = SIZES)]
    fn check(bencher: Bencher<'_, '_>, bytes: usize) {
        let request = samples::request(bytes);
        bencher.counter(BytesCount::of_str(&request)).bench(|| Raw::parse(black_box(&request)));
    }
}

mod requests {
    use super::*;

    fn items(request: &str) -> ItemsCount {
        ItemsCount::new(Request::parse(request).unwrap().input.len())
    }

    #[divan::bench(args = SIZES)]
    fn parse(bencher: Bencher<'_, '_>, bytes: usize) {
        let request = samples::request(bytes);
        let bencher = bencher.counter(BytesCount::of_str(&request)).counter(items(&request));
        bencher.bench(|| Request::parse(black_box(&request)).unwrap());
    }

    #[divan::bench(args = SIZES)]
    fn lower(bencher: Bencher<'_, '_>, bytes: usize) {
        let request = samples::request(bytes);
        let bencher = bencher.counter(BytesCount::of_str(&request)).counter(items(&request));
        bencher.bench(|| samples::lowered(black_box(&request)));
    }

    #[divan::bench(args = SIZES)]
    fn lift(bencher: Bencher<'_, '_>, bytes: usize) {
        let request = samples::request(bytes);
        let (chat, options) = (samples::lowered(&request), LiftOptions::default());
        let bencher = bencher.counter(BytesCount::of_str(&chat)).counter(items(&request));
        bencher.bench(|| lift_request(black_box(&chat), &options, &mut Notes::default()).unwrap());
    }

    #[divan::bench]
    fn envelope(bencher: Bencher<'_, '_>) {
        let request = samples::request(SIZES[0]);
        let request = Request::parse(&request).unwrap();
        bencher.bench(|| Envelope::new(black_box(&request), "resp_1", 0));
    }
}

mod streams {
    use super::*;

    #[divan::bench]
    fn decode(bencher: Bencher<'_, '_>) {
        let stream = samples::chat_stream();
        over(bencher, &samples::chunks()).bench(|| {
            samples::decode(black_box(&stream), |data| {
                black_box(data);
            })
        });
    }

    #[divan::bench]
    fn lift(bencher: Bencher<'_, '_>) {
        let (envelope, chunks) = (envelope(), samples::chunks());
        over(bencher, &chunks).with_inputs(|| envelope.clone()).bench_values(|envelope| {
            samples::lift(envelope, &chunks, seen);
        });
    }

    #[divan::bench]
    fn grammar(bencher: Bencher<'_, '_>) {
        let texts = events();
        let events = parsed(&texts);
        over(bencher, &texts).bench(|| {
            let mut grammar = Grammar::default();
            events.iter().for_each(|event| grammar.admit(black_box(event)).unwrap());
        });
    }

    #[divan::bench]
    fn print(bencher: Bencher<'_, '_>) {
        let texts = events();
        let events = parsed(&texts);
        over(bencher, &texts).bench(|| {
            let mut out = String::new();
            events.iter().for_each(|event| event.print_frame(&mut out));
            out
        });
    }

    /// All of these: from bytes to bytes.
    #[divan::bench]
    fn translate(bencher: Bencher<'_, '_>) {
        let (envelope, stream) = (envelope(), samples::chat_stream());
        over(bencher, &samples::chunks())
            .with_inputs(|| envelope.clone())
            .bench_values(|envelope| samples::translated(envelope, &stream));
    }

    #[divan::bench]
    fn parse(bencher: Bencher<'_, '_>) {
        let texts = events();
        over(bencher, &texts).bench(|| parsed(black_box(&texts)));
    }

    #[divan::bench]
    fn mend(bencher: Bencher<'_, '_>) {
        let (envelope, texts) = (envelope(), events());
        over(bencher, &texts).with_inputs(|| Mend::new(envelope.clone(), "1")).bench_values(
            |mut mend| {
                texts.iter().for_each(|text| mend.push(text, None, &mut seen));
                mend.end(&mut seen);
            },
        );
    }

    #[divan::bench]
    fn lower(bencher: Bencher<'_, '_>) {
        let texts = events();
        let events = parsed(&texts);
        over(bencher, &texts).bench(|| {
            let (mut lower, mut out) = (Lower::new("chatcmpl-1", "m", 0, true), String::new());
            events.iter().for_each(|event| lower.push(event, &mut out));
            out
        });
    }

    #[divan::bench]
    fn stop(bencher: Bencher<'_, '_>) {
        let pieces = samples::texts();
        let stop = StopSequences::new(["\nUser:".to_owned(), "###".to_owned()]);
        over(bencher, &pieces).with_inputs(|| stop.clone()).bench_values(|mut stop| {
            pieces.iter().for_each(|piece| drop(black_box(stop.push(piece))));
        });
    }

    #[divan::bench]
    fn fold(bencher: Bencher<'_, '_>) {
        let texts = events();
        let events = parsed(&texts);
        over(bencher, &texts).bench(|| {
            let mut fold = Fold::default();
            events.iter().for_each(|event| fold.push(event));
            fold.finish()
        });
    }

    #[divan::bench]
    fn unfold(bencher: Bencher<'_, '_>) {
        let texts = events();
        let mut fold = Fold::default();
        parsed(&texts).iter().for_each(|event| fold.push(event));
        let (response, piece): (Response, _) = (fold.finish(), NonZeroUsize::new(20).unwrap());
        over(bencher, &texts).bench(|| responses::unfold(&response, piece, &mut seen));
    }
}
