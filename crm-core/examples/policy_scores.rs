use crm_core::policy::{self, NoLedger, Situation, placement, state, values::ShowScore};
use placement::lines::ScoreLine;
fn main() {
    let mut args = std::env::args().skip(1);
    let out = args.next().unwrap();
    for f in args {
        let name = std::path::Path::new(&f).file_stem().unwrap().to_str().unwrap().to_owned();
        let text = std::fs::read_to_string(&f).unwrap();
        let cib = cib::Cib::parse(&text).unwrap();
        let now =
            std::time::SystemTime::now().duration_since(std::time::UNIX_EPOCH).unwrap().as_secs() as i64;
        let m = policy::dates::Moment { epoch: now, offset: 0 };
        let now = match name.as_str() {
            "date-1" => policy::dates::parse("2005-020", m).unwrap().epoch,
            "date-2" => policy::dates::parse("2005-020T12:30", m).unwrap().epoch,
            "date-3" => policy::dates::parse("2005-020T11:30", m).unwrap().epoch,
            _ => cib.root().attr("execution-date").map_or(now, |t| t.parse().unwrap_or(1_763_600_000)),
        };
        let situation = Situation { now, scores: true, sanitized: true, ..Situation::default() };
        let r = std::panic::catch_unwind(|| {
            let mut l = NoLedger;
            let mut s = state::build::build(&cib, &situation, &mut l);
            placement::prepare(&mut s, &mut l);
            placement::assign(&mut s, &mut l);
            let mut lines = vec![String::new()];
            for x in &s.score_lines {
                match x {
                    ScoreLine::Allocation { function, resource, node, score } => lines.push(format!(
                        "{function}: {} allocation score on {}: {}",
                        s[*resource].id,
                        s[*node].name,
                        ShowScore(*score)
                    )),
                    ScoreLine::Promotion { resource, node, score } => lines.push(format!(
                        "{} promotion score on {}: {}",
                        s[*resource].id,
                        node.map_or("none", |n| s[n].name.as_str()),
                        ShowScore(*score)
                    )),
                    _ => {}
                }
            }
            lines
        });
        let text = match r {
            Ok(l) => l.join("\n") + "\n",
            Err(_) => "panic\n".into(),
        };
        std::fs::write(format!("{out}/{name}.scores"), text).unwrap();
    }
}
