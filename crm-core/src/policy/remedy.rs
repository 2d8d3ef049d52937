//! What can be done about a complaint whose sentence does not say it.

/// The remedy for a code, empty where the sentence has it already.
pub(super) fn remedy(code: &str) -> &'static str {
    match code {
        "bundle-uncontrolled" => "give its network ip-range-start or control-port",
        "bundle-mount" => "give the storage-mapping a source and a target directory",
        "bundle-per-host" => "remove control-port, or set replicas-per-host to 1",
        "bundle-port" => "give the port-mapping a port or a range",
        "clone-empty" => "put a primitive or a group into the clone, or remove it",
        "clone-promotable-class" => "use an agent of class ocf, or a clone that is not promotable",
        "clone-unique-class" => "remove globally-unique, or use an agent of class ocf",
        "clone-node-max" => "set globally-unique, or leave the attribute out",
        "colocation-influence" => "choose true or false",
        "colocation-impossible" | "colocation-interleave" => {
            "make both clones interleaved, or lower the score"
        }
        "colocation-instance" | "order-instance" => {
            "name the clone; instances cannot be told apart by number"
        }
        "colocation-instance-clone" | "order-instance-clone" => "leave the instance out",
        "colocation-instance-unknown" | "order-instance-unknown" => {
            "name an instance below clone-max, or the clone itself"
        }
        "colocation-symmetrical" => "remove the attribute; write a second constraint for the other way",
        "colocation-two-tags" => {
            "write one constraint for each resource of one of the two, or use resource sets"
        }
        "constraint-no-resource" | "constraint-resource" | "set-resource" => {
            "correct the name, or remove the constraint"
        }
        "constraint-without-id"
        | "node-without-id"
        | "operation-without-id"
        | "resource-without-id"
        | "tag-reference-without-id"
        | "tag-without-id" => "give the element an id",
        "constraint-type" => "remove it, or use rsc_location, rsc_colocation, rsc_order or rsc_ticket",
        "container-unknown" => "name an existing resource as container",
        "expression-attribute" => "give the expression an attribute",
        "expression-operation" => "give the expression an operation",
        "failure-timeout-block" => "remove failure-timeout, or choose another on-fail",
        "group-empty" | "group-member" => "put a primitive into the group, or remove it",
        "history-cancelled" | "history-duplicate" => "refresh the resource on that node",
        "interval-origin" => "write the moment in ISO 8601, like 2026-11-20 12:00:00Z",
        "location-discovery" => "choose always, never or exclusive",
        "location-role" => "choose Started, Promoted or Unpromoted",
        "location-no-rule" => "name a node and a score, or add a rule",
        "location-pattern" => "correct the regular expression",
        "migration-threshold" => "use a whole number from 0 on, or INFINITY",
        "multiple-active" => "choose stop_start, stop_only, block or stop_unexpected",
        "node-name-twice" => "remove one of the nodes",
        "node-ping" => "remove the node; the cluster knows ping nodes from its own configuration",
        "node-state-unknown" => "remove the node completely, or configure it again",
        "node-type" => "choose member, remote or ping, or leave the type out",
        "on-fail-demote" | "on-fail-fence" | "on-fail-stop" | "on-fail-unknown" => {
            "choose an on-fail that this operation can have"
        }
        "operation-cannot-recur" => "set its interval to 0",
        "operation-duplicate" => "remove one of the operations, or give it another interval",
        "operation-role" => "choose Started, Stopped, Promoted or Unpromoted",
        "option-invalid" => "correct the value; everbeat options lists what is allowed",
        "order-kind" => "choose Mandatory, Optional or Serialize",
        "order-without-end" => "name what comes first and what comes then",
        "order-not-invertible" => "name the actions that are to be undone, or set symmetrical to false",
        "order-symmetrical-serialize" => "set symmetrical to false, or leave it out",
        "orphan-active" => "remove it, or configure it again",
        "remove-after-stop" => "remove the option",
        "restart-type" => "remove it, and write an ordering of kind Optional or Mandatory",
        "requires-unfencing" => "configure and enable fencing, or set requires to quorum",
        "requires-fencing" => "configure and enable fencing, or set requires to quorum",
        "requires-invalid" => "choose nothing, quorum, fencing or unfencing",
        "resource-invalid" | "resource-unusable" => "correct what the other complaints name",
        "resource-type" => "use primitive, group, clone or bundle",
        "role-after-failure" => "set on-fail instead",
        "rule-role" => "choose Started, Promoted or Unpromoted",
        "rule-score" => "give the rule a score or a score-attribute",
        "suicide-without-fencing" => "configure and enable fencing, or choose another no-quorum-policy",
        "target-role" => "choose Started, Stopped, Promoted or Unpromoted",
        "target-role-promotable" => "make the clone promotable, or choose Started or Stopped",
        "template-self" => "name another template, or remove the attribute",
        "template-unknown" => "name an existing template",
        "template-user-without-id" => "give the element an id",
        "ticket-fence" => "configure and enable fencing, or choose another loss-policy",
        "ticket-without-resource" => "name a resource, or use a resource set",
        "ticket-missing" => "name a ticket",
        "utilization-invalid" => "use a whole number",
        _ => "",
    }
}
