//! `crm_mon`: the state of the cluster, once or as it changes.

mod background;
mod document;
mod fencing;
mod follow;
mod local;
mod notify;
mod page;
mod sections;
mod simple;
mod terminal;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::path::PathBuf;
use std::time::Duration;

use clap::{CommandFactory as _, Parser};
use crm_core::policy::ix::{NodeIx, ResourceIx};
use crm_core::policy::placement;
use crm_core::policy::render::status::Show;
use crm_core::policy::state::Variant;
use crm_core::policy::values::parse_duration_ms;

use crate::api::proto::ClusterState;
use crate::exit;
use crate::source::{Source, SourceError, file_from_environment};
use crate::view::View;
use sections::{Section, Sections};

/// Show the state of the cluster.
#[derive(Clone, Parser)]
#[command(name = "crm_mon", disable_version_flag = true, disable_help_flag = true)]
struct Arguments {
    /// Print this help.
    #[arg(short = '?', long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Show it once and end; without this it is shown again at every change.
    #[arg(short = '1', long)]
    one_shot: bool,
    /// How often a file is read again, and a cluster that is not there tried again; default 5 s. A change of
    /// the running cluster is shown at once.
    #[arg(short = 'i', long, value_name = "TIMESPEC")]
    interval: Option<String>,
    /// Sections to show beside the usual ones, separated by commas; `list` names them.
    #[arg(short = 'I', long, value_name = "SECTIONS", action = clap::ArgAction::Append)]
    include: Vec<String>,
    /// Sections to leave out.
    #[arg(short = 'U', long, value_name = "SECTIONS", action = clap::ArgAction::Append)]
    exclude: Vec<String>,
    /// Only this node, or the nodes with this tag.
    #[arg(long, value_name = "NODE|TAG")]
    node: Option<String>,
    /// Only this resource, or the resources with this tag, with the collective they belong to.
    #[arg(long, value_name = "RSC|TAG")]
    resource: Option<String>,
    /// Resources below the node they run on.
    #[arg(short = 'n', long)]
    group_by_node: bool,
    /// Inactive resources too.
    #[arg(short = 'r', long)]
    inactive: bool,
    /// Resources as counts.
    #[arg(short = 'b', long)]
    brief: bool,
    /// Ids and versions, each instance of a clone, each part of a bundle.
    #[arg(short = 'R', long)]
    show_detail: bool,
    /// Fail counts.
    #[arg(short = 'f', long)]
    failcounts: bool,
    /// What was done with each resource on each node.
    #[arg(short = 'o', long)]
    operations: bool,
    /// The same with times.
    #[arg(short = 't', long)]
    timing_details: bool,
    /// Tickets.
    #[arg(short = 'c', long)]
    tickets: bool,
    /// Node attributes.
    #[arg(short = 'A', long)]
    show_node_attributes: bool,
    /// Location constraints that forbid nodes; with a value, those whose ids begin with it.
    #[arg(short = 'L', long, value_name = "PREFIX", num_args = 0..=1, default_missing_value = "")]
    neg_locations: Option<String>,
    /// What the nodes hear of each other, on which links.
    #[arg(long)]
    links: bool,
    /// Who was fenced: 0 nothing, 1 what failed or is under way (the usual), 2 what succeeded too (without a
    /// value), 3 each single time.
    #[arg(short = 'm', long, value_name = "LEVEL", num_args = 0..=1, default_missing_value = "2")]
    fence_history: Option<String>,
    /// One line for a monitoring system; the exit status tells, too.
    #[arg(short = 's', long)]
    simple_status: bool,
    /// No headers.
    #[arg(short = 'D', long)]
    hide_headers: bool,
    /// Accepted: pending operations are always shown.
    #[arg(short = 'j', long)]
    pending: bool,
    /// console or text, html, xml, or none.
    #[arg(long, value_name = "FORMAT", default_value = "text")]
    output_as: String,
    /// Where it is written instead of standard output.
    #[arg(long, value_name = "FILE")]
    output_to: Option<PathBuf>,
    /// HTML is preceded by the header a CGI program prints.
    #[arg(long)]
    html_cgi: bool,
    /// In the background: keep the file of --output-to current, or tell the program of --external-agent.
    #[arg(short = 'd', long)]
    daemonize: bool,
    /// Where the number of the background process is written.
    #[arg(short = 'p', long, value_name = "FILE")]
    pid_file: Option<PathBuf>,
    /// A program to run for each operation that ends; what it was is in CRM_notify_* of its environment.
    #[arg(short = 'E', long, value_name = "FILE")]
    external_agent: Option<PathBuf>,
    /// CRM_notify_recipient for that program.
    #[arg(short = 'e', long, value_name = "RECIPIENT")]
    external_recipient: Option<String>,
    /// Tell that program of fencing too.
    #[arg(short = 'W', long)]
    watch_fencing: bool,
    /// The old name of --output-as=html --output-to=FILE.
    #[arg(short = 'h', long, value_name = "FILE")]
    as_html: Option<PathBuf>,
    /// The old name of --output-as=xml, with its own root element.
    #[arg(short = 'X', long)]
    as_xml: bool,
    /// The old name of --output-as=html --html-cgi.
    #[arg(short = 'w', long)]
    web_cgi: bool,
    /// The old name of --output-as=text.
    #[arg(short = 'N', long)]
    disable_ncurses: bool,
    /// Accepted.
    #[arg(short = 'V', long, action = clap::ArgAction::Count)]
    verbose: u8,
}

/// The form of what is printed.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
enum Format {
    Text,
    Html,
    Xml,
    /// XML with the root element of old.
    LegacyXml,
    None,
}

impl Arguments {
    fn format(&self) -> Result<Format, String> {
        if self.as_xml {
            return Ok(Format::LegacyXml);
        }
        if self.as_html.is_some() || self.web_cgi {
            return Ok(Format::Html);
        }
        match self.output_as.as_str() {
            "text" | "console" => Ok(Format::Text),
            "html" => Ok(Format::Html),
            "xml" => Ok(Format::Xml),
            "none" => Ok(Format::None),
            other => {
                Err(format!("\"{other}\" is no output format: expected console, text, html, xml or none"))
            }
        }
    }

    /// The sections to show. `order` has the lists of `--include` (true) and `--exclude` as they were
    /// typed: each applies to what the ones before it left.
    fn sections(&self, format: Format, order: &[(bool, String)]) -> Result<Sections, String> {
        let mut sections = Sections::usual(matches!(format, Format::Xml | Format::LegacyXml));
        if self.hide_headers {
            sections.exclude("summary")?;
        }
        if let Some(level) = self.fence_level()? {
            sections.fence_history(level);
        }
        for (wanted, section) in [
            (self.failcounts, Section::Failcounts),
            (self.operations || self.timing_details, Section::Operations),
            (self.tickets, Section::Tickets),
            (self.show_node_attributes, Section::Attributes),
        ] {
            if wanted {
                sections.add(section);
            }
        }
        if let Some(prefix) = &self.neg_locations {
            sections.add_bans(prefix);
        }
        for (include, list) in order {
            if *include { sections.include(list)? } else { sections.exclude(list)? }
        }
        Ok(sections)
    }

    fn fence_level(&self) -> Result<Option<u8>, String> {
        let Some(text) = &self.fence_history else { return Ok(None) };
        match text.parse() {
            Ok(level) if level <= 3 => Ok(Some(level)),
            _ => Err(format!("Fence history must be 0-3, not \"{text}\"")),
        }
    }

    /// Each single time, and not only the last of a kind.
    fn whole_fence_history(&self) -> bool {
        self.fence_history.as_deref() == Some("3")
    }

    /// `--interval`, or 5 s.
    fn interval(&self) -> Duration {
        let asked = self.interval.as_deref().and_then(parse_duration_ms);
        Duration::from_millis(asked.unwrap_or(5000).max(1000))
    }

    fn output(&self) -> Option<&PathBuf> {
        self.as_html.as_ref().or(self.output_to.as_ref())
    }

    /// Seconds after which a browser reads HTML again.
    fn refresh(&self) -> Option<u64> {
        (!self.one_shot).then(|| self.interval().as_secs())
    }
}

/// What is to be shown, settled.
struct Request {
    arguments: Arguments,
    format: Format,
    sections: Sections,
    /// The lists of `--include` (true) and `--exclude`, in the order in which they were typed.
    order: Vec<(bool, String)>,
    /// The command line, which XML repeats.
    line: String,
}

impl Request {
    fn new(arguments: Arguments, words: &[String]) -> Result<Self, String> {
        let order = section_lists(words);
        let format = arguments.format()?;
        let sections = arguments.sections(format, &order)?;
        if let Some(text) = &arguments.interval {
            parse_duration_ms(text)
                .ok_or_else(|| format!("--interval: \"{text}\" is no time: expected 5, 5s or 1min"))?;
        }
        Ok(Self { arguments, format, sections, order, line: format!("crm_mon {}", words.join(" ")) })
    }

    /// After a change of what is asked for.
    fn settle(&mut self) {
        if let Ok(sections) = self.arguments.sections(self.format, &self.order) {
            self.sections = sections;
        }
    }

    fn show(&self) -> Show {
        let arguments = &self.arguments;
        Show {
            pending: true,
            // XML tells everything, and says of each whether it is active.
            active_only: matches!(self.format, Format::Text | Format::Html) && !arguments.inactive,
            detail: arguments.show_detail,
            below_node: arguments.group_by_node,
            brief: arguments.brief,
            ..Show::default()
        }
    }

    fn render(&self, cib: &cib::Cib, live: Option<&ClusterState>) -> String {
        let mut view = View::new(cib);
        if self.sections.needs_constraints() {
            placement::read_constraints(&mut view.state);
        }
        let chosen = Chosen::new(&self.arguments, &view);
        match self.format {
            Format::Text => page::text(self, &view, live, &chosen),
            Format::Html => page::html(self, &view, live, &chosen),
            Format::Xml | Format::LegacyXml => document::document(self, &view, live, &chosen),
            Format::None => String::new(),
        }
    }
}

/// The nodes and resources that are shown, where not all are.
struct Chosen {
    nodes: Option<BTreeSet<NodeIx>>,
    resources: Option<BTreeSet<ResourceIx>>,
}

impl Chosen {
    fn new(arguments: &Arguments, view: &View) -> Self {
        let tagged = |name: &str| view.state.tags.get(name).cloned().unwrap_or_default();
        let nodes = arguments.node.as_ref().map(|name| {
            let names = tagged(name);
            let named = |n: &NodeIx| {
                let node = &view.state[*n].name;
                node.eq_ignore_ascii_case(name) || names.iter().any(|tagged| tagged == node)
            };
            view.state.node_indices().filter(named).collect()
        });
        let resources = arguments.resource.as_ref().map(|name| {
            let mut names = tagged(name);
            names.push(name.clone());
            view.state.top.iter().copied().filter(|r| contains(view, *r, &names)).collect()
        });
        Self { nodes, resources }
    }

    fn node(&self, n: NodeIx) -> bool {
        self.nodes.as_ref().is_none_or(|nodes| nodes.contains(&n))
    }

    /// Whether a resource is shown: it is asked for, and active on a node that is asked for or, where
    /// `inactive` ones are shown, nowhere.
    fn resource(&self, view: &View, r: ResourceIx, inactive: bool) -> bool {
        let asked = self.resources.as_ref().is_none_or(|resources| resources.contains(&r));
        let Some(nodes) = &self.nodes else { return asked };
        let on = active_on(view, r);
        asked && if on.is_empty() { inactive } else { on.iter().any(|n| nodes.contains(n)) }
    }
}

/// Whether a resource, or a part of it, has one of these names.
fn contains(view: &View, r: ResourceIx, names: &[String]) -> bool {
    let rsc = &view.state[r];
    names.iter().any(|name| *name == rsc.id || *name == rsc.config_id())
        || rsc.children.iter().any(|child| contains(view, *child, names))
}

fn active_on(view: &View, r: ResourceIx) -> BTreeSet<NodeIx> {
    let rsc = &view.state[r];
    match rsc.variant() {
        Variant::Primitive => rsc.running_on.iter().copied().collect(),
        _ => rsc.children.iter().flat_map(|child| active_on(view, *child)).collect(),
    }
}

pub fn run(name: &str, words: Vec<OsString>) -> u8 {
    let line: Vec<String> = words.iter().map(|word| word.to_string_lossy().into_owned()).collect();
    let arguments = match super::parse::<Arguments>(name, words) {
        Ok(arguments) => arguments,
        Err(status) => return status,
    };
    let request = match Request::new(arguments, &line) {
        Ok(request) => request,
        Err(error) => {
            eprintln!("crm_mon: {error}");
            return exit::USAGE;
        }
    };
    if request.arguments.daemonize && !background::is_it() {
        return background::start(&request.arguments, &line);
    }
    let simple = request.arguments.simple_status;
    match show(request) {
        Ok(status) => status,
        Err(error) if simple => {
            println!("CLUSTER CRIT: Connection to cluster failed: {error}");
            2
        }
        Err(error) => {
            eprintln!("crm_mon: Connection to cluster failed: {error}");
            error.exit()
        }
    }
}

/// The lists of `--include` (true) and `--exclude`, in the order in which they were typed.
fn section_lists(words: &[String]) -> Vec<(bool, String)> {
    let words = std::iter::once("crm_mon").chain(words.iter().map(String::as_str));
    let Ok(matches) = Arguments::command().try_get_matches_from(words) else { return Vec::new() };
    let lists = |name: &'static str, include: bool| {
        let indices = matches.indices_of(name).into_iter().flatten();
        let values = matches.get_many::<String>(name).into_iter().flatten().cloned();
        indices.zip(values.map(move |list| (include, list)))
    };
    let mut found: Vec<(usize, (bool, String))> =
        lists("include", true).chain(lists("exclude", false)).collect();
    found.sort_by_key(|(index, _)| *index);
    found.into_iter().map(|(_, list)| list).collect()
}

fn show(request: Request) -> Result<u8, SourceError> {
    let arguments = &request.arguments;
    let once = arguments.one_shot
        || arguments.simple_status
        || arguments.html_cgi
        || arguments.web_cgi
        || !arguments.daemonize
            && (matches!(request.format, Format::Xml | Format::LegacyXml | Format::None)
                || file_from_environment().is_some());
    if !once {
        return follow::follow(request);
    }
    let mut source = Source::open("crm_mon")?;
    let (cib, live) = match source.state()? {
        Some(state) => (cib_of(&state)?, Some(state)),
        None => (source.cib()?, None),
    };
    if arguments.simple_status {
        let (line, status) = simple::simple(&View::new(&cib), live.as_ref());
        println!("{line}");
        return Ok(status);
    }
    write(arguments, &request.render(&cib, live.as_ref()))?;
    Ok(exit::OK)
}

/// To the file that was named, all of it at once, or to standard output.
fn write(arguments: &Arguments, text: &str) -> Result<(), SourceError> {
    let Some(path) = arguments.output() else {
        print!("{text}");
        return Ok(());
    };
    // A browser or a script that reads it never sees half of it.
    let mut beside = path.clone().into_os_string();
    beside.push(format!(".{}", std::process::id()));
    fs::write(&beside, text)
        .and_then(|()| fs::rename(&beside, path))
        .map_err(|error| SourceError::File { path: path.clone(), error })
}

fn cib_of(state: &ClusterState) -> Result<cib::Cib, SourceError> {
    cib::Cib::parse(&state.cib).map_err(|error| SourceError::Parse { path: "(the cluster)".into(), error })
}
