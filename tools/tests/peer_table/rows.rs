//! The operations, each on a fresh copy of a document.

/// One operation: a name, the document it starts from, the command line.
pub struct Row {
    pub name: &'static str,
    pub base: &'static str,
    pub args: &'static [&'static str],
}

const fn row(name: &'static str, args: &'static [&'static str]) -> Row {
    Row { name, base: BASE, args }
}

const fn on(base: &'static str, name: &'static str, args: &'static [&'static str]) -> Row {
    Row { name, base, args }
}

pub const BASE: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="5" num_updates="1" admin_epoch="0" cib-last-written="Mon Jan  1 00:00:00 2024">
  <configuration>
    <crm_config>
      <cluster_property_set id="opts">
        <nvpair id="opts-stonith" name="stonith-enabled" value="false"/>
        <nvpair id="opts-quorum" name="no-quorum-policy" value="ignore"/>
      </cluster_property_set>
    </crm_config>
    <nodes>
      <node id="1" uname="n1"/>
      <node id="2" uname="n2">
        <instance_attributes id="n2-ia">
          <nvpair id="n2-standby" name="standby" value="on"/>
        </instance_attributes>
      </node>
    </nodes>
    <!-- resources here -->
    <resources>
      <primitive id="ip" class="ocf" provider="heartbeat" type="IPaddr2">
        <instance_attributes id="ip-ia">
          <nvpair id="ip-ia-ip" name="ip" value="10.0.0.1"/>
        </instance_attributes>
        <operations>
          <op id="ip-mon" name="monitor" interval="10s"/>
          <op id="ip-start" name="start" interval="0" timeout="20s"/>
        </operations>
      </primitive>
      <group id="g">
        <primitive id="r1" class="ocf" provider="pacemaker" type="Dummy"/>
        <primitive id="r2" class="ocf" provider="pacemaker" type="Dummy"/>
      </group>
      <clone id="c">
        <meta_attributes id="c-meta">
          <nvpair id="c-max" name="clone-max" value="2"/>
        </meta_attributes>
        <primitive id="r3" class="ocf" provider="pacemaker" type="Dummy"/>
      </clone>
    </resources>
    <constraints>
      <rsc_location id="loc1" rsc="ip" node="n1" score="100"/>
      <rsc_location id="loc2" rsc="g" node="n2" score="50"/>
      <rsc_colocation id="col" rsc="g" with-rsc="ip" score="INFINITY"/>
    </constraints>
  </configuration>
  <status>
    <node_state id="1" uname="n1" in_ccm="true" crmd="online"/>
  </status>
</cib>
"#;

/// Everything named in the language, and nothing configured.
const EMPTY: &str = r#"<cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="0" num_updates="0" admin_epoch="0">
  <configuration>
    <crm_config/>
    <nodes/>
    <resources/>
    <constraints/>
  </configuration>
  <status/>
</cib>
"#;

/// Nothing is validated.
const LOOSE: &str = r#"<cib crm_feature_set="3.16.1" validate-with="none" epoch="1" num_updates="2" admin_epoch="3">
  <configuration>
    <crm_config/>
    <nodes/>
    <resources>
      <primitive id="a" class="ocf" provider="x" type="y"/>
      <primitive id="a" class="lsb" type="z"/>
    </resources>
    <constraints/>
  </configuration>
  <status/>
</cib>
"#;

const OLD: &str = r#"<cib crm_feature_set="3.0.7" validate-with="pacemaker-2.3" epoch="7" num_updates="3" admin_epoch="2">
  <configuration>
    <crm_config/>
    <nodes>
      <node id="1" uname="n1"/>
    </nodes>
    <resources/>
    <constraints/>
  </configuration>
  <status/>
</cib>
"#;

/// A document in which user daemon may read everything and set target-role, but not look at the property set; in a
/// version of the language.
macro_rules! with_access_lists {
    ($schema:literal) => {
        concat!(
            r#"<cib crm_feature_set="3.16.1" validate-with=""#,
            $schema,
            r#"" epoch="5" num_updates="1" admin_epoch="0">
  <configuration>
    <crm_config>
      <cluster_property_set id="opts">
        <nvpair id="opts-acl" name="enable-acl" value="true"/>
      </cluster_property_set>
    </crm_config>
    <nodes>
      <node id="1" uname="n1"/>
    </nodes>
    <resources>
      <primitive id="p" class="ocf" provider="pacemaker" type="Dummy">
        <meta_attributes id="p-m">
          <nvpair id="p-role" name="target-role" value="Started"/>
          <nvpair id="p-prio" name="priority" value="1"/>
        </meta_attributes>
      </primitive>
    </resources>
    <constraints/>
    <acls>
      <acl_role id="operator">
        <acl_permission id="o1" kind="deny" reference="opts"/>
        <acl_permission id="o2" kind="write" xpath="//nvpair[@name='target-role']"/>
        <acl_permission id="o3" kind="read" xpath="/cib"/>
      </acl_role>
      <acl_target id="daemon">
        <role id="operator"/>
      </acl_target>
    </acls>
  </configuration>
  <status/>
</cib>
"#
        )
    };
}

const ACL: &str = with_access_lists!("pacemaker-3.9");

const ACL_OLD: &str = with_access_lists!("pacemaker-2.10");

const LOC3: &str = r#"<rsc_location id="loc3" rsc="ip" node="n1" score="1"/>"#;
const DUMMY: &str = r#"<primitive id="new" class="ocf" provider="pacemaker" type="Dummy"/>"#;
const TAGS: &str = r#"<tags><tag id="t"><obj_ref id="ip"/></tag></tags>"#;
const WHOLE_NEWER: &str = r#"<cib validate-with="pacemaker-3.9" epoch="30" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>"#;
const WHOLE_OLDER: &str = r#"<cib validate-with="pacemaker-3.9" epoch="4" num_updates="9" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration><status/></cib>"#;
const PATCH: &str = r#"<diff format="2"><version><source admin_epoch="0" epoch="5" num_updates="1"/><target admin_epoch="0" epoch="6" num_updates="0"/></version><change operation="modify" path="/cib"><change-list><change-attr name="epoch" operation="set" value="6"/><change-attr name="num_updates" operation="set" value="0"/></change-list><change-result><cib crm_feature_set="3.16.1" validate-with="pacemaker-3.9" epoch="6" num_updates="0" admin_epoch="0" cib-last-written="Mon Jan  1 00:00:00 2024"/></change-result></change><change operation="modify" path="/cib/configuration/constraints/rsc_location[@id='loc1']"><change-list><change-attr name="score" operation="set" value="7"/></change-list><change-result><rsc_location id="loc1" rsc="ip" node="n1" score="7"/></change-result></change></diff>"#;

/// Operations by `cibadmin`.
pub const CIBADMIN: &[Row] = &[
    // Query
    row("query-all", &["-Q"]),
    row("query-section-nodes", &["-Q", "-o", "nodes"]),
    row("query-section-resources", &["-Q", "-o", "resources"]),
    row("query-section-constraints", &["-Q", "-o", "constraints"]),
    row("query-section-crm_config", &["-Q", "-o", "crm_config"]),
    row("query-section-configuration", &["-Q", "-o", "configuration"]),
    row("query-section-status", &["-Q", "-o", "status"]),
    row("query-section-all", &["-Q", "-o", "all"]),
    row("query-section-cib", &["-Q", "-o", "cib"]),
    row("query-absent-section-tags", &["-Q", "-o", "tags"]),
    row("query-absent-section-acls", &["-Q", "-o", "acls"]),
    row("query-absent-section-alerts", &["-Q", "-o", "alerts"]),
    row("query-absent-section-rsc_defaults", &["-Q", "-o", "rsc_defaults"]),
    row("query-absent-section-fencing", &["-Q", "-o", "fencing-topology"]),
    row("query-unknown-section", &["-Q", "-o", "bogus"]),
    row("query-no-children", &["-Q", "-n"]),
    row("query-section-no-children", &["-Q", "-n", "-o", "resources"]),
    row("query-long-options", &["--query", "--scope", "nodes", "--local"]),
    row("query-abbreviated-options", &["--que", "--sco=nodes"]),
    row("query-bundled-options", &["-Qlo", "nodes"]),
    row("query-xpath-one", &["-Q", "-A", "//group"]),
    row("query-xpath-many", &["-Q", "-A", "//primitive"]),
    row("query-xpath-none", &["-Q", "-A", "//bogus"]),
    row("query-xpath-no-children", &["-Q", "-n", "-A", "//group"]),
    row("query-xpath-many-no-children", &["-Q", "-n", "-A", "//primitive"]),
    row("query-xpath-root", &["-Q", "-n", "-A", "/cib"]),
    row("query-xpath-attribute", &["-Q", "-A", "//rsc_location/@id"]),
    row("query-xpath-by-id", &["-Q", "-A", "//*[@id='r2']"]),
    row("query-xpath-position", &["-Q", "-A", "//group/primitive[2]"]),
    row("query-xpath-last", &["-Q", "-A", "//constraints/*[last()]"]),
    row("query-xpath-or", &["-Q", "-A", "//nvpair[@name='ip' or @name='standby']"]),
    row("query-xpath-union", &["-Q", "-A", "//group | //clone"]),
    row("query-xpath-contains", &["-Q", "-A", "//op[contains(@id,'start')]"]),
    row("query-xpath-not", &["-Q", "-A", "//primitive[not(operations)]"]),
    row("query-xpath-ancestor", &["-Q", "-n", "-A", "//op[@id='ip-mon']/ancestor::primitive"]),
    row("query-xpath-number", &["-Q", "-A", "//rsc_location[@score > 60]"]),
    row("query-xpath-count", &["-Q", "-n", "-A", "//resources/*[count(primitive)=2]"]),
    row("query-paths-one", &["-Q", "-e", "-A", "//op[@id='ip-mon']"]),
    row("query-paths-many", &["-Q", "-e", "-A", "//primitive"]),
    row("query-paths-none", &["-Q", "-e", "-A", "//bogus"]),
    row("query-paths-root", &["-Q", "-e", "-A", "/cib"]),
    row("query-ids-only", &["-Q", "-e", "-n", "-A", "//primitive"]),
    row("query-broken-xpath", &["-Q", "-A", "///["]),
    row("query-value-xpath", &["-Q", "-A", "count(//primitive)"]),
    // Create
    row("create-in-section", &["-C", "-o", "constraints", "-X", LOC3]),
    row(
        "create-existing",
        &["-C", "-o", "constraints", "-X", r#"<rsc_location id="loc1" rsc="ip" node="n1" score="1"/>"#],
    ),
    row("create-resource", &["-C", "-o", "resources", "-X", DUMMY]),
    row(
        "create-existing-resource",
        &["-C", "-o", "resources", "-X", r#"<primitive id="ip" class="lsb" type="x"/>"#],
    ),
    row(
        "create-id-used-below",
        &["-C", "-o", "resources", "-X", r#"<primitive id="r1" class="lsb" type="x"/>"#],
    ),
    row(
        "create-id-of-another-kind",
        &["-C", "-o", "resources", "-X", r#"<primitive id="loc1" class="lsb" type="x"/>"#],
    ),
    row("create-invalid", &["-C", "-o", "resources", "-X", r#"<primitive id="new" type="x"/>"#]),
    row("create-wrong-place", &["-C", "-o", "constraints", "-X", DUMMY]),
    row(
        "create-dangling-reference",
        &["-C", "-o", "constraints", "-X", r#"<rsc_location id="loc3" rsc="nope" node="n1" score="1"/>"#],
    ),
    row(
        "create-section-as-root",
        &[
            "-C",
            "-o",
            "constraints",
            "-X",
            r#"<constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1"/></constraints>"#,
        ],
    ),
    row(
        "create-several-one-exists",
        &[
            "-C",
            "-o",
            "constraints",
            "-X",
            r#"<constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1"/><rsc_location id="loc1" rsc="ip" node="n1" score="1"/></constraints>"#,
        ],
    ),
    row(
        "create-several",
        &[
            "-C",
            "-o",
            "constraints",
            "-X",
            r#"<constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1"/><rsc_location id="loc4" rsc="ip" node="n1" score="1"/></constraints>"#,
        ],
    ),
    row(
        "create-cib-as-root",
        &[
            "-C",
            "-o",
            "constraints",
            "-X",
            r#"<cib><configuration><constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1"/></constraints></configuration></cib>"#,
        ],
    ),
    row(
        "create-whole-without-section",
        &[
            "-C",
            "-X",
            r#"<cib><configuration><constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1"/></constraints></configuration></cib>"#,
        ],
    ),
    row("create-without-section-missing", &["-C", "-X", LOC3]),
    row("create-without-section-merges", &["-C", "-X", r#"<rsc_location id="loc1" score="77"/>"#]),
    row(
        "create-section-element-without-section",
        &["-C", "-X", r#"<constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1"/></constraints>"#],
    ),
    row("create-in-absent-section", &["-C", "-o", "tags", "-X", r#"<tag id="t"><obj_ref id="ip"/></tag>"#]),
    row("create-absent-section-itself", &["-C", "-o", "configuration", "-X", TAGS]),
    row("create-second-section", &["-C", "-o", "configuration", "-X", "<nodes/>"]),
    row("create-node", &["-C", "-o", "nodes", "-X", r#"<node id="3" uname="n3"/>"#]),
    row("create-node-existing", &["-C", "-o", "nodes", "-X", r#"<node id="2" uname="n9"/>"#]),
    row(
        "create-property-set",
        &[
            "-C",
            "-o",
            "crm_config",
            "-X",
            r#"<cluster_property_set id="more"><nvpair id="m1" name="batch-limit" value="3"/></cluster_property_set>"#,
        ],
    ),
    row("create-in-status", &["-C", "-o", "status", "-X", r#"<node_state id="2" uname="n2"/>"#]),
    row("create-in-status-existing", &["-C", "-o", "status", "-X", r#"<node_state id="1" uname="n1"/>"#]),
    row("create-without-input", &["-C", "-o", "resources"]),
    row("create-by-xpath", &["-C", "-A", "//constraints", "-X", LOC3]),
    row("create-from-newer-feature-set", &["-C", "-X", r#"<cib crm_feature_set="9.0.0"/>"#]),
    on(EMPTY, "create-first-resource", &["-C", "-o", "resources", "-X", DUMMY]),
    on(EMPTY, "create-first-node", &["-C", "-o", "nodes", "-X", r#"<node id="1" uname="n1"/>"#]),
    // Modify
    row("modify-value", &["-M", "-X", r#"<nvpair id="opts-stonith" value="true"/>"#]),
    row("modify-nothing", &["-M", "-X", r#"<nvpair id="opts-stonith" value="false"/>"#]),
    row("modify-add-attribute", &["-M", "-X", r#"<primitive id="ip" description="x"/>"#]),
    row("modify-in-section", &["-M", "-o", "resources", "-X", r#"<primitive id="r2" description="deep"/>"#]),
    row(
        "modify-in-other-section",
        &["-M", "-o", "nodes", "-X", r#"<primitive id="r2" description="deep"/>"#],
    ),
    row("modify-missing", &["-M", "-X", r#"<primitive id="nope" description="x"/>"#]),
    row("modify-missing-tag", &["-M", "-X", r#"<nope id="ip"/>"#]),
    row("modify-wrong-tag", &["-M", "-X", r#"<group id="ip" description="x"/>"#]),
    row("modify-without-id", &["-M", "-X", r#"<rsc_location score="5"/>"#]),
    row("modify-allow-create", &["-M", "-c", "-o", "constraints", "-X", LOC3]),
    row(
        "modify-allow-create-existing",
        &["-M", "-c", "-o", "constraints", "-X", r#"<rsc_location id="loc1" score="3"/>"#],
    ),
    row("modify-allow-create-no-section", &["-M", "-c", "-X", LOC3]),
    row(
        "modify-allow-create-absent-section",
        &["-M", "-c", "-o", "tags", "-X", r#"<tag id="t"><obj_ref id="ip"/></tag>"#],
    ),
    row(
        "modify-allow-create-status",
        &["-M", "-c", "-o", "status", "-X", r#"<node_state id="2" uname="n2"/>"#],
    ),
    row("modify-absent-section", &["-M", "-o", "tags", "-X", TAGS]),
    row(
        "modify-section-root",
        &[
            "-M",
            "-o",
            "constraints",
            "-X",
            r#"<constraints><rsc_location id="loc1" score="9"/></constraints>"#,
        ],
    ),
    row(
        "modify-appends-children",
        &[
            "-M",
            "-o",
            "resources",
            "-X",
            r#"<primitive id="ip"><operations><op id="ip-stop" name="stop" interval="0"/></operations></primitive>"#,
        ],
    ),
    row(
        "modify-merges-children",
        &[
            "-M",
            "-o",
            "resources",
            "-X",
            r#"<primitive id="ip"><operations><op id="ip-mon" timeout="9s"/><op id="ip-stop" name="stop" interval="0"/></operations></primitive>"#,
        ],
    ),
    row(
        "modify-appends-deep",
        &[
            "-M",
            "-o",
            "resources",
            "-X",
            r#"<group id="g"><primitive id="r2"><meta_attributes id="r2-m"><nvpair id="r2-mn" name="target-role" value="Stopped"/></meta_attributes></primitive></group>"#,
        ],
    ),
    row("modify-adds-invalid-attribute", &["-M", "-X", r#"<primitive id="ip" bogus="x"/>"#]),
    row(
        "modify-to-duplicate-id",
        &["-M", "-o", "resources", "-X", r#"<primitive id="ip"><meta_attributes id="g"/></primitive>"#],
    ),
    row("modify-to-dangling-reference", &["-M", "-X", r#"<rsc_location id="loc1" rsc="nope"/>"#]),
    row("modify-increment", &["-M", "-X", r#"<rsc_location id="loc1" score="score++"/>"#]),
    row("modify-increment-by", &["-M", "-X", r#"<rsc_location id="loc1" score="score+=20"/>"#]),
    row("modify-increment-negative", &["-M", "-X", r#"<rsc_location id="loc1" score="score+=-20"/>"#]),
    row("modify-increment-caps", &["-M", "-X", r#"<rsc_location id="loc1" score="score+=1000000"/>"#]),
    row("modify-increment-infinity", &["-M", "-X", r#"<rsc_colocation id="col" score="score++"/>"#]),
    row("modify-decrement-is-text", &["-M", "-X", r#"<rsc_location id="loc1" score="score--"/>"#]),
    row("modify-increment-absent", &["-M", "-X", r#"<primitive id="ip" description="description++"/>"#]),
    row("modify-admin-epoch", &["-M", "-X", r#"<cib admin_epoch="admin_epoch++"/>"#]),
    row("modify-epoch-up", &["-M", "-X", r#"<cib epoch="9"/>"#]),
    row("modify-epoch-down", &["-M", "-X", r#"<cib epoch="2"/>"#]),
    row("modify-num_updates-up", &["-M", "-X", r#"<cib num_updates="50"/>"#]),
    row(
        "modify-whole",
        &[
            "-M",
            "-X",
            r#"<cib><configuration><nodes><node id="1" description="d"/></nodes></configuration></cib>"#,
        ],
    ),
    row(
        "modify-whole-section",
        &[
            "-M",
            "-o",
            "nodes",
            "-X",
            r#"<cib><configuration><nodes><node id="1" description="d"/></nodes></configuration></cib>"#,
        ],
    ),
    row("modify-status", &["-M", "-o", "status", "-X", r#"<node_state id="1" crmd="offline"/>"#]),
    row("modify-status-without-section", &["-M", "-X", r#"<node_state id="1" crmd="offline"/>"#]),
    row("modify-validate-with-unknown", &["-M", "-X", r#"<cib validate-with="bogus"/>"#]),
    row("modify-validate-with-none", &["-M", "-X", r#"<cib validate-with="none"/>"#]),
    row("modify-feature-set-newer", &["-M", "-X", r#"<cib crm_feature_set="9.0"/>"#]),
    row(
        "modify-by-xpath-itself",
        &["-M", "-A", "//primitive[@id='r1']", "-X", r#"<primitive id="r1" description="d"/>"#],
    ),
    row(
        "modify-by-xpath-below",
        &["-M", "-A", "//group[@id='g']", "-X", r#"<primitive id="r2" description="d"/>"#],
    ),
    row(
        "modify-by-xpath-elsewhere",
        &["-M", "-A", "//group[@id='g']", "-X", r#"<primitive id="ip" description="d"/>"#],
    ),
    row("modify-by-xpath-nothing", &["-M", "-A", "//bogus", "-X", r#"<primitive id="ip" description="d"/>"#]),
    row(
        "modify-by-xpath-first-of-many",
        &["-M", "-A", "//group/primitive", "-X", r#"<primitive id="r1" description="d"/>"#],
    ),
    row("modify-by-xpath-allow-create", &["-M", "-c", "-A", "//group[@id='g']", "-X", DUMMY]),
    row("modify-without-input", &["-M"]),
    row("modify-bad-xml", &["-M", "-X", "<nvpair id='opts-stonith' value='x'"]),
    row("modify-missing-file", &["-M", "-x", "/nowhere/file.xml"]),
    row(
        "modify-unknown-section",
        &["-M", "-o", "bogus", "-X", r#"<nvpair id="opts-stonith" value="true"/>"#],
    ),
    row("modify-control-characters", &["-M", "-X", r#"<primitive id="ip" description="a&#10;b&#9;c"/>"#]),
    row("modify-high-bytes", &["-M", "-X", r#"<primitive id="ip" description="ö € &gt; &quot;"/>"#]),
    row("modify-escapes", &["-M", "-X", r#"<primitive id="ip" description="&lt;&gt;&amp;&quot;&apos;"/>"#]),
    // Replace
    row("replace-object", &["-R", "-X", r#"<rsc_location id="loc1" rsc="g" node="n2" score="7"/>"#]),
    row(
        "replace-object-in-section",
        &["-R", "-o", "constraints", "-X", r#"<rsc_location id="loc1" rsc="g" node="n2" score="7"/>"#],
    ),
    row(
        "replace-object-other-section",
        &["-R", "-o", "nodes", "-X", r#"<rsc_location id="loc1" rsc="g" node="n2" score="7"/>"#],
    ),
    row("replace-missing", &["-R", "-X", r#"<rsc_location id="nope" rsc="g" node="n2" score="7"/>"#]),
    row("replace-nested", &["-R", "-X", r#"<primitive id="r2" class="lsb" type="x"/>"#]),
    row("replace-section", &["-R", "-o", "constraints", "-X", "<constraints/>"]),
    row("replace-section-without-scope", &["-R", "-X", "<constraints/>"]),
    row(
        "replace-section-from-cib",
        &["-R", "-o", "constraints", "-X", "<cib><configuration><constraints/></configuration></cib>"],
    ),
    row("replace-section-needed", &["-R", "-o", "resources", "-X", "<resources/>"]),
    row("replace-absent-section", &["-R", "-o", "tags", "-X", TAGS]),
    row("replace-without-id", &["-R", "-X", r#"<rsc_location rsc="g" node="n2" score="7"/>"#]),
    row("replace-invalid", &["-R", "-X", r#"<primitive id="ip"/>"#]),
    row("replace-same", &["-R", "-X", r#"<rsc_location id="loc1" rsc="ip" node="n1" score="100"/>"#]),
    row("replace-whole-newer", &["-R", "-X", WHOLE_NEWER]),
    row("replace-whole-older", &["-R", "-X", WHOLE_OLDER]),
    row(
        "replace-whole-same-version",
        &[
            "-R",
            "-X",
            r#"<cib validate-with="pacemaker-3.9" epoch="5" num_updates="1" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>"#,
        ],
    ),
    row(
        "replace-whole-older-num_updates",
        &[
            "-R",
            "-X",
            r#"<cib validate-with="pacemaker-3.9" epoch="5" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>"#,
        ],
    ),
    row(
        "replace-whole-admin-epoch",
        &[
            "-R",
            "-X",
            r#"<cib validate-with="pacemaker-3.9" epoch="1" num_updates="0" admin_epoch="1"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>"#,
        ],
    ),
    row(
        "replace-whole-without-sections",
        &[
            "-R",
            "-X",
            r#"<cib validate-with="pacemaker-3.9" epoch="50" num_updates="0" admin_epoch="0"><configuration/></cib>"#,
        ],
    ),
    row(
        "replace-whole-without-versions",
        &[
            "-R",
            "-X",
            r#"<cib validate-with="pacemaker-3.9"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>"#,
        ],
    ),
    row(
        "replace-whole-feature-set-newer",
        &[
            "-R",
            "-X",
            r#"<cib crm_feature_set="3.99.0" validate-with="pacemaker-3.9" epoch="50" num_updates="0" admin_epoch="0"><configuration><crm_config/><nodes/><resources/><constraints/></configuration></cib>"#,
        ],
    ),
    row("replace-status", &["-R", "-o", "status", "-X", "<status/>"]),
    row("replace-by-xpath", &["-R", "-A", "//group/primitive[2]", "-X", DUMMY]),
    row("replace-by-xpath-first", &["-R", "-A", "//group/primitive[1]", "-X", DUMMY]),
    row("replace-by-xpath-nothing", &["-R", "-A", "//bogus", "-X", DUMMY]),
    row("replace-without-input", &["-R"]),
    // Delete
    row("delete-by-id", &["-D", "-X", r#"<rsc_location id="loc1"/>"#]),
    row("delete-by-all-attributes", &["-D", "-X", r#"<rsc_location id="loc1" rsc="ip" score="100"/>"#]),
    row("delete-wrong-attribute", &["-D", "-X", r#"<rsc_location id="loc1" rsc="g"/>"#]),
    row("delete-other-case", &["-D", "-X", r#"<rsc_colocation id="col" score="infinity"/>"#]),
    row("delete-by-other-attribute", &["-D", "-X", r#"<rsc_location score="50"/>"#]),
    row("delete-first-of-tag", &["-D", "-X", "<rsc_location/>"]),
    row("delete-missing", &["-D", "-X", r#"<rsc_location id="nope"/>"#]),
    row("delete-missing-tag", &["-D", "-X", r#"<nope id="loc1"/>"#]),
    row("delete-with-children-given", &["-D", "-X", r#"<primitive id="r2"><operations/></primitive>"#]),
    row("delete-nested", &["-D", "-X", r#"<op id="ip-start"/>"#]),
    row("delete-referenced", &["-D", "-X", r#"<primitive id="ip"/>"#]),
    row("delete-last-member", &["-D", "-X", r#"<primitive id="r3"/>"#]),
    row("delete-in-section", &["-D", "-o", "constraints", "-X", r#"<rsc_location id="loc2"/>"#]),
    row("delete-in-other-section", &["-D", "-o", "nodes", "-X", r#"<rsc_location id="loc2"/>"#]),
    row("delete-in-absent-section", &["-D", "-o", "tags", "-X", r#"<tag id="t"/>"#]),
    row(
        "delete-several",
        &[
            "-D",
            "-o",
            "constraints",
            "-X",
            r#"<constraints><rsc_location id="loc1"/><rsc_location id="loc2"/></constraints>"#,
        ],
    ),
    row("delete-section-root", &["-D", "-o", "constraints", "-X", "<constraints/>"]),
    row("delete-section-without-scope", &["-D", "-X", "<constraints/>"]),
    row("delete-cib", &["-D", "-X", "<cib/>"]),
    row("delete-status-object", &["-D", "-o", "status", "-X", r#"<node_state id="1"/>"#]),
    row("delete-status-object-no-section", &["-D", "-X", r#"<node_state id="1"/>"#]),
    row("delete-by-xpath-one", &["-D", "-A", "//rsc_location[@id='loc2']"]),
    row("delete-by-xpath-first-of-many", &["-D", "-A", "//rsc_location"]),
    row("delete-by-xpath-nothing", &["-D", "-A", "//bogus"]),
    row("delete-by-xpath-root", &["-D", "-A", "/cib"]),
    row("delete-by-xpath-needed", &["-D", "-A", "//resources"]),
    row("delete-by-xpath-attribute", &["-D", "-A", "//rsc_location/@score"]),
    row("delete-without-input", &["-D"]),
    on(LOOSE, "delete-first-of-equal-ids", &["-D", "-X", r#"<primitive id="a"/>"#]),
    on(LOOSE, "delete-second-by-attribute", &["-D", "-X", r#"<primitive id="a" class="lsb"/>"#]),
    // Delete all
    row("delete-all-unforced", &["-d", "-A", "//rsc_location"]),
    row("delete-all", &["-d", "-f", "-A", "//rsc_location"]),
    row("delete-all-nested", &["-d", "-f", "-A", "//instance_attributes | //instance_attributes/nvpair"]),
    row("delete-all-nothing", &["-d", "-f", "-A", "//bogus"]),
    row("delete-all-invalid", &["-d", "-f", "-A", "//primitive"]),
    row("delete-all-without-xpath", &["-d", "-f", "-X", "<rsc_location/>"]),
    on(LOOSE, "delete-all-loose", &["-d", "-f", "-A", "//primitive"]),
    // Erase, bump, upgrade
    row("erase-unforced", &["-E"]),
    row("erase", &["-E", "-f"]),
    on(EMPTY, "erase-empty", &["-E", "-f"]),
    row("bump", &["-B"]),
    on(EMPTY, "bump-empty", &["-B"]),
    on(LOOSE, "bump-loose", &["-B"]),
    row("upgrade-unforced", &["-u"]),
    row("upgrade-newest", &["-u", "-f"]),
    on(OLD, "upgrade-old", &["-u", "-f"]),
    on(LOOSE, "upgrade-none", &["-u", "-f"]),
    // Patch
    row("patch", &["-P", "-X", PATCH]),
    on(EMPTY, "patch-for-newer", &["-P", "-X", PATCH]),
    on(LOOSE, "patch-for-older", &["-P", "-X", PATCH]),
    row(
        "patch-without-versions",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="delete" path="/cib/configuration/constraints/rsc_location[@id='loc1']"/></diff>"#,
        ],
    ),
    row(
        "patch-create",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="create" path="/cib/configuration/constraints" position="1"><rsc_location id="loc3" rsc="ip" node="n1" score="1"/></change></diff>"#,
        ],
    ),
    row(
        "patch-move",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="move" path="/cib/configuration/constraints/rsc_location[@id='loc2']" position="0"/></diff>"#,
        ],
    ),
    row(
        "patch-delete-missing",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="delete" path="/cib/configuration/constraints/rsc_location[@id='nope']"/></diff>"#,
        ],
    ),
    row(
        "patch-modify-missing",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="modify" path="/cib/configuration/constraints/rsc_location[@id='nope']"><change-list/><change-result><rsc_location id="nope"/></change-result></change></diff>"#,
        ],
    ),
    row(
        "patch-create-missing-parent",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="create" path="/cib/configuration/tags" position="0"><tag id="t"/></change></diff>"#,
        ],
    ),
    row(
        "patch-unknown-operation",
        &["-P", "-X", r#"<diff format="2"><change operation="fold" path="/cib/configuration"/></diff>"#],
    ),
    row("patch-unknown-format", &["-P", "-X", r#"<diff format="7"/>"#]),
    row(
        "patch-invalid-result",
        &[
            "-P",
            "-X",
            r#"<diff format="2"><change operation="delete" path="/cib/configuration/resources"/></diff>"#,
        ],
    ),
    row(
        "patch-wrong-digest",
        &[
            "-P",
            "-X",
            r#"<diff format="2" digest="00112233445566778899aabbccddeeff"><change operation="delete" path="/cib/configuration/constraints/rsc_location[@id='loc1']"/></diff>"#,
        ],
    ),
    row(
        "patch-v1",
        &[
            "-P",
            "-X",
            r#"<diff><diff-removed><cib><configuration><constraints><rsc_location id="loc1" score="100"/><rsc_location id="loc2" __crm_diff_marker__="removed:top"/></constraints></configuration></cib></diff-removed><diff-added><cib><configuration><constraints><rsc_location id="loc1" score="7"/></constraints></configuration></cib></diff-added></diff>"#,
        ],
    ),
    row(
        "patch-v1-added",
        &[
            "-P",
            "-X",
            r#"<diff><diff-added><cib><configuration><constraints><rsc_location id="loc3" rsc="ip" node="n1" score="1" __crm_diff_marker__="added:top"/></constraints></configuration></cib></diff-added></diff>"#,
        ],
    ),
    row("patch-not-a-diff", &["-P", "-X", "<foo/>"]),
    row("patch-without-input", &["-P"]),
    // Denied by access control lists
    on(ACL, "acl-query", &["-Q", "-U", "daemon"]),
    on(ACL, "acl-query-section", &["-Q", "-o", "resources", "-U", "daemon"]),
    on(ACL, "acl-query-hidden", &["-Q", "-A", "//nvpair[@id='opts-acl']", "-U", "daemon"]),
    on(ACL, "acl-query-unlisted", &["-Q", "-U", "bin"]),
    on(ACL, "acl-query-root", &["-Q", "-U", "root"]),
    on(ACL, "acl-modify-allowed", &["-M", "-U", "daemon", "-X", r#"<nvpair id="p-role" value="Stopped"/>"#]),
    on(ACL, "acl-modify-denied", &["-M", "-U", "daemon", "-X", r#"<nvpair id="p-prio" value="2"/>"#]),
    on(ACL, "acl-modify-hidden", &["-M", "-U", "daemon", "-X", r#"<nvpair id="opts-acl" value="false"/>"#]),
    on(ACL, "acl-modify-unlisted", &["-M", "-U", "bin", "-X", r#"<nvpair id="p-role" value="Stopped"/>"#]),
    on(ACL, "acl-modify-nothing", &["-M", "-U", "daemon", "-X", r#"<nvpair id="p-prio" value="1"/>"#]),
    on(
        ACL,
        "acl-create-denied",
        &["-C", "-o", "nodes", "-U", "daemon", "-X", r#"<node id="2" uname="n2"/>"#],
    ),
    on(ACL, "acl-replace-denied", &["-R", "-U", "daemon", "-X", r#"<node id="1" uname="n9"/>"#]),
    on(
        ACL,
        "acl-replace-allowed",
        &["-R", "-U", "daemon", "-X", r#"<nvpair id="p-role" name="target-role" value="Stopped"/>"#],
    ),
    on(ACL, "acl-delete-denied", &["-D", "-U", "daemon", "-X", r#"<nvpair id="p-prio"/>"#]),
    on(ACL, "acl-delete-allowed", &["-D", "-U", "daemon", "-X", r#"<nvpair id="p-role"/>"#]),
    on(ACL, "acl-delete-missing", &["-D", "-U", "daemon", "-X", r#"<nvpair id="nope"/>"#]),
    on(ACL, "acl-delete-all-denied", &["-d", "-f", "-U", "daemon", "-A", "//nvpair"]),
    on(ACL_OLD, "acl-upgrade-denied", &["-u", "-f", "-U", "daemon"]),
    on(ACL, "acl-erase-denied", &["-E", "-f", "-U", "daemon"]),
    on(ACL, "acl-show-text", &["-Q", "--show-access=text", "-U", "daemon"]),
    on(ACL, "acl-show-color", &["-Q", "--show-access=color", "-U", "daemon"]),
    on(ACL, "acl-show-namespace", &["-Q", "--show-access=namespace", "-U", "daemon"]),
    on(ACL, "acl-show-nobody", &["-Q", "-S"]),
    on(ACL, "acl-show-bogus", &["-Q", "--show-access=bogus", "-U", "daemon"]),
    on(ACL, "acl-bump", &["-B", "-U", "daemon"]),
    on(
        ACL,
        "acl-patch-denied",
        &[
            "-P",
            "-U",
            "daemon",
            "-X",
            r#"<diff format="2"><change operation="delete" path="/cib/configuration/nodes/node[@id='1']"/></diff>"#,
        ],
    ),
    // The rest
    row("no-command", &[]),
    row("unknown-option", &["--bogus"]),
    row("surplus-operand", &["-Q", "surplus"]),
    row("option-without-value", &["-Q", "-o"]),
    row("last-command-wins", &["-M", "-Q"]),
    row("empty", &["-a"]),
    row("empty-of-a-schema", &["-a", "pacemaker-3.0"]),
    row("digest-of-a-file", &["-5", "-X", BASE]),
    row("digest-of-content", &["-6", "-X", BASE]),
    row("digest-with-escapes", &["-5", "-X", r#"<a b="&lt;&#10;&#9;&amp;" c="ä b"><!--note--><d/></a>"#]),
    row("digest-without-input", &["-5"]),
];

/// Pairs of documents for `crm_diff`: both directions of each are compared and applied.
pub const PAIRS: &[(&str, &str, &str)] = &[
    ("attribute", "score=\"100\"", "score=\"7\""),
    ("attribute-gone", " score=\"50\"", ""),
    ("version", "epoch=\"5\"", "epoch=\"6\""),
    ("object-gone", r#"<rsc_location id="loc2" rsc="g" node="n2" score="50"/>"#, ""),
    ("section-empty", "<node id=\"1\" uname=\"n1\"/>", ""),
    ("renamed", "id=\"r2\"", "id=\"r9\""),
    ("retagged", "<op id=\"ip-start\"", "<oq id=\"ip-start\""),
    ("deep", "value=\"10.0.0.1\"", "value=\"10.0.0.2\" x=\"y\""),
    ("status", "crmd=\"online\"", "crmd=\"offline\""),
    (
        "whole-resource",
        r#"<primitive id="r3" class="ocf" provider="pacemaker" type="Dummy"/>"#,
        r#"<group id="gg"><primitive id="r3" class="ocf" provider="pacemaker" type="Dummy"/></group>"#,
    ),
    ("comment", "<!-- resources here -->", ""),
    ("comment-changed", "<!-- resources here -->", "<!-- resources there -->"),
    ("feature-set-old", "crm_feature_set=\"3.16.1\"", "crm_feature_set=\"3.16.1\" x=\"y\""),
    ("order-of-attributes", "node=\"n1\" score=\"100\"", "score=\"100\" node=\"n1\""),
    ("written", "Mon Jan  1", "Tue Jan  2"),
];
