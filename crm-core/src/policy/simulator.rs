//! `crm_simulate`: status, plan and what it would lead to, as text.
//!
//! Pure: the caller reads the CIB and writes what comes back.

pub mod inject;
pub(super) mod text;
pub(super) mod version;

use cib::{Cib, Element};

use super::ledger::NoLedger;
use super::plan::{Plan, deep, plan_state};
use super::render::xml::{self, Tag};
use super::render::{self, Form, List, status::Show};
use super::simulate::{self, Failure};
use super::state::build::build;
use super::state::{Resource, State, Variant};
use super::{Situation, dates};
pub use inject::Injections;

/// What is to be done and shown.
#[derive(Debug, Clone, Default)]
pub struct Options {
    /// Plan (`-R`).
    pub run: bool,
    /// Plan and pretend to execute (`-S`).
    pub simulate: bool,
    pub show_attributes: bool,
    pub show_fail_counts: bool,
    /// `-s`
    pub scores: bool,
    /// `-U`
    pub utilization: bool,
    /// Nothing but scores and capacities (`-Q`).
    pub quiet: bool,
    /// Titles and bullets where scores are shown, too (`--text-fancy`).
    pub fancy: bool,
    /// The same as elements, too (`--output-as=xml`), in [`Output::sections`]; `quiet` does not concern
    /// them.
    pub xml: bool,
    /// The argument of `-t`.
    pub date: Option<String>,
    pub injections: Injections,
    /// Actions that fail (`-F`).
    pub failures: Vec<String>,
    /// A drawing is wanted (`-D`), with all actions (`-a`), with numbers (`-V`).
    pub dot: bool,
    pub dot_all: bool,
    pub dot_ids: bool,
    /// The graph is wanted (`-G`).
    pub graph: bool,
}

/// What came of it.
#[derive(Debug, Clone, Default)]
pub struct Output {
    /// For standard error, before anything else.
    pub notes: String,
    pub stdout: String,
    pub stderr: String,
    /// What the text says as elements, for [`render::xml::document`], if they are wanted.
    pub sections: Vec<Tag>,
    pub code: i32,
    pub dot: Option<String>,
    pub graph: Option<String>,
    /// The input as it was planned, after injections.
    pub input: Option<Cib>,
    /// The CIB at the end.
    pub cib: Option<Cib>,
}

/// Runs the simulator; `now` and `utc_offset` are the caller's clock.
pub fn run(cib: &Cib, options: &Options, now: i64, utc_offset: i32) -> Output {
    // Plan and execution in one thread: what the plan leaves of its memory is there for what comes of it.
    deep(|| {
        let mut session = Session::new(cib, options, now, utc_offset);
        session.go();
        session.finish()
    })
}

struct Session<'a> {
    options: &'a Options,
    situation: Situation,
    /// The caller's clock: when results are recorded, whatever counts as now.
    clock: i64,
    /// The line about the time that counts as now.
    date_line: Option<String>,
    cib: Cib,
    list: List,
    out: Output,
    plans: bool,
    simulates: bool,
}

impl<'a> Session<'a> {
    fn new(cib: &Cib, options: &'a Options, now: i64, utc_offset: i32) -> Self {
        let simulates = options.simulate || !options.failures.is_empty();
        let plans =
            options.run || simulates || options.scores || options.utilization || options.dot || options.graph;
        let mut situation = Situation {
            now,
            utc_offset,
            scores: options.scores || options.utilization,
            sanitized: true,
            ..Situation::default()
        };
        let mut date_line = None;
        if let Some(text) = &options.date {
            let moment = dates::Moment { epoch: now, offset: utc_offset };
            if let Some(at) = dates::parse(text, moment) {
                situation.now = at.epoch;
                situation.utc_offset = at.offset;
            }
            date_line = Some(format!("Setting effective cluster time: {text}"));
        } else if let Some(at) = cib.root().attr("execution-date").and_then(|t| t.parse().ok()) {
            situation.now = at;
            date_line = Some(format!("Using the original execution date of: {}", text::utc_time(at)));
        }
        let fancy = options.fancy || !options.scores && !options.utilization;
        Session {
            options,
            situation,
            clock: now,
            date_line,
            cib: cib.clone(),
            list: List::new(if fancy { Form::Fancy } else { Form::Plain }),
            out: Output::default(),
            plans,
            simulates,
        }
    }

    fn show(&self) -> bool {
        !self.options.quiet
    }

    fn date(&mut self) {
        if let (Some(line), true) = (self.date_line.clone(), self.show()) {
            self.list.line(&line);
        }
    }

    fn go(&mut self) {
        if cib::dialect::is_unchecked(self.cib.root()) {
            self.out.notes.push_str(cib::dialect::UNCHECKED);
            self.out.notes.push('\n');
        }
        let mut state = build(&self.cib, &self.situation, &mut NoLedger);
        let mut printed = false;
        self.date();
        let remarks = std::mem::take(&mut state.remarks);
        self.remarks(&remarks);
        if self.show() {
            if state.options.maintenance_mode {
                printed = true;
                self.list.line("");
                self.list.line("              *** Resource management is DISABLED ***");
                self.list.line("  The cluster will not attempt to start, stop or recover services");
            }
            if state.counts.disabled > 0 || state.counts.blocked > 0 {
                if printed {
                    self.list.blank();
                }
                printed = true;
                self.list.line(&text::counts(&state.counts));
            }
            if printed {
                self.list.blank();
            }
            self.status("Current cluster status", &state, true);
        }
        self.status_xml("cluster_status", &state, true);
        if self.options.injections.any() {
            self.list.blank();
            if self.show() {
                self.list.begin("Performing Requested Modifications");
            }
            let mut changes = Vec::new();
            let now = self.clock;
            let find = |name: &str| find(&state, name);
            let errors = inject::apply(&mut self.cib, &self.options.injections, now, &find, &mut |change| {
                if !self.options.quiet {
                    self.list.item(&change.to_string());
                }
                changes.push(change);
            });
            if self.options.xml {
                self.out.sections.push(xml::actions::modifications(&changes));
            }
            self.out.stderr.push_str(&errors);
            if self.show() {
                self.list.end();
            }
            self.date();
            state = build(&self.cib, &self.situation, &mut NoLedger);
            let remarks = std::mem::take(&mut state.remarks);
            self.remarks(&remarks);
        }
        self.out.input = Some(self.cib.clone());
        if !self.plans {
            self.out.cib = Some(self.cib.clone());
            return;
        }
        let plan = plan_state(state, &mut NoLedger);
        self.scores(&plan);
        if self.show() {
            self.list.blank();
            self.list.begin("Transition Summary");
            render::actions::summary(&mut self.list, &plan.state, &plan.summary);
            self.list.end();
        }
        if self.options.xml {
            self.out.sections.push(xml::actions::summary(&plan.state, &plan.summary));
        }
        if self.options.dot {
            self.out.dot = Some(plan.dot(self.options.dot_all, self.options.dot_ids));
        }
        if self.options.graph {
            self.out.graph = Some(render::graph::xml(&plan.graph, 0));
        }
        if self.simulates {
            self.execute(plan);
        }
        self.out.cib = Some(self.cib.clone());
    }

    fn shown(&self, pending: bool) -> Show {
        Show {
            pending,
            attributes: self.options.show_attributes,
            fail_counts: self.options.show_fail_counts,
            failures: self.options.show_fail_counts,
            ..Show::default()
        }
    }

    fn status_xml(&mut self, name: &str, state: &super::state::State, pending: bool) {
        if self.options.xml {
            let section = xml::status::status(name, state, self.shown(pending));
            self.out.sections.push(section);
        }
    }

    fn status(&mut self, title: &str, state: &super::state::State, pending: bool) {
        let show = self.shown(pending);
        self.list.begin(title);
        render::status::status(&mut self.list, state, show);
        self.list.end();
    }

    fn scores(&mut self, plan: &Plan) {
        if !self.options.scores && !self.options.utilization {
            return;
        }
        if self.show() {
            self.list.blank();
        }
        if self.show() && self.options.fancy {
            self.list.begin(match (self.options.scores, self.options.utilization) {
                (true, true) => "Allocation Scores and Utilization Information",
                (true, false) => "Allocation Scores",
                _ => "Utilization Information",
            });
        }
        let mut section = Tag::new(match (self.options.scores, self.options.utilization) {
            (true, true) => "allocations_utilizations",
            (true, false) => "allocations",
            _ => "utilizations",
        });
        self.remarks(&plan.remarks.0);
        for line in &plan.scores {
            let wanted = match line {
                super::placement::lines::ScoreLine::Allocation { .. }
                | super::placement::lines::ScoreLine::Promotion { .. } => self.options.scores,
                _ => self.options.utilization,
            };
            if wanted {
                if self.options.xml {
                    section.push(xml::actions::score_line(&plan.state, line));
                }
                let line = render::scores::score_line(&plan.state, line);
                self.list.item(&line);
            }
        }
        if self.show() && self.options.fancy {
            self.list.end();
        }
        if self.options.xml {
            self.out.sections.push(section);
        }
        self.remarks(&plan.remarks.1);
    }

    /// Planning shows its remarks only where it shows scores.
    fn remarks(&mut self, lines: &[String]) {
        for line in lines.iter().filter(|_| !self.options.quiet) {
            self.list.line(line);
        }
    }

    fn execute(&mut self, plan: Plan) {
        // The graph is enough from here on, and where everything is probed the actions are most of the plan.
        let Plan { state: before, graph, actions, .. } = plan;
        drop(actions);
        let failures: Vec<Failure> =
            self.options.failures.iter().filter_map(|spec| text::failure(spec)).collect();
        let (show, as_xml) = (self.show(), self.options.xml);
        self.list.blank();
        if show {
            self.list.begin("Executing Cluster Transition");
        }
        let mut tags = Vec::new();
        let list = &mut self.list;
        let mut seen = |event| {
            if show {
                render::actions::event(list, &before, &event);
            }
            if as_xml {
                tags.extend(xml::actions::event(&before, &event));
            }
        };
        let outcome = simulate::consume(&self.cib, &before, graph, &failures, self.clock, &mut seen);
        if show {
            self.list.end();
        }
        if as_xml {
            self.out.sections.push(Tag::new("transition").with_children(tags));
        }
        for line in &outcome.errors {
            self.out.stderr.push_str(&format!("{line}\n"));
        }
        if !outcome.complete {
            self.out.stderr.push_str("Transition failed: terminated\n");
            self.out.stderr.push_str("An invalid transition was produced\n");
            self.out.code = 1;
        }
        self.cib = outcome.cib;
        drop(before);
        if self.show() || self.options.xml {
            // What may be missing from an input is not missing from what was made of it.
            let situation = Situation { sanitized: false, ..self.situation.clone() };
            let state = build(&self.cib, &situation, &mut NoLedger);
            self.status_xml("revised_cluster_status", &state, false);
            if self.show() {
                self.date();
                self.remarks(&state.remarks);
                self.list.blank();
                self.status("Revised Cluster Status", &state, false);
            }
        }
    }

    fn finish(mut self) -> Output {
        // Blank lines between parts are for those who asked for any.
        let silent = self.options.quiet && !self.options.scores && !self.options.utilization;
        if !silent {
            self.out.stdout = self.list.into_text();
        }
        self.out
    }
}

/// The primitive or instance that is known by this name, or has history under it.
fn find(state: &State, name: &str) -> Option<Element> {
    let named = |r: &&Resource| {
        r.variant() == Variant::Primitive && (r.id == name || r.history_name.as_deref() == Some(name))
    };
    state.resources.iter().find(named).map(|r| r.xml.clone())
}
