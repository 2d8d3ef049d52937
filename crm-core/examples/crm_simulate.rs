//! `crm_simulate` on a file, without the rest of the tools: plan a CIB and show what would happen.

use std::process::ExitCode;
use std::time::{SystemTime, UNIX_EPOCH};

use crm_core::policy::simulator::{self, Options};

fn main() -> ExitCode {
    match run() {
        Ok(code) => ExitCode::from(code),
        Err(text) => {
            eprintln!("crm_simulate: {text}");
            ExitCode::from(64)
        }
    }
}

fn run() -> Result<u8, String> {
    let mut options = Options::default();
    let (mut file, mut dot, mut graph, mut output) = (None, None, None, None);
    let mut args = std::env::args().skip(1);
    while let Some(arg) = args.next() {
        let Some(letters) = arg.strip_prefix('-').filter(|l| !l.is_empty()) else {
            return Err(format!("unexpected argument {arg}"));
        };
        for letter in letters.chars() {
            let mut value = || args.next().ok_or(format!("-{letter} needs a value"));
            match letter {
                'x' => file = Some(value()?),
                'D' => dot = Some(value()?),
                'G' => graph = Some(value()?),
                'O' => output = Some(value()?),
                't' => options.date = Some(value()?),
                'i' => options.injections.operations.push(value()?),
                'u' => options.injections.up.push(value()?),
                'd' => options.injections.down.push(value()?),
                'f' => options.injections.fail.push(value()?),
                'q' => options.injections.quorum = Some(value()?),
                'w' => options.injections.watchdog = Some(value()?),
                'g' => options.injections.grant.push(value()?),
                'r' => options.injections.revoke.push(value()?),
                'b' => options.injections.standby.push(value()?),
                'e' => options.injections.activate.push(value()?),
                'F' => options.failures.push(value()?),
                'R' => options.run = true,
                'S' => options.simulate = true,
                's' => options.scores = true,
                'U' => options.utilization = true,
                'Q' => options.quiet = true,
                'A' => options.show_attributes = true,
                'c' => options.show_fail_counts = true,
                'a' => options.dot_all = true,
                'V' => options.dot_ids = true,
                other => return Err(format!("unknown option -{other}")),
            }
        }
    }
    options.dot = dot.is_some();
    options.graph = graph.is_some();
    let file = file.ok_or("-x FILE is required")?;
    let text = std::fs::read_to_string(&file).map_err(|e| format!("{file}: {e}"))?;
    let cib = cib::Cib::parse(&text).map_err(|e| format!("{file}: {e}"))?;
    let now = SystemTime::now().duration_since(UNIX_EPOCH).map_or(0, |d| d.as_secs());
    let out = simulator::run(&cib, &options, i64::try_from(now).unwrap_or(0), 0);
    eprint!("{}", out.notes);
    print!("{}", out.stdout);
    eprint!("{}", out.stderr);
    for (path, text) in [(dot, out.dot), (graph, out.graph)] {
        if let (Some(path), Some(text)) = (path, text) {
            std::fs::write(&path, text).map_err(|e| format!("{path}: {e}"))?;
        }
    }
    if let (Some(path), Some(cib)) = (output, out.cib) {
        std::fs::write(&path, cib.root().to_xml()).map_err(|e| format!("{path}: {e}"))?;
    }
    Ok(u8::try_from(out.code).unwrap_or(1))
}
