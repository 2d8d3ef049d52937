//! `crm_mon`: the state of the cluster, once or as it changes.

mod document;
mod local;
mod page;
mod sections;
mod simple;

use std::collections::BTreeSet;
use std::ffi::OsString;
use std::fs;
use std::io::{self, Write as _};
use std::path::PathBuf;

use clap::{CommandFactory as _, Parser};
use crm_core::policy::ix::{NodeIx, ResourceIx};
use crm_core::policy::placement;
use crm_core::policy::render::status::Show;
use crm_core::policy::state::Variant;

use crate::api::proto::ClusterState;
use crate::exit;
use crate::source::{Source, SourceError};
use crate::view::View;
use sections::{Section, Sections};

/// Show the state of the cluster.
#[derive(Parser)]
#[command(name = "crm_mon", disable_version_flag = true, disable_help_flag = true)]
struct Arguments {
    /// Print this help.
    #[arg(short = '?', long, action = clap::ArgAction::Help)]
    help: Option<bool>,
    /// Show it once and end; without this it is shown again at every change.
    #[arg(short = '1', long)]
    one_shot: bool,
    /// Accepted: a change is shown at once. HTML is read again this often (default 5 s).
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
    #[arg(short = 'L', long, value_name = "PREFIX", num_args = 0..=1, require_equals = true, default_missing_value = "")]
    neg_locations: Option<String>,
    /// What the nodes hear of each other, on which links.
    #[arg(long)]
    links: bool,
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

    fn output(&self) -> Option<&PathBuf> {
        self.as_html.as_ref().or(self.output_to.as_ref())
    }

    /// Seconds after which a browser reads HTML again.
    fn refresh(&self) -> Option<u64> {
        let seconds = self.interval.as_deref().and_then(|text| text.trim_end_matches('s').parse().ok());
        (!self.one_shot).then(|| seconds.unwrap_or(5))
    }
}

/// What is to be shown, settled.
struct Request<'a> {
    arguments: &'a Arguments,
    format: Format,
    sections: Sections,
    /// The command line, which XML repeats.
    line: String,
}

impl Request<'_> {
    fn show(&self) -> Show {
        let arguments = self.arguments;
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
        let chosen = Chosen::new(self.arguments, &view);
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
    let order = section_lists(&line);
    let settled = arguments.format().and_then(|format| Ok((format, arguments.sections(format, &order)?)));
    let (format, sections) = match settled {
        Ok(settled) => settled,
        Err(error) => {
            eprintln!("crm_mon: {error}");
            return exit::USAGE;
        }
    };
    let line = format!("crm_mon {}", line.join(" "));
    let request = Request { arguments: &arguments, format, sections, line };
    match show(&request) {
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

fn show(request: &Request) -> Result<u8, SourceError> {
    let arguments = request.arguments;
    let mut source = Source::open("crm_mon")?;
    let once = arguments.one_shot
        || arguments.simple_status
        || matches!(request.format, Format::Xml | Format::LegacyXml | Format::None)
        || arguments.html_cgi
        || arguments.web_cgi
        || source.client().is_none();
    if once {
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
        return Ok(exit::OK);
    }
    let mut failed = None;
    if let Some(client) = source.client() {
        client.watch(false, |state| match cib_of(&state) {
            Ok(cib) => {
                let text = request.render(&cib, Some(&state));
                // From the top of a cleared screen; a reader that has gone away ends it.
                let clear = if request.format == Format::Text { "\x1b[H\x1b[2J" } else { "" };
                match arguments.output() {
                    Some(_) => write(arguments, &text).map_err(|error| failed = Some(error)).is_ok(),
                    None => {
                        let mut out = io::stdout().lock();
                        write!(out, "{clear}{text}").and_then(|()| out.flush()).is_ok()
                    }
                }
            }
            Err(error) => {
                failed = Some(error);
                false
            }
        })?;
    }
    failed.map_or(Ok(exit::OK), Err)
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
