#![allow(clippy::unwrap_used)]
use std::sync::Arc;

use super::*;
use crate::policy::graph::{GraphResource, Synapse};

fn action(id: u32, kind: ActionKind, operation: &str, node: &str) -> GraphAction {
    GraphAction {
        id: ActionId(id),
        kind,
        operation: operation.into(),
        operation_key: format!("r{id}_{operation}_0").into(),
        internal_key: None,
        on_node: (!node.is_empty()).then(|| node.into()),
        on_node_uuid: None,
        router_node: None,
        resource: Some(Arc::new(GraphResource {
            id: format!("r{id}"),
            long_id: None,
            class: "ocf".into(),
            provider: None,
            agent: "Dummy".into(),
        })),
        attributes: [("CRM_meta_timeout", "20000")].into_iter().collect(),
        downed: vec![],
        maintenance: vec![],
        shutdown_lock: None,
    }
}

/// A graph of resource operations `(id, priority, inputs)`; id 0…99 stop/start, ≥ 100 pseudo.
fn graph(rows: &[(u32, i32, &[u32])]) -> Graph {
    Graph {
        cluster_delay: "60s".into(),
        stonith_timeout: "60s".into(),
        batch_limit: "0".into(),
        synapses: rows
            .iter()
            .enumerate()
            .map(|(i, (id, priority, inputs))| Synapse {
                id: i as u32,
                priority: *priority,
                action: Arc::new(if *id >= 100 {
                    action(*id, ActionKind::Pseudo, "running", "")
                } else {
                    action(*id, ActionKind::Resource, "start", if *id % 2 == 0 { "even" } else { "odd" })
                }),
                inputs: inputs.iter().map(|i| ActionId(*i)).collect(),
            })
            .collect(),
        ..Graph::default()
    }
}

struct Run {
    machine: Transition,
    log: Vec<TransitionAction>,
}

impl Run {
    fn new(graph: Graph) -> Self {
        Self::with_jobs(graph, 0)
    }

    fn with_jobs(graph: Graph, jobs: usize) -> Self {
        Self { machine: Transition::new(7, graph, jobs), log: vec![] }
    }
    fn at(&mut self, seconds: u64, event: TransitionEvent) -> Vec<TransitionAction> {
        let mut out = vec![];
        self.machine.handle(Duration::from_secs(seconds), event, &mut out);
        self.log.extend(out.clone());
        out
    }
    fn fired(out: &[TransitionAction]) -> Vec<u32> {
        out.iter()
            .filter_map(|a| match a {
                TransitionAction::Fire(id) => Some(id.0),
                _ => None,
            })
            .collect()
    }
    fn report(out: &[TransitionAction]) -> Option<Report> {
        out.iter().find_map(|a| match a {
            TransitionAction::Finished(report) => Some(report.clone()),
            _ => None,
        })
    }
}

fn ok(id: u32) -> TransitionEvent {
    TransitionEvent::Result { action: ActionId(id), outcome: Outcome::Ok }
}

#[test]
fn actions_start_when_their_inputs_are_confirmed_and_pseudo_ones_are_at_once() {
    let mut run = Run::new(graph(&[(1, 0, &[]), (100, 0, &[1]), (2, 0, &[100]), (3, 0, &[])]));
    assert_eq!(Run::fired(&run.at(0, TransitionEvent::Go)), [1, 3]);
    assert_eq!(Run::fired(&run.at(1, ok(1))), [2]);
    run.at(1, ok(3));
    let report = Run::report(&run.at(2, ok(2))).unwrap();
    assert_eq!(report.verdict(), "Complete");
    assert_eq!(report.completion, Completion::Done);
    assert_eq!(
        report.to_string(),
        "Transition 7 (Complete=4, Pending=0, Fired=3, Skipped=0, Incomplete=0): Complete"
    );
}

#[test]
fn an_empty_plan_is_over_at_once() {
    let mut run = Run::new(graph(&[]));
    assert_eq!(Run::report(&run.at(0, TransitionEvent::Go)).unwrap().completion, Completion::Done);
}

#[test]
fn a_failure_holds_back_what_waits_for_it_and_asks_for_a_new_plan() {
    let mut run = Run::new(graph(&[(1, 0, &[]), (2, 0, &[1]), (3, 5, &[])]));
    run.at(0, TransitionEvent::Go);
    run.at(1, TransitionEvent::Result { action: ActionId(1), outcome: Outcome::Failed });
    assert!(run.machine.is_pending(ActionId(3)), "what runs is waited for");
    let report = Run::report(&run.at(2, ok(3))).unwrap();
    assert_eq!(report.completion, Completion::Restart);
    assert_eq!(report.incomplete, 1);
    assert_eq!(report.verdict(), "Stopped");
}

#[test]
fn the_batch_limit_bounds_what_runs_at_one_time() {
    let mut g = graph(&[(1, 0, &[]), (2, 0, &[]), (3, 0, &[])]);
    g.batch_limit = "2".into();
    let mut run = Run::new(g);
    assert_eq!(Run::fired(&run.at(0, TransitionEvent::Go)), [1, 2]);
    assert_eq!(Run::fired(&run.at(0, ok(1))), [3]);
}

#[test]
fn a_node_is_given_as_many_jobs_as_its_executor_takes() {
    let mut run =
        Run::with_jobs(graph(&[(1, 0, &[]), (3, 0, &[]), (5, 0, &[]), (2, 0, &[]), (100, 0, &[5])]), 2);
    assert_eq!(
        Run::fired(&run.at(0, TransitionEvent::Go)),
        [1, 3, 2],
        "the third of \"odd\" waits, \"even\" does not"
    );
    assert_eq!(Run::fired(&run.at(1, ok(2))), []);
    assert_eq!(Run::fired(&run.at(1, ok(3))), [5]);
    assert_eq!(run.machine.progress(), (2, 5));
    run.at(2, ok(5));
    let report = Run::report(&run.at(2, ok(1))).unwrap();
    assert_eq!((report.complete, report.completion), (5, Completion::Done));
}

#[test]
fn who_fences_for_quorum_starts_nothing_yet() {
    let mut g = graph(&[(1, 0, &[]), (3, 0, &[]), (5, 0, &[]), (7, 0, &[5])]);
    Arc::make_mut(&mut g.synapses[1].action).operation = "stop".into();
    let fence = Arc::make_mut(&mut g.synapses[2].action);
    (fence.kind, fence.operation) = (ActionKind::Cluster, "stonith".into());
    let mut run = Run::new(g);
    run.at(0, TransitionEvent::Hold(Held::Starts));
    let begun: Vec<u32> = run.machine.pending().map(|a| a.id.0).collect();
    assert_eq!(begun, [3, 5]);
    run.at(1, ok(3));
    let report = Run::report(&run.at(1, ok(5))).unwrap();
    assert_eq!((report.complete, report.incomplete, report.completion), (2, 2, Completion::Stop));
}

#[test]
fn a_cancellation_takes_no_job() {
    let mut g = graph(&[(1, 0, &[]), (3, 0, &[]), (5, 0, &[])]);
    Arc::make_mut(&mut g.synapses[1].action).operation = "cancel".into();
    let mut run = Run::with_jobs(g, 1);
    assert_eq!(Run::fired(&run.at(0, TransitionEvent::Go)), [1, 3]);
}

#[test]
fn what_waits_for_a_job_is_given_up_with_the_plan() {
    let mut run = Run::with_jobs(graph(&[(1, 0, &[]), (3, 0, &[]), (5, INFINITY, &[])]), 1);
    run.at(0, TransitionEvent::Go);
    let reason = "Configuration change".to_owned();
    run.at(0, TransitionEvent::Abort { priority: INFINITY, completion: Completion::Restart, reason });
    assert_eq!(Run::fired(&run.at(1, ok(1))), [5]);
    let report = Run::report(&run.at(2, ok(5))).unwrap();
    assert_eq!((report.skipped, report.complete), (1, 2));
}

#[test]
fn an_abort_skips_lower_priorities_but_lets_the_rest_run() {
    let mut run = Run::new(graph(&[(1, 0, &[]), (2, 0, &[1]), (3, INFINITY, &[1])]));
    run.at(0, TransitionEvent::Go);
    run.at(
        0,
        TransitionEvent::Abort {
            priority: INFINITY,
            completion: Completion::Restart,
            reason: "Configuration change".into(),
        },
    );
    assert_eq!(Run::fired(&run.at(1, ok(1))), [3]);
    let report = Run::report(&run.at(2, ok(3))).unwrap();
    assert_eq!((report.skipped, report.complete), (1, 2));
    assert_eq!(report.reason.as_deref(), Some("Configuration change"));
}

#[test]
fn an_action_without_an_answer_is_lost_after_its_time_out_and_the_cluster_delay() {
    let mut run = Run::new(graph(&[(1, 0, &[])]));
    run.at(0, TransitionEvent::Go);
    assert_eq!(run.machine.deadline(), Some(Duration::from_secs(80)));
    assert!(run.at(79, TransitionEvent::Wake).is_empty());
    let out = run.at(80, TransitionEvent::Wake);
    assert!(matches!(out.first(), Some(TransitionAction::Lost { action: ActionId(1), .. })));
    assert_eq!(Run::report(&out).unwrap().completion, Completion::Restart);
}

#[test]
fn what_ran_on_a_lost_node_is_not_waited_for() {
    let mut run = Run::new(graph(&[(1, 0, &[]), (2, 0, &[])]));
    run.at(0, TransitionEvent::Go);
    let out = run.at(1, TransitionEvent::NodeGone { name: "odd".into() });
    assert!(Run::report(&out).is_none(), "action 2 still runs on the other node");
    assert!(Run::report(&run.at(2, ok(2))).is_some());
}

#[test]
fn while_held_only_stops_start_and_the_rest_follows_afterwards() {
    let mut g = graph(&[(1, 0, &[]), (2, 0, &[])]);
    Arc::make_mut(&mut g.synapses[1].action).operation = "stop".into();
    let mut run = Run::new(g);
    run.at(0, TransitionEvent::Hold(Held::All));
    assert_eq!(Run::fired(&run.log), [2]);
    let out = run.at(1, ok(2));
    assert!(Run::report(&out).is_none());
    assert_eq!(Run::fired(&run.at(2, TransitionEvent::Hold(Held::Nothing))), [1]);
}

#[test]
fn a_circle_ends_the_transition_instead_of_hanging_it() {
    let mut run = Run::new(graph(&[(1, 0, &[2]), (2, 0, &[1])]));
    let report = Run::report(&run.at(0, TransitionEvent::Go)).unwrap();
    assert_eq!(report.verdict(), "Terminated");
    assert_eq!(report.completion, Completion::Stop);
}

#[test]
fn results_that_come_twice_or_too_early_change_nothing() {
    let mut run = Run::new(graph(&[(1, 0, &[]), (2, 0, &[1])]));
    run.at(0, TransitionEvent::Go);
    assert!(run.at(0, ok(2)).is_empty());
    run.at(0, ok(1));
    assert!(run.at(0, ok(1)).is_empty());
    assert!(run.at(0, ok(99)).is_empty());
}

#[test]
fn migrations_on_one_node_are_limited() {
    let mut g = graph(&[(1, 0, &[]), (3, 0, &[]), (2, 0, &[])]);
    for s in &mut g.synapses {
        Arc::make_mut(&mut s.action).operation = "migrate_to".into();
    }
    g.migration_limit = Some("1".into());
    let mut run = Run::new(g);
    assert_eq!(Run::fired(&run.at(0, TransitionEvent::Go)), [1, 2]);
    assert_eq!(Run::fired(&run.at(0, ok(1))), [3]);
}
