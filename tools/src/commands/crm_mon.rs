//! `crm_mon`: the state of the cluster, once or as it changes.

use std::ffi::OsString;
use std::fmt::Write as _;
use std::io::{self, Write as _};

use clap::Parser;
use crm_core::policy::ix::ResourceIx;
use crm_core::policy::render::{List, status};
use crm_core::policy::state::{NodeKind, State, Variant};

use crate::api::proto::ClusterState;
use crate::exit;
use crate::source::{Source, SourceError};
use crate::view::View;

/// Show the state of the cluster.
#[derive(Parser)]
#[command(name = "crm_mon", disable_version_flag = true)]
struct Arguments {
    /// Show it once and end; without this it is shown again at every change.
    #[arg(short = '1', long)]
    one_shot: bool,
    /// Accepted: a change is shown at once.
    #[arg(short = 'i', long)]
    interval: Option<String>,
    /// Inactive resources too.
    #[arg(short = 'r', long)]
    inactive: bool,
    /// Node attributes.
    #[arg(short = 'A', long)]
    show_node_attributes: bool,
    /// Fail counts.
    #[arg(short = 'f', long)]
    failcounts: bool,
    /// Tickets.
    #[arg(short = 'c', long)]
    tickets: bool,
    /// Location constraints that forbid nodes.
    #[arg(short = 'L', long)]
    neg_locations: bool,
    /// What the nodes hear of each other, on which links.
    #[arg(long)]
    links: bool,
    /// One line for a monitoring system; the exit status tells, too.
    #[arg(short = 's', long)]
    simple_status: bool,
    /// No headers.
    #[arg(short = 'D', long)]
    hide_headers: bool,
    /// text (or console), or none.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_as: String,
    /// Accepted: text is what is printed.
    #[arg(short = 'N', long)]
    disable_ncurses: bool,
    /// Accepted.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

pub fn run(name: &str, arguments: Vec<OsString>) -> u8 {
    let arguments = match super::parse::<Arguments>(name, arguments) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    if !matches!(arguments.output_as.as_str(), "text" | "console" | "none") {
        eprintln!(
            "crm_mon: \"{}\" is no output format here: expected text, console or none",
            arguments.output_as
        );
        return exit::USAGE;
    }
    match show(&arguments) {
        Ok(status) => status,
        Err(error) if arguments.simple_status => {
            println!("CLUSTER CRIT: Connection to cluster failed: {error}");
            2
        }
        Err(error) => {
            eprintln!("crm_mon: Connection to cluster failed: {error}");
            error.exit()
        }
    }
}

fn show(arguments: &Arguments) -> Result<u8, SourceError> {
    let mut source = Source::open("crm_mon")?;
    let once = arguments.one_shot || arguments.simple_status || source.client().is_none();
    if once {
        let (cib, live) = match source.state()? {
            Some(state) => (cib_of(&state)?, Some(state)),
            None => (source.cib()?, None),
        };
        let view = View::new(&cib);
        if arguments.simple_status {
            let (line, status) = simple(&view, live.as_ref());
            println!("{line}");
            return Ok(status);
        }
        if arguments.output_as != "none" {
            print!("{}", page(arguments, &view, live.as_ref()));
        }
        return Ok(exit::OK);
    }
    let mut failed = None;
    if let Some(client) = source.client() {
        client.watch(false, |state| match cib_of(&state) {
            Ok(cib) => {
                let text = page(arguments, &View::new(&cib), Some(&state));
                // From the top of a cleared screen; a reader that has gone away ends it.
                let mut out = io::stdout().lock();
                write!(out, "\x1b[H\x1b[2J{text}").and_then(|()| out.flush()).is_ok()
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
    }
    failed.map_or(Ok(exit::OK), Err)
}

fn cib_of(state: &ClusterState) -> Result<cib::Cib, SourceError> {
    cib::Cib::parse(&state.cib).map_err(|error| SourceError::Parse { path: "(the cluster)".into(), error })
}

/// The whole page.
fn page(arguments: &Arguments, view: &View, live: Option<&ClusterState>) -> String {
    let st = &view.state;
    let mut list = List::new(true);
    if !arguments.hide_headers {
        summary(&mut list, view, live);
        list.blank();
        banner(&mut list, st);
    }
    if status::nodes(&mut list, st) {
        list.blank();
    }
    let show = status::Show { pending: true, active_only: !arguments.inactive, ..status::Show::default() };
    status::resources(&mut list, st, show);
    if arguments.show_node_attributes {
        status::attributes(&mut list, st);
    }
    if arguments.failcounts {
        status::fail_counts(&mut list, st);
    }
    if status::shown_failures(st).next().is_some() {
        list.blank();
        status::failures_in_words(&mut list, st);
    }
    if arguments.tickets {
        tickets(&mut list, view);
    }
    if arguments.neg_locations {
        bans(&mut list, st);
    }
    if let Some(live) = live {
        of_this_node(&mut list, live, arguments.links);
    }
    list.into_text()
}

fn option<'a>(view: &'a View, name: &str) -> Option<&'a str> {
    cib::model::Properties::of(&view.cib).get(name)
}

fn summary(list: &mut List, view: &View, live: Option<&ClusterState>) {
    let st = &view.state;
    list.begin("Cluster Summary");
    let stack = live.map(|_| "everbeat").or_else(|| option(view, "cluster-infrastructure"));
    list.item(&format!("Stack: {}", stack.unwrap_or("unknown")));
    let dc = match live {
        Some(live) => Some(live.dc.clone()).filter(|name| !name.is_empty()),
        None => st.dc.map(|n| st[n].name.clone()),
    };
    let version = match live {
        Some(_) => Some(env!("CARGO_PKG_VERSION")),
        None => option(view, "dc-version"),
    };
    let quorate = live.map_or(st.quorum, |live| live.quorate);
    list.item(&match dc {
        Some(name) => format!(
            "Current DC: {name} (version {}) - partition {}",
            version.unwrap_or("unknown"),
            if quorate { "with quorum" } else { "WITHOUT quorum" }
        ),
        None => "Current DC: NONE".into(),
    });
    list.item(&format!("Last updated: {}", status::long_time(st.now, st.utc_offset)));
    let root = view.cib.root();
    let mut change = format!("Last change:  {}", root.attr("cib-last-written").unwrap_or_default());
    for (word, name) in [("by", "update-user"), ("via", "update-client"), ("on", "update-origin")] {
        if let Some(value) = root.attr(name) {
            let _ = write!(change, " {word} {value}");
        }
    }
    list.item(&change);
    let nodes = st.nodes.iter().filter(|node| node.kind != NodeKind::Ping).count();
    list.item(&format!("{nodes} node{} configured", if nodes == 1 { "" } else { "s" }));
    list.item(&instances(st));
    list.end();
}

/// `7 resource instances configured (1 DISABLED)`.
fn instances(st: &State) -> String {
    let (mut all, mut disabled, mut blocked) = (0, 0, 0);
    st.top.iter().for_each(|r| count(st, *r, &mut all, &mut disabled, &mut blocked));
    let mut text = format!("{all} resource instance{} configured", if all == 1 { "" } else { "s" });
    match (disabled, blocked) {
        (0, 0) => {}
        (d, 0) => drop(write!(text, " ({d} DISABLED)")),
        (0, b) => drop(write!(text, " ({b} BLOCKED from further action due to failure)")),
        (d, b) => drop(write!(text, " ({d} DISABLED, {b} BLOCKED from further action due to failure)")),
    }
    text
}

fn count(st: &State, r: ResourceIx, all: &mut usize, disabled: &mut usize, blocked: &mut usize) {
    let rsc = &st[r];
    if rsc.variant() == Variant::Primitive {
        if rsc.flags.orphan {
            return;
        }
        *all += 1;
        *disabled +=
            usize::from(rsc.meta("target-role").is_some_and(|role| role.eq_ignore_ascii_case("stopped")));
        *blocked += usize::from(rsc.flags.blocked);
    }
    rsc.children.iter().for_each(|child| count(st, *child, all, disabled, blocked));
}

fn banner(list: &mut List, st: &State) {
    if st.options.maintenance_mode {
        list.line("              *** Resource management is DISABLED ***");
        list.line("  The cluster will not attempt to start, stop or recover services");
        list.blank();
    } else if st.options.stop_all_resources {
        list.line("    *** Resource management is DISABLED ***");
        list.line("  The cluster will keep all resources stopped");
        list.blank();
    }
}

fn tickets(list: &mut List, view: &View) {
    let Some(tickets) = view.cib.root().path(&["status", "tickets"]) else { return };
    list.blank();
    list.begin("Tickets");
    for ticket in tickets.children_named("ticket_state") {
        let granted = ticket.attr("granted") == Some("true");
        let standby = if ticket.attr("standby") == Some("true") { " [standby]" } else { "" };
        let word = if granted { "granted" } else { "revoked" };
        list.item(&format!("{}: {word}{standby}", ticket.id().unwrap_or_default()));
    }
    list.end();
}

fn bans(list: &mut List, st: &State) {
    list.blank();
    list.begin("Negative Location Constraints");
    for location in &st.locations {
        for (node, score) in &location.nodes {
            if *score < 0 {
                list.item(&format!(
                    "{}\tprevents {} from running on {}",
                    location.id, st[location.resource].id, st[*node].name
                ));
            }
        }
    }
    list.end();
}

/// What this node knows beyond the CIB: foreign peers, links, warnings.
fn of_this_node(list: &mut List, live: &ClusterState, links: bool) {
    let foreign: Vec<&str> =
        live.peers.iter().filter(|peer| peer.state == "foreign").map(|peer| peer.name.as_str()).collect();
    let down = |peer: &&crate::api::proto::Peer| peer.member && peer.links.iter().any(|link| !link.up);
    let any_down = live.peers.iter().any(|peer| down(&peer));
    if links || any_down {
        list.blank();
        list.begin(&format!("Links of {}", live.node));
        for peer in live.peers.iter().filter(|peer| links || down(peer)) {
            for link in &peer.links {
                list.item(&format!(
                    "{} on {}: {}",
                    peer.name,
                    link.name,
                    if link.up { "up" } else { "dead" }
                ));
            }
        }
        list.end();
    }
    if !foreign.is_empty() || !live.warnings.is_empty() || !live.refused.is_empty() {
        list.blank();
        list.begin(&format!("Warnings of {}", live.node));
        for name in foreign {
            list.item(&format!(
                "{name} is foreign: it speaks Heartbeat but no views; no resource is started while it is there"
            ));
        }
        live.warnings.iter().for_each(|warning| list.item(warning));
        let mut refused: Vec<_> = live.refused.iter().collect();
        refused.sort();
        for (cause, count) in refused {
            list.item(&format!("{count} packets refused: {cause}"));
        }
        list.end();
    }
}

/// The line for a monitoring system, and its exit status.
fn simple(view: &View, live: Option<&ClusterState>) -> (String, u8) {
    let st = &view.state;
    let mut problems = Vec::new();
    let dc = live.map_or(st.dc.is_some(), |live| !live.dc.is_empty());
    if !dc {
        problems.push("No DC".to_owned());
    }
    let members = || st.nodes.iter().filter(|node| node.kind != NodeKind::Ping);
    let offline: Vec<String> =
        members().filter(|node| !node.online).map(|node| format!("offline node: {}", node.name)).collect();
    if !offline.is_empty() {
        problems.push(offline.join(" "));
    }
    if !problems.is_empty() {
        return (format!("CLUSTER WARN: {}", problems.join(", ")), 1);
    }
    let plural = |n: usize| if n == 1 { "" } else { "s" };
    let standby = members().filter(|node| node.standby).count();
    let maintenance = members().filter(|node| node.maintenance && !node.standby).count();
    let online = members().count() - standby - maintenance;
    let mut text = format!("CLUSTER OK: {online} node{} online", plural(online));
    if standby > 0 {
        let _ = write!(text, ", {standby} standby node{}", plural(standby));
    }
    if maintenance > 0 {
        let _ = write!(text, ", {maintenance} maintenance node{}", plural(maintenance));
    }
    let _ = write!(text, ", {}", instances(st));
    (text, exit::OK)
}
