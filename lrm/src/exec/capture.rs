//! Output of bounded size: the beginning and the end of it.

use std::collections::VecDeque;

/// The first and the last half of what was written, with a line between that says what is missing.
#[derive(Debug)]
pub(super) struct Capture {
    head: Vec<u8>,
    tail: VecDeque<u8>,
    half: usize,
    dropped: u64,
    open: bool,
}

impl Capture {
    /// Keeps about `limit` bytes.
    pub fn new(limit: usize) -> Capture {
        Capture { head: Vec::new(), tail: VecDeque::new(), half: limit / 2, dropped: 0, open: true }
    }

    /// Nothing more will come.
    pub fn close(&mut self) {
        self.open = false;
    }

    /// Whether more may come.
    pub fn is_open(&self) -> bool {
        self.open
    }

    pub fn push(&mut self, bytes: &[u8]) {
        let room = self.half.saturating_sub(self.head.len()).min(bytes.len());
        let (head, rest) = bytes.split_at(room);
        self.head.extend_from_slice(head);
        // Of more than a half, only the last half can stay.
        let rest = if rest.len() > self.half {
            self.dropped += (rest.len() - self.half) as u64;
            rest.get(rest.len() - self.half..).unwrap_or(&[])
        } else {
            rest
        };
        let over = (self.tail.len() + rest.len()).saturating_sub(self.half);
        self.tail.drain(..over);
        self.dropped += over as u64;
        self.tail.extend(rest);
    }

    pub fn into_bytes(self) -> Vec<u8> {
        let mut bytes = self.head;
        if self.dropped > 0 {
            bytes.extend_from_slice(format!("\n[{} bytes left out]\n", self.dropped).as_bytes());
        }
        bytes.extend(self.tail);
        bytes
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_beginning_and_the_end_of_long_output_are_kept() {
        for step in [1, 3, 7, 100] {
            let text: Vec<u8> = (0..100u8).collect();
            let mut c = Capture::new(10);
            text.chunks(step).for_each(|chunk| c.push(chunk));
            let bytes = c.into_bytes();
            assert_eq!(
                bytes,
                [&[0, 1, 2, 3, 4][..], b"\n[90 bytes left out]\n", &[95, 96, 97, 98, 99]].concat(),
                "{step}"
            );
        }
    }

    #[test]
    fn short_output_is_kept_as_it_is() {
        let mut c = Capture::new(10);
        c.push(b"01234");
        c.push(b"56789");
        assert_eq!(c.into_bytes(), b"0123456789");
    }
}
