#![allow(clippy::unwrap_used)]
use super::super::rng::Rng;
use super::*;

/// Two halves joined by a line of 1 ms that loses and reorders.
fn transfer(
    messages: &[Vec<u8>],
    loss_percent: u64,
    jitter_us: u64,
    seed: u64,
) -> (Vec<Vec<u8>>, Duration, usize) {
    let mut rng = Rng::new(seed);
    let (mut sender, mut receiver) = (Sender::default(), Receiver::default());
    let session = SessionId { mine: 1, yours: 2 };
    let mut line: BTreeMap<(Duration, u64), Result<Data, Ack>> = BTreeMap::new();
    let mut got = Vec::new();
    let mut waiting: VecDeque<&Vec<u8>> = messages.iter().collect();
    let (mut now, mut order, mut sent) = (Duration::ZERO, 0u64, 0usize);
    while got.len() < messages.len() || !sender.is_idle() {
        while let Some(message) = waiting.front() {
            if sender.push(&wrap(message, None), 1000).is_err() {
                break;
            }
            waiting.pop_front();
        }
        let mut put = |what, rng: &mut Rng, line: &mut BTreeMap<_, _>| {
            if rng.below(100) >= loss_percent {
                order += 1;
                line.insert((now + Duration::from_micros(1000 + rng.below(jitter_us)), order), what);
            }
        };
        while let Some(out) = sender.take(now) {
            sent += 1;
            put(
                Ok(Data { session, lane: Lane::Bulk, seq: out.seq, last: out.last, bytes: out.bytes }),
                &mut rng,
                &mut line,
            );
        }
        if let Some(ack) = receiver.acknowledge(now, session, Lane::Bulk) {
            put(Err(ack), &mut rng, &mut line);
        }
        let next = [line.keys().next().map(|k| k.0), sender.deadline(), receiver.deadline()];
        now = next.into_iter().flatten().min().unwrap().max(now);
        assert!(now < Duration::from_secs(600), "no progress");
        while let Some(entry) = line.first_entry() {
            if entry.key().0 > now {
                break;
            }
            match entry.remove() {
                Ok(data) => receiver.take(now, data, &mut got).unwrap(),
                Err(ack) => sender.acknowledged(now, &ack),
            }
        }
        sender.wake(now);
    }
    (got, now, sent)
}

#[test]
fn in_order_and_exactly_once_whatever_the_loss() {
    let messages: Vec<Vec<u8>> = (0..200u32).map(|i| vec![i as u8; (i * 37 % 5000) as usize]).collect();
    for loss in [0, 5, 20, 60] {
        for seed in 0..5 {
            let (got, _, _) = transfer(&messages, loss, 300, seed);
            assert_eq!(got, messages, "loss {loss} seed {seed}");
        }
    }
}

#[test]
fn a_clean_line_repeats_nothing_and_five_percent_costs_little() {
    let messages = vec![vec![7u8; 1_000_000]; 5];
    let (_, _, sent) = transfer(&messages, 0, 0, 1);
    assert_eq!(sent, 5 * 1001);
    let (got, time, sent) = transfer(&messages, 5, 0, 1);
    assert_eq!(got, messages);
    assert!(sent < 5700, "{sent} pieces for 5005");
    assert!(time < Duration::from_millis(600), "{time:?}");
}

#[test]
fn bounds_hold() {
    let mut sender = Sender::default();
    assert_eq!(sender.push(&vec![0; MAX_MESSAGE + 2], 1000), Err(StreamError::TooLong));
    for _ in 0..4 {
        sender.push(&vec![0; 1_000_000], 1000).unwrap();
    }
    assert_eq!(sender.push(&vec![0; 200_000], 1000), Err(StreamError::Overrun));
    // Absurd acknowledgements and numbers of a key holder change nothing.
    sender.acknowledged(Duration::ZERO, &Ack { upto: u64::MAX, ..Ack::default() });
    assert_eq!(sender.pieces.len(), 4000);
    let mut receiver = Receiver::default();
    let mut out = Vec::new();
    for seq in [0, u64::MAX, 5000] {
        let data = Data { session: SessionId::default(), lane: Lane::Talk, seq, last: true, bytes: vec![0] };
        receiver.take(Duration::ZERO, data, &mut out).unwrap();
    }
    assert!(receiver.early.is_empty() && out.is_empty());
}

#[test]
fn messages_are_compressed_beyond_the_threshold() {
    let text = b"<cib/>".repeat(1000);
    for algorithm in [Algorithm::Zlib, Algorithm::Bz2] {
        let wrapped = wrap(&text, Some((algorithm, 100)));
        assert!(wrapped.len() < 500);
        assert_eq!(unwrap_message(&wrapped).unwrap(), text);
    }
    assert_eq!(wrap(b"abc", Some((Algorithm::Zlib, 100))), b"\0abc");
    assert_eq!(unwrap_message(b""), Err(StreamError::Malformed));
    assert_eq!(unwrap_message(b"\x01xx"), Err(StreamError::Malformed));
}
