//! The planner as the drivers call it.

use std::borrow::Cow;
use std::panic::{AssertUnwindSafe, catch_unwind};

use cib::{Cib, dialect};

use super::Planned;
use crate::policy::incremental::How;
use crate::policy::{Planner, Situation};

/// Makes one plan after the other, each from the last one where that is certain to give the same
/// ([`incremental`](crate::policy::incremental)). Possibly long: use it outside of the core's thread.
#[derive(Debug, Default)]
pub struct PlanMaker {
    planner: Planner,
    how: Option<How>,
}

impl PlanMaker {
    /// Makes a plan of a CIB.
    ///
    /// A document in an older language is planned in the newest, as Pacemaker's scheduler and all tools that plan do;
    /// the cluster's own stays as it is. One that cannot be brought there, and a configuration that brings the policy
    /// engine down, makes no plan, and says so: the cluster keeps what runs, and goes on when the configuration
    /// changes.
    pub fn make(&mut self, cib: &Cib, situation: &Situation) -> Planned {
        let cib = match in_newest_language(cib) {
            Ok(cib) => cib,
            Err(why) => return no_plan(why),
        };
        match catch_unwind(AssertUnwindSafe(|| self.planner.decide(&cib, situation))) {
            Ok(decision) => {
                tracing::debug!(target: "crm_core::policy", "{}", decision.how);
                self.how = Some(decision.how);
                Planned {
                    complaints: decision.complaints.iter().map(ToString::to_string).collect(),
                    graph: Ok(decision.graph),
                }
            }
            Err(panic) => {
                let what = panic
                    .downcast_ref::<&str>()
                    .map(|s| (*s).to_owned())
                    .or_else(|| panic.downcast_ref::<String>().cloned())
                    .unwrap_or_else(|| "unknown".to_owned());
                no_plan(format!("the policy engine failed on this configuration: {what}"))
            }
        }
    }

    /// How the last plan was come by.
    pub fn how(&self) -> Option<&How> {
        self.how.as_ref()
    }

    /// One that goes on from its last plan unless more than one of `share` resources is concerned.
    pub fn with_share(share: usize) -> PlanMaker {
        PlanMaker { planner: Planner::with_share(share), how: None }
    }

    /// Lets go of the last plan, and of the document it was made of: who is no longer the DC needs neither.
    pub fn forget(&mut self) {
        self.planner.forget();
    }

    /// Makes what the next plan can use, while nobody waits.
    pub fn prepare(&mut self) {
        self.planner.prepare();
    }
}

/// A plan made from nothing. Pure.
pub fn make_plan(cib: &Cib, situation: &Situation) -> Planned {
    PlanMaker::default().make(cib, situation)
}

fn no_plan(why: String) -> Planned {
    Planned { graph: Err(why), complaints: Vec::new() }
}

fn in_newest_language(cib: &Cib) -> Result<Cow<'_, Cib>, String> {
    match dialect::modern(cib.root()) {
        Ok(None) => Ok(Cow::Borrowed(cib)),
        Ok(Some(root)) => Cib::from_root(root).map(Cow::Owned).map_err(|error| error.to_string()),
        Err(error) => {
            let first = error.complaints().first();
            Err(first.map_or_else(|| error.to_string(), |complaint| format!("{error}: {complaint}")))
        }
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]

    use super::*;
    use crate::policy;

    /// One node that is there, one resource, and this in `<crm_config>`.
    fn cluster(schema: &str, options: &str) -> Cib {
        Cib::parse(&format!(
            "<cib validate-with='{schema}' crm_feature_set='3.0.7' admin_epoch='0' epoch='1' num_updates='0' \
             have-quorum='1' dc-uuid='1'><configuration><crm_config><cluster_property_set id='o'>\
             <nvpair id='o1' name='stonith-enabled' value='false'/>{options}</cluster_property_set></crm_config>\
             <nodes><node id='1' uname='n1' type='normal'/></nodes>\
             <resources><primitive id='r' class='ocf' provider='heartbeat' type='Dummy'/></resources>\
             <constraints/></configuration><status><node_state id='1' uname='n1' in_ccm='true' crmd='online' \
             join='member' expected='member'/></status></cib>"
        ))
        .unwrap()
    }

    fn starts(planned: &Planned) -> Vec<&str> {
        let graph = planned.graph.as_ref().unwrap();
        let actions = graph.synapses.iter().map(|synapse| &synapse.action);
        let starts = actions.filter(|action| action.operation == "start");
        starts.map(|action| action.attribute("CRM_meta_timeout").unwrap()).collect()
    }

    #[test]
    fn an_older_document_is_planned_in_the_newest_language() {
        let timeout = "<nvpair id='o2' name='default-action-timeout' value='77s'/>";
        let cib = cluster("pacemaker-1.2", timeout);
        let situation = Situation { now: 1_795_176_000, ..Situation::default() };
        let planned = make_plan(&cib, &situation);
        let modern = Cib::from_root(dialect::upgrade(cib.root()).unwrap().root).unwrap();
        assert_eq!(planned.graph, Ok(policy::plan(&modern, &situation).graph));
        assert_eq!(starts(&planned), ["77000"]);
        // As it is, it would have planned without nodes and without that option.
        assert_ne!(planned.graph, Ok(policy::plan(&cib, &situation).graph));
    }

    #[test]
    fn what_cannot_be_upgraded_makes_no_plan_and_says_why() {
        let cib = cluster("pacemaker-1.2", "<nonsense/>");
        let why = make_plan(&cib, &Situation::default()).graph.unwrap_err();
        assert!(why.contains("Cannot upgrade configuration (claiming schema pacemaker-1.2)"), "{why}");
        assert!(why.contains("nonsense"), "{why}");
    }
}
