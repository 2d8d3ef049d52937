//! Which sections are shown (`--include`, `--exclude`).

use std::collections::BTreeSet;

/// One section.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub enum Section {
    Stack,
    Dc,
    Times,
    Counts,
    MaintMode,
    Options,
    Nodes,
    Resources,
    Attributes,
    Failcounts,
    Operations,
    Failures,
    Tickets,
    Bans,
    FencingFailed,
    FencingPending,
    FencingSucceeded,
}

use Section::*;

const SUMMARY: &[Section] = &[Stack, Dc, Times, Counts, MaintMode];
const FENCING: &[Section] = &[FencingFailed, FencingPending, FencingSucceeded];

/// The names that can be given, and what each stands for; `all` is all of them.
const NAMES: &[(&str, &[Section])] = &[
    ("attributes", &[Attributes]),
    ("bans", &[Bans]),
    ("counts", &[Counts]),
    ("dc", &[Dc]),
    ("failcounts", &[Failcounts]),
    ("failures", &[Failures]),
    ("fencing", FENCING),
    ("fencing-failed", &[FencingFailed]),
    ("fencing-pending", &[FencingPending]),
    ("fencing-succeeded", &[FencingSucceeded]),
    ("maint-mode", &[MaintMode]),
    ("nodes", &[Nodes]),
    ("operations", &[Operations]),
    ("options", &[Options]),
    ("resources", &[Resources]),
    ("stack", &[Stack]),
    ("summary", SUMMARY),
    ("tickets", &[Tickets]),
    ("times", &[Times]),
];

/// The sections of one page.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Sections {
    shown: BTreeSet<Section>,
    usual: BTreeSet<Section>,
    /// What the ids of the bans begin with.
    pub ban_prefix: String,
}

impl Sections {
    /// What is shown when nobody says otherwise; XML shows everything.
    pub fn usual(xml: bool) -> Self {
        let usual: BTreeSet<Section> = if xml {
            all().collect()
        } else {
            SUMMARY
                .iter()
                .copied()
                .chain([Nodes, Resources, Failures, FencingFailed, FencingPending])
                .collect()
        };
        Self { shown: usual.clone(), usual, ban_prefix: String::new() }
    }

    pub fn has(&self, section: Section) -> bool {
        self.shown.contains(&section)
    }

    pub fn any(&self, sections: &[Section]) -> bool {
        sections.iter().any(|section| self.has(*section))
    }

    pub fn add(&mut self, section: Section) {
        self.shown.insert(section);
    }

    pub fn add_bans(&mut self, prefix: &str) {
        self.add(Bans);
        prefix.clone_into(&mut self.ban_prefix);
    }

    /// The history of fencing as far as `-m` asks for it: 0 nothing, 1 what failed or is pending, above that all.
    pub fn fence_history(&mut self, level: u8) {
        self.shown.retain(|section| !FENCING.contains(section));
        let wanted = match level {
            0 => 0,
            1 => 2,
            _ => FENCING.len(),
        };
        self.shown.extend(FENCING.iter().take(wanted));
    }

    /// Bans and tickets are in the constraints.
    pub fn needs_constraints(&self) -> bool {
        self.any(&[Bans, Tickets])
    }

    /// Adds a comma-separated list; `none` empties it first, `default` begins anew.
    pub fn include(&mut self, list: &str) -> Result<(), String> {
        for name in list.split(',') {
            match name {
                "none" => self.shown.clear(),
                "default" => self.shown = self.usual.clone(),
                _ if name.starts_with("bans:") => {
                    self.add_bans(name.strip_prefix("bans:").unwrap_or_default());
                }
                _ => self.shown.extend(named("--include", name)?),
            }
        }
        Ok(())
    }

    /// Takes a comma-separated list out; `none` takes nothing.
    pub fn exclude(&mut self, list: &str) -> Result<(), String> {
        for name in list.split(',').filter(|name| *name != "none") {
            for section in named("--exclude", name)? {
                self.shown.remove(&section);
            }
        }
        Ok(())
    }
}

fn all() -> impl Iterator<Item = Section> {
    NAMES.iter().flat_map(|(_, sections)| sections.iter().copied())
}

fn named(option: &str, name: &str) -> Result<Vec<Section>, String> {
    if name.eq_ignore_ascii_case("all") {
        return Ok(all().collect());
    }
    let found = NAMES.iter().find(|(known, _)| known.eq_ignore_ascii_case(name));
    found.map(|(_, sections)| sections.to_vec()).ok_or_else(|| {
        let known: Vec<&str> = std::iter::once("all").chain(NAMES.iter().map(|(name, _)| *name)).collect();
        let known = known.join(", ");
        if name == "list" {
            format!("sections for {option}: {known}, bans:PREFIX, default, none")
        } else {
            format!("{option}={name}: no such section; there are {known}, bans:PREFIX, default and none")
        }
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn lists_apply_from_left_to_right() {
        let mut sections = Sections::usual(false);
        sections.include("none,times,bans:cli-").unwrap();
        assert!(sections.has(Times) && sections.has(Bans) && !sections.has(Nodes));
        assert_eq!(sections.ban_prefix, "cli-");
        sections.exclude("summary").unwrap();
        assert!(!sections.has(Times) && sections.has(Bans));
        sections.include("default").unwrap();
        assert!(sections.has(Nodes) && !sections.has(Bans));
        sections.fence_history(3);
        assert!(sections.has(FencingSucceeded));
        sections.fence_history(1);
        assert!(sections.has(FencingFailed) && !sections.has(FencingSucceeded));
        let error = sections.include("nodes,bogus").unwrap_err();
        assert!(error.starts_with("--include=bogus: no such section; there are all, "), "{error}");
    }
}
