//! Opening a session with one incarnation of a peer (R2.2): each end sends a fresh nonce and is
//! answered with it, so both are alive now and no recording can stand in for either.
//!
//! ```text
//!            Hello{n, 0}                     Hello{m, echo n}
//!   A ──────────────────────▶ B     A ◀────────────────────── B
//!            Hello{n, echo m, held (n,m)}
//!   A ──────────────────────▶ B     both hold the session (n, m)
//! ```
//!
//! A held session is given up only for a handshake the peer has proven to take part in now: a replayed
//! `Hello` is answered with a challenge, which the true peer answers with the session it holds.

use super::rng::Rng;
use crate::wire::frame::{Hello, SessionId};

/// One end's state of the handshake.
#[derive(Debug, Default)]
pub struct Handshake {
    /// The usable session, from this end.
    held: Option<SessionId>,
    /// The nonce of an attempt under way, and what the peer last offered.
    attempt: Option<SessionId>,
}

/// What a `Hello` led to.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Outcome {
    /// To be answered with this.
    pub reply: Option<Hello>,
    /// A new session is usable from now on; the one before, if any, has ended.
    pub established: bool,
}

impl Handshake {
    /// The usable session.
    pub fn held(&self) -> Option<SessionId> {
        self.held
    }

    /// Whether an attempt is under way.
    pub fn attempting(&self) -> bool {
        self.attempt.is_some()
    }

    /// Ends the session on this side.
    pub fn end(&mut self) {
        self.held = None;
        self.attempt = None;
    }

    /// The `Hello` that begins or repeats an attempt.
    pub fn hello(&mut self, rng: &mut Rng) -> Hello {
        let held = self.held.unwrap_or_default();
        let attempt = self.attempt.get_or_insert_with(|| SessionId { mine: rng.draw(), yours: 0 });
        Hello { nonce: attempt.mine, echo: attempt.yours, held, known_generation: 0 }
    }

    /// Takes the peer's `Hello`.
    pub fn take(&mut self, hello: &Hello, rng: &mut Rng) -> Outcome {
        let peer_holds = hello.held.flipped();
        if let Some(held) = self.held {
            let still = hello.nonce == held.yours && hello.echo == held.mine;
            if peer_holds == held || still {
                // Both hold it, or the peer has not noticed yet that we do.
                if peer_holds == held && hello.nonce == held.yours {
                    self.attempt = None;
                }
                let settled = peer_holds == held && hello.nonce == held.yours;
                let reply = Hello { nonce: held.mine, echo: hello.nonce, held, known_generation: 0 };
                return Outcome { reply: (!settled).then_some(reply), established: false };
            }
        }
        if let Some(attempt) = self.attempt
            && hello.echo == attempt.mine
            && hello.nonce != 0
        {
            let held = SessionId { mine: attempt.mine, yours: hello.nonce };
            self.attempt = None;
            self.held = Some(held);
            // The peer needs our echo of its nonce, unless it shows that it has it.
            let settled = peer_holds == held;
            let reply = Hello { nonce: held.mine, echo: held.yours, held, known_generation: 0 };
            return Outcome { reply: (!settled).then_some(reply), established: true };
        }
        let attempt = self.attempt.get_or_insert_with(|| SessionId { mine: rng.draw(), yours: 0 });
        attempt.yours = hello.nonce;
        let reply = Hello {
            nonce: attempt.mine,
            echo: hello.nonce,
            held: self.held.unwrap_or_default(),
            known_generation: 0,
        };
        Outcome { reply: Some(reply), established: false }
    }

    /// Whether a frame of session `theirs` (as its sender sees it) belongs to the held session. A frame
    /// that carries the nonce of the attempt under way proves the peer and establishes the session.
    pub fn admits(&mut self, theirs: SessionId) -> Admitted {
        let mine = theirs.flipped();
        if self.held == Some(mine) {
            return Admitted::Held;
        }
        match self.attempt {
            Some(attempt) if attempt.mine == mine.mine && attempt.yours == mine.yours && mine.yours != 0 => {
                self.attempt = None;
                self.held = Some(mine);
                Admitted::Established
            }
            _ => Admitted::No,
        }
    }
}

/// Answer of [`Handshake::admits`].
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Admitted {
    Held,
    Established,
    No,
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use std::collections::VecDeque;

    use super::*;

    struct Pair {
        ends: [Handshake; 2],
        rngs: [Rng; 2],
        established: [u32; 2],
        seen: Vec<(usize, Hello)>,
    }

    impl Pair {
        fn new() -> Pair {
            Pair {
                ends: Default::default(),
                rngs: [Rng::new(1), Rng::new(2)],
                established: [0, 0],
                seen: Vec::new(),
            }
        }

        fn hello(&mut self, from: usize) -> Hello {
            self.ends[from].hello(&mut self.rngs[from])
        }

        /// Delivers `hello` to end `to`, and everything that follows, dropping the n-th deliveries.
        fn run(&mut self, to: usize, hello: Hello, drop: &[usize]) -> usize {
            let mut queue = VecDeque::from([(to, hello)]);
            let mut n = 0;
            while let Some((to, hello)) = queue.pop_front() {
                self.seen.push((to, hello));
                n += 1;
                assert!(n < 20, "endless handshake");
                if drop.contains(&n) {
                    continue;
                }
                let outcome = self.ends[to].take(&hello, &mut self.rngs[to]);
                self.established[to] += u32::from(outcome.established);
                if let Some(reply) = outcome.reply {
                    queue.push_back((1 - to, reply));
                }
            }
            n
        }

        fn agree(&self) -> bool {
            match (self.ends[0].held(), self.ends[1].held()) {
                (Some(a), Some(b)) => a == b.flipped(),
                _ => false,
            }
        }
    }

    #[test]
    fn three_messages_open_and_further_ones_change_nothing() {
        let mut pair = Pair::new();
        let hello = pair.hello(0);
        assert!(pair.run(1, hello, &[]) <= 4);
        assert!(pair.agree());
        let again = pair.hello(0);
        pair.run(1, again, &[]);
        assert!(pair.agree());
        assert_eq!(pair.established, [1, 1]);
    }

    #[test]
    fn any_lost_message_is_made_up_by_repeating() {
        for lost in 1..=4 {
            let mut pair = Pair::new();
            let hello = pair.hello(0);
            pair.run(1, hello, &[lost]);
            for _ in 0..2 {
                for end in [0, 1] {
                    if pair.ends[end].held().is_none() || pair.ends[end].attempting() {
                        let hello = pair.hello(end);
                        pair.run(1 - end, hello, &[]);
                    }
                }
            }
            assert!(pair.agree(), "lost {lost}");
            assert_eq!(pair.established, [1, 1], "lost {lost}");
        }
    }

    #[test]
    fn both_may_begin_at_once() {
        let mut pair = Pair::new();
        let (a, b) = (pair.hello(0), pair.hello(1));
        pair.run(1, a, &[]);
        pair.run(0, b, &[]);
        assert!(pair.agree());
        assert_eq!(pair.established, [1, 1]);
    }

    #[test]
    fn a_reset_end_gets_a_new_session() {
        let mut pair = Pair::new();
        let hello = pair.hello(0);
        pair.run(1, hello, &[]);
        let before = pair.ends[1].held();
        pair.ends[0].end();
        let hello = pair.hello(0);
        pair.run(1, hello, &[]);
        assert!(pair.agree());
        assert_ne!(pair.ends[1].held(), before);
        assert_eq!(pair.established, [2, 2]);
    }

    #[test]
    fn replayed_hellos_do_not_disturb_a_session() {
        let mut pair = Pair::new();
        for _ in 0..2 {
            pair.ends[0].end();
            let hello = pair.hello(0);
            pair.run(1, hello, &[]);
        }
        let established = pair.established;
        let held = pair.ends[0].held();
        for (to, hello) in pair.seen.clone() {
            pair.run(to, hello, &[]);
            assert!(pair.agree());
        }
        assert_eq!(pair.established, established);
        assert_eq!(pair.ends[0].held(), held);
    }

    /// Crossing handshakes whose last messages were lost: either end can bring them together.
    #[test]
    fn ends_that_hold_different_sessions_find_together() {
        for beginner in [0, 1] {
            let mut pair = Pair::new();
            let hello = pair.hello(0);
            pair.run(1, hello, &[]);
            pair.ends[0].held = Some(SessionId { mine: 7, yours: 8 });
            assert!(!pair.agree());
            let hello = pair.hello(beginner);
            pair.run(1 - beginner, hello, &[]);
            assert!(pair.agree());
        }
    }

    #[test]
    fn a_recording_alone_opens_nothing() {
        let mut pair = Pair::new();
        let hello = pair.hello(0);
        pair.run(1, hello, &[]);
        let mut fresh = Handshake::default();
        let mut rng = Rng::new(99);
        for (_, hello) in &pair.seen {
            assert!(!fresh.take(hello, &mut rng).established);
        }
        assert_eq!(fresh.held(), None);
    }
}
