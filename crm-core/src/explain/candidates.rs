//! Changes worth trying so that a resource can run, the smaller ones first.
//!
//! The cost ranks them: first what undoes an incident (a cleaned failure, an ended standby, a ticket), then
//! what resources are told, then constraints, then limits and capacities, last the options of the cluster.

use cib::Element;

use super::edit;
use super::outcome;
use super::scene::Scene;
use crate::policy::ix::{NodeIx, ResourceIx};
use crate::policy::state::{HealthStrategy, Placement, Role};
use crate::policy::values::{self, INFINITY};

/// What a change does to a copy of the CIB; false where there is nothing to do.
pub type Edit = Box<dyn Fn(&mut Element) -> bool>;

/// The id of the fencing device that a trial configures.
pub const DEVICE: &str = "a-fencing-device";

/// One change to be tried.
pub struct Candidate {
    pub cost: u32,
    pub code: &'static str,
    /// What it is about: two changes of one subject are never tried together.
    pub subject: String,
    /// In words: `end the standby of node1`.
    pub text: String,
    /// How to do it on a running cluster, where a command does.
    pub command: Option<String>,
    pub edit: Edit,
}

pub(super) struct List<'a> {
    pub(super) scene: &'a Scene,
    out: Vec<Candidate>,
}

/// Everything that may help a resource, the cheapest first.
pub fn all(scene: &Scene, r: ResourceIx, node: Option<NodeIx>) -> Vec<Candidate> {
    let related = related(scene, r);
    let mut list = List { scene, out: Vec::new() };
    list.failures(&related);
    list.nodes();
    list.tickets(&related);
    list.options();
    list.resources(&related);
    list.constraints(&related);
    list.opt_in(r, node);
    list.capacities(&related, node);
    list.wishes(r, node);
    list.out.sort_by_key(|c| c.cost);
    list.out
}

/// The resource, what it is part of or made of, and what it depends on, directly and indirectly.
fn related(scene: &Scene, r: ResourceIx) -> Vec<ResourceIx> {
    const MOST: usize = 60;
    let st = scene.st();
    let mut found = vec![r];
    let mut at = 0;
    while let Some(x) = found.get(at).copied() {
        at += 1;
        let mut next: Vec<ResourceIx> =
            st[x].parent.into_iter().chain(st[x].children.iter().copied()).collect();
        next.extend(st[x].this_with.iter().map(|c| st[*c].primary));
        next.extend(st[x].with_this.iter().map(|c| st[*c].dependent));
        next.extend(st[x].container);
        for ix in scene.plan.actions.of(x) {
            let action = &scene.plan.actions[*ix];
            if !action.runnable() {
                next.extend(action.because.and_then(|b| scene.plan.actions[b].resource));
            }
        }
        for n in next {
            if found.len() < MOST && !found.contains(&n) {
                found.push(n);
            }
        }
    }
    found
}

impl List<'_> {
    pub(super) fn add(
        &mut self,
        cost: u32,
        code: &'static str,
        subject: &str,
        text: String,
        command: Option<String>,
        edit: impl Fn(&mut Element) -> bool + 'static,
    ) {
        if self.out.iter().any(|c| c.text == text) {
            return;
        }
        self.out.push(Candidate {
            cost,
            code,
            subject: subject.to_owned(),
            text,
            command,
            edit: Box::new(edit),
        });
    }

    fn failures(&mut self, related: &[ResourceIx]) {
        let st = self.scene.st();
        for r in related.iter().copied().filter(|r| st[*r].is_primitive()) {
            let base = crate::policy::state::failcount::base_name(&st[r].id).to_owned();
            let mut nodes = Vec::new();
            for n in st.node_order.iter().copied() {
                let counted = st[n].attributes.keys().any(|k| {
                    k.strip_prefix("fail-count-").is_some_and(|k| {
                        crate::policy::state::failcount::base_name(k.split('#').next().unwrap_or(k)) == base
                    })
                });
                if counted || self.scene.failed_op(r, Some(n)).is_some() {
                    nodes.push(st[n].name.clone());
                }
            }
            for node in &nodes {
                let (rsc, at) = (base.clone(), node.clone());
                self.add(
                    1,
                    "cleanup",
                    &format!("failures of {base} on {node}"),
                    format!("clean up the failures of {base} on {node}"),
                    Some(format!("crm_resource --cleanup -r {base} -N {node}")),
                    move |root| edit::cleanup(root, &rsc, &at),
                );
            }
            if nodes.len() > 1 {
                let rsc = base.clone();
                self.add(
                    2,
                    "cleanup",
                    &format!("failures of {base}"),
                    format!("clean up the failures of {base} on all nodes"),
                    Some(format!("crm_resource --cleanup -r {base}")),
                    move |root| nodes.iter().fold(false, |any, n| edit::cleanup(root, &rsc, n) | any),
                );
            }
        }
    }

    fn nodes(&mut self) {
        let st = self.scene.st();
        for n in st.node_order.iter().copied() {
            let node = &st[n];
            let name = node.name.clone();
            let at = name.clone();
            if node.standby {
                self.add(
                    2,
                    "end-standby",
                    &name,
                    format!("end the standby of {name}"),
                    Some(format!("crm_standby -N {name} -v off")),
                    move |root| {
                        edit::set_node_attribute(root, &at, "standby", "off");
                        true
                    },
                );
            } else if node.maintenance {
                self.add(
                    2,
                    "end-maintenance",
                    &name,
                    format!("end the maintenance of {name}"),
                    Some(format!("crm_attribute -N {name} -n maintenance -v false")),
                    move |root| {
                        edit::set_node_attribute(root, &at, "maintenance", "false");
                        true
                    },
                );
            } else if (!node.online || node.shutdown) && !node.is_remote_kind() {
                self.add(
                    4,
                    "start-node",
                    &name,
                    match super::reasons::joining(node) {
                        true => format!("let {name} finish joining the cluster"),
                        false => format!("bring {name} back into the cluster"),
                    },
                    None,
                    move |root| {
                        edit::bring_up(root, &at);
                        true
                    },
                );
            }
            if st.options.health_strategy != HealthStrategy::None {
                for (attribute, value) in &node.attributes {
                    if attribute.starts_with("#health") && st.score(Some(value)) < 0 {
                        let (at, attribute_name) = (name.clone(), attribute.to_string());
                        self.add(
                            3,
                            "health",
                            &name,
                            format!("cure {name}: its {attribute} is {value}"),
                            Some(format!("crm_attribute -N {name} -n '{attribute}' -v green -l reboot")),
                            move |root| {
                                edit::set_node_attribute(root, &at, &attribute_name, "green");
                                true
                            },
                        );
                    }
                }
            }
        }
        if !st.quorum {
            self.add(
                4,
                "quorum",
                "quorum",
                "regain quorum: bring back enough nodes".to_owned(),
                None,
                |root| {
                    root.set_attr("have-quorum", "1");
                    true
                },
            );
        }
    }

    fn tickets(&mut self, related: &[ResourceIx]) {
        let st = self.scene.st();
        for u in &st.ticket_uses {
            let mine = related.contains(&u.resource)
                || outcome::leaves(st, u.resource).iter().any(|l| related.contains(l));
            let Some(ticket) = st.tickets.get(&u.ticket).filter(|_| mine) else { continue };
            if !ticket.granted || ticket.standby {
                let name = u.ticket.clone();
                let text = match ticket.granted {
                    true => format!("end the standby of ticket {name}"),
                    false => format!("grant ticket {name}"),
                };
                let state = format!("<ticket_state id=\"{name}\" granted=\"true\" standby=\"false\"/>");
                let command = format!(
                    "cibadmin --modify --allow-create -o status --xml-text '<status><tickets>{state}</tickets></status>'"
                );
                self.add(2, "grant-ticket", &format!("ticket {name}"), text, Some(command), move |root| {
                    edit::grant(root, &name);
                    true
                });
            }
        }
    }

    fn option(&mut self, cost: u32, name: &'static str, value: &'static str, why: &str) {
        self.add(
            cost,
            "option",
            name,
            format!("set {name}={value}{why}"),
            Some(format!("crm_attribute -n {name} -v {value}")),
            move |root| {
                edit::set_option(root, name, value);
                true
            },
        );
    }

    fn options(&mut self) {
        let options = &self.scene.st().options;
        let (stop_all, maintenance) = (options.stop_all_resources, options.maintenance_mode);
        let (symmetric, placement) = (options.symmetric, options.placement);
        let fencing = options.stonith_enabled && !self.scene.st().have_fence_device;
        if stop_all {
            self.option(2, "stop-all-resources", "false", "");
        }
        if maintenance {
            self.option(2, "maintenance-mode", "false", "");
        }
        if fencing {
            self.add(6, "fence-device", "fencing", "configure a fencing device".to_owned(), None, |root| {
                let device = Element::new("primitive")
                    .with_attr("id", DEVICE)
                    .with_attr("class", "stonith")
                    .with_attr("type", "external/ssh");
                root.child_or_insert("configuration").child_or_insert("resources").push(device);
                true
            });
        }
        if !symmetric {
            self.option(9, "symmetric-cluster", "true", " (every node allowed unless forbidden)");
        }
        if placement != Placement::Default {
            self.option(9, "placement-strategy", "default", " (capacities are not looked at)");
        }
    }

    pub(super) fn meta(
        &mut self,
        cost: u32,
        code: &'static str,
        id: &str,
        name: &'static str,
        value: String,
    ) {
        let (owner, new) = (id.to_owned(), value.clone());
        self.add(
            cost,
            code,
            &format!("{id} {name}"),
            format!("set {name}={value} on {id}"),
            Some(format!("crm_resource -r {id} -m -p {name} -v {value}")),
            move |root| edit::set_meta(root, &owner, name, &new),
        );
    }

    fn resources(&mut self, related: &[ResourceIx]) {
        let st = self.scene.st();
        for r in related.iter().copied() {
            let rsc = &st[r];
            let id = rsc.config_id().to_owned();
            let own = |name: &str| {
                let sets = rsc.xml.children_named("meta_attributes");
                sets.flat_map(|s| s.children_named("nvpair")).find(|p| p.attr("name") == Some(name))
            };
            let value = |name: &str| own(name).and_then(|p| p.attr("value")).map(str::to_owned);
            if let Some(role) = value("target-role")
                && matches!(Role::parse(&role), Role::Stopped | Role::Unpromoted)
            {
                self.meta(3, "target-role", &id, "target-role", "Started".to_owned());
            }
            if value("is-managed").is_some_and(|v| !values::is_true(Some(&v))) {
                self.meta(3, "manage", &id, "is-managed", "true".to_owned());
            }
            if value("maintenance").is_some_and(|v| values::is_true(Some(&v))) {
                self.meta(3, "manage", &id, "maintenance", "false".to_owned());
            }
            if let Some(info) = rsc.clone_info() {
                let (max, per_node, promoted) = (info.max, info.node_max, info.promoted_max);
                self.meta(5, "clone-max", &id, "clone-max", (max + 1).to_string());
                self.meta(5, "clone-node-max", &id, "clone-node-max", (per_node + 1).to_string());
                if rsc.flags.promotable {
                    self.meta(5, "promoted-max", &id, "promoted-max", (promoted + 1).to_string());
                }
            }
            if rsc.is_primitive() && rsc.migration_threshold < INFINITY && rsc.migration_threshold > 0 {
                self.meta(6, "migration-threshold", &id, "migration-threshold", "INFINITY".to_owned());
            }
            if st.options.health_strategy != HealthStrategy::None && rsc.parent.is_none() {
                self.meta(6, "allow-unhealthy-nodes", &id, "allow-unhealthy-nodes", "true".to_owned());
            }
            if rsc.lock_node.is_some() {
                let name = id.clone();
                self.add(
                    4,
                    "shutdown-lock",
                    &id,
                    format!("let go of the shutdown lock of {id}"),
                    Some(format!("crm_resource --refresh -r {id}")),
                    move |root| edit::unlock(root, &name),
                );
            }
            if rsc.running_on.len() > 1 {
                self.meta(5, "multiple-active", &id, "multiple-active", "stop_start".to_owned());
            }
        }
        for (name, good) in [("target-role", "Started"), ("is-managed", "true"), ("maintenance", "false")] {
            let set = st.rsc_defaults.as_ref().is_some_and(|d| {
                d.descendants().any(|p| {
                    p.name() == "nvpair" && p.attr("name") == Some(name) && p.attr("value") != Some(good)
                })
            });
            if set {
                self.add(
                    4,
                    "defaults",
                    name,
                    format!("set {name}={good} in rsc_defaults"),
                    Some(format!("crm_attribute -t rsc_defaults -n {name} -v {good}")),
                    move |root| edit::set_default(root, name, good),
                );
            }
        }
    }

    fn constraints(&mut self, related: &[ResourceIx]) {
        let st = self.scene.st();
        let Some(constraints) = self.scene.cib.root().path(&["configuration", "constraints"]) else { return };
        let mut ids: Vec<&str> =
            related.iter().flat_map(|r| [st[*r].config_id(), st[*r].id.as_str()]).collect();
        for (name, members) in st.tags.iter().chain(&st.templates) {
            if members.iter().any(|m| ids.contains(&m.as_str())) {
                ids.push(name);
            }
        }
        let all: Vec<&Element> = constraints.children().collect();
        for e in all {
            let named = ["rsc", "with-rsc", "first", "then"].iter().filter_map(|a| e.attr(a));
            let refs = e.descendants().filter(|d| d.name() == "resource_ref").filter_map(Element::id);
            let pattern = e.attr("rsc-pattern").is_some();
            if pattern || named.chain(refs).any(|id| ids.contains(&id)) {
                self.constraint(e);
            }
        }
    }

    fn constraint(&mut self, e: &Element) {
        let Some(id) = e.id().map(str::to_owned) else { return };
        let leftover = id.starts_with("cli-ban-") || id.starts_with("cli-prefer-");
        let kind = match e.name() {
            "rsc_location" => "location",
            "rsc_colocation" => "colocation",
            "rsc_order" => "order",
            _ => "ticket",
        };
        let by_crm_resource = leftover.then(|| e.attr("rsc")).flatten();
        let command = match by_crm_resource {
            Some(rsc) => format!("crm_resource --clear -r {rsc}"),
            None => format!("cibadmin --delete --xml-text '<{} id=\"{id}\"/>'", e.name()),
        };
        let name = id.clone();
        let cost = match (leftover, kind) {
            (true, _) => 2,
            (_, "ticket") => 8,
            _ => 5,
        };
        let what = if leftover { "what crm_resource --ban or --move left: " } else { "" };
        self.add(
            cost,
            "remove-constraint",
            &id,
            format!("remove {what}{kind} constraint {id}"),
            Some(command),
            move |root| edit::remove_constraint(root, &name),
        );
        if leftover {
            return;
        }
        self.weaken(e, &id, kind);
    }

    /// A must becomes a wish.
    fn weaken(&mut self, e: &Element, id: &str, kind: &'static str) {
        let strong = |e: &Element| {
            e.attr("score").is_some_and(|s| matches!(s, "INFINITY" | "+INFINITY" | "-INFINITY"))
        };
        let soft = |e: &mut Element| {
            let new = match e.attr("score") {
                Some("-INFINITY") => "-1000",
                Some("INFINITY" | "+INFINITY") => "1000",
                _ => return false,
            };
            e.set_attr("score", new);
            true
        };
        let name = id.to_owned();
        let tag = e.name().to_owned();
        if e.name() == "rsc_order" {
            let optional = e.attr("kind").is_some_and(|k| k.eq_ignore_ascii_case("optional"));
            if !optional && e.child("resource_set").is_none() {
                self.add(
                    4,
                    "weaken-constraint",
                    id,
                    format!("weaken order constraint {id} to kind=Optional"),
                    Some(format!("cibadmin --modify --xml-text '<{tag} id=\"{id}\" kind=\"Optional\"/>'")),
                    move |root| {
                        edit::constraint_mut(root, &name).is_some_and(|e| {
                            e.remove_attr("score");
                            e.set_attr("kind", "Optional");
                            true
                        })
                    },
                );
            }
            return;
        }
        if strong(e) {
            let (old, new) = if e.attr("score") == Some("-INFINITY") {
                ("-INFINITY", "-1000")
            } else {
                ("INFINITY", "1000")
            };
            self.add(
                4,
                "weaken-constraint",
                id,
                format!("weaken {kind} constraint {id} from {old} to {new}, a wish instead of a must"),
                Some(format!("cibadmin --modify --xml-text '<{tag} id=\"{id}\" score=\"{new}\"/>'")),
                move |root| edit::constraint_mut(root, &name).is_some_and(soft),
            );
        } else if e.children_named("rule").any(strong) {
            self.add(
                4,
                "weaken-constraint",
                id,
                format!("weaken the rules of {kind} constraint {id} to a score of 1000 or -1000, wishes instead of musts"),
                None,
                move |root| {
                    edit::constraint_mut(root, &name).is_some_and(|e| {
                        e.children_mut().filter(|r| r.name() == "rule").fold(false, |any, r| soft(r) | any)
                    })
                },
            );
        }
    }
}
