//! Each complaint about a constraint is made where it is true, and not where a small difference makes it untrue.

#![allow(clippy::unwrap_used)]

use cib::Cib;
use crm_core::explain;
use crm_core::policy::Situation;

const NOW: i64 = 1_700_000_000;

/// A start that went well, and nothing else.
fn history(id: &str) -> String {
    let key = "7:1:0:5b1c7a52-0f3e-4d8a-9a53-8c1e2d4f6a70";
    format!(
        "<lrm_resource id='{id}' class='ocf' provider='heartbeat' type='Dummy'><lrm_rsc_op id='{id}_last_0' \
         operation_key='{id}_start_0' operation='start' crm_feature_set='3.16.1' transition-key='{key}' \
         transition-magic='0:0;{key}' call-id='3' rc-code='0' op-status='0' interval='0' last-rc-change='{}' \
         op-digest='f2317cad3d54cec5d7d7aa7d0bf35cf8'/></lrm_resource>",
        NOW - 5000
    )
}

/// Two nodes; `a`, `b` and `c` run on the first. `meta` is of `a`.
fn document(options: &str, meta: &str, constraints: &str) -> Cib {
    let primitive = |id: &str, meta: &str| {
        format!("<primitive id='{id}' class='ocf' provider='heartbeat' type='Dummy'>{meta}</primitive>")
    };
    let state = |id: u8, histories: String| {
        format!(
            "<node_state id='{id}' uname='n{id}' in_ccm='true' crmd='online' join='member' expected='member'>\
             <lrm id='{id}'><lrm_resources>{histories}</lrm_resources></lrm></node_state>"
        )
    };
    Cib::parse(&format!(
        "<cib validate-with='pacemaker-3.9' crm_feature_set='3.16.1' admin_epoch='0' epoch='1' num_updates='0' \
         have-quorum='1'><configuration><crm_config><cluster_property_set id='o'>\
         <nvpair id='o1' name='stonith-enabled' value='false'/>{options}</cluster_property_set></crm_config>\
         <nodes><node id='1' uname='n1'/><node id='2' uname='n2'/></nodes>\
         <resources>{}{}{}</resources><constraints>{constraints}</constraints>\
         <rsc_defaults><meta_attributes id='d'><nvpair id='d1' name='resource-stickiness' value='1000'/>\
         </meta_attributes></rsc_defaults></configuration>\
         <status>{}{}<tickets><ticket_state id='T' granted='true'/></tickets></status></cib>",
        primitive("a", meta),
        primitive("b", ""),
        primitive("c", ""),
        state(1, ["a", "b", "c"].map(history).concat()),
        state(2, String::new()),
    ))
    .unwrap()
}

/// What is said of each constraint.
fn said(cib: &Cib) -> Vec<(String, Vec<(&'static str, String)>)> {
    let situation = Situation { now: NOW, ..Situation::default() };
    let readings = explain::constraints(cib, &situation, None).unwrap();
    let lints = |r: explain::Reading| r.lints.into_iter().map(|l| (l.code, l.text)).collect();
    readings.into_iter().map(|r| (r.id.clone(), lints(r))).collect()
}

/// The codes that are said of the constraint `id` among these.
fn codes(id: &str, constraints: &str) -> Vec<&'static str> {
    codes_with("", "", id, constraints)
}

fn codes_with(options: &str, meta: &str, id: &str, constraints: &str) -> Vec<&'static str> {
    let all = said(&document(options, meta, constraints));
    let found = all.into_iter().find(|(own, _)| own == id).unwrap();
    found.1.into_iter().map(|(code, _)| code).collect()
}

/// The constraints, of those in the list, of which `code` is said.
fn told<const N: usize>(code: &str, constraints: [String; N]) -> Vec<String> {
    let all = said(&document("", "", &constraints.concat())).into_iter();
    all.filter(|(_, lints)| lints.iter().any(|(own, _)| *own == code)).map(|(id, _)| id).collect()
}

/// None of them.
const NONE: [&str; 0] = [];

fn location(id: &str, rsc: &str, node: &str, score: &str) -> String {
    format!("<rsc_location id='{id}' rsc='{rsc}' node='{node}' score='{score}'/>")
}

fn colocation(id: &str, rsc: &str, with: &str, score: &str) -> String {
    format!("<rsc_colocation id='{id}' rsc='{rsc}' with-rsc='{with}' score='{score}'/>")
}

fn order(id: &str, first: &str, then: &str, kind: &str) -> String {
    format!("<rsc_order id='{id}' first='{first}' then='{then}' kind='{kind}'/>")
}

#[test]
fn no_effect() {
    assert_eq!(codes("l", &location("l", "a", "n1", "0")), ["no-effect"]);
    // It keeps a where it is when everything has to start.
    assert_eq!(codes("l", &location("l", "a", "n2", "100")), ["no-effect-now"]);
    assert_eq!(codes("l", &location("l", "a", "n2", "INFINITY")), [""; 0]);
}

#[test]
fn no_effect_now() {
    // What runs already does not wait for what it comes after.
    assert_eq!(codes("o", &order("o", "a", "b", "Mandatory")), ["no-effect-now"]);
    // One of them has to be stopped, and so has the other.
    let restarts = order("o", "a", "b", "Mandatory") + &location("l", "a", "n1", "-INFINITY");
    assert_eq!(codes("o", &restarts), [""; 0]);
}

#[test]
fn contradictory() {
    let ban = |node: &str| location(&format!("not-{node}"), "a", node, "-INFINITY");
    let both = ban("n1") + &ban("n2");
    assert_eq!(codes("not-n1", &both), ["contradictory"]);
    assert_eq!(codes("not-n2", &both), ["contradictory"]);
    assert_eq!(codes("not-n1", &ban("n1")), [""; 0]);
    // A wish against a node forbids it too; bans of two resources leave each a node.
    let wish = location("hardly-n2", "a", "n2", "-1");
    assert_eq!(told("contradictory", [ban("n1"), wish]), ["not-n1", "hardly-n2"]);
    assert_eq!(told("contradictory", [ban("n1"), location("b-not-n2", "b", "n2", "-INFINITY")]), NONE);
    // What is told to be stopped would have no node anyway.
    let stopped =
        "<meta_attributes id='m'><nvpair id='m1' name='target-role' value='Stopped'/></meta_attributes>";
    assert!(!codes_with("", stopped, "not-n1", &both).contains(&"contradictory"));
}

#[test]
fn contradictory_over_a_colocation() {
    let whole = location("a1", "a", "n1", "-INFINITY")
        + &location("b2", "b", "n2", "-INFINITY")
        + &colocation("w", "a", "b", "INFINITY");
    // Another pair's ban has no share in it.
    let other = location("c1", "c", "n1", "-INFINITY");
    assert_eq!(codes("c1", &(whole.clone() + &other)), [""; 0]);
    assert_eq!(told("contradictory", [whole, other]), ["a1", "b2", "w"]);
}

#[test]
fn shadowed_location() {
    let weak = |node: &str| location("weak", "a", node, "100");
    let strong = |rsc: &str, node: &str| location("strong", rsc, node, "INFINITY");
    assert_eq!(codes("weak", &(weak("n1") + &strong("a", "n1"))), ["shadowed"]);
    assert_eq!(told("shadowed", [weak("n1"), strong("a", "n1")]), ["weak"]);
    assert_eq!(told("shadowed", [weak("n2"), strong("a", "n1")]), NONE);
    assert_eq!(told("shadowed", [weak("n2"), strong("b", "n2")]), NONE);
}

#[test]
fn shadowed_colocation() {
    let strong = colocation("strong", "a", "b", "INFINITY");
    assert_eq!(told("shadowed", [colocation("weak", "a", "b", "500"), strong.clone()]), ["weak"]);
    assert_eq!(told("shadowed", [colocation("weak", "b", "a", "500"), strong]), NONE);
}

#[test]
fn shadowed_order() {
    let weak = order("weak", "a", "b", "Optional");
    let strong = |then: &str| order("strong", "a", then, "Mandatory");
    assert_eq!(codes("weak", &(strong("b") + &weak)), ["shadowed"]);
    assert_eq!(told("shadowed", [strong("b"), weak.clone()]), ["weak"]);
    // Read first, the weaker one takes the place of the other: it is not without effect.
    assert_eq!(told("shadowed", [weak.clone(), strong("b")]), NONE);
    assert_eq!(told("shadowed", [weak, strong("c")]), NONE);
}

#[test]
fn overruled_order() {
    // By the place in the document, not by names; with Serialize as well, and however the score is spelled.
    let strong = |id: &str| order(id, "a", "b", "Mandatory");
    for (weak, id) in [("Optional", "z"), ("Serialize", "0")] {
        let weak = order("weak", "a", "b", weak);
        assert_eq!(codes(id, &(weak.clone() + &strong(id))), ["overruled"]);
        assert_eq!(told("overruled", [weak.clone(), strong(id)]), [id]);
        assert_eq!(told("overruled", [strong(id), weak]), NONE);
    }
    let scored = |id: &str, score: &str| format!("<rsc_order id='{id}' first='a' then='b' score='{score}'/>");
    assert_eq!(told("overruled", [scored("weak", "0"), scored("s", "1")]), ["s"]);
    // As strict as the other, or of other actions.
    assert_eq!(told("overruled", [strong("one"), strong("other")]), NONE);
    assert_eq!(
        told("overruled", [order("weak", "a", "b", "Optional"), order("s", "a", "c", "Mandatory")]),
        NONE
    );
    assert_eq!(told("overruled", [order("weak", "b", "a", "Optional"), strong("s")]), NONE);
}

#[test]
fn overruled_where_the_other_goes_along_anyway() {
    // Stopped, a takes b with it; where it is started anew in its place, the order alone would.
    let weak = order("weak", "a", "b", "Optional");
    let with = colocation("with", "b", "a", "INFINITY");
    let all = weak + &order("s", "a", "b", "Mandatory") + &with;
    assert_eq!(codes("s", &all), ["overruled"]);
    assert_eq!(codes("weak", &all), ["no-effect-now"]);
}

#[test]
fn overruled_order_of_sets() {
    let set = |id: &str, kind: &str| {
        let refs = ["a", "b", "c"].map(|r| format!("<resource_ref id='{r}'/>")).concat();
        format!(
            "<rsc_order id='{id}' kind='{kind}'><resource_set id='{id}-s'>{refs}</resource_set></rsc_order>"
        )
    };
    assert_eq!(told("overruled", [order("weak", "b", "c", "Optional"), set("s", "Mandatory")]), ["s"]);
    assert_eq!(told("overruled", [set("weak", "Optional"), order("s", "a", "b", "Mandatory")]), ["s"]);
    assert_eq!(told("overruled", [set("s", "Mandatory"), set("weak", "Optional")]), NONE);
    // In a set, a comes before c by way of b only.
    assert_eq!(told("overruled", [set("weak", "Optional"), order("s", "a", "c", "Mandatory")]), NONE);
    // Removing the set would lose what it says of a and b: the place helps.
    let remedy = |constraints: [String; 2]| {
        let all = said(&document("", "", &constraints.concat()));
        all.into_iter().flat_map(|(_, lints)| lints).find(|(code, _)| *code == "overruled").unwrap().1
    };
    let place = remedy([set("weak", "Optional"), order("s", "a", "b", "Mandatory")]);
    assert!(place.contains("write this one before weak"), "{place}");
    let command = remedy([order("weak", "b", "c", "Optional"), set("s", "Mandatory")]);
    assert!(command.contains("cibadmin --delete --xml-text '<rsc_order id=\"weak\"/>'"), "{command}");
}

#[test]
fn overruled_on_one_side() {
    let start = "<rsc_order id='weak' first='a' then='b' kind='Optional' symmetrical='false'/>".to_owned();
    let all = said(&document("", "", &(start + &order("s", "a", "b", "Mandatory"))));
    let (_, lints) = all.into_iter().next_back().unwrap();
    let (_, text) = lints.into_iter().find(|(code, _)| *code == "overruled").unwrap();
    assert!(text.contains("\"start a, then start b\"") && !text.contains("stop b"), "{text}");
}

#[test]
fn shadowed_ticket() {
    let ticket = |id: &str, ticket: &str| format!("<rsc_ticket id='{id}' rsc='a' ticket='{ticket}'/>");
    let twice = ticket("one", "T") + &ticket("two", "T");
    assert_eq!(codes("two", &twice), ["shadowed"]);
    assert_eq!(codes("one", &ticket("one", "T")), ["no-effect-now"]);
}

#[test]
fn left_over() {
    let rule = |end: &str| {
        format!(
            "<rsc_location id='cli-ban-a-on-n2' rsc='a'><rule id='r' score='-INFINITY'>\
             <expression id='e' attribute='#uname' operation='eq' value='n2'/>\
             <date_expression id='x' operation='lt' end='{end}'/></rule></rsc_location>"
        )
    };
    let text = |constraints: &str| {
        let all = said(&document("", "", constraints));
        let (_, lints) = all.into_iter().next().unwrap();
        lints.into_iter().find(|(code, _)| *code == "leftover").map(|(_, text)| text)
    };
    let open = text(&location("cli-ban-a-on-n2", "a", "n2", "-INFINITY")).unwrap();
    assert!(open.contains("until it is cleared"), "{open}");
    let past = text(&rule("2023-11-14 10:00:00Z")).unwrap();
    assert!(past.contains("it expired"), "{past}");
    let future = text(&rule("2030-01-01 00:00:00Z")).unwrap();
    assert!(future.contains("it holds until 2030"), "{future}");
    let moved = text(&location("cli-prefer-a", "a", "n2", "INFINITY")).unwrap();
    assert!(moved.contains("--move"), "{moved}");
    // Somebody else's name for the same ban.
    assert_eq!(text(&location("ban-a-on-n2", "a", "n2", "-INFINITY")), None);
    assert_eq!(text(&location("client-prefers-a", "a", "n2", "INFINITY")), None);
}

#[test]
fn expired() {
    let date = |operation: &str, end: &str| {
        format!("<date_expression id='d-{operation}-{}' operation='{operation}' {end}/>", end.len())
    };
    let rule = |id: &str, more: &str, parts: &str| {
        format!(
            "<rsc_location id='{id}' rsc='a'><rule id='{id}-r' score='100' {more}>{parts}</rule></rsc_location>"
        )
    };
    let node = "<expression id='e' attribute='#uname' operation='eq' value='n2'/>";
    let (past, future) = ("end='2023-11-10'", "end='2033-11-10'");
    let over = date("lt", past);
    assert_eq!(codes("l", &rule("l", "", &(node.to_owned() + &over))), ["expired"]);
    assert_eq!(told("expired", [rule("l", "", &date("in_range", past))]), ["l"]);
    // It may come again, or is still to come, or says something at other times as well.
    assert_eq!(told("expired", [rule("l", "", &date("lt", future))]), NONE);
    assert_eq!(told("expired", [rule("l", "", &date("gt", "start='2023-11-10'"))]), NONE);
    assert_eq!(told("expired", [rule("l", "boolean-op='or'", &(node.to_owned() + &over))]), NONE);
    assert_eq!(told("expired", [rule("l", "", node)]), NONE);
    // All of several.
    let both = date("lt", past) + &date("in_range", past);
    assert_eq!(told("expired", [rule("l", "boolean-op='or'", &both)]), ["l"]);
}

#[test]
fn circular_order() {
    let must = |id: &str, first: &str, then: &str| order(id, first, then, "Mandatory");
    assert_eq!(codes("x", &(must("x", "a", "b") + &must("y", "b", "a"))), ["circular"]);
    assert_eq!(told("circular", [must("x", "a", "b"), must("y", "b", "a")]), ["x", "y"]);
    assert_eq!(told("circular", [must("x", "a", "b"), order("y", "b", "a", "Optional")]), NONE);
    assert_eq!(told("circular", [must("x", "a", "b"), must("y", "b", "c")]), NONE);
}

#[test]
fn circular_colocation() {
    let must = |id: &str, rsc: &str, with: &str| colocation(id, rsc, with, "INFINITY");
    assert_eq!(codes("x", &(must("x", "a", "b") + &must("y", "b", "a"))), ["circular"]);
    assert_eq!(told("circular", [must("x", "a", "b"), colocation("y", "b", "a", "500")]), NONE);
    assert_eq!(told("circular", [must("x", "a", "b"), must("y", "b", "c")]), NONE);
}

#[test]
fn unknown_names_are_ignored() {
    let ignored = [location("l", "a", "n3", "100"), order("o", "a", "nobody", "Mandatory")];
    assert_eq!(told("ignored", ignored), ["l", "o"]);
    assert_eq!(told("ignored", [location("l", "a", "n2", "100")]), NONE);
}
