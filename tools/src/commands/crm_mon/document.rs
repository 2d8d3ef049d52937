//! The page as XML, with the elements and attributes of Pacemaker 2.1.5.

use crm_core::policy::render::status::long_time;
use crm_core::policy::render::xml::{self, Tag, status};
use crm_core::policy::state::QuorumPolicy;
use crm_core::policy::values::interval_ms;

use super::page::{Head, nodes_configured};
use super::sections::Section;
use super::{Chosen, Format, Request, fencing};
use crate::api::proto::ClusterState;
use crate::view::View;

pub fn document(request: &Request, view: &View, live: Option<&ClusterState>, chosen: &Chosen) -> String {
    let (st, sections, show) = (&view.state, &request.sections, request.show());
    let node = |n| chosen.node(n);
    let mut out = Vec::new();
    out.extend(summary(request, view, live));
    if sections.has(Section::Nodes) {
        out.push(status::nodes(st, show, &node));
    }
    if sections.has(Section::Resources) {
        // With resources below their nodes, the list holds what stands below none.
        let listed = |r| chosen.resource(view, r, true) && !(show.below_node && st.is_active(r, true));
        let resources = status::resources(st, show, &listed);
        if !(show.below_node && resources.is_empty()) {
            out.push(resources);
        }
    }
    if sections.has(Section::Attributes) {
        out.extend(status::node_attributes(st, &node));
    }
    if sections.any(&[Section::Operations, Section::Failcounts]) {
        out.extend(status::history(st, &node));
    }
    if sections.has(Section::Failures) {
        out.extend(status::failures(st, &node));
    }
    if sections.has(Section::Tickets) {
        out.extend(status::tickets(st));
    }
    if sections.has(Section::Bans) {
        out.extend(status::bans(st, &sections.ban_prefix));
    }
    out.extend(fencing::tag(request, live));
    if request.format == Format::LegacyXml {
        return Tag::new("crm_mon").with("version", env!("CARGO_PKG_VERSION")).with_children(out).to_xml();
    }
    xml::document(&request.line, out, 0, "OK", "")
}

fn summary(request: &Request, view: &View, live: Option<&ClusterState>) -> Option<Tag> {
    use Section::{Counts, Dc, Options, Stack, Times};
    let (st, sections) = (&view.state, &request.sections);
    if !sections.any(&[Stack, Dc, Times, Counts, Options]) {
        return None;
    }
    let head = Head::of(view, live);
    let mut summary = Tag::new("summary");
    if sections.has(Stack) {
        summary.push(Tag::new("stack").with("type", &head.stack));
    }
    if sections.has(Dc) {
        summary.push(match &head.dc {
            Some(name) => Tag::new("current_dc")
                .with_flag("present", true)
                .with("version", &head.version)
                .with("name", name)
                .with("id", &head.dc_id)
                .with_flag("with_quorum", head.quorate)
                .with_flag("mixed_version", head.mixed),
            None => Tag::new("current_dc").with_flag("present", false),
        });
    }
    if sections.has(Times) {
        let root = view.cib.root();
        let said = |name: &str| root.attr(name).unwrap_or_default();
        summary.push(Tag::new("last_update").with("time", long_time(st.now, st.utc_offset)));
        summary.push(
            Tag::new("last_change")
                .with("time", said("cib-last-written"))
                .with("user", said("update-user"))
                .with("client", said("update-client"))
                .with("origin", said("update-origin")),
        );
    }
    if sections.has(Counts) {
        summary.push(Tag::new("nodes_configured").with("number", nodes_configured(st).to_string()));
        summary.push(
            Tag::new("resources_configured")
                .with("number", st.counts.total.to_string())
                .with("disabled", st.counts.disabled.to_string())
                .with("blocked", st.counts.blocked.to_string()),
        );
    }
    if sections.has(Options) {
        summary.push(options(view));
    }
    Some(summary)
}

fn options(view: &View) -> Tag {
    let options = &view.state.options;
    let policy = match options.no_quorum_policy {
        QuorumPolicy::Freeze => "freeze",
        QuorumPolicy::Stop => "stop",
        QuorumPolicy::Demote => "demote",
        QuorumPolicy::Ignore => "ignore",
        QuorumPolicy::Suicide => "suicide",
    };
    Tag::new("cluster_options")
        .with_flag("stonith-enabled", options.stonith_enabled)
        .with_flag("symmetric-cluster", options.symmetric)
        .with("no-quorum-policy", policy)
        .with_flag("maintenance-mode", options.maintenance_mode)
        .with_flag("stop-all-resources", options.stop_all_resources)
        .with("stonith-timeout-ms", interval_ms(Some(&options.stonith_timeout)).to_string())
        .with("priority-fencing-delay-ms", options.priority_fencing_delay.saturating_mul(1000).to_string())
}
