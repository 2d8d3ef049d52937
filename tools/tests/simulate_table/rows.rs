//! Command lines and documents.

/// A cluster of two nodes with a primitive, two clones, a group that needs a ticket, and fencing.
pub const CLUSTER: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="1" admin_epoch="0" have-quorum="1">
<configuration>
<crm_config>
<cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="true"/>
</cluster_property_set>
</crm_config>
<nodes>
<node id="1" uname="n1"/>
<node id="2" uname="n2"/>
</nodes>
<resources>
<primitive id="r" class="ocf" provider="heartbeat" type="Dummy">
<operations>
<op id="rm" name="monitor" interval="10s"/>
</operations>
</primitive>
<clone id="c">
<primitive id="cr" class="ocf" provider="pacemaker" type="Dummy"/>
</clone>
<clone id="p">
<meta_attributes id="pm">
<nvpair id="pm1" name="promotable" value="true"/>
</meta_attributes>
<primitive id="pr" class="ocf" provider="pacemaker" type="Stateful">
<operations>
<op id="pr1" name="monitor" interval="10s" role="Promoted"/>
<op id="pr2" name="monitor" interval="11s" role="Unpromoted"/>
</operations>
</primitive>
</clone>
<group id="g">
<primitive id="g1" class="ocf" provider="heartbeat" type="Dummy"/>
<primitive id="g2" class="ocf" provider="heartbeat" type="Dummy"/>
</group>
<primitive id="f" class="stonith" type="fence_x"/>
</resources>
<constraints>
<rsc_ticket id="t1" rsc="g" ticket="T" loss-policy="stop"/>
<rsc_order id="r-g" first="r" then="g"/>
</constraints>
</configuration>
<status>
<node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member" >
<lrm id="1">
<lrm_resources>
<lrm_resource id="r" class="ocf" provider="heartbeat" type="Dummy">
<lrm_rsc_op id="r_last_0" operation_key="r_start_0" operation="start" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="3" rc-code="0" op-status="0" interval="0" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
<lrm_rsc_op id="r_monitor_10000" operation_key="r_monitor_10000" operation="monitor" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="4" rc-code="0" op-status="0" interval="10000" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
</lrm_resource>
</lrm_resources>
</lrm>
</node_state>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member" >
<lrm id="2">
<lrm_resources>
</lrm_resources>
</lrm>
</node_state>
</status>
</cib>"#;

/// Each is run on [`CLUSTER`].
pub const COMMANDS: &[&str] = &[
    "-R",
    "-S",
    "-Q",
    "-S -Q",
    "-s",
    "-s -Q",
    "-U -s",
    "-U -Q",
    "-A -c",
    "-S -A -c",
    "-R -u n3",
    "-R -u n3 -u n4",
    "-R -d n1",
    "-R -d n2",
    "-R -f n1",
    "-S -f n1",
    "-S -f n2",
    "-S -d n1 -d n2",
    "-S -u n1 -d n1",
    "-S -d n1 -u n1",
    "-S -u n3 -f n3",
    "-R -q false",
    "-R -q 0 -u n1",
    "-R -q true -u n1",
    "-R -q true -u n1",
    "-R -w true",
    "-R -w false",
    "-R -w 0 -q 0",
    "-R -w foo",
    "-S -g T",
    "-S -r T",
    "-S -b T",
    "-S -e T",
    "-S -g T -b T",
    "-S -g T -g U -r U -b T -e T",
    "-S -g T -t 2024-01-01",
    "-S -i r_monitor_10000@n1=7",
    "-S -i r_monitor_10000@n1=1",
    "-S -i r_monitor_10000@n1=7 -F r_stop_0@n1=1",
    "-S -i r_monitor_10000@n2=0",
    "-S -i r_start_0@n1=1",
    "-S -i r_stop_0@n1=1",
    "-S -i r_monitor_0@n2=0",
    "-S -i cr_start_0@n1=0",
    "-S -i cr:0_start_0@n1=0",
    "-S -i cr:1_monitor_5000@n2=1",
    "-S -i pr_promote_0@n1=0",
    "-S -i pr:0_monitor_10000@n1=8",
    "-S -i pr_monitor_10000@n1=9",
    "-S -i g1_start_0@n2=5",
    "-S -i foo",
    "-S -i r_monitor_0",
    "-S -i r_monitor_0@n1",
    "-S -i r_monitor_0@n1=x",
    "-S -i @n1=0",
    "-S -i xx_monitor_0@n1=0",
    "-S -i r_monitor_10000@n1=1,4",
    "-S -i r_monitor_10000@n1=7 -c",
    "-S -i r_monitor_10000@n1=7 -A -c",
    "-S -i r_monitor_10000@n1=1 -i r_monitor_10000@n1=1 -c",
    "-S -F r_monitor_10000@n1=1",
    "-S -F r_start_0@n1=1",
    "-S -F g1_start_0@n2=1",
    "-S -F g1_start_0@N2=1",
    "-S -F g1_start_0=1",
    "-S -F cr_start_0@n2=1",
    "-S -F cr:0_start_0@n1=1",
    "-S -F cr:1_start_0@n2=5",
    "-S -F pr_start_0@n1=1 -F pr_start_0@n2=1",
    "-S -F pr:0_promote_0@n1=1",
    "-S -F f_start_0@n1=1",
    "-S -F foo",
    "-S -F r_start_0@n1=0",
    "-F cr_start_0@n2=1",
    "-S -F cr_start_0@n2=1 -c",
    "-S -F cr_start_0@n2=7",
    "-S -F r_monitor_0@n2=0",
    "-S -F r_monitor_0@n2=1",
    "-S -F r_monitor_0@n2=5 -c",
    "-S -t 2024-01-01",
    "-S -t 2024-01-01T12:00:00",
    "-S -t 2024-W05-3",
    "-S -t 20240101",
    "-S -t 2024-010",
    "-S --node-up=n3 --quorum=true --watchdog=true",
    "-S --node-fail n1 --ticket-grant T --op-inject r_monitor_10000@n1=7",
    "-S --output-as=xml",
    "-S --output-as=xml -s -U",
    "-S --output-as=xml -A -c",
    "-S --output-as=xml -f n1 -u n3 -q 1 -w 1 -g T -r T -b T -e T -i r_monitor_10000@n1=7 -F r_stop_0@n1=1",
    "-S --output-as=xml -Q",
    "--output-as=xml",
    "-R --output-as=text --text-fancy -s",
    "-R --text-fancy -s -U",
    "-R --text-fancy -U",
    "-S --output-as none",
    "-S --output-to text",
    "-S --output-to text --output-as xml",
    "-S -D dot -G graph -I in -O out",
    "-S -a -D dot",
    "-S -V -D dot",
    "-S -a -V -D dot",
    "-D dot",
    "-G graph",
    "-I in",
    "-O out",
    "-R -I in -f n1",
    "--output-as=html",
    "-X",
    "-S -X",
    "--bogus",
    "-S -u n3 -i g1_start_0@n3=0",
    "-S -i g1_stop_0@n2=1 -F g1_stop_0@n2=1",
    "-S -i cr:0_start_0@n1=0 -i cr:1_start_0@n2=0 -i pr:0_start_0@n1=0 -i pr:1_start_0@n2=0",
    "-S -i pr:0_start_0@n1=0 -i pr:0_promote_0@n1=0 -f n1 -c",
    "-S -f n1 -F g1_start_0@n2=1 -c",
    "-S -d n1 -q false -O out",
    "-S -w true -I in -O out",
    "-S -g T -I in -O out",
    "-S -d n1 -I in -O out",
    "-S -u n3 -I in -O out -G graph",
    "-S -i r_monitor_10000@n1=7 -I in -O out",
    "-S -i r_monitor_10000@n1=1 -F r_stop_0@n1=1 -I in -O out -c",
    "-S -f n1 -I in -O out -G graph -D dot",
    "-S -F cr:0_start_0@n2=1 -O out",
    "--simulate --show-scores --show-utilization --quiet",
    "--run --show-attrs --show-failcounts",
    "--simulate --save-graph=graph --save-dotfile=dot --save-input=in --save-output=out --all-actions",
];

/// Variables and command lines; [`CLUSTER`] is `cib.xml`, the shadow `try`, and standard input.
pub const SOURCES: &[(&[(&str, &str)], &str)] = &[
    (&[], "-S"),
    (&[], "-p -S"),
    (&[], "-p -S -X"),
    (&[], "-L -S"),
    (&[], "-L -x cib.xml -S"),
    (&[], "-x cib.xml -L -S"),
    (&[], "-x nowhere -p -S"),
    (&[("CIB_file", "cib.xml")], "-L"),
    (&[("CIB_file", "cib.xml")], "-L -S"),
    (&[("CIB_file", "cib.xml")], "-L -S -s -U"),
    (&[("CIB_file", "cib.xml")], "-L -S -f n1 -I in -O out -G graph -D dot"),
    (&[("CIB_file", "cib.xml")], "-L -X"),
    (&[("CIB_file", "cib.xml")], "-L -S --output-as=xml"),
    (&[("CIB_file", "nowhere")], "-L -S"),
    (&[("CIB_file", "nowhere")], "-x cib.xml -S"),
    (&[("CIB_file", "nowhere")], "-S"),
    (&[("CIB_shadow", "try")], "-L"),
    (&[("CIB_shadow", "try")], "-L -S"),
    (&[("CIB_shadow", "try")], "-L -S -d n2 -q 0 -I in -O out"),
    (&[("CIB_shadow", "try")], "-L -X"),
    (&[("CIB_shadow", "try")], "-L -X -i r_monitor_10000@n1=7"),
    (&[("CIB_shadow", "try")], "-x cib.xml -X"),
    (&[("CIB_shadow", "try")], "-p -X"),
    (&[("CIB_shadow", "none")], "-L -S"),
    (&[("CIB_shadow", "try"), ("CIB_file", "nowhere")], "-L -S"),
    (&[("CIB_shadow", "none"), ("CIB_file", "cib.xml")], "-L -S"),
];

/// Older languages, wrong ones, and status sections in which an id stands twice; each is simulated.
pub const DOCUMENTS: &[&str] = &[
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.2" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.3" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-2.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-2.10" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-0.6" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="transitional-0.6" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-2.5" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.8" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-next" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="none" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="NONE" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-9.9" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="bogus" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" bogus="1"/><node id="2" uname="n2" bogus="1"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.2" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" bogus="1"/><node id="2" uname="n2" bogus="1"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-2.10" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" bogus="1"/><node id="2" uname="n2" bogus="1"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" bogus="1"/><node id="2" uname="n2" bogus="1"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.9" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" bogus="1"/><node id="2" uname="n2" bogus="1"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="none" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" bogus="1"/><node id="2" uname="n2" bogus="1"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints><rsc_ticket id="t" rsc="r" ticket="a"/></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints><rsc_ticket id="t" rsc="r" ticket="a"/></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-1.2" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints><rsc_ticket id="t" rsc="nobody" ticket="a"/></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" /><node id="2" uname="n2" /></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints><rsc_ticket id="t" rsc="nobody" ticket="a"/></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-3.0" epoch="5" num_updates="1" admin_epoch="0">
<configuration><crm_config><cluster_property_set id="o"><nvpair id="o1" name="stonith-enabled" value="false"/></cluster_property_set></crm_config>
<nodes><node id="1" uname="n1" type="normal"/><node id="2" uname="n2" type="normal"/></nodes>
<resources><primitive id="r" class="ocf" provider="heartbeat" type="Dummy"><operations><op id="m" name="monitor" interval="10" on-fail="restart"/></operations></primitive></resources>
<constraints></constraints></configuration>
<status><node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member"/></status>
</cib>"#,
    r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="1" admin_epoch="0" have-quorum="1">
<configuration>
<crm_config>
<cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="true"/>
</cluster_property_set>
</crm_config>
<nodes>
<node id="1" uname="n1"/>
<node id="2" uname="n2"/>
</nodes>
<resources>
<primitive id="r" class="ocf" provider="heartbeat" type="Dummy">
<operations>
<op id="rm" name="monitor" interval="10s"/>
</operations>
</primitive>
<clone id="c">
<primitive id="cr" class="ocf" provider="pacemaker" type="Dummy"/>
</clone>
<clone id="p">
<meta_attributes id="pm">
<nvpair id="pm1" name="promotable" value="true"/>
</meta_attributes>
<primitive id="pr" class="ocf" provider="pacemaker" type="Stateful">
<operations>
<op id="pr1" name="monitor" interval="10s" role="Promoted"/>
<op id="pr2" name="monitor" interval="11s" role="Unpromoted"/>
</operations>
</primitive>
</clone>
<group id="g">
<primitive id="g1" class="ocf" provider="heartbeat" type="Dummy"/>
<primitive id="g2" class="ocf" provider="heartbeat" type="Dummy"/>
</group>
<primitive id="f" class="stonith" type="fence_x"/>
</resources>
<constraints>
<rsc_ticket id="t1" rsc="g" ticket="T" loss-policy="stop"/>
<rsc_order id="o" first="r" then="g"/>
</constraints>
</configuration>
<status>
<node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member" >
<lrm id="1">
<lrm_resources>
<lrm_resource id="r" class="ocf" provider="heartbeat" type="Dummy">
<lrm_rsc_op id="r_last_0" operation_key="r_start_0" operation="start" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="3" rc-code="0" op-status="0" interval="0" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
<lrm_rsc_op id="r_monitor_10000" operation_key="r_monitor_10000" operation="monitor" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="4" rc-code="0" op-status="0" interval="10000" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
</lrm_resource>
<lrm_resource id="r" class="ocf" provider="heartbeat" type="Dummy">
<lrm_rsc_op id="r_last_0" operation_key="r_stop_0" operation="stop" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="7" rc-code="0" op-status="0" interval="0" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
<lrm_rsc_op id="r_monitor_10000" operation_key="r_monitor_10000" operation="monitor" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="4" rc-code="0" op-status="0" interval="10000" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
</lrm_resource>
</lrm_resources>
</lrm>
</node_state>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member" >
<lrm id="2">
<lrm_resources>
</lrm_resources>
</lrm>
</node_state>
</status>
</cib>"#,
    r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="1" admin_epoch="0" have-quorum="1">
<configuration>
<crm_config>
<cluster_property_set id="o">
<nvpair id="o1" name="stonith-enabled" value="true"/>
</cluster_property_set>
</crm_config>
<nodes>
<node id="1" uname="n1"/>
<node id="2" uname="n2"/>
</nodes>
<resources>
<primitive id="r" class="ocf" provider="heartbeat" type="Dummy">
<operations>
<op id="rm" name="monitor" interval="10s"/>
</operations>
</primitive>
<clone id="c">
<primitive id="cr" class="ocf" provider="pacemaker" type="Dummy"/>
</clone>
<clone id="p">
<meta_attributes id="pm">
<nvpair id="pm1" name="promotable" value="true"/>
</meta_attributes>
<primitive id="pr" class="ocf" provider="pacemaker" type="Stateful">
<operations>
<op id="pr1" name="monitor" interval="10s" role="Promoted"/>
<op id="pr2" name="monitor" interval="11s" role="Unpromoted"/>
</operations>
</primitive>
</clone>
<group id="g">
<primitive id="g1" class="ocf" provider="heartbeat" type="Dummy"/>
<primitive id="g2" class="ocf" provider="heartbeat" type="Dummy"/>
</group>
<primitive id="f" class="stonith" type="fence_x"/>
</resources>
<constraints>
<rsc_ticket id="t1" rsc="g" ticket="T" loss-policy="stop"/>
<rsc_order id="o" first="r" then="g"/>
</constraints>
</configuration>
<status>
<node_state id="1" uname="n1" in_ccm="true" crmd="online" join="member" expected="member" >
<transient_attributes id="1">
<instance_attributes id="s">
<nvpair id="x" name="fail-count-r" value="3"/>
<nvpair id="x" name="fail-count-g1" value="2"/>
</instance_attributes>
</transient_attributes>
<lrm id="1">
<lrm_resources>
<lrm_resource id="r" class="ocf" provider="heartbeat" type="Dummy">
<lrm_rsc_op id="r_last_0" operation_key="r_start_0" operation="start" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="3" rc-code="0" op-status="0" interval="0" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
<lrm_rsc_op id="r_monitor_10000" operation_key="r_monitor_10000" operation="monitor" crm_feature_set="3.16.1" transition-key="1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" transition-magic="0:0;1:1:0:aaaaaaaa-aaaa-aaaa-aaaa-aaaaaaaaaaaa" call-id="4" rc-code="0" op-status="0" interval="10000" last-rc-change="1700000000" exec-time="1" queue-time="0" op-digest="f2317cad3d54cec5d7d7aa7d0bf35cf8"/>
</lrm_resource>
</lrm_resources>
</lrm>
</node_state>
<node_state id="2" uname="n2" in_ccm="true" crmd="online" join="member" expected="member" >
<lrm id="2">
<lrm_resources>
</lrm_resources>
</lrm>
</node_state>
</status>
</cib>"#,
];
