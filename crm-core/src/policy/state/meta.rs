//! Meta-attributes of a resource, and what they say about it.

use super::build::Builder;
use super::nvpairs::{self, Mode};
use super::resources::is_connection_agent;
use super::rules::{Input, Notes};
use super::{Flags, MultipleActive, QuorumPolicy, ResourceIx, Role, Table, Variant};
use crate::policy::ledger::Ledger;
use crate::policy::values::{self, INFINITY};
use crate::policy::words;
use cib::Text;

macro_rules! said {
    ($($field:ident = $name:literal),* $(,)?) => {
        /// Meta-attributes that every kind of resource is asked for.
        #[derive(Default)]
        struct Said<'a> {
            $($field: Option<&'a str>,)*
        }

        impl<'a> Said<'a> {
            fn put(&mut self, name: &str, value: &'a str) {
                match name {
                    $($name => self.$field = Some(value),)*
                    _ => {}
                }
            }
        }
    };
}

said! {
    notify = "notify",
    promotable = "promotable",
    globally_unique = "globally-unique",
    critical = "critical",
    restart_type = "restart-type",
    allow_migrate = "allow-migrate",
    container = "container",
    is_managed = "is-managed",
    maintenance = "maintenance",
    priority = "priority",
    stickiness = "resource-stickiness",
    threshold = "migration-threshold",
    multiple_active = "multiple-active",
    failure_timeout = "failure-timeout",
}

impl<L: Ledger> Builder<'_, L> {
    /// The table of meta-attributes: XML attributes, own sets, the ancestors' sets, the defaults, and the
    /// parent's complete table; the first value of a name stays.
    pub(super) fn meta_attributes(&mut self, r: ResourceIx) {
        let mut notes = Notes::default();
        let xml = self.s[r].xml.clone();
        let mut table = Table::default();
        table.reserve(xml.attr_count() + self.s[r].parent.map_or(2, |p| self.s[p].meta.len()));
        for (name, value) in xml.attr_texts().filter(|(_, value)| !value.eq_ignore_ascii_case("#default")) {
            table.insert(name, value);
        }
        let mut input = Input::new(&self.s.root, self.s.moment());
        input.agent = Some((
            xml.value(words::CLASS).unwrap_or(""),
            xml.value(words::PROVIDER),
            xml.value(words::TYPE).unwrap_or(""),
        ));
        let health = &self.s.options.health;
        nvpairs::unpack(&xml, words::META_ATTRIBUTES, &input, health, Mode::Keep, &mut table, &mut notes);
        let mut at = self.s[r].parent;
        while let Some(ix) = at {
            // In a table of its own: an ancestor's `#default` takes back what the ancestor said, not what
            // was said below it.
            let (xml, mut above) = (&self.s[ix].xml, Table::default());
            nvpairs::unpack(xml, words::META_ATTRIBUTES, &input, health, Mode::Keep, &mut above, &mut notes);
            for (name, value) in above.iter() {
                table.insert_new(name, value);
            }
            at = self.s[ix].parent;
        }
        if let Some(d) = &self.s.rsc_defaults {
            nvpairs::unpack(d, words::META_ATTRIBUTES, &input, health, Mode::Keep, &mut table, &mut notes);
        }
        if let Some(p) = self.s[r].parent {
            for (name, value) in self.s[p].meta.iter() {
                if !value.eq_ignore_ascii_case("#default") {
                    table.insert_new(name, value);
                }
            }
        }
        self.s.absorb(notes);
        self.s[r].meta = table;
    }

    /// What every kind of resource reads from its meta-attributes.
    pub(super) fn common(&mut self, r: ResourceIx) {
        let mut notes = Notes::default();
        let parameters = self.s.evaluate_parameters(r, None, &mut notes);
        self.s.absorb(notes);
        let vary = self.s.parameters_can_vary(r);
        let parent = self.s[r].parent;
        let parent_promotable = parent.is_some_and(|p| self.s[p].flags.promotable);
        let top = self.s.top_of(r);
        let in_clone = self.s[top].variant() == Variant::Clone;
        let is_clone = self.s[r].variant() == Variant::Clone;
        let maintenance_mode = self.s.options.maintenance_mode;
        let health = self.s.options.health;
        let rsc = &mut self.s[r];
        rsc.parameters = parameters;
        rsc.parameters_vary = vary;
        // One look at each, instead of one for each question: most are asked for what they do not say.
        let mut said = Said::default();
        for (name, value) in &rsc.meta {
            said.put(name, value);
        }
        let mut f = Flags {
            provisional: true,
            managed: !maintenance_mode,
            maintenance: maintenance_mode,
            ..Flags::default()
        };
        f.is_connection = is_connection_agent(&rsc.xml);
        f.fence_device = rsc.xml.value(words::CLASS).is_some_and(|c| c.eq_ignore_ascii_case("stonith"));
        f.notify = values::is_true(said.notify);
        f.promotable =
            parent_promotable || is_clone && (rsc.xml.name() == "master" || values::is_true(said.promotable));
        f.unique = !in_clone || values::is_true(said.globally_unique);
        f.critical = said.critical.is_none_or(|v| values::is_true(Some(v)));
        f.restart_ordering = said.restart_type.is_some_and(|v| v.eq_ignore_ascii_case("restart"));
        f.allow_migrate = match said.allow_migrate {
            Some(v) => values::is_true(Some(v)),
            None => f.is_connection && said.container.is_none(),
        };
        if let Some(v) = said.is_managed.filter(|v| !v.eq_ignore_ascii_case("default")) {
            match values::parse_bool(v) {
                Some(true) => f.managed = true,
                Some(false) => f.managed = false,
                None => {}
            }
        }
        if values::is_true(said.maintenance) {
            f.managed = false;
            f.maintenance = true;
        }
        if maintenance_mode {
            f.managed = false;
            f.maintenance = true;
        }
        let priority = values::parse_score(said.priority, &health);
        let stickiness = match said.stickiness {
            Some(v) if !v.eq_ignore_ascii_case("default") => values::parse_score(Some(v), &health),
            _ => 0,
        };
        let threshold = match said.threshold {
            Some(v) if !v.eq_ignore_ascii_case("default") => values::parse_score(Some(v), &health),
            _ => INFINITY,
        };
        let multiple = match said.multiple_active {
            None => Ok(MultipleActive::StopStart),
            Some(v) if v.eq_ignore_ascii_case("stop_start") => Ok(MultipleActive::StopStart),
            Some(v) if v.eq_ignore_ascii_case("stop_only") => Ok(MultipleActive::StopOnly),
            Some(v) if v.eq_ignore_ascii_case("block") => Ok(MultipleActive::Block),
            Some(v) if v.eq_ignore_ascii_case("stop_unexpected") => Ok(MultipleActive::StopUnexpected),
            Some(v) => Err(v.to_owned()),
        };
        let timeout = i64::from(values::interval_ms(said.failure_timeout)) / 1000;
        let guest = said.container.is_some();
        let reconnect = if f.is_connection && !guest {
            values::interval_ms(rsc.parameters.get("reconnect_interval").map(Text::as_str))
        } else {
            0
        };
        rsc.flags = f;
        rsc.priority = priority;
        rsc.stickiness = stickiness;
        rsc.migration_threshold = if threshold < 0 { 1 } else { threshold };
        rsc.multiple_active = *multiple.as_ref().unwrap_or(&MultipleActive::StopStart);
        rsc.failure_timeout = timeout;
        if reconnect > 0 {
            rsc.remote_reconnect_ms = reconnect;
            rsc.failure_timeout = i64::from(reconnect / 1000);
        }
        rsc.role = Role::Stopped;
        rsc.next_role = Role::Unknown;
        let doubtful = threshold < 0 || f.restart_ordering || multiple.is_err();
        let id = if doubtful { rsc.id.clone() } else { String::new() };
        if threshold < 0 {
            self.s.complaints.warning_once(
                "migration-threshold",
                &id,
                "migration-threshold must be non-negative, using 1 instead".to_owned(),
            );
        }
        if f.restart_ordering {
            self.s.complaints.warning_once(
                "restart-type",
                &id,
                "Support for restart-type is deprecated and will be removed in a future release".to_owned(),
            );
        }
        if let Err(v) = multiple {
            self.s.complaints.warning(
                "multiple-active",
                &id,
                format!("{v} is not a valid value for multiple-active, using default of \"stop_start\""),
            );
        }
        if f.fence_device {
            self.s.have_fence_device = true;
        }
        self.requires(r);
        if let Some(role) = self.target_role(r) {
            self.s[r].next_role = role;
        }
    }

    /// The role that `target-role` limits a resource to, if any.
    pub fn target_role(&mut self, r: ResourceIx) -> Option<Role> {
        let rsc = &self.s[r];
        let text = rsc.meta.get("target-role")?;
        if text.eq_ignore_ascii_case("started") || text.eq_ignore_ascii_case("default") {
            return None;
        }
        let (id, promotable, role) = (rsc.id.clone(), rsc.flags.promotable, Role::parse(text));
        let text = text.clone();
        match role {
            Role::Unknown => {
                self.s.complaints.log_error("role-unknown", &id, format!("Unknown role: {text}"));
                self.s.complaints.error(
                    "target-role",
                    &id,
                    format!("Ignoring 'target-role' for {id} because '{text}' is not valid"),
                );
                None
            }
            Role::Unpromoted | Role::Promoted if !promotable => {
                self.s.complaints.error(
                    "target-role-promotable",
                    &id,
                    format!(
                        "Ignoring 'target-role' for {id} because '{text}' only makes sense for promotable clones"
                    ),
                );
                None
            }
            Role::Promoted | Role::Started => None,
            other => Some(other),
        }
    }

    /// What a start needs: §5.6 of the state page.
    fn requires(&mut self, r: ResourceIx) {
        #[derive(PartialEq)]
        enum Needs {
            Nothing,
            Quorum,
            Fencing,
            Unfencing,
        }
        let fencing = self.s.options.stonith_enabled;
        let rsc = &self.s[r];
        let text = rsc.meta.get("requires").cloned();
        let is = |w: &str| text.as_deref().is_some_and(|t| t.eq_ignore_ascii_case(w));
        let (device, connection) = (rsc.flags.fence_device, rsc.flags.is_connection);
        let default = || {
            if device || (rsc.is_primitive() && connection) {
                Needs::Quorum
            } else if self.s.unfencing {
                Needs::Unfencing
            } else if fencing {
                Needs::Fencing
            } else if self.s.options.no_quorum_policy == QuorumPolicy::Ignore {
                Needs::Nothing
            } else {
                Needs::Quorum
            }
        };
        let mut invalid = false;
        let mut warn_disabled = false;
        let mut reset = None;
        let downgrade = |needs: Needs, reset: &mut Option<&'static str>| {
            if needs != Needs::Unfencing {
                needs
            } else if device {
                *reset = Some("because fencing devices cannot require unfencing");
                Needs::Quorum
            } else if !fencing {
                *reset = Some("because fencing is disabled");
                Needs::Quorum
            } else {
                Needs::Unfencing
            }
        };
        let needs = if is("nothing") {
            Needs::Nothing
        } else if is("quorum") {
            Needs::Quorum
        } else if is("fencing") {
            warn_disabled = !fencing;
            Needs::Fencing
        } else if is("unfencing") {
            downgrade(Needs::Unfencing, &mut reset)
        } else {
            invalid = text.is_some();
            downgrade(default(), &mut reset)
        };
        let word = match needs {
            Needs::Nothing => "nothing",
            Needs::Quorum => "quorum",
            Needs::Fencing => "fencing",
            Needs::Unfencing => "unfencing",
        };
        let f = &mut self.s[r].flags;
        f.needs_quorum = needs == Needs::Quorum;
        f.needs_fencing = matches!(needs, Needs::Fencing | Needs::Unfencing);
        f.needs_unfencing = needs == Needs::Unfencing;
        if !warn_disabled && reset.is_none() && !invalid {
            return;
        }
        let id = self.s[r].id.clone();
        if warn_disabled {
            self.s.complaints.warning(
                "requires-fencing",
                &id,
                format!("{id} requires fencing but fencing is disabled"),
            );
        }
        if let Some(why) = reset {
            self.s.complaints.warning(
                "requires-unfencing",
                &id,
                format!("Resetting \"requires\" for {id} to \"quorum\" {why}"),
            );
        }
        if invalid {
            let text = text.unwrap_or_default();
            self.s.complaints.error(
                "requires-invalid",
                &id,
                format!("Resetting 'requires' for {id} to '{word}' because '{text}' is not valid"),
            );
        }
    }
}
