//! Lines worked on by all cores. In: a reader, and what is to be done with a block of whole lines.
//! Out: the results, in the order of the lines. A few blocks are in memory at a time; a line longer
//! than a block makes a block of its own.

use std::io::{self, Read};
use std::num::NonZero;
use std::sync::mpsc::sync_channel;
use std::thread;

/// How much is read at once.
const BLOCK_BYTES: u64 = 1 << 18;
/// How many blocks a worker has: one in hand, one to go on with.
const BLOCKS_PER_WORKER: usize = 2;

/// A block of whole lines, and what was made of it. Both are used again: fresh memory for each block
/// costs as much as reading it (measured: a tenth of a report).
#[derive(Default)]
struct Block<T> {
    lines: Vec<u8>,
    made: T,
}

/// Reads `input` to its end, does `work` on its blocks, and gives what it made to `take`. What `work` is
/// handed, `take` has seen before. Blocks are dealt to the workers in turn and collected in turn, which
/// keeps their order.
///
/// # Errors
/// When `input` cannot be read, or what `take` returns.
pub(crate) fn in_order<T: Default + Send>(
    mut input: impl Read,
    work: impl Fn(&[u8], &mut T) + Sync,
    mut take: impl FnMut(&mut T) -> io::Result<()>,
) -> io::Result<()> {
    let workers = thread::available_parallelism().map_or(1, NonZero::get);
    let work = &work;
    thread::scope(|scope| {
        let lanes: Vec<_> = (0..workers)
            .map(|_| {
                let (deal, blocks) = sync_channel::<Block<T>>(BLOCKS_PER_WORKER);
                let (done, results) = sync_channel(BLOCKS_PER_WORKER);
                scope.spawn(move || {
                    blocks.iter().try_for_each(|mut block| {
                        work(&block.lines, &mut block.made);
                        done.send(block)
                    })
                });
                (deal, results)
            })
            .collect();
        let mut next = lanes.iter().cycle().map(|(deal, _)| deal);
        let mut due = lanes.iter().cycle().map(|(_, results)| results);
        let mut collect = || {
            let result = due.next().and_then(|results| results.recv().ok());
            let mut block = result.ok_or_else(|| io::Error::other("a worker ended"))?;
            take(&mut block.made).map(|()| block)
        };
        let (mut begun_line, mut waiting) = (Vec::new(), 0);
        let mut block = Block::default();
        while next_block(&mut input, &mut begun_line, &mut block.lines)? {
            // A worker that has ended is found when its result is due.
            let _ = next.next().map(|deal| deal.send(block));
            waiting += 1;
            block = Block::default();
            if waiting == workers * BLOCKS_PER_WORKER {
                block = collect()?;
                waiting -= 1;
            }
        }
        (0..waiting).try_for_each(|_| collect().map(drop))
    })
}

/// Fills `block` with the next whole lines, unless there are none; what follows them is left in
/// `begun_line`. Only the last block may end without a line end.
fn next_block(
    input: &mut impl Read,
    begun_line: &mut Vec<u8>,
    block: &mut Vec<u8>,
) -> io::Result<bool> {
    block.clear();
    block.append(begun_line);
    loop {
        let known_bytes = block.len();
        // To the byte, or a little more than before would take twice the memory.
        block.reserve_exact(BLOCK_BYTES as usize);
        if input.take(BLOCK_BYTES).read_to_end(block)? == 0 {
            return Ok(!block.is_empty());
        }
        let read = block.get(known_bytes..).unwrap_or_default();
        if let Some(last) = memchr::memrchr(b'\n', read) {
            begun_line.extend(block.drain(known_bytes + last + 1..));
            return Ok(true);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, in_order};

    #[test]
    fn blocks_hold_whole_lines_and_keep_their_order() {
        let lines: Vec<String> = (0..2000)
            .map(|number| {
                let bytes = if number == 1000 { 3 * BLOCK_BYTES as usize } else { number };
                format!("{number} {}\n", "x".repeat(bytes))
            })
            .collect();
        let text = lines.concat() + "torn";
        let mut blocks = Vec::new();
        let copy = |lines: &[u8], made: &mut Vec<u8>| lines.clone_into(made);
        let done = in_order(text.as_bytes(), copy, |block| {
            blocks.push(block.clone());
            Ok(())
        });
        assert!(done.is_ok());
        assert!(blocks.len() > 3);
        let (last, whole) = blocks.split_last().expect("a last block");
        assert!(last.ends_with(b"torn"));
        assert!(whole.iter().all(|block| block.ends_with(b"\n")));
        assert_eq!(blocks.concat(), text.as_bytes());
    }
}
