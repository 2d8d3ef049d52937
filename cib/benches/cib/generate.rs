//! A generated CIB: `resources` primitives on 8 nodes, three fifths of them in groups of three, with constraints and the
//! full history of every resource on every node.

use std::fmt::Write;

const NODES: usize = 8;

pub fn cib(resources: usize) -> String {
    let mut out = String::new();
    let w = &mut out;
    w.push_str("<cib crm_feature_set=\"3.16.1\" validate-with=\"pacemaker-3.9\" epoch=\"5\" num_updates=\"1\" admin_epoch=\"0\" have-quorum=\"1\" dc-uuid=\"1\">\n");
    w.push_str("  <configuration>\n    <crm_config>\n      <cluster_property_set id=\"opts\">\n        <nvpair id=\"opts-stonith\" name=\"stonith-enabled\" value=\"false\"/>\n      </cluster_property_set>\n    </crm_config>\n    <nodes>\n");
    for node in 1..=NODES {
        let _ = writeln!(w, "      <node id=\"{node}\" uname=\"node{node}\"/>");
    }
    w.push_str("    </nodes>\n    <resources>\n");
    let grouped = resources * 3 / 5 / 3 * 3;
    for resource in 0..resources {
        let deep = if resource < grouped { "  " } else { "" };
        if resource < grouped && resource % 3 == 0 {
            let _ = writeln!(w, "      <group id=\"group-{}\">", resource / 3);
        }
        let _ = writeln!(
            w,
            "      {deep}<primitive id=\"rsc-{resource}\" class=\"ocf\" provider=\"heartbeat\" type=\"IPaddr2\">"
        );
        let _ = writeln!(w, "        {deep}<instance_attributes id=\"rsc-{resource}-params\">");
        let _ = writeln!(
            w,
            "          {deep}<nvpair id=\"rsc-{resource}-params-ip\" name=\"ip\" value=\"10.{}.{}.{}\"/>",
            resource >> 16,
            resource >> 8 & 255,
            resource & 255
        );
        let _ = writeln!(
            w,
            "          {deep}<nvpair id=\"rsc-{resource}-params-mask\" name=\"cidr_netmask\" value=\"24\"/>"
        );
        let _ = writeln!(w, "        {deep}</instance_attributes>\n        {deep}<operations>");
        let _ = writeln!(
            w,
            "          {deep}<op id=\"rsc-{resource}-monitor\" name=\"monitor\" interval=\"10s\" timeout=\"20s\"/>"
        );
        let _ = writeln!(w, "        {deep}</operations>\n      {deep}</primitive>");
        if resource < grouped && resource % 3 == 2 {
            w.push_str("      </group>\n");
        }
    }
    w.push_str("    </resources>\n    <constraints>\n");
    for constraint in 0..resources / 10 {
        let (a, b) = (grouped + constraint, grouped + constraint * 2 % (resources - grouped));
        let _ = writeln!(
            w,
            "      <rsc_location id=\"loc-{constraint}\" rsc=\"rsc-{a}\" node=\"node{}\" score=\"{constraint}\"/>",
            constraint % NODES + 1
        );
        if a != b {
            let _ = writeln!(
                w,
                "      <rsc_order id=\"order-{constraint}\" first=\"rsc-{a}\" then=\"rsc-{b}\"/>"
            );
        }
    }
    w.push_str("    </constraints>\n  </configuration>\n  <status>\n");
    for node in 1..=NODES {
        let _ = writeln!(
            w,
            "    <node_state id=\"{node}\" uname=\"node{node}\" in_ccm=\"true\" crmd=\"online\" crm-debug-origin=\"do_update_resource\" join=\"member\" expected=\"member\">"
        );
        let _ = writeln!(
            w,
            "      <transient_attributes id=\"{node}\">\n        <instance_attributes id=\"status-{node}\"/>\n      </transient_attributes>\n      <lrm id=\"{node}\">\n        <lrm_resources>"
        );
        for resource in 0..resources {
            let _ = writeln!(
                w,
                "          <lrm_resource id=\"rsc-{resource}\" type=\"IPaddr2\" class=\"ocf\" provider=\"heartbeat\">"
            );
            let runs = resource % NODES + 1 == node;
            let operations: &[(&str, usize, u8)] =
                if runs { &[("start", 0, 0), ("monitor", 10000, 0)] } else { &[("monitor", 0, 7)] };
            for (operation, interval, code) in operations {
                let id = if *interval == 0 { "last_0".to_string() } else { format!("monitor_{interval}") };
                let _ = writeln!(
                    w,
                    "            <lrm_rsc_op id=\"rsc-{resource}_{id}\" operation_key=\"rsc-{resource}_{operation}_{interval}\" operation=\"{operation}\" crm-debug-origin=\"do_update_resource\" crm_feature_set=\"3.16.1\" transition-key=\"{resource}:1:{code}:0a5e8a3c-6d1b-4f4e-9d57-2f6b1c3d4e5f\" transition-magic=\"0:{code};{resource}:1:{code}:0a5e8a3c-6d1b-4f4e-9d57-2f6b1c3d4e5f\" exit-reason=\"\" on_node=\"node{node}\" call-id=\"{resource}\" rc-code=\"{code}\" op-status=\"0\" interval=\"{interval}\" last-rc-change=\"1700000000\" exec-time=\"20\" queue-time=\"0\" op-digest=\"f2317cad3d54cec5d7d7aa7d0bf35cf8\"/>"
                );
            }
            w.push_str("          </lrm_resource>\n");
        }
        w.push_str("        </lrm_resources>\n      </lrm>\n    </node_state>\n");
    }
    w.push_str("  </status>\n</cib>\n");
    out
}
