//! Wrong configurations, with the verdict of `crm_verify` 2.1.5.

/// A case: what is added to a sound configuration, where, and what is to be said about it.
pub struct Case {
    pub name: &'static str,
    /// `config` (properties), `nodes`, `resources`, `constraints`, `tags`, `status` or `root` (attributes).
    pub parts: &'static [(&'static str, &'static str)],
    pub verdict: &'static str,
    /// Code of one complaint; empty where nothing is expected.
    pub code: &'static str,
}

const fn case(
    name: &'static str,
    parts: &'static [(&'static str, &'static str)],
    verdict: &'static str,
    code: &'static str,
) -> Case {
    Case { name, parts, verdict, code }
}

pub const CASES: &[Case] = &[
    case("sound", &[], "clean", ""),
    case(
        "option-boolean",
        &[("config", "<nvpair id='p' name='symmetric-cluster' value='maybe'/>")],
        "error",
        "option-invalid",
    ),
    case(
        "option-choice",
        &[("config", "<nvpair id='p' name='no-quorum-policy' value='panic'/>")],
        "error",
        "option-invalid",
    ),
    case(
        "option-time",
        &[("config", "<nvpair id='p' name='cluster-delay' value='soon'/>")],
        "error",
        "option-invalid",
    ),
    case(
        "option-number",
        &[("config", "<nvpair id='p' name='batch-limit' value='many'/>")],
        "error",
        "option-invalid",
    ),
    case(
        "option-number-rest",
        &[("config", "<nvpair id='p' name='batch-limit' value='10abc'/>")],
        "clean",
        "",
    ),
    case(
        "option-health",
        &[("config", "<nvpair id='p' name='node-health-strategy' value='best'/>")],
        "error",
        "option-invalid",
    ),
    case(
        "option-placement",
        &[("config", "<nvpair id='p' name='placement-strategy' value='heavy'/>")],
        "error",
        "option-invalid",
    ),
    case("option-unknown", &[("config", "<nvpair id='p' name='no-such-option' value='1'/>")], "clean", ""),
    case(
        "stonith-action",
        &[("config", "<nvpair id='p' name='stonith-action' value='poweroff'/>")],
        "warning",
        "stonith-action-poweroff",
    ),
    case(
        "stonith-action-case",
        &[("config", "<nvpair id='p' name='stonith-action' value='Reboot'/>")],
        "error",
        "option-invalid",
    ),
    case(
        "remove-after-stop",
        &[("config", "<nvpair id='p' name='remove-after-stop' value='true'/>")],
        "warning",
        "remove-after-stop",
    ),
    case(
        "suicide",
        &[("config", "<nvpair id='p' name='no-quorum-policy' value='suicide'/>")],
        "error",
        "suicide-without-fencing",
    ),
    case("node-twice", &[("nodes", "<node id='9' uname='n1'/>")], "warning", "node-name-twice"),
    case("node-no-id", &[("nodes", "<node uname='n9'/>")], "error", "node-without-id"),
    case("node-ping", &[("nodes", "<node id='9' uname='n9' type='ping'/>")], "warning", "node-ping"),
    case("node-type", &[("nodes", "<node id='9' uname='n9' type='router'/>")], "warning", "node-type"),
    case(
        "resource-no-id",
        &[("resources", "<primitive class='ocf' provider='pacemaker' type='Dummy'/>")],
        "error",
        "resource-without-id",
    ),
    case("resource-kind", &[("resources", "<cluster id='x'/>")], "error", "resource-type"),
    case(
        "template-unknown",
        &[("resources", "<primitive id='x' template='t'/>")],
        "error",
        "template-unknown",
    ),
    case("template-self", &[("resources", "<primitive id='x' template='x'/>")], "error", "template-self"),
    case("group-empty", &[("resources", "<group id='g'/>")], "warning", "group-empty"),
    case(
        "group-ordered",
        &[(
            "resources",
            "<group id='g'><meta_attributes id='gm'><nvpair id='gn' name='ordered' value='false'/></meta_attributes><primitive id='x' class='ocf' provider='pacemaker' type='Dummy'/></group>",
        )],
        "warning",
        "group-ordered",
    ),
    case(
        "group-ordered-true",
        &[(
            "resources",
            "<group id='g'><meta_attributes id='gm'><nvpair id='gn' name='ordered' value='true'/></meta_attributes><primitive id='x' class='ocf' provider='pacemaker' type='Dummy'/></group>",
        )],
        "clean",
        "",
    ),
    case("clone-empty", &[("resources", "<clone id='c'/>")], "error", "clone-empty"),
    case(
        "clone-node-max",
        &[(
            "resources",
            "<clone id='c'><meta_attributes id='cm'><nvpair id='cn' name='clone-node-max' value='2'/></meta_attributes><primitive id='x' class='ocf' provider='pacemaker' type='Dummy'/></clone>",
        )],
        "error",
        "clone-node-max",
    ),
    case(
        "clone-unique-lsb",
        &[(
            "resources",
            "<clone id='c'><meta_attributes id='cm'><nvpair id='cn' name='globally-unique' value='true'/></meta_attributes><primitive id='x' class='lsb' type='foo'/></clone>",
        )],
        "warning",
        "clone-unique-class",
    ),
    case(
        "clone-promotable-lsb",
        &[(
            "resources",
            "<clone id='c'><meta_attributes id='cm'><nvpair id='cn' name='promotable' value='true'/></meta_attributes><primitive id='x' class='lsb' type='foo'/></clone>",
        )],
        "error",
        "clone-promotable-class",
    ),
    case(
        "bundle-uncontrolled",
        &[(
            "resources",
            "<bundle id='b'><docker image='i'/><primitive id='x' class='ocf' provider='pacemaker' type='Dummy'/></bundle>",
        )],
        "error",
        "bundle-uncontrolled",
    ),
    case(
        "bundle-no-kind",
        &[("resources", "<bundle id='b'><lxc image='i'/></bundle>")],
        "error",
        "resource-invalid",
    ),
    case(
        "bundle-per-host",
        &[(
            "resources",
            "<bundle id='b'><docker image='i' replicas-per-host='2'/><network control-port='3121'/><primitive id='x' class='ocf' provider='pacemaker' type='Dummy'/></bundle>",
        )],
        "error",
        "bundle-per-host",
    ),
    case(
        "bundle-port",
        &[(
            "resources",
            "<bundle id='b'><docker image='i'/><network ip-range-start='10.0.0.1'><port-mapping id='pm'/></network></bundle>",
        )],
        "error",
        "bundle-port",
    ),
    case(
        "bundle-mount",
        &[(
            "resources",
            "<bundle id='b'><docker image='i'/><storage><storage-mapping id='sm' target-dir='/x'/></storage></bundle>",
        )],
        "error",
        "bundle-mount",
    ),
    case(
        "target-role",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='target-role' value='Up'/></meta_attributes></primitive>",
        )],
        "error",
        "target-role",
    ),
    case(
        "target-role-promoted",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='target-role' value='Promoted'/></meta_attributes></primitive>",
        )],
        "error",
        "target-role-promotable",
    ),
    case(
        "requires-word",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='requires' value='luck'/></meta_attributes></primitive>",
        )],
        "error",
        "requires-invalid",
    ),
    case(
        "requires-fencing",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='requires' value='fencing'/></meta_attributes></primitive>",
        )],
        "warning",
        "requires-fencing",
    ),
    case(
        "requires-unfencing",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='requires' value='unfencing'/></meta_attributes></primitive>",
        )],
        "warning",
        "requires-unfencing",
    ),
    case(
        "multiple-active",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='multiple-active' value='fine'/></meta_attributes></primitive>",
        )],
        "warning",
        "multiple-active",
    ),
    case(
        "threshold",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='migration-threshold' value='-3'/></meta_attributes></primitive>",
        )],
        "warning",
        "migration-threshold",
    ),
    case(
        "restart-type",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='restart-type' value='restart'/></meta_attributes></primitive>",
        )],
        "warning",
        "restart-type",
    ),
    case(
        "container",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><meta_attributes id='m'><nvpair id='n' name='container' value='vm'/></meta_attributes></primitive>",
        )],
        "error",
        "container-unknown",
    ),
    case(
        "op-on-fail",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='start' interval='0' on-fail='pray'/></operations></primitive>",
        )],
        "error",
        "on-fail-unknown",
    ),
    case(
        "op-on-fail-stop",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='stop' interval='0' on-fail='standby'/></operations></primitive>",
        )],
        "clean",
        "",
    ),
    case(
        "op-on-fail-fence",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='start' interval='0' on-fail='fence'/></operations></primitive>",
        )],
        "error",
        "on-fail-fence",
    ),
    case(
        "op-on-fail-demote",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='start' interval='0' on-fail='demote'/></operations></primitive>",
        )],
        "error",
        "on-fail-demote",
    ),
    case(
        "op-recurring-start",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='start' interval='10s'/></operations></primitive>",
        )],
        "error",
        "operation-cannot-recur",
    ),
    case(
        "op-twice",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='monitor' interval='10s'/><op id='q' name='monitor' interval='10000ms'/></operations></primitive>",
        )],
        "error",
        "operation-duplicate",
    ),
    case(
        "op-origin",
        &[(
            "resources",
            "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><operations><op id='o' name='monitor' interval='10s' interval-origin='never'/></operations></primitive>",
        )],
        "error",
        "interval-origin",
    ),
    case(
        "constraint-no-id",
        &[("constraints", "<rsc_location rsc='r' node='n1' score='1'/>")],
        "error",
        "constraint-without-id",
    ),
    case(
        "constraint-kind",
        &[("constraints", "<rsc_friendship id='k' rsc='r'/>")],
        "error",
        "constraint-type",
    ),
    case(
        "location-unknown",
        &[("constraints", "<rsc_location id='k' rsc='nobody' node='n1' score='1'/>")],
        "error",
        "constraint-resource",
    ),
    case(
        "location-node",
        &[("constraints", "<rsc_location id='k' rsc='r' node='n7' score='1'/>")],
        "clean",
        "",
    ),
    case(
        "location-no-rule",
        &[("constraints", "<rsc_location id='k' rsc='r'/>")],
        "error",
        "location-no-rule",
    ),
    case(
        "location-role",
        &[("constraints", "<rsc_location id='k' rsc='r' role='Big' node='n1' score='1'/>")],
        "error",
        "location-role",
    ),
    case(
        "location-discovery",
        &[("constraints", "<rsc_location id='k' rsc='r' node='n1' score='1' resource-discovery='maybe'/>")],
        "error",
        "location-discovery",
    ),
    case(
        "location-pattern",
        &[("constraints", "<rsc_location id='k' rsc-pattern='(' node='n1' score='1'/>")],
        "error",
        "location-pattern",
    ),
    case(
        "rule-role",
        &[(
            "constraints",
            "<rsc_location id='k' rsc='r'><rule id='u' role='Big' score='1'><expression id='e' attribute='#uname' operation='eq' value='n1'/></rule></rsc_location>",
        )],
        "error",
        "rule-role",
    ),
    case(
        "rule-score",
        &[(
            "constraints",
            "<rsc_location id='k' rsc='r'><rule id='u'><expression id='e' attribute='#uname' operation='eq' value='n1'/></rule></rsc_location>",
        )],
        "error",
        "rule-score",
    ),
    case(
        "rule-attribute",
        &[(
            "constraints",
            "<rsc_location id='k' rsc='r'><rule id='u' score='1'><expression id='e' operation='eq' value='n1'/></rule></rsc_location>",
        )],
        "error",
        "expression-attribute",
    ),
    case(
        "rule-operation",
        &[(
            "constraints",
            "<rsc_location id='k' rsc='r'><rule id='u' score='1'><expression id='e' attribute='a' value='n1'/></rule></rsc_location>",
        )],
        "error",
        "expression-operation",
    ),
    case(
        "rule-empty",
        &[("constraints", "<rsc_location id='k' rsc='r'><rule id='u' score='1'/></rsc_location>")],
        "clean",
        "rule-empty",
    ),
    case(
        "lifetime",
        &[(
            "constraints",
            "<rsc_location id='k' rsc='r' node='n1' score='1'><lifetime><rule id='u'><expression id='e' attribute='#uname' operation='eq' value='n1'/></rule></lifetime></rsc_location>",
        )],
        "warning",
        "lifetime",
    ),
    case(
        "colocation-unknown",
        &[("constraints", "<rsc_colocation id='k' rsc='r' with-rsc='nobody' score='1'/>")],
        "error",
        "constraint-resource",
    ),
    case(
        "colocation-influence",
        &[("constraints", "<rsc_colocation id='k' rsc='r' with-rsc='s' score='1' influence='some'/>")],
        "error",
        "colocation-influence",
    ),
    case(
        "colocation-symmetrical",
        &[("constraints", "<rsc_colocation id='k' rsc='r' with-rsc='s' score='1' symmetrical='true'/>")],
        "warning",
        "colocation-symmetrical",
    ),
    case(
        "colocation-two-tags",
        &[
            ("tags", "<tag id='t1'><obj_ref id='r'/></tag><tag id='t2'><obj_ref id='s'/></tag>"),
            ("constraints", "<rsc_colocation id='k' rsc='t1' with-rsc='t2' score='1'/>"),
        ],
        "error",
        "colocation-two-tags",
    ),
    case(
        "colocation-instance",
        &[("constraints", "<rsc_colocation id='k' rsc='r' rsc-instance='1' with-rsc='s' score='1'/>")],
        "error",
        "colocation-instance-clone",
    ),
    case("order-unknown", &[("constraints", "<rsc_order id='k' first='r' then='nobody'/>")], "error", ""),
    case(
        "order-kind",
        &[("constraints", "<rsc_order id='k' first='r' then='s' kind='Sometimes'/>")],
        "error",
        "",
    ),
    case("order-no-then", &[("constraints", "<rsc_order id='k' first='r'/>")], "error", ""),
    case(
        "order-score",
        &[("constraints", "<rsc_order id='k' first='r' then='s' score='0'/>")],
        "warning",
        "",
    ),
    case(
        "order-serialize",
        &[("constraints", "<rsc_order id='k' first='r' then='s' kind='Serialize' symmetrical='true'/>")],
        "warning",
        "",
    ),
    case(
        "order-inverse",
        &[("constraints", "<rsc_order id='k' first='r' then='s' first-action='monitor'/>")],
        "warning",
        "",
    ),
    case("ticket-missing", &[("constraints", "<rsc_ticket id='k' rsc='r'/>")], "error", "ticket-missing"),
    case(
        "ticket-unknown",
        &[("constraints", "<rsc_ticket id='k' rsc='nobody' ticket='t'/>")],
        "error",
        "constraint-resource",
    ),
    case(
        "ticket-fence",
        &[("constraints", "<rsc_ticket id='k' rsc='r' ticket='t' loss-policy='fence'/>")],
        "error",
        "ticket-fence",
    ),
    case(
        "ticket-no-resource",
        &[("constraints", "<rsc_ticket id='k' ticket='t'/>")],
        "error",
        "ticket-without-resource",
    ),
    case("tag-no-id", &[("tags", "<tag><obj_ref id='r'/></tag>")], "error", "tag-without-id"),
    case(
        "tag-reference-no-id",
        &[("tags", "<tag id='t'><obj_ref/></tag>")],
        "error",
        "tag-reference-without-id",
    ),
    case(
        "set-unknown",
        &[(
            "constraints",
            "<rsc_colocation id='k' score='1'><resource_set id='s1'><resource_ref id='r'/><resource_ref id='nobody'/></resource_set></rsc_colocation>",
        )],
        "error",
        "constraint-resource",
    ),
    case(
        "status-unknown-node",
        &[("status", "<node_state id='7' uname='n7'/>")],
        "warning",
        "node-state-unknown",
    ),
    case(
        "status-orphan",
        &[(
            "status",
            "<node_state id='2' uname='n2' in_ccm='true' crmd='online' join='member' expected='member'><lrm id='2'><lrm_resources><lrm_resource id='gone' class='ocf' provider='pacemaker' type='Dummy'><lrm_rsc_op id='gone_last_0' operation='start' call-id='1' rc-code='0' op-status='0' interval='0' transition-key='1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa'/></lrm_resource></lrm_resources></lrm></node_state>",
        )],
        "warning",
        "orphan-active",
    ),
    case(
        "utilization",
        &[
            ("config", "<nvpair id='p' name='placement-strategy' value='balanced'/>"),
            (
                "resources",
                "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'><utilization id='u'><nvpair id='un' name='cpu' value='lots'/></utilization></primitive>",
            ),
        ],
        "warning",
        "utilization-invalid",
    ),
    case(
        "order-circle",
        &[("constraints", "<rsc_order id='k' first='r' then='s'/><rsc_order id='l' first='s' then='r'/>")],
        "clean",
        "order-circular",
    ),
    case(
        "order-no-circle",
        &[(
            "constraints",
            "<rsc_order id='k' first='r' then='s'/><rsc_order id='l' first='s' then='r' kind='Optional'/>",
        )],
        "clean",
        "",
    ),
    case(
        "colocation-circle",
        &[
            ("resources", "<primitive id='x' class='ocf' provider='pacemaker' type='Dummy'/>"),
            (
                "constraints",
                "<rsc_colocation id='k' rsc='r' with-rsc='s' score='INFINITY'/><rsc_colocation id='l' rsc='s' \
                 with-rsc='x' score='INFINITY'/><rsc_colocation id='m' rsc='x' with-rsc='r' score='INFINITY'/>",
            ),
        ],
        "clean",
        "colocation-circular",
    ),
    case(
        "history-duplicate",
        &[(
            "status",
            "<node_state id='2' uname='n2' in_ccm='true' crmd='online' join='member' expected='member'><lrm id='2'>\
             <lrm_resources><lrm_resource id='r' class='ocf' provider='pacemaker' type='Dummy'>\
             <lrm_rsc_op id='r_last_0' operation='monitor' operation_key='r_monitor_0' call-id='2' rc-code='7' \
             op-status='0' interval='0' transition-key='1:1:7:a' transition-magic='0:7;1:1:7:a'/>\
             <lrm_rsc_op id='r_last_0' operation='stop' operation_key='r_stop_0' call-id='3' rc-code='0' \
             op-status='0' interval='0' transition-key='1:1:0:a' transition-magic='0:0;1:1:0:a'/>\
             </lrm_resource></lrm_resources></lrm></node_state>",
        )],
        "error",
        "history-duplicate",
    ),
];

/// The whole document, for a schema.
pub fn document(case: &Case, schema: &str) -> String {
    let part = |name: &str| -> String {
        case.parts.iter().filter(|(n, _)| *n == name).map(|(_, xml)| *xml).collect::<Vec<_>>().join("")
    };
    let online = |id: u32| {
        format!(
            "<node_state id='{id}' uname='n{id}' in_ccm='true' crmd='online' join='member' expected='member'/>"
        )
    };
    let status = part("status");
    let second = if status.contains("id='2'") { String::new() } else { online(2) };
    format!(
        "<cib crm_feature_set='3.16.1' validate-with='{schema}' epoch='1' num_updates='0' admin_epoch='0' have-quorum='1' \
         dc-uuid='1'><configuration><crm_config><cluster_property_set id='o'><nvpair id='o1' name='stonith-enabled' \
         value='false'/>{}</cluster_property_set></crm_config><nodes><node id='1' uname='n1'/><node id='2' \
         uname='n2'/>{}</nodes><resources><primitive id='r' class='ocf' provider='pacemaker' type='Dummy'/><primitive \
         id='s' class='ocf' provider='pacemaker' type='Dummy'/>{}</resources><constraints>{}</constraints><tags>{}</tags>\
         </configuration><status>{}{second}{status}</status></cib>",
        part("config"),
        part("nodes"),
        part("resources"),
        part("constraints"),
        part("tags"),
        online(1),
    )
}
