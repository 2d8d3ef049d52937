#![allow(clippy::unwrap_used)]

use super::*;

const BASE: &str = "<cib epoch='5' num_updates='1' admin_epoch='0'><configuration><crm_config/><nodes/><resources>\
     <primitive id='ip'><operations><op id='m' name='monitor'/></operations></primitive><group id='g'><primitive id='r1'/>\
     <primitive id='r2'/></group></resources><constraints><rsc_location id='l1' score='100'/></constraints>\
     </configuration><status/></cib>";

fn base() -> Cib {
    Cib::parse(BASE).unwrap()
}

fn element(text: &str) -> Element {
    Element::parse(text).unwrap()
}

/// The version after a request that succeeds.
fn version(request: Request) -> String {
    apply(&base(), &request).unwrap().cib.version().to_string()
}

fn code(request: Request) -> Code {
    let before = base();
    let error = apply(&before, &request).unwrap_err();
    assert_eq!(before, base());
    error.code
}

#[test]
fn counters_follow_what_changed() {
    let modify = |text: &str| Request::new(Operation::Modify).input(element(text));
    assert_eq!(version(modify("<rsc_location id='l1' score='1'/>")), "0.6.0");
    assert_eq!(version(modify("<rsc_location id='l1' score='100'/>")), "0.5.1");
    assert_eq!(version(modify("<cib admin_epoch='admin_epoch++'/>")), "1.5.2");
    assert_eq!(version(modify("<node_state id='1'/>").allow_create().section("status")), "0.5.2");
    assert_eq!(version(modify("<rsc_location id='l2'/>").allow_create().section("constraints")), "0.6.0");
    assert_eq!(version(Request::new(Operation::Bump)), "0.6.2");
    assert_eq!(version(Request::new(Operation::Erase)), "1.6.0");
    assert_eq!(code(modify("<cib epoch='4'/>")), Code::OldData);
    let replace = |epoch: u64, inner: &str| {
        let text = BASE.replace("epoch='5'", &format!("epoch='{epoch}'")).replace("<nodes/>", inner);
        Request::new(Operation::Replace).input(element(&text))
    };
    assert_eq!(version(replace(10, "<nodes/>")), "0.10.2");
    assert_eq!(version(replace(30, "<nodes><node id='1'/></nodes>")), "0.31.0");
    assert_eq!(code(replace(4, "<nodes/>")), Code::OldData);
}

#[test]
fn a_version_can_be_required() {
    let request = Request::new(Operation::Bump).if_version(Version::new(0, 5, 0));
    assert_eq!(code(request), Code::OldData);
    assert_eq!(version(Request::new(Operation::Bump).if_version(Version::new(0, 5, 1))), "0.6.2");
}

#[test]
fn a_dry_run_changes_nothing_and_says_so() {
    let mut request = Request::new(Operation::Bump);
    request.options.dry_run = true;
    let applied = apply(&base(), &request).unwrap();
    assert!(applied.changed);
    assert_eq!(applied.cib, base());
}

#[test]
fn what_failed_to_be_created_comes_back() {
    let request =
        Request::new(Operation::Create).section("constraints").input(element("<rsc_location id='l1'/>"));
    let error = apply(&base(), &request).unwrap_err();
    assert_eq!((error.code, error.code.exit()), (Code::Exists, 108));
    assert_eq!(
        error.output.unwrap().to_xml_compact(),
        "<failed><failed_update id=\"l1\" object_type=\"rsc_location\" operation=\"cib_create\" reason=\"File exists\">\
         <rsc_location id=\"l1\"/></failed_update></failed>"
    );
}

#[test]
fn operations_by_xpath() {
    let by = |op, xpath: &str| Request::new(op).xpath(xpath);
    let text = |request: Request| apply(&base(), &request).unwrap().output.unwrap().to_xml_compact();
    assert_eq!(text(by(Operation::Query, "//group/primitive[1]")), "<primitive id=\"r1\"/>");
    assert_eq!(
        text(by(Operation::Query, "//group/primitive")),
        "<xpath-query><primitive id=\"r1\"/><primitive id=\"r2\"/></xpath-query>"
    );
    assert_eq!(code(by(Operation::Query, "//nothing")), Code::NotFound);
    assert_eq!(code(by(Operation::Query, "///")), Code::Usage);
    assert_eq!(code(by(Operation::Delete, "/cib")), Code::Invalid);
    assert_eq!(version(by(Operation::Delete, "//nothing")), "0.5.1");
    let left = |request: Request| {
        let cib = apply(&base(), &request).unwrap().cib;
        cib.root()
            .descendants()
            .filter(|e| e.name() == "primitive")
            .map(|e| e.id().unwrap().to_string())
            .collect()
    };
    let ids: Vec<String> = left(by(Operation::Delete, "//primitive"));
    assert_eq!(ids, ["r1", "r2"]);
    let ids: Vec<String> = left(by(Operation::DeleteAll, "//primitive | //group"));
    assert!(ids.is_empty());
    let ids: Vec<String> =
        left(by(Operation::Replace, "//primitive[@id='r1']").input(element("<primitive id='new'/>")));
    assert_eq!(ids, ["ip", "new", "r2"]);
}

#[test]
fn newer_input_and_unknown_sections_are_refused() {
    let newer = element("<cib crm_feature_set='3.99.0'/>");
    assert_eq!(code(Request::new(Operation::Modify).input(newer)), Code::Protocol);
    assert_eq!(code(Request::new(Operation::Query).section("bogus")), Code::Usage);
    assert_eq!(code(Request::new(Operation::Query).section("tags")), Code::NotFound);
    assert_eq!(code(Request::new(Operation::Modify)), Code::Invalid);
}

/// Access lists are judged by the one who asks, wherever the request is carried out; without a stamp by nobody.
#[test]
fn access_lists_hold_for_whoever_asks() {
    let cib = Cib::parse(
        "<cib epoch='1' num_updates='0' admin_epoch='0'><configuration><crm_config><cluster_property_set id='o'><nvpair \
         id='e' name='enable-acl' value='true'/></cluster_property_set></crm_config><nodes><node id='1' uname='n'/></nodes>\
         <acls><acl_role id='r'><acl_permission id='p' kind='read' xpath='//nodes'/></acl_role><acl_group id='ops'>\
         <role id='r'/></acl_group></acls></configuration><status/></cib>",
    )
    .unwrap();
    let ask = |op, user: &str, groups: &[&str]| {
        let mut request = Request::new(op).section("nodes");
        if op == Operation::Modify {
            request.input = Some(element("<node id='1' uname='m'/>"));
        }
        let groups = groups.iter().map(ToString::to_string).collect();
        request.stamp = Some(Stamp { user: user.to_string(), groups, ..Stamp::default() });
        apply(&cib, &request).map(|applied| applied.changed).map_err(|error| error.code)
    };
    assert_eq!(ask(Operation::Query, "eve", &[]), Err(Code::Denied));
    assert_eq!(ask(Operation::Query, "tony", &["ops"]), Ok(false));
    assert_eq!(ask(Operation::Modify, "tony", &["ops"]), Err(Code::Denied));
    assert_eq!(ask(Operation::Modify, "root", &[]), Ok(true));
    assert_eq!(ask(Operation::Modify, "", &[]), Ok(true));
}

/// Children of a large update are found by a table of names and ids, those of a small one by looking at each: what
/// comes of it is the same.
#[test]
fn a_large_update_does_what_its_parts_do() {
    let mut old = Element::new("resources");
    let mut update = Element::new("resources");
    for i in 0..120 {
        let name = ["primitive", "group", "clone"][i % 3];
        let mut child = Element::new(name).with_attr("was", format!("{i}"));
        if i % 7 != 0 {
            // Ids that stand twice, under one name and under two.
            child.set_attr("id", format!("r{}", i % 50));
        }
        old.push(child);
        let name = ["group", "primitive", "clone", "template"][i % 4];
        let mut child = Element::new(name).with_attr("is", format!("{i}"));
        if i % 5 != 0 {
            child.set_attr("id", format!("r{}", (i * 7) % 70));
        }
        update.push(child);
    }
    let configuration = Element::new("configuration").with_child(old);
    let root = Element::new("cib").with_child(configuration).with_child(Element::new("status"));
    let modify = |cib: &Cib, input: Element| {
        let request = Request::new(Operation::Modify).section("resources").input(input);
        apply(cib, &request).unwrap().cib
    };
    let base = Cib::from_root(root).unwrap();
    let whole = modify(&base, update.clone());
    let mut parts = base;
    for child in update.children() {
        parts = modify(&parts, Element::new("resources").with_child(child.clone()));
    }
    assert_eq!(whole.configuration(), parts.configuration());
}
