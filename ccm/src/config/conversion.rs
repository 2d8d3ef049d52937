//! What `haresources2cib` takes from `ha.cf`.

use std::path::Path;

use cib::convert::{Failback, HaCf, StonithDevice};

use super::problem::{ConfigProblem, Problems};
use super::types::*;

impl Config {
    /// The part of this file that a conversion needs. `read` returns the text of a `stonith` line's
    /// parameter file.
    ///
    /// The second value: files that could not be read, as errors; their devices are left out.
    pub fn for_conversion(
        &self,
        read: &dyn Fn(&Path) -> Result<String, String>,
    ) -> (HaCf, Vec<ConfigProblem>) {
        let mut problems = Problems::new(&self.file);
        let mut devices = Vec::new();
        for line in &self.stonith {
            let parameters = match &line.parameters {
                StonithParameters::Inline(words) => words.clone(),
                StonithParameters::File(path) => match read(path) {
                    Ok(text) => first_line(&text),
                    Err(why) => {
                        let what = format!("Invalid Stonith config file [{}]: {why}", path.display());
                        problems.error("no-file", line.line, what, "", "a readable file");
                        continue;
                    }
                },
            };
            let (node, kind) = (line.node.clone(), line.kind.clone());
            devices.push(StonithDevice { line: line.line, node, kind, parameters });
        }
        let failback = match (self.auto_failback.is_set(), self.auto_failback.value) {
            (false, _) => Failback::Unset,
            (true, AutoFailback::Off) => Failback::Stay,
            (true, AutoFailback::On | AutoFailback::Legacy) => Failback::Back,
        };
        let hosts = self.ping.iter().flat_map(|p| p.hosts.iter().map(ToString::to_string)).collect();
        let watchers = |c: &&ClientLine| matches!(c.builtin, Some("ipfail" | "pingd"));
        let ha_cf = HaCf {
            file: self.file.clone(),
            nodes: self.nodes.iter().map(|n| n.value.clone()).collect(),
            failback,
            stonith: devices,
            ping: hosts,
            connectivity: self.clients.iter().find(watchers).map(|c| c.line),
        };
        (ha_cf, problems.list)
    }
}

/// The words of the first line that is neither empty nor a comment.
fn first_line(text: &str) -> Vec<String> {
    text.lines()
        .map(str::trim)
        .find(|l| !l.is_empty() && !l.starts_with('#'))
        .map(|l| l.split_ascii_whitespace().map(str::to_string).collect())
        .unwrap_or_default()
}
