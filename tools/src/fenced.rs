//! Fencing operations in words, as `crm_mon` and `stonith_admin` show them.

use std::collections::BTreeSet;

use crm_core::policy::render::xml::Tag;

use crate::api::proto::{ClusterState, Fenced};

/// What became of one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Fate {
    Failed,
    Pending,
    Succeeded,
}

/// One operation in a list.
#[derive(Debug, Clone, Copy)]
pub struct Entry<'a> {
    pub fenced: &'a Fenced,
    pub fate: Fate,
    /// The list holds only the newest of those that differ in time alone.
    newest: bool,
    /// Who decided a later one of the same kind, which succeeded.
    later: Option<&'a str>,
}

/// All operations, those under way first, then the newest first; with `reduced` only the newest of those
/// that differ in nothing but the time.
pub fn entries(state: &ClusterState, reduced: bool) -> Vec<Entry<'_>> {
    let pending = state.fencing_pending.iter().map(|fenced| Entry {
        fenced,
        fate: Fate::Pending,
        newest: false,
        later: None,
    });
    let mut seen = BTreeSet::new();
    let ended = state.fencing.iter().enumerate().rev().filter_map(|(n, fenced)| {
        let fate = if fenced.code == 0 { Fate::Succeeded } else { Fate::Failed };
        let same = (&fenced.target, &fenced.action, &fenced.delegate, &fenced.client, &fenced.origin);
        if reduced && !seen.insert((same, fenced.code == 0)) {
            return None;
        }
        let after = state.fencing.iter().skip(n + 1);
        let good = |f: &&Fenced| f.code == 0 && f.target == fenced.target && f.action == fenced.action;
        let later = after.filter(good).map(|f| f.origin.as_str()).next_back();
        Some(Entry { fenced, fate, newest: reduced, later: later.filter(|_| fate == Fate::Failed) })
    });
    pending.chain(ended).collect()
}

impl Entry<'_> {
    /// One line (specification `tools.md` §2.2 rule 15). `detail` is the form of `crm_mon -R`.
    pub fn line(&self, detail: bool) -> String {
        let f = self.fenced;
        let action = match f.action.as_str() {
            "reboot" => "reboot",
            "off" => "turning off",
            "on" => "unfencing",
            _ => "fencing",
        };
        let state = self.state();
        let why = if f.reason.is_empty() { String::new() } else { format!(" ({})", f.reason) };
        let later = match self.later {
            Some(node) => format!(" (a later attempt from {node} succeeded)"),
            None => String::new(),
        };
        let ended = self.fate != Fate::Pending;
        let delegate = Some(f.delegate.as_str()).filter(|name| ended && !name.is_empty());
        let (client, origin, target) = (&f.client, &f.origin, &f.target);
        if detail {
            let delegate = delegate.map(|name| format!("delegate={name}, ")).unwrap_or_default();
            let when = match self.fate {
                Fate::Pending => String::new(),
                _ if !self.newest => format!(", completed='{}'", time(f.completed)),
                Fate::Failed => format!(", last-failed='{}'", time(f.completed)),
                Fate::Succeeded => format!(", last-successful='{}'", time(f.completed)),
            };
            return format!(
                "{action} of {target} {state}{why}: {delegate}client={client}, origin={origin}{when}{later}"
            );
        }
        let by = delegate.map(|name| format!(" by {name}")).unwrap_or_default();
        let last = if self.newest { " last" } else { "" };
        let at = if ended { format!(" at {}", time(f.completed)) } else { String::new() };
        format!("{action} of {target}{by} for {client}@{origin}{last} {state}{why}{at}{later}")
    }

    /// The element of the same name in XML.
    pub fn tag(&self) -> Tag {
        let f = self.fenced;
        let ended = self.fate != Fate::Pending;
        let mut tag = Tag::new("fence_event")
            .with("action", &f.action)
            .with("target", &f.target)
            .with("client", &f.client)
            .with("origin", &f.origin)
            .with("status", if self.fate == Fate::Succeeded { "success" } else { self.state() });
        if self.fate == Fate::Failed {
            tag = tag.with("exit-reason", &f.reason);
        }
        if ended {
            tag = tag.with("delegate", &f.delegate).with("completed", time(f.completed));
        }
        tag
    }

    fn state(&self) -> &'static str {
        match self.fate {
            Fate::Failed => "failed",
            Fate::Pending => "pending",
            Fate::Succeeded => "successful",
        }
    }
}

/// A moment in local time, as the classic tools write it.
pub fn time(seconds: i64) -> String {
    let Ok(time) = jiff::Timestamp::from_second(seconds) else { return seconds.to_string() };
    time.to_zoned(jiff::tz::TimeZone::system()).strftime("%a %b %e %H:%M:%S %Y").to_string()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn fenced(target: &str, code: i32, completed: i64) -> Fenced {
        Fenced {
            target: target.into(),
            action: "reboot".into(),
            delegate: "n3".into(),
            client: "controller".into(),
            origin: "n1".into(),
            code,
            reason: if code == 0 { String::new() } else { "n3: no route".into() },
            completed,
        }
    }

    fn state() -> ClusterState {
        ClusterState {
            fencing: vec![
                fenced("n2", 1, 0),
                fenced("n2", 1, 60),
                fenced("n2", 0, 120),
                fenced("n4", 1, 180),
            ],
            fencing_pending: vec![Fenced { completed: 0, ..fenced("n4", 0, 0) }],
            ..ClusterState::default()
        }
    }

    #[test]
    fn a_reduced_list_holds_the_newest_of_equals() {
        let state = state();
        let lines = |reduced| entries(&state, reduced).iter().map(|e| e.line(false)).collect::<Vec<_>>();
        let (short, full) = (lines(true), lines(false));
        assert_eq!((short.len(), full.len()), (4, 5), "{short:?} {full:?}");
        assert_eq!(short[0], "reboot of n4 for controller@n1 pending");
        let failed = "reboot of n4 by n3 for controller@n1 last failed (n3: no route) at ";
        assert!(short[1].starts_with(failed) && !short[1].contains("later"), "{short:?}");
        assert!(
            short[2].starts_with("reboot of n2 by n3 for controller@n1 last successful at "),
            "{short:?}"
        );
        assert!(short[3].ends_with(" (a later attempt from n1 succeeded)"), "{short:?}");
        assert!(full[2].starts_with("reboot of n2 by n3 for controller@n1 successful at "), "{full:?}");
    }

    #[test]
    fn detail_names_each_part() {
        let state = state();
        let line = entries(&state, true)[1].line(true);
        let wanted =
            "reboot of n4 failed (n3: no route): delegate=n3, client=controller, origin=n1, last-failed='";
        assert!(line.starts_with(wanted), "{line}");
        assert_eq!(
            entries(&state, false)[0].line(true),
            "reboot of n4 pending: client=controller, origin=n1"
        );
    }
}
