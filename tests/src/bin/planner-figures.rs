//! The policy engine beside Pacemaker's: CPU time and peak memory of `crm_simulate -S` on generated clusters,
//! the CPU time of a plan apart from loading and validation, and how it grows.
//!
//! `cargo build --release -p tools && cargo run --release -p everbeat-tests --bin planner-figures`
//!
//! Figures of ours are medians of five; so are the other's, but where one of its runs takes more than 4 s of
//! CPU time that one has to do, and one that takes more than `CAP` seconds (60 if it is not set) is stopped.
//! Without an installed `crm_simulate` there is one side only. Arguments choose rows: the first table's by their
//! names, the second with `growth`; `changes` shows what plans take that go on from the last one.

#![allow(clippy::indexing_slicing)]

#[path = "../../../crm-core/benches/clusters/mod.rs"]
mod clusters;

use std::io;
use std::path::Path;
use std::process::{Command, Stdio};
use std::time::Duration;

use cib::{Cib, Element};
use clusters::{Cluster, Kind, Status};
use crm_core::policy::incremental::{How, Planner};
use crm_core::policy::{Situation, keep_memory, plan, simulate};
use everbeat_tests::binary;
use everbeat_tests::spent::{self, Spent};
use nix::time::ClockId;

const REFERENCE: &str = "/usr/sbin/crm_simulate";
const RUNS: usize = 5;
/// Where the other needs more, it runs once.
const SLOW: Duration = Duration::from_secs(4);

struct Work {
    name: &'static str,
    cluster: Cluster,
}

const fn work(
    name: &'static str,
    (nodes, resources): (usize, usize),
    kind: Kind,
    status: Status,
    probed: bool,
) -> Work {
    Work { name, cluster: Cluster { nodes, resources, kind, status, probed, seed: 1 } }
}

const WORKS: &[Work] = &[
    work("16 × 1000 primitives, every probe", (16, 1000), Kind::Primitives, Status::Fresh, false),
    work("3 × 1000, one node lost", (3, 1000), Kind::Mixed, Status::NodeLost, false),
    work("3 × 1000, one node lost, all probed", (3, 1000), Kind::Mixed, Status::NodeLost, true),
    work("16 × 1000, one node lost", (16, 1000), Kind::Mixed, Status::NodeLost, false),
    work("16 × 1000, one node lost, all probed", (16, 1000), Kind::Mixed, Status::NodeLost, true),
    work("16 × 1000, nothing to do", (16, 1000), Kind::Mixed, Status::Running, false),
    work("64 × 5000, one node lost", (64, 5000), Kind::Mixed, Status::NodeLost, false),
    work("64 × 5000, nothing to do", (64, 5000), Kind::Mixed, Status::Running, false),
    work("64 × 5000, every probe", (64, 5000), Kind::Mixed, Status::Fresh, false),
];

const GROWTH: &[Work] = &[
    work("4 × 250", (4, 250), Kind::Mixed, Status::NodeLost, false),
    work("8 × 500", (8, 500), Kind::Mixed, Status::NodeLost, false),
    work("16 × 1000", (16, 1000), Kind::Mixed, Status::NodeLost, false),
    work("32 × 2500", (32, 2500), Kind::Mixed, Status::NodeLost, false),
    work("64 × 5000", (64, 5000), Kind::Mixed, Status::NodeLost, false),
];

fn main() -> io::Result<()> {
    let words: Vec<String> = std::env::args().skip(1).collect();
    let words: Vec<&str> = words.iter().map(String::as_str).collect();
    match words.as_slice() {
        [] => tables(&|_| true),
        // What a child is said to have used is at least what its parent has: whoever measures stays small,
        // and does the rest in children of its own.
        ["--write", name, file] => match WORKS.iter().chain(GROWTH).find(|work| work.name == *name) {
            Some(work) => std::fs::write(file, clusters::cib(work.cluster)),
            None => Err(io::Error::other(format!("there is no work {name}"))),
        },
        ["--plan", file] => time_plans(Path::new(file)),
        ["changes"] => changes(),
        names if names.iter().all(|name| *name == GROWS || WORKS.iter().any(|work| work.name == *name)) => {
            tables(&|name| names.contains(&name))
        }
        _ => Err(io::Error::other("expected names of rows, or growth")),
    }
}

fn median<T: Copy + Ord>(mut values: Vec<T>) -> T {
    values.sort();
    values[values.len() / 2]
}

fn seconds(time: Duration) -> String {
    let s = time.as_secs_f64();
    if s < 1.0 { format!("{:.1} ms", s * 1e3) } else { format!("{s:.2} s") }
}

/// Both programs on one file: CPU time, peak memory, and whether it was stopped before its end.
struct Side {
    cpu: Duration,
    peak_kib: u64,
    runs: usize,
    stopped: bool,
}

fn measure(program: &mut dyn FnMut() -> Command) -> io::Result<Side> {
    let mut all: Vec<Spent> = Vec::new();
    while all.len() < RUNS {
        let mut command = program();
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        let spent = spent::run(&mut command)?;
        all.push(spent);
        if spent.cpu > SLOW || spent.status.is_none() {
            break;
        }
    }
    // A run that did not count because the first ones were quick enough does not spoil the median.
    Ok(Side {
        cpu: median(all.iter().map(|spent| spent.cpu).collect()),
        peak_kib: median(all.iter().map(|spent| spent.peak_kib).collect()),
        runs: all.len(),
        stopped: all.iter().any(|spent| spent.status.is_none()),
    })
}

fn ours(file: &Path) -> io::Result<Side> {
    measure(&mut || {
        let mut command = Command::new(binary::everbeat());
        command.args(["crm_simulate", "-S", "-x"]).arg(file);
        command
    })
}

/// The other one, ended by the kernel when it has used its time.
fn capped(cap: u64) -> Command {
    let mut command = Command::new("sh");
    command.args(["-c", "ulimit -t \"$0\"; exec \"$@\"", &cap.to_string(), REFERENCE]);
    command
}

fn reference(file: &Path, cap: u64) -> io::Result<Side> {
    measure(&mut || {
        let mut command = capped(cap);
        command.args(["-S", "-x"]).arg(file);
        command
    })
}

/// What the other says a plan takes, reading and validation left out (`--profile`): the mean of some runs.
fn reference_plan(dir: &Path, runs: usize, cap: u64) -> Option<Duration> {
    let mut command = capped(cap);
    let output = command.arg("--profile").arg(dir).args(["--repeat", &runs.to_string()]).output().ok()?;
    let text = String::from_utf8(output.stdout).ok()?;
    let all = text.split_whitespace().collect::<Vec<_>>();
    let at = all.iter().rposition(|word| *word == "secs")?;
    let total: f64 = all.get(at.checked_sub(1)?)?.parse().ok()?;
    Some(Duration::from_secs_f64(total / runs as f64))
}

/// What this process has used of the processors, all threads together: a plan is made by one at a time, and what else
/// the machine does is not in it. The library's clock, not the kernel's own, which valgrind hides.
fn used() -> io::Result<Duration> {
    Ok(ClockId::CLOCK_PROCESS_CPUTIME_ID.now()?.into())
}

/// Prints what reading, planning and executing on paper take of the processor in this process.
fn time_plans(file: &Path) -> io::Result<()> {
    // As the product does.
    keep_memory();
    let text = std::fs::read_to_string(file)?;
    let situation = Situation { now: 1_700_100_000, ..Situation::default() };
    let (mut parses, mut plans, mut runs) = (Vec::new(), Vec::new(), Vec::new());
    for _ in 0..RUNS {
        let began = used()?;
        let cib = cib::Cib::parse(&text).map_err(io::Error::other)?;
        parses.push(used()? - began);
        let began = used()?;
        let planned = plan(&cib, &situation);
        plans.push(used()? - began);
        let began = used()?;
        let outcome = simulate::run(&cib, &planned, &[], situation.now);
        runs.push(used()? - began);
        if !outcome.complete {
            return Err(io::Error::other("the plan waits for itself"));
        }
    }
    let micros = |times| median::<Duration>(times).as_micros();
    println!("{} {} {}", micros(parses), micros(plans), micros(runs));
    Ok(())
}

/// The same, in a process of its own: reading, planning, executing.
fn own_plan(file: &Path) -> io::Result<[Duration; 3]> {
    let output = Command::new(std::env::current_exe()?).arg("--plan").arg(file).output()?;
    let text = String::from_utf8_lossy(&output.stdout).into_owned();
    let numbers: Vec<u64> = text.split_whitespace().filter_map(|word| word.parse().ok()).collect();
    match numbers.as_slice() {
        [a, b, c] => Ok([*a, *b, *c].map(Duration::from_micros)),
        _ => Err(io::Error::other(format!("{text}{}", String::from_utf8_lossy(&output.stderr)))),
    }
}

/// A change, and how it is made.
type Change = (&'static str, fn(&mut Element) -> Option<()>);

/// The monitor of the first resource of a kind that runs on the fourth node fails there.
fn fails(root: &mut Element, kind: &str) -> Option<()> {
    let list = root.path(&["configuration", "resources"])?;
    let of_kind = list.children().filter(|e| e.name() == kind);
    let leaves = |e: &Element| {
        e.descendants()
            .chain([e])
            .filter(|e| e.name() == "primitive")
            .map(|e| e.id().map(str::to_owned))
            .collect::<Vec<_>>()
    };
    let ids: Vec<_> = of_kind.flat_map(leaves).flatten().collect();
    let list = root.child_mut("status")?.node_at_mut(3)?.child_mut("lrm")?.child_mut("lrm_resources")?;
    let is_monitor = |op: &Element| op.attr("interval").is_some_and(|text| text != "0");
    let runs =
        |e: &Element| e.id().is_some_and(|id| ids.iter().any(|i| i == id)) && e.children().any(is_monitor);
    let at = list.nodes().position(runs)?;
    let op = list.node_at_mut(at)?.children_mut().find(|op| is_monitor(op))?;
    op.set_attr("rc-code", "7");
    op.set_attr("call-id", "100000");
    Some(())
}

/// Changes of a cluster of 1000 that concern few of them.
const CHANGES: &[Change] = &[
    ("a monitor of a primitive fails", |root| fails(root, "primitive")),
    ("a monitor of a group's member fails", |root| fails(root, "group")),
    ("a monitor of a clone's instance fails", |root| fails(root, "clone")),
    ("a fail count", |root| {
        let id = root
            .path(&["configuration", "resources"])?
            .descendants()
            .filter(|e| e.name() == "primitive")
            .nth(500)?;
        let pair = Element::of(
            "nvpair",
            &[("id", "f"), ("name", &format!("fail-count-{}#monitor_10000", id.id()?)), ("value", "1")],
        );
        let state = root.child_mut("status")?.node_at_mut(3)?;
        let set = state.child_or_insert("transient_attributes").child_or_insert("instance_attributes");
        set.push(pair);
        Some(())
    }),
    ("a parameter", |root| {
        let list = root.child_mut("configuration")?.child_mut("resources")?;
        let at = list.nodes().position(|e| e.name() == "primitive")?;
        let set = list.node_at_mut(at)?.child_or_insert("instance_attributes");
        set.push(Element::of("nvpair", &[("id", "p"), ("name", "fake"), ("value", "2")]));
        Some(())
    }),
    ("a new constraint", |root| {
        let list = root.path(&["configuration", "resources"])?;
        let id = list.children().find(|e| e.name() == "primitive")?.id()?.to_owned();
        let words = [("id", "l"), ("rsc", id.as_str()), ("node", "node01"), ("score", "-50")];
        root.child_mut("configuration")?.child_mut("constraints")?.push(Element::of("rsc_location", &words));
        Some(())
    }),
    ("a new resource", |root| {
        let words = [("id", "new"), ("class", "ocf"), ("provider", "heartbeat"), ("type", "Dummy")];
        root.child_mut("configuration")?.child_mut("resources")?.push(Element::of("primitive", &words));
        Some(())
    }),
    ("nothing but a version", |root| {
        root.set_attr("num_updates", "77");
        Some(())
    }),
];

/// What a plan takes that goes on from the last one, beside one that is made from nothing.
fn changes() -> io::Result<()> {
    keep_memory();
    let cluster = Cluster {
        nodes: 16,
        resources: 1000,
        kind: Kind::Mixed,
        status: Status::Running,
        probed: false,
        seed: 1,
    };
    let cib = Cib::parse(&clusters::cib(cluster)).map_err(io::Error::other)?;
    let situation = Situation { now: 1_700_100_000, ..Situation::default() };
    println!(
        "| 16 × 1000, all running; what changes | from nothing | from the last plan | of it | resources | prepared in |"
    );
    println!("|---|---|---|---|---|---|");
    for (name, change) in CHANGES {
        let (mut whole, mut part, mut prepare, mut count) = (Vec::new(), Vec::new(), Vec::new(), 0);
        for _ in 0..RUNS {
            let mut planner = Planner::default();
            planner.decide(&cib, &situation);
            let began = used()?;
            planner.prepare();
            prepare.push(used()? - began);
            let mut root = cib.root().clone();
            change(&mut root).ok_or_else(|| io::Error::other("the change cannot be made"))?;
            let changed = Cib::from_root(root).map_err(io::Error::other)?;
            let began = used()?;
            let decision = planner.decide(&changed, &situation);
            part.push(used()? - began);
            let began = used()?;
            let planned = plan(&changed, &situation);
            whole.push(used()? - began);
            match decision.how {
                How::Part(resources) => count = resources,
                How::Whole(why) => return Err(io::Error::other(why)),
            }
            if planned.graph.renumbered() != decision.graph.renumbered() {
                return Err(io::Error::other("the plans differ"));
            }
        }
        let [whole, part, prepare] = [whole, part, prepare].map(median);
        let ratio = part.as_secs_f64() / whole.as_secs_f64();
        let [whole, part, prepare] = [whole, part, prepare].map(seconds);
        println!("| {name} | {whole} | {part} | {ratio:.3} | {count} | {prepare} |");
    }
    Ok(())
}

/// The second table, as an argument.
const GROWS: &str = "growth";

fn tables(wanted: &dyn Fn(&str) -> bool) -> io::Result<()> {
    let dir = tempfile::tempdir()?;
    let file = dir.path().join("cib.xml");
    let prepare = |work: &Work| {
        let mut command = Command::new(std::env::current_exe()?);
        let spent = spent::run(command.arg("--write").arg(work.name).arg(&file))?;
        if spent.status == Some(0) { Ok(()) } else { Err(io::Error::other("the input was not written")) }
    };
    let cap = std::env::var("CAP").ok().and_then(|text| text.parse().ok()).unwrap_or(60);
    let beside = Path::new(REFERENCE).is_file();
    if !beside {
        println!("{REFERENCE} is not installed: only our side is measured");
    }
    println!(
        "| `crm_simulate -S` | CPU | peak | Pacemaker's CPU | its peak | CPU | memory | plan alone | its plan |"
    );
    println!("|---|---|---|---|---|---|---|---|---|");
    for work in WORKS.iter().filter(|work| wanted(work.name)) {
        prepare(work)?;
        let own = ours(&file)?;
        let [_, plan, _] = own_plan(&file)?;
        let mib = |side: &Side| format!("{:.0} MiB", side.peak_kib as f64 / 1024.0);
        print!("| {} | {} | {} |", work.name, seconds(own.cpu), mib(&own));
        let mut its_plan = None;
        if beside {
            let other = reference(&file, cap)?;
            let over = if other.stopped { "over " } else { "" };
            let runs = if other.runs < RUNS { format!(" ({} run)", other.runs) } else { String::new() };
            let faster = other.cpu.as_secs_f64() / own.cpu.as_secs_f64();
            let memory = own.peak_kib as f64 / other.peak_kib as f64;
            its_plan = reference_plan(dir.path(), if other.runs < RUNS { 1 } else { RUNS }, cap);
            let cpu = seconds(other.cpu);
            print!(" {over}{cpu}{runs} | {} | {over}{faster:.0}× | {memory:.2} |", mib(&other));
        } else {
            print!(" | | | |");
        }
        println!(" {} | {} |", seconds(plan), its_plan.map_or_else(String::new, seconds));
    }
    if !wanted(GROWS) {
        return Ok(());
    }
    println!();
    println!(
        "| nodes × resources, one node lost | whole process, CPU | plan alone | n·log₂ n, n the product | plan, ns for each |"
    );
    println!("|---|---|---|---|---|");
    for work in GROWTH {
        prepare(work)?;
        let own = ours(&file)?;
        let [_, plan, _] = own_plan(&file)?;
        let n = (work.cluster.nodes * work.cluster.resources) as f64;
        let unit = n * n.log2();
        let each = plan.as_nanos() as f64 / unit;
        println!("| {} | {} | {} | {unit:.0} | {each:.1} |", work.name, seconds(own.cpu), seconds(plan));
    }
    Ok(())
}
