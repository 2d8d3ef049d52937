//! The transient attributes of this node, with dampening.
//!
//! Each node is the only authority for its own attributes (protocol: one owner for each value). What
//! is set here is written to the status section at once, or when the value has been quiet for its
//! delay; a value that never is quiet is written after twice the delay all the same, so that
//! restarting the timer cannot starve it.
//!
//! Source: specification `membership.md` §9 and §13.7.

use std::collections::BTreeMap;
use std::time::Duration;

use cib::Element;

/// What happens to the machine.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeEvent {
    /// A new value; `None` removes the attribute. `value++` and `value+=N` count on from the present
    /// one. `delay` changes the dampening from now on.
    Set { name: String, value: Option<String>, delay: Option<Duration> },
    /// Write a dampened value now: another node has written its own.
    Flush { name: String },
    /// The time of [`Attributes::deadline`] has come.
    Wake,
}

/// What the driver of the machine must do.
#[derive(Debug, Clone, PartialEq, Eq)]
pub enum AttributeAction {
    /// Write the value to the status section; `None` deletes it.
    Write { name: String, value: Option<String> },
    /// A dampened value was written: tell the others to flush theirs, so that values that depend on
    /// one common event are seen together.
    Announce { name: String },
}

#[derive(Debug, Clone, Default)]
struct Attribute {
    value: Option<String>,
    written: Option<String>,
    delay: Duration,
    due: Option<Duration>,
    /// No later than this, however often the value changes.
    bound: Option<Duration>,
}

/// The machine.
#[derive(Debug, Clone, Default)]
pub struct Attributes {
    values: BTreeMap<String, Attribute>,
}

impl Attributes {
    /// One step.
    pub fn handle(&mut self, now: Duration, event: AttributeEvent, actions: &mut Vec<AttributeAction>) {
        match event {
            AttributeEvent::Set { name, value, delay } => {
                let entry = self.values.entry(name.clone()).or_default();
                if let Some(delay) = delay {
                    entry.delay = delay;
                }
                let value = value.map(|v| evaluate(&v, entry.value.as_deref()));
                if value == entry.written {
                    entry.value = value;
                    entry.due = None;
                    entry.bound = None;
                    return;
                }
                entry.value = value;
                if entry.delay.is_zero() {
                    entry.write(name, actions);
                } else {
                    let bound = *entry.bound.get_or_insert(now + entry.delay * 2);
                    entry.due = Some((now + entry.delay).min(bound));
                }
            }
            AttributeEvent::Flush { name } => {
                if let Some(entry) = self.values.get_mut(&name)
                    && entry.due.is_some()
                {
                    entry.write(name, actions);
                }
            }
            AttributeEvent::Wake => {
                for (name, entry) in &mut self.values {
                    if entry.due.is_some_and(|due| due <= now) {
                        entry.write(name.clone(), actions);
                        actions.push(AttributeAction::Announce { name: name.clone() });
                    }
                }
            }
        }
    }

    /// When [`AttributeEvent::Wake`] is due.
    pub fn deadline(&self) -> Option<Duration> {
        self.values.values().filter_map(|v| v.due).min()
    }

    /// The value of an attribute, written or not.
    pub fn get(&self, name: &str) -> Option<&str> {
        self.values.get(name).and_then(|v| v.value.as_deref())
    }

    /// Names of all attributes that have a value.
    pub fn names(&self) -> impl Iterator<Item = &str> {
        self.values.iter().filter(|(_, v)| v.value.is_some()).map(|(n, _)| n.as_str())
    }

    /// All values as they are announced: the `transient_attributes` of a `node_state`.
    pub fn element(&self, node_id: &str) -> Element {
        let mut set = Element::new("instance_attributes").with_attr("id", format!("status-{node_id}"));
        for (name, entry) in &self.values {
            if let Some(value) = &entry.written {
                set.push(nvpair(node_id, name, value));
            }
        }
        Element::new("transient_attributes").with_attr("id", node_id).with_child(set)
    }
}

impl Attribute {
    fn write(&mut self, name: String, actions: &mut Vec<AttributeAction>) {
        self.due = None;
        self.bound = None;
        if self.written != self.value {
            self.written = self.value.clone();
            actions.push(AttributeAction::Write { name, value: self.value.clone() });
        }
    }
}

/// One value under the id Pacemaker gives it.
pub fn nvpair(node_id: &str, name: &str, value: &str) -> Element {
    Element::new("nvpair")
        .with_attr("id", nvpair_id(node_id, name))
        .with_attr("name", name)
        .with_attr("value", value)
}

/// `status-NODE-NAME`, with what an XML id may not hold replaced by a dot.
pub fn nvpair_id(node_id: &str, name: &str) -> String {
    let safe: String = name
        .chars()
        .map(|c| if c.is_alphanumeric() || matches!(c, '-' | '_' | '.') { c } else { '.' })
        .collect();
    format!("status-{node_id}-{safe}")
}

/// `value++`, `value+=N`, or the text itself; INFINITY is not exceeded.
fn evaluate(text: &str, present: Option<&str>) -> String {
    const INFINITY: i64 = 1_000_000;
    let add = match text.strip_prefix("value") {
        Some("++") => 1,
        Some(rest) => match rest.strip_prefix("+=").and_then(|n| n.parse::<i64>().ok()) {
            Some(n) => n,
            None => return text.to_owned(),
        },
        None => return text.to_owned(),
    };
    let present = match present {
        Some("INFINITY" | "+INFINITY") => INFINITY,
        Some(number) => number.parse().unwrap_or(0),
        None => 0,
    };
    let sum = present.saturating_add(add);
    if sum >= INFINITY { "INFINITY".to_owned() } else { sum.to_string() }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    fn set(name: &str, value: &str, delay: Option<u64>) -> AttributeEvent {
        AttributeEvent::Set {
            name: name.into(),
            value: Some(value.into()),
            delay: delay.map(Duration::from_secs),
        }
    }

    fn step(machine: &mut Attributes, at: u64, event: AttributeEvent) -> Vec<AttributeAction> {
        let mut out = vec![];
        machine.handle(Duration::from_secs(at), event, &mut out);
        out
    }

    #[test]
    fn a_value_without_delay_is_written_at_once_and_only_when_it_changes() {
        let mut machine = Attributes::default();
        assert_eq!(step(&mut machine, 0, set("a", "1", None)).len(), 1);
        assert!(step(&mut machine, 0, set("a", "1", None)).is_empty());
        assert!(machine.element("u").to_xml_compact().contains("status-u-a"));
    }

    #[test]
    fn a_dampened_value_waits_until_quiet_but_no_longer_than_twice_its_delay() {
        let mut machine = Attributes::default();
        assert!(step(&mut machine, 0, set("pingd", "100", Some(5))).is_empty());
        assert_eq!(machine.deadline(), Some(Duration::from_secs(5)));
        step(&mut machine, 4, set("pingd", "0", None));
        assert_eq!(machine.deadline(), Some(Duration::from_secs(9)));
        step(&mut machine, 8, set("pingd", "100", None));
        assert_eq!(machine.deadline(), Some(Duration::from_secs(10)));
        let out = step(&mut machine, 10, AttributeEvent::Wake);
        assert_eq!(out.len(), 2);
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn a_change_that_goes_back_within_the_delay_is_never_seen() {
        let mut machine = Attributes::default();
        step(&mut machine, 0, set("pingd", "100", None));
        step(&mut machine, 1, set("pingd", "0", Some(5)));
        assert!(step(&mut machine, 2, set("pingd", "100", None)).is_empty());
        assert_eq!(machine.deadline(), None);
    }

    #[test]
    fn counters_count_and_stop_at_infinity() {
        assert_eq!(evaluate("value++", None), "1");
        assert_eq!(evaluate("value++", Some("INFINITY")), "INFINITY");
        assert_eq!(evaluate("value+=5", Some("2")), "7");
        assert_eq!(evaluate("value+=x", Some("2")), "value+=x");
    }
}
