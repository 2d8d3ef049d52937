//! The whole of a plan: state, placement, transition.

use std::cell::Cell;

use cib::Cib;

use super::Situation;
use super::complaint::Complaint;
use super::graph::Graph;
use super::ledger::{Ledger, NoLedger};
use super::placement::turns::Turns;
use super::placement::{self, lines::ScoreLine};
use super::state::{self, State};
use super::transition::Work;
use super::transition::arena::Actions;
use super::transition::dot;
use super::transition::summary::Summary;

/// A decision: what has to be done, and everything it was decided from.
#[derive(Debug)]
pub struct Plan {
    /// What the transition machine executes.
    pub graph: Graph,
    pub summary: Summary,
    /// What is wrong with the configuration.
    pub complaints: Vec<Complaint>,
    /// Scores and capacities in the order in which they were found, if the situation asked for them.
    pub scores: Vec<ScoreLine>,
    /// What came up before resources were assigned to nodes, and after; for the user of a tool.
    pub remarks: (Vec<String>, Vec<String>),
    /// The working state as the plan leaves it.
    pub state: State,
    pub actions: Actions,
}

impl Plan {
    /// The graph in the language of Graphviz; `all` with what is not in the graph, `ids` with numbers.
    pub fn dot(&self, all: bool, ids: bool) -> String {
        dot::dot(&self.state, &self.actions, all, ids)
    }
}

/// Decides what has to be done. The same CIB and situation give the same plan.
pub fn plan(cib: &Cib, situation: &Situation) -> Plan {
    plan_with(cib, situation, &mut NoLedger)
}

/// [`plan`], with every change of a score noted in a ledger.
pub fn plan_with<L: Ledger>(cib: &Cib, situation: &Situation, ledger: &mut L) -> Plan {
    plan_state(state::build::build(cib, situation, ledger), ledger)
}

/// [`plan`] that notes the turns of assignment, among those of resources that are not in the document.
pub(super) fn plan_turns(cib: &Cib, situation: &Situation, turns: Turns) -> Plan {
    let mut state = state::build::build(cib, situation, &mut NoLedger);
    state.turns = Some(turns);
    plan_state(state, &mut NoLedger)
}

/// Plans from a state that has been read already.
pub fn plan_state<L: Ledger>(state: State, ledger: &mut L) -> Plan {
    let plan = plan_state_if(state, ledger, |_| true);
    plan.expect("only who asks for less gets none")
}

/// [`plan_state`], which ends without a plan if `go_on` says no when all resources are assigned to nodes.
pub fn plan_state_if<L: Ledger>(
    mut state: State,
    ledger: &mut L,
    go_on: impl FnOnce(&L) -> bool + Send,
) -> Option<Plan> {
    deep(move || {
        placement::prepare(&mut state, ledger);
        let mut work = Work::new(&mut state);
        work.before_assignment();
        let before = std::mem::take(&mut work.st.remarks);
        placement::assign(work.st, ledger);
        if !go_on(ledger) {
            return None;
        }
        work.after_assignment();
        let summary = work.summary();
        let graph = work.graph();
        let actions = work.actions;
        let scores = std::mem::take(&mut state.score_lines);
        let complaints = std::mem::take(&mut state.complaints).into_vec();
        let remarks = (before, std::mem::take(&mut state.remarks));
        Some(Plan { remarks, graph, summary, complaints, scores, state, actions })
    })
}

/// Bytes of a block that, freed once, keep the allocator from giving less than twice as much back to the system.
const KEPT: usize = 4 << 20;

/// For programs that plan often: what one plan needed stays with the process for the next one, up to some megabytes.
///
/// glibc gives free memory back to the system from a limit on that it derives from the largest block freed so far
/// (mallopt(3), `M_TRIM_THRESHOLD`): 128 KiB at first, so that each plan would ask again, page by page, for what
/// the one before had. A block that is freed untouched costs two calls and no memory. With other allocators it does
/// nothing.
pub fn keep_memory() {
    drop(std::hint::black_box(Vec::<u8>::with_capacity(KEPT)));
}

/// Bytes of stack for following colocations and orderings: each step of a chain is a few calls deep.
const STACK: usize = 512 << 20;

thread_local! {
    /// This thread has such a stack.
    static DEEP: Cell<bool> = const { Cell::new(false) };
}

/// Runs something that calls itself as deep as a configuration has constraints, on a stack of its own; in
/// place if there can be none, or this is one. What it computes does not depend on where it runs.
pub(super) fn deep<T: Send>(work: impl FnOnce() -> T + Send) -> T {
    if DEEP.get() {
        return work();
    }
    let mut work = Some(work);
    let mut done = None;
    let ran = std::thread::scope(|scope| {
        let step = || {
            DEEP.set(true);
            done = work.take().map(|work| work());
        };
        let thread = std::thread::Builder::new().stack_size(STACK).spawn_scoped(scope, step);
        thread.map(|thread| thread.join())
    });
    match (done, work, ran) {
        (Some(done), _, _) => done,
        (None, Some(work), _) => work(),
        (None, None, Ok(Err(panic))) => std::panic::resume_unwind(panic),
        (None, None, _) => std::process::abort(),
    }
}
