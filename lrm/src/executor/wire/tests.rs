#![allow(clippy::unwrap_used)]
use super::*;

fn requests() -> Vec<Request> {
    let command = Command {
        programs: vec![Program { path: "/a/b".into(), argv0: Some("x".into()), args: vec!["start".into()] }],
        env: [("A".to_owned(), "b".to_owned())].into(),
        stdin: b"k=v\n".to_vec(),
        timeout: Some(Duration::from_millis(1500)),
        output_limit: 100,
        secrets: Some(Secrets { rsc: "db".into(), optional: true }),
    };
    let udp = Udp {
        bind: "[fe80::1%3]:694".parse().unwrap(),
        device: Some("eth0".into()),
        broadcast: true,
        reuse: false,
        multicast: Some(Multicast {
            group: "239.0.0.1".parse().unwrap(),
            device: "eth0".into(),
            ttl: 1,
            loopback: false,
        }),
    };
    vec![
        Request::Hello { version: VERSION, may_reboot: true },
        Request::Spawn { exec: ExecId(1 << 40), note: vec![1, 2], command: command.clone(), until: None },
        Request::Spawn {
            exec: ExecId(1),
            note: vec![],
            command,
            until: Some(Duration::from_nanos(12_345_678_901)),
        },
        Request::Keep { key: "db".into(), note: Some(vec![7]) },
        Request::Keep { key: "db".into(), note: None },
        Request::Kill { exec: ExecId(2) },
        Request::Confirm { exec: ExecId(3) },
        Request::Open { ticket: 4, what: Open::Udp(udp) },
        Request::Open { ticket: 5, what: Open::Icmp { v6: true, device: None } },
        Request::Open { ticket: 6, what: Open::Serial { path: "/dev/ttyS0".into(), baud: 19200 } },
        Request::Open { ticket: 7, what: Open::Config { name: "authkeys".into() } },
        Request::Open { ticket: 8, what: Open::Watchdog { path: "/dev/watchdog".into(), timeout_s: 31 } },
        Request::Tickle,
        Request::Reboot { reason: "x".into() },
        Request::Bye { status: 6 },
    ]
}

fn replies() -> Vec<Reply> {
    let late = Outcome::of(End::Failed(SpawnError::Late("late".into())), Duration::ZERO);
    let outcome = Outcome {
        program: 1,
        stdout: b"out".to_vec(),
        stderr: b"\xff".to_vec(),
        ..Outcome::of(End::Failed(SpawnError::Permission("no".into())), Duration::from_millis(7))
    };
    vec![
        Reply::Welcome { version: VERSION, generation: 3, runs: vec![(ExecId(1), vec![9])] },
        Reply::Started { exec: ExecId(1), pid: 77 },
        Reply::Exited { exec: ExecId(1), outcome },
        Reply::Exited { exec: ExecId(2), outcome: Outcome::of(End::Code(7), Duration::ZERO) },
        Reply::Opened { ticket: 1, with_fd: true },
        Reply::OpenFailed { ticket: 1, errno: 13, text: "no".into() },
        Reply::Stop,
        Reply::Kept { key: "db".into(), note: vec![9, 0] },
        Reply::Exited { exec: ExecId(3), outcome: late },
    ]
}

#[test]
fn messages_read_back_as_they_were_written_however_they_arrive() {
    let mut stream: Vec<u8> = Vec::new();
    requests().iter().for_each(|m| stream.extend(m.encode().unwrap()));
    let (mut arrived, mut read) = (Vec::new(), Vec::new());
    for byte in stream {
        arrived.push(byte);
        if let Some(frame) = take_frame(&mut arrived).unwrap() {
            read.push(Request::decode(&frame).unwrap());
        }
    }
    assert_eq!(read, requests());
    for reply in replies() {
        let mut bytes = reply.encode().unwrap();
        assert_eq!(Reply::decode(&take_frame(&mut bytes).unwrap().unwrap()).unwrap(), reply);
    }
}

#[test]
fn a_length_beyond_the_limit_is_refused_before_it_is_waited_for() {
    let mut arrived = u32::MAX.to_le_bytes().to_vec();
    assert!(matches!(take_frame(&mut arrived), Err(WireError::TooLong(_))));
}

#[test]
fn bytes_that_are_cut_or_changed_never_panic() {
    for message in requests() {
        let bytes = message.encode().unwrap();
        let body = &bytes[4..];
        for end in 0..body.len() {
            assert!(Request::decode(&body[..end]).is_err(), "{message:?} cut at {end}");
        }
        for at in 0..body.len() {
            for bit in 0..8 {
                let mut changed = body.to_vec();
                changed[at] ^= 1 << bit;
                let _ = Request::decode(&changed);
                let _ = Reply::decode(&changed);
            }
        }
    }
}

proptest::proptest! {
    #[test]
    fn any_bytes_never_panic(bytes in proptest::collection::vec(proptest::prelude::any::<u8>(), 0..300)) {
        let _ = Request::decode(&bytes);
        let _ = Reply::decode(&bytes);
        let _ = crate::OpRequest::from_note(&bytes);
    }
}
