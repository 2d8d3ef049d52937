//! The page as text and as HTML, from the same lists.

use std::fmt::Write as _;

use crm_core::policy::render::list::html as escape;
use crm_core::policy::render::status::Which;
use crm_core::policy::render::{Form, List, status};
use crm_core::policy::state::{NodeKind, QuorumPolicy, State};

use super::sections::Section;
use super::{Chosen, Request, fencing, local};
use crate::api::proto::ClusterState;
use crate::view::View;

/// The page as text: sections with a blank line between them.
pub fn text(request: &Request, view: &View, live: Option<&ClusterState>, chosen: &Chosen) -> String {
    sections(request, view, live, chosen, Form::Fancy).join("\n")
}

const STYLE: &str = "\
.bold { font-weight: bold }
.online { color: green }
.offline { color: red }
.maint { color: blue }
.standby { color: blue }
.health_red { color: red }
.health_yellow { color: GoldenRod }
.rsc-failed { color: red }
.rsc-failure-ignored { color: DarkGreen }
.rsc-managed { color: blue }
.rsc-multiple { color: orange }
.rsc-ok { color: green }
.warning { color: red; font-weight: bold }";

/// The page as a document for a browser.
pub fn html(request: &Request, view: &View, live: Option<&ClusterState>, chosen: &Chosen) -> String {
    let arguments = &request.arguments;
    let mut out = String::new();
    if arguments.html_cgi || arguments.web_cgi {
        out.push_str("Content-Type: text/html\n\n");
    }
    out.push_str("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<title>Cluster Status</title>\n");
    out.push_str("<meta charset=\"utf-8\">\n");
    if let Some(seconds) = arguments.refresh() {
        let _ = writeln!(out, "<meta http-equiv=\"refresh\" content=\"{seconds}\">");
    }
    let _ = writeln!(out, "<style>{STYLE}</style>\n</head>\n<body>");
    sections(request, view, live, chosen, Form::Html).iter().for_each(|section| out.push_str(section));
    out.push_str("</body>\n</html>\n");
    out
}

/// The sections that are asked for and have something to say.
fn sections(
    request: &Request,
    view: &View,
    live: Option<&ClusterState>,
    chosen: &Chosen,
    form: Form,
) -> Vec<String> {
    let st = &view.state;
    let (sections, show) = (&request.sections, request.show());
    let node = |n| chosen.node(n);
    let mut out: Vec<String> = Vec::new();
    let mut section = |write: &dyn Fn(&mut List)| {
        let mut list = List::new(form);
        write(&mut list);
        let text = list.into_text();
        if !text.is_empty() {
            // Some lists begin with the blank line that parts them from what is before.
            out.push(text.trim_start_matches('\n').to_owned());
        }
    };
    section(&|list| summary(list, request, view, live));
    if sections.has(Section::MaintMode) {
        section(&|list| banner(list, st));
    }
    if sections.has(Section::Nodes) || request.arguments.group_by_node && sections.has(Section::Resources) {
        section(&|list| {
            status::list_nodes(list, st, show, &node);
        });
    }
    if sections.has(Section::Resources) {
        section(&|list| resources(list, request, view, chosen));
    }
    if sections.has(Section::Attributes) {
        section(&|list| status::attributes(list, st, show.detail, &node));
    }
    if sections.has(Section::Operations) {
        section(&|list| {
            status::operations(list, st, request.arguments.timing_details, show.detail, &node);
        });
    } else if sections.has(Section::Failcounts) {
        section(&|list| status::fail_counts(list, st, show.detail, &node));
    }
    if sections.has(Section::Failures) {
        section(&|list| status::failures_of(list, st, show.detail, &node));
    }
    if sections.has(Section::Tickets) {
        section(&|list| {
            status::tickets(list, st);
        });
    }
    if sections.has(Section::Bans) {
        section(&|list| {
            status::bans(list, st, &sections.ban_prefix, show.detail);
        });
    }
    if let Some(live) = live {
        for (title, lines) in fencing::lists(request, live) {
            section(&|list| fencing::list(list, title, &lines));
        }
        section(&|list| local::of_this_node(list, live, request.arguments.links));
    }
    out
}

fn resources(list: &mut List, request: &Request, view: &View, chosen: &Chosen) {
    let st = &view.state;
    let mut show = request.show();
    let inactive = request.arguments.inactive;
    if !show.below_node {
        let which = if show.active_only { Which::Active } else { Which::All };
        return status::list_resources(list, st, which, show, &|r| chosen.resource(view, r, inactive));
    }
    // What is active stands below its node.
    if inactive {
        show.below_node = false;
        status::list_resources(list, st, Which::Inactive, show, &|r| chosen.resource(view, r, true));
    }
}

fn option<'a>(view: &'a View, name: &str) -> Option<&'a str> {
    cib::model::Properties::of(&view.cib).get(name)
}

/// What the head says of the cluster: of the running one where there is one, else of the document.
pub struct Head {
    pub stack: String,
    pub dc: Option<String>,
    pub dc_id: String,
    /// Empty where nobody says.
    pub version: String,
    pub quorate: bool,
    pub mixed: bool,
}

impl Head {
    pub fn of(view: &View, live: Option<&ClusterState>) -> Self {
        let st = &view.state;
        let stack = live.map(|_| "everbeat").or_else(|| option(view, "cluster-infrastructure"));
        let dc = match live {
            Some(live) => Some(live.dc.clone()).filter(|name| !name.is_empty()),
            None => st.dc.map(|n| st[n].name.clone()),
        };
        let version = match live {
            Some(_) => Some(env!("CARGO_PKG_VERSION")),
            None => option(view, "dc-version"),
        };
        let dc_id = dc.as_ref().and_then(|name| view.node(name)).map(|n| st[n].id.clone());
        let mut sets: Vec<&str> = st
            .nodes
            .iter()
            .filter(|node| node.online && !node.is_remote_kind())
            .filter_map(|node| node.attribute("#feature-set"))
            .collect();
        sets.sort_unstable();
        sets.dedup();
        Self {
            stack: stack.unwrap_or("unknown").to_owned(),
            dc_id: dc_id.unwrap_or_default(),
            dc,
            version: version.unwrap_or_default().to_owned(),
            quorate: live.map_or(st.quorum, |live| live.quorate),
            mixed: sets.len() > 1,
        }
    }
}

fn summary(list: &mut List, request: &Request, view: &View, live: Option<&ClusterState>) {
    use Section::{Counts, Dc, Options, Stack, Times};
    let (st, sections) = (&view.state, &request.sections);
    let html = list.form() == Form::Html;
    if sections.any(&[Stack, Dc, Times, Counts]) || sections.has(Options) && !html {
        list.begin("Cluster Summary");
        let head = Head::of(view, live);
        if sections.has(Stack) {
            list.pair("Stack", None, &head.stack);
        }
        if sections.has(Dc) {
            dc(list, request, &head);
        }
        if sections.has(Times) {
            list.pair("Last updated", None, &status::long_time(st.now, st.utc_offset));
            list.pair("Last change", None, &last_change(view, html));
        }
        if sections.has(Counts) {
            let nodes = nodes_configured(st);
            list.item(&format!("{nodes} node{} configured", if nodes == 1 { "" } else { "s" }));
            list.item(&instances(st));
        }
        if sections.has(Options) && !html {
            options(list, st);
        }
        list.end();
    }
    if sections.has(Options) && html {
        list.begin("Config Options");
        options(list, st);
        let managed = if st.options.maintenance_mode {
            "DISABLED (the cluster will not attempt to start, stop, or recover services)"
        } else if st.options.stop_all_resources {
            "STOPPED (the cluster will keep all resources stopped)"
        } else {
            "enabled"
        };
        list.line(&format!("<li>Resource management: {}</li>", escape(managed)));
        list.end();
    }
}

fn dc(list: &mut List, request: &Request, head: &Head) {
    let Some(name) = &head.dc else { return list.pair("Current DC", Some("warning"), "NONE") };
    let id = if request.arguments.show_detail && !head.dc_id.is_empty() && head.dc_id != *name {
        format!(" ({})", head.dc_id)
    } else {
        String::new()
    };
    let mixed = if head.mixed { "MIXED-VERSION " } else { "" };
    let version = if head.version.is_empty() { "unknown" } else { &head.version };
    let quorum = if head.quorate { "with quorum" } else { "WITHOUT quorum" };
    let class = (!head.quorate).then_some("warning");
    list.pair("Current DC", class, &format!("{name}{id} (version {version}) - {mixed}partition {quorum}"));
}

fn options(list: &mut List, st: &State) {
    let options = &st.options;
    list.item(&format!(
        "STONITH of failed nodes {}",
        if options.stonith_enabled { "enabled" } else { "disabled" }
    ));
    list.item(&format!("Cluster is {}", if options.symmetric { "symmetric" } else { "asymmetric" }));
    let policy = match options.no_quorum_policy {
        QuorumPolicy::Freeze => "Freeze resources",
        QuorumPolicy::Stop => "Stop ALL resources",
        QuorumPolicy::Demote => "Demote promotable resources and stop all other resources",
        QuorumPolicy::Ignore => "Ignore",
        QuorumPolicy::Suicide => "Suicide",
    };
    list.item(&format!("No quorum policy: {policy}"));
}

fn last_change(view: &View, html: bool) -> String {
    let root = view.cib.root();
    // The classic page has two blanks before the time.
    let gap = if html { "" } else { " " };
    let mut change = format!("{gap}{}", root.attr("cib-last-written").unwrap_or_default());
    for (word, name) in [("by", "update-user"), ("via", "update-client"), ("on", "update-origin")] {
        if let Some(value) = root.attr(name) {
            let _ = write!(change, " {word} {value}");
        }
    }
    change
}

pub fn nodes_configured(st: &State) -> usize {
    st.nodes.iter().filter(|node| node.kind != NodeKind::Ping).count()
}

/// `7 resource instances configured (1 DISABLED)`.
pub fn instances(st: &State) -> String {
    let counts = &st.counts;
    let plural = if counts.total == 1 { "" } else { "s" };
    let mut text = format!("{} resource instance{plural} configured", counts.total);
    match (counts.disabled, counts.blocked) {
        (0, 0) => {}
        (d, 0) => drop(write!(text, " ({d} DISABLED)")),
        (0, b) => drop(write!(text, " ({b} BLOCKED from further action due to failure)")),
        (d, b) => drop(write!(text, " ({d} DISABLED, {b} BLOCKED from further action due to failure)")),
    }
    text
}

fn banner(list: &mut List, st: &State) {
    if list.form() == Form::Html {
        return; // said among the options
    }
    if st.options.maintenance_mode {
        list.line("              *** Resource management is DISABLED ***");
        list.line("  The cluster will not attempt to start, stop or recover services");
    } else if st.options.stop_all_resources {
        list.line("    *** Resource management is DISABLED ***");
        list.line("  The cluster will keep all resources stopped");
    }
}
