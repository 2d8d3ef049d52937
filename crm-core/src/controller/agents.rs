//! What agents say about themselves, as far as the history needs it: which changed parameters reach a running
//! resource without a restart.
//!
//! The first order for an agent has its meta-data fetched, and waits for them: a start or a probe that is
//! recorded without them could later not be told from one that needs a restart. They are kept for the life
//! of the core; after every further start they are fetched again in the background, so that an agent that
//! was replaced is known by then. Failing to get them is said, and costs reloads, nothing else.
//!
//! Source: specification `agents.md` §1.9–§1.10, `scheduler-1-state.md` §9.3.

use std::collections::{BTreeMap, BTreeSet};

use ccm::group::Level;
use ccm::seam::{NodeId, ViewId};
use cib::Element;
use lrm::metadata::{Metadata, Reload};
use lrm::{AgentRef, Class, OpRequest, OpResult, OpStatus, rc};

use super::history::digest_of;
use super::{Controller, ControllerAction, LRMD};
use crate::message::Message;
use crate::now::Now;
use crate::transition::Key;

/// What counts of an agent's meta-data.
#[derive(Debug, Clone, Default, PartialEq, Eq)]
pub struct AgentFacts {
    /// The action that takes new parameters over, and the parameters that it cannot take over.
    pub reload: Option<(&'static str, Vec<String>)>,
    /// Parameters whose values are secret.
    pub private: Vec<String>,
}

impl AgentFacts {
    /// Reads them out of what the agent printed.
    ///
    /// # Errors
    /// What is wrong with the text.
    pub fn read(agent: &AgentRef, text: &str) -> Result<Self, String> {
        let metadata = Metadata::parse(agent, text).map_err(|error| error.to_string())?;
        let reload = match metadata.reload() {
            Reload::Never => None,
            Reload::By { action, not_for } => Some((action, not_for)),
        };
        Ok(Self { reload, private: metadata.private().into_iter().map(str::to_owned).collect() })
    }

    /// Adds the digests for restart and for private parameters to an entry of the history.
    pub(super) fn add_digests(&self, mut op: Element, params: &BTreeMap<String, String>) -> Element {
        // Names with a blank before and after each.
        let list = |names: &[String]| names.iter().fold(" ".to_owned(), |text, name| text + name + " ");
        let within = |names: &[String], name: &str| names.iter().any(|n| n == name);
        if let Some((_, not_for)) = &self.reload {
            op.set_attr("op-force-restart", list(not_for));
            op.set_attr("op-restart-digest", digest_of(params, 0, |name| within(not_for, name)));
        }
        if !self.private.is_empty() {
            op.set_attr("op-secure-params", list(&self.private));
            op.set_attr("op-secure-digest", digest_of(params, 0, |name| !within(&self.private, name)));
        }
        op
    }
}

/// The agents this node has asked.
#[derive(Debug, Default)]
pub(super) struct Agents {
    /// `None`: it has answered with nothing of use.
    known: BTreeMap<AgentRef, Option<AgentFacts>>,
    asked: BTreeSet<AgentRef>,
    /// Orders that wait for an answer.
    held: Vec<Held>,
}

/// An order that waits for what its agent says.
#[derive(Debug)]
struct Held {
    view: ViewId,
    from: NodeId,
    request: OpRequest,
    key: Key,
    fatal_start: bool,
}

impl Controller {
    pub(super) fn facts(&self, agent: &AgentRef) -> Option<&AgentFacts> {
        self.agents.known.get(agent).and_then(Option::as_ref)
    }

    /// Begins an order, or has its agent asked first.
    pub(super) fn begin_when_known(
        &mut self,
        now: Now,
        from: NodeId,
        mut request: OpRequest,
        key: Key,
        fatal_start: bool,
        out: &mut Vec<ControllerAction>,
    ) {
        let agent = request.agent.clone();
        let matters = request.interval_ms == 0
            && matches!(request.action.as_str(), "start" | "monitor" | "reload-agent" | "migrate_from");
        if matters && agent.class() == Class::Ocf && !self.agents.known.contains_key(&agent) {
            self.ask_agent(&agent, out);
            if let Some(view) = self.view().map(|v| v.id) {
                self.agents.held.push(Held { view, from, request, key, fatal_start });
                return;
            }
        }
        // The planner always says `reload-agent`; agents of the old standard know `reload`.
        if request.action == "reload-agent"
            && let Some((action, _)) = self.facts(&agent).and_then(|facts| facts.reload.as_ref())
        {
            request.action = (*action).to_owned();
        }
        self.begin(now, from, request, key, fatal_start, out);
    }

    fn ask_agent(&mut self, agent: &AgentRef, out: &mut Vec<ControllerAction>) {
        if self.agents.asked.insert(agent.clone()) {
            out.push(ControllerAction::Describe(agent.clone()));
        }
    }

    /// After a start that went well the agent is asked again, in the background: it may have been replaced.
    pub(super) fn ask_again(&mut self, result: &OpResult, out: &mut Vec<ControllerAction>) {
        let started = result.action == "start" && result.status == OpStatus::Done;
        if started && result.agent.class() == Class::Ocf {
            let agent = result.agent.clone();
            self.ask_agent(&agent, out);
        }
    }

    /// An agent has said what it is, or could not.
    pub(super) fn described(
        &mut self,
        now: Now,
        agent: AgentRef,
        facts: Result<AgentFacts, String>,
        out: &mut Vec<ControllerAction>,
    ) {
        self.agents.asked.remove(&agent);
        match facts {
            Ok(facts) => {
                self.agents.known.insert(agent.clone(), Some(facts));
            }
            Err(why) => {
                let text =
                    format!("{agent} does not describe itself, its resources cannot be reloaded: {why}");
                self.log(Level::Warning, LRMD, text, out);
                // What was known before is better than nothing.
                self.agents.known.entry(agent.clone()).or_insert(None);
            }
        }
        let (ready, rest): (Vec<Held>, Vec<Held>) =
            std::mem::take(&mut self.agents.held).into_iter().partition(|h| h.request.agent == agent);
        self.agents.held = rest;
        for held in ready {
            // An order of an earlier view is void (G11); a DC that is still the DC waits for its answer.
            let current = self.view().is_some_and(|v| v.id == held.view);
            if current && !self.suspended && !self.is_cut_off() {
                self.begin_when_known(now, held.from, held.request, held.key, held.fatal_start, out);
            } else {
                let reason = "Controller cannot attempt actions at this time".to_owned();
                let message = Message::Done { key: held.key, ok: false, rc: rc::ERROR, reason };
                self.answer_order(message, out);
            }
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    const NEW: &str = "<resource-agent name='A'><version>1.1</version><parameters>\
        <parameter name='place'><content type='string'/></parameter>\
        <parameter name='greeting' reloadable='1'><content type='string'/></parameter>\
        <parameter name='password'><content type='string'/></parameter></parameters>\
        <actions><action name='reload-agent' timeout='20s'/></actions></resource-agent>";

    #[test]
    fn a_reloadable_parameter_changes_all_digests_but_that_for_restarts() {
        let agent: AgentRef = "ocf:test:A".parse().unwrap();
        let facts = AgentFacts::read(&agent, NEW).unwrap();
        let entry = |greeting: &str, password: &str| {
            let pairs = [("place", "1"), ("greeting", greeting), ("password", password)];
            let params = pairs.iter().map(|(n, v)| ((*n).to_owned(), (*v).to_owned())).collect();
            facts.add_digests(Element::new("lrm_rsc_op"), &params)
        };
        let (a, b, c) = (entry("a", "x"), entry("b", "x"), entry("a", "y"));
        assert_eq!(a.attr("op-force-restart"), Some(" place password "));
        assert_eq!(a.attr("op-secure-params"), Some(" password "));
        assert_eq!(a.attr("op-restart-digest"), b.attr("op-restart-digest"));
        assert_ne!(a.attr("op-restart-digest"), c.attr("op-restart-digest"));
        assert_ne!(a.attr("op-secure-digest"), b.attr("op-secure-digest"));
        assert_eq!(a.attr("op-secure-digest"), c.attr("op-secure-digest"));
        assert!(AgentFacts::read(&agent, "no document").is_err());
    }
}
