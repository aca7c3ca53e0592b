//! Lines worked on by all cores. In: a reader, and what is to be done with a block of whole lines.
//! Out: the results, in the order of the lines. A few blocks are in memory at a time; a line longer
//! than a block makes a block of its own.

use std::io::{self, Read};
use std::num::NonZero;
use std::sync::mpsc::sync_channel;
use std::thread;

/// How much is read at once.
const BLOCK_BYTES: usize = 1 << 18;
/// How many blocks a worker has: one in hand, one to go on with.
const BLOCKS_PER_WORKER: usize = 2;

/// A block of whole lines, and what was made of it. Both are used again: fresh memory for each block
/// costs as much as reading it (measured: a tenth of a report).
#[derive(Default)]
struct Block<T> {
    /// Room for the lines, which stays as it is: to clear it costs as much again.
    room: Vec<u8>,
    lines_bytes: usize,
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
                        let lines = block.room.get(..block.lines_bytes).unwrap_or_default();
                        work(lines, &mut block.made);
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
        while block.fill(&mut input, &mut begun_line)? {
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

impl<T> Block<T> {
    /// Takes the next whole lines, unless there are none; what follows them is left in `begun_line`. Only
    /// the last block may end without a line end.
    fn fill(&mut self, input: &mut impl Read, begun_line: &mut Vec<u8>) -> io::Result<bool> {
        let mut filled = begun_line.len();
        self.room_to(filled).copy_from_slice(begun_line);
        begun_line.clear();
        loop {
            let known = filled;
            let room = self.room_to(known + BLOCK_BYTES).get_mut(known..).unwrap_or_default();
            filled += read_all(input, room)?;
            let read = self.room.get(known..filled).unwrap_or_default();
            let last = memchr::memrchr(b'\n', read);
            if last.is_none() && !read.is_empty() {
                continue;
            }
            self.lines_bytes = last.map_or(filled, |last| known + last + 1);
            begun_line.extend(self.room.get(self.lines_bytes..filled).unwrap_or_default());
            return Ok(filled > 0);
        }
    }

    /// The room's first bytes.
    fn room_to(&mut self, bytes: usize) -> &mut [u8] {
        if let Some(more) = bytes.checked_sub(self.room.len()) {
            // To the byte, or a little more than before would take twice the memory.
            self.room.reserve_exact(more);
            self.room.resize(bytes, 0);
        }
        self.room.get_mut(..bytes).unwrap_or_default()
    }
}

/// Reads until `room` is full, or to the end. Out: how many bytes there were.
fn read_all(input: &mut impl Read, room: &mut [u8]) -> io::Result<usize> {
    let mut filled = 0;
    while let Some(rest) = room.get_mut(filled..).filter(|rest| !rest.is_empty()) {
        match input.read(rest) {
            Ok(0) => break,
            Ok(read) => filled += read,
            Err(error) if error.kind() == io::ErrorKind::Interrupted => {}
            Err(error) => return Err(error),
        }
    }
    Ok(filled)
}

#[cfg(test)]
mod tests {
    use super::{BLOCK_BYTES, in_order};

    #[test]
    fn blocks_hold_whole_lines_and_keep_their_order() {
        let lines: Vec<String> = (0..2000)
            .map(|number| {
                let bytes = if number == 1000 { 3 * BLOCK_BYTES } else { number };
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
