//! Programs that `ha.cf` asks to be kept running (`respawn`, `failfast`): when they are started again,
//! and when not. A pure machine; the executor does what it says.
//!
//! ```text
//!   Idle ─start→ Running ─ended→ Waiting ─time→ Running
//!                   └─ended with 100, or too often too fast→ Over
//!   stop: Running ones are ended one by one, the last started first.
//! ```
//!
//! Source: heartbeat.md §3 and §4.3.

use std::time::Duration;

/// A client that dies within this time of its start died fast.
const FAST: Duration = Duration::from_secs(30);
/// More fast deaths than this in a row are too many.
const FAST_DEATHS: u32 = 10;
/// Pause after a fast death.
const PAUSE: Duration = Duration::from_secs(1);
/// The exit status that says: do not start me again.
const ENOUGH: i32 = 100;
/// How long a client may take to end when asked to.
const GRACE: Duration = Duration::from_secs(20);

/// How a client ended.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Ended {
    Status(i32),
    Signal(i32),
    /// It could not be started.
    Never,
}

/// What happened.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Event {
    /// The node is up.
    Start,
    /// The client with this number ended.
    Ended { client: usize, how: Ended },
    /// The node goes down.
    Stop,
    /// The deadline has come.
    Timer,
}

/// What to do, in this order.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum Action {
    Spawn(usize),
    /// SIGTERM to its process group.
    Terminate(usize),
    /// SIGKILL to its process group.
    Kill(usize),
    /// For the log; true for an error.
    Say(String, bool),
    /// A `failfast` client failed: the node must not go on.
    Reboot(String),
    /// After [`Event::Stop`]: all have ended.
    Done,
}

#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum State {
    Idle,
    Running { since: Duration },
    Waiting { until: Duration },
    Over,
}

#[derive(Debug)]
struct Client {
    /// As the log names it.
    name: String,
    failfast: bool,
    state: State,
    fast_deaths: u32,
}

/// The clients of a node. `now` is monotonic everywhere.
#[derive(Debug)]
pub struct Clients {
    list: Vec<Client>,
    /// Set once the node goes down: until when the client being ended may take.
    stopping: Option<Duration>,
    done: bool,
}

impl Clients {
    /// `clients`: command as the log names it, and whether it is `failfast`; in start order.
    pub fn new(clients: impl IntoIterator<Item = (String, bool)>) -> Clients {
        let client = |(name, failfast)| Client { name, failfast, state: State::Idle, fast_deaths: 0 };
        Clients { list: clients.into_iter().map(client).collect(), stopping: None, done: false }
    }

    /// When [`Event::Timer`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        let waiting = self.list.iter().filter_map(|c| match c.state {
            State::Waiting { until } => Some(until),
            _ => None,
        });
        let grace = self.stopping.filter(|_| !self.done);
        waiting.chain(grace).min()
    }

    pub fn handle(&mut self, now: Duration, event: Event, actions: &mut Vec<Action>) {
        match event {
            Event::Start => {
                for (index, client) in self.list.iter_mut().enumerate() {
                    if client.state == State::Idle && self.stopping.is_none() {
                        client.start(now, index, actions);
                    }
                }
            }
            Event::Ended { client: index, how } => {
                let stopping = self.stopping.is_some();
                if let Some(client) = self.list.get_mut(index) {
                    client.ended(now, how, stopping, actions);
                }
                if stopping {
                    self.stop_next(now, actions);
                }
            }
            Event::Stop => {
                if self.stopping.is_none() {
                    for client in &mut self.list {
                        if matches!(client.state, State::Idle | State::Waiting { .. }) {
                            client.state = State::Over;
                        }
                    }
                    self.stop_next(now, actions);
                }
            }
            Event::Timer => self.timer(now, actions),
        }
    }

    fn timer(&mut self, now: Duration, actions: &mut Vec<Action>) {
        for (index, client) in self.list.iter_mut().enumerate() {
            if matches!(client.state, State::Waiting { until } if until <= now) {
                client.start(now, index, actions);
            }
        }
        if self.stopping.is_some_and(|until| until <= now)
            && let Some(index) = self.last_running()
        {
            if let Some(client) = self.list.get(index) {
                actions.push(Action::Say(format!("Client \"{}\" does not end: killed", client.name), true));
            }
            actions.push(Action::Kill(index));
            self.stopping = Some(now + GRACE);
        }
    }

    fn last_running(&self) -> Option<usize> {
        self.list.iter().rposition(|c| matches!(c.state, State::Running { .. }))
    }

    /// Reverse of the start order, one at a time.
    fn stop_next(&mut self, now: Duration, actions: &mut Vec<Action>) {
        self.stopping = Some(now + GRACE);
        match self.last_running() {
            Some(index) => actions.push(Action::Terminate(index)),
            None if !self.done => {
                self.done = true;
                actions.push(Action::Done);
            }
            None => {}
        }
    }
}

impl Client {
    fn start(&mut self, now: Duration, index: usize, actions: &mut Vec<Action>) {
        self.state = State::Running { since: now };
        actions.push(Action::Spawn(index));
    }

    fn ended(&mut self, now: Duration, how: Ended, stopping: bool, actions: &mut Vec<Action>) {
        let State::Running { since } = self.state else { return };
        let name = &self.name;
        if stopping {
            self.state = State::Over;
            return;
        }
        let how_text = match how {
            Ended::Status(status) => format!("exited with status {status}"),
            Ended::Signal(signal) => format!("was killed by signal {signal}"),
            Ended::Never => "could not be started".to_string(),
        };
        if how == Ended::Status(ENOUGH) {
            actions.push(Action::Say(format!("Client \"{name}\" {how_text}: not respawned"), false));
            self.state = State::Over;
            return;
        }
        actions.push(Action::Say(format!("Client \"{name}\" {how_text}"), how != Ended::Status(0)));
        if self.failfast && how != Ended::Status(0) {
            self.state = State::Over;
            actions.push(Action::Reboot(format!("failfast client \"{name}\" {how_text}")));
            return;
        }
        let fast = now.saturating_sub(since) < FAST;
        self.fast_deaths = if fast { self.fast_deaths + 1 } else { 0 };
        if self.fast_deaths > FAST_DEATHS {
            actions.push(Action::Say(format!("Client \"{name}\" respawning too fast"), true));
            self.state = State::Over;
            return;
        }
        actions.push(Action::Say(format!("Respawning client \"{name}\":"), false));
        self.state = State::Waiting { until: if fast { now + PAUSE } else { now } };
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    const fn s(seconds: u64) -> Duration {
        Duration::from_secs(seconds)
    }

    struct Bench(Clients);

    impl Bench {
        fn new(clients: &[(&str, bool)]) -> Bench {
            let mut bench = Bench(Clients::new(clients.iter().map(|(n, f)| (n.to_string(), *f))));
            bench.at(s(0), Event::Start);
            bench
        }

        fn at(&mut self, now: Duration, event: Event) -> Vec<Action> {
            let mut actions = Vec::new();
            self.0.handle(now, event, &mut actions);
            actions.retain(|a| !matches!(a, Action::Say(..)));
            actions
        }

        fn ended(&mut self, now: Duration, client: usize, how: Ended) -> Vec<Action> {
            self.at(now, Event::Ended { client, how })
        }
    }

    #[test]
    fn started_again_after_a_pause_when_it_died_fast() {
        let mut bench = Bench::new(&[("a", false)]);
        assert_eq!(bench.ended(s(5), 0, Ended::Status(1)), []);
        assert_eq!(bench.0.deadline(), Some(s(6)));
        assert_eq!(bench.at(s(6), Event::Timer), [Action::Spawn(0)]);
        // It lived long: at once.
        bench.ended(s(100), 0, Ended::Signal(9));
        assert_eq!(bench.0.deadline(), Some(s(100)));
    }

    #[test]
    fn status_100_is_the_end() {
        let mut bench = Bench::new(&[("a", false), ("b", true)]);
        assert_eq!(bench.ended(s(5), 0, Ended::Status(100)), []);
        assert_eq!(bench.ended(s(5), 1, Ended::Status(100)), []);
        assert_eq!(bench.0.deadline(), None);
    }

    #[test]
    fn more_than_ten_fast_deaths_in_a_row_are_too_many() {
        let mut bench = Bench::new(&[("a", false)]);
        let mut starts = 1;
        for second in 1..100 {
            bench.ended(s(second * 2), 0, Ended::Status(1));
            starts += bench.at(s(second * 2 + 1), Event::Timer).len();
        }
        assert_eq!(starts, 11);
        // A long life in between starts the count anew.
        let mut bench = Bench::new(&[("a", false)]);
        let mut now = 0;
        for round in 0..30 {
            now += if round % 10 == 9 { 40 } else { 2 };
            bench.ended(s(now), 0, Ended::Status(1));
            now += 1;
            assert_eq!(bench.at(s(now), Event::Timer), [Action::Spawn(0)], "round {round}");
        }
    }

    #[test]
    fn failfast_takes_the_node_down_unless_it_ended_well_or_the_node_stops() {
        let mut bench = Bench::new(&[("a", true)]);
        assert_eq!(bench.ended(s(5), 0, Ended::Status(0)), []);
        bench.at(s(6), Event::Timer);
        assert!(matches!(bench.ended(s(50), 0, Ended::Signal(11)).as_slice(), [Action::Reboot(_)]));
        let mut bench = Bench::new(&[("a", true)]);
        assert_eq!(bench.at(s(9), Event::Stop), [Action::Terminate(0)]);
        assert_eq!(bench.ended(s(9), 0, Ended::Signal(15)), [Action::Done]);
    }

    #[test]
    fn stopped_in_reverse_order_one_by_one() {
        let mut bench = Bench::new(&[("a", false), ("b", false), ("c", false)]);
        bench.ended(s(1), 1, Ended::Status(1)); // waits for its next start, which will not come
        assert_eq!(bench.at(s(1), Event::Stop), [Action::Terminate(2)]);
        assert_eq!(bench.at(s(1) + GRACE, Event::Timer), [Action::Kill(2)]);
        assert_eq!(bench.ended(s(22), 2, Ended::Signal(9)), [Action::Terminate(0)]);
        assert_eq!(bench.ended(s(23), 0, Ended::Status(0)), [Action::Done]);
        assert_eq!(bench.0.deadline(), None);
    }

    #[test]
    fn without_clients_there_is_nothing_to_wait_for() {
        assert_eq!(Bench::new(&[]).at(s(1), Event::Stop), [Action::Done]);
    }
}
