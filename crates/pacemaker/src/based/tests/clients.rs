//! Clients that are not like the others: those that may not see everything, those over TCP.

use super::*;
use crate::based::messages;

/// A patch tells what was changed, also what its reader may not see.
#[test]
fn notifications_tell_nothing_to_who_may_not_see_everything() {
    let mut world = World::new(1);
    world.connect(0, 1, "root", false);
    world.connect(0, 2, "ann", false);
    let follow = "<cib-callback cib_op='cib_notify' cib_notify_type='cib_diff_notify' \
                  cib_notify_activate='1'/>";
    world.request(0, 1, 2, follow);
    world.request(0, 2, 2, follow);
    let change = |world: &mut World, attrs: &str, data: &str| {
        world.nodes[0].events.clear();
        assert_eq!(world.call(0, 1, attrs, data).get("cib_rc"), Some("0"));
        let mut events = std::mem::take(&mut world.nodes[0].events);
        events.sort_by_key(|(client, _)| *client);
        let clients: Vec<u64> = events.iter().map(|(client, _)| *client).collect();
        assert_eq!(clients, [1, 2]);
        events.pop().unwrap().1
    };
    let before = change(&mut world, "cib_op='cib_create' cib_section='nodes'", NODE);
    assert!(before.to_text().contains("node1"), "without access control there is nothing to hide");
    let option = "<cluster_property_set id='o'><nvpair id='e' name='enable-acl' value='true'/>\
                  </cluster_property_set>";
    change(&mut world, "cib_op='cib_create' cib_section='crm_config'", option);
    let copy = Element::clone(world.nodes[0].based.document());
    let secret = "<cluster_property_set id='s'><nvpair id='n' name='n' value='hush'/>\
                  </cluster_property_set>";
    let notify = change(&mut world, "cib_op='cib_create' cib_section='crm_config'", secret);
    let text = notify.to_text();
    assert!(!text.contains("hush") && !text.contains("nvpair"), "{text}");
    // Who holds a copy learns that it is old; who has the new one, nothing.
    let patch = messages::field(&notify, "cib_update_result").unwrap();
    assert_eq!(cib::patch::apply(&copy, patch).unwrap_err(), cib::Rc::DIFF_RESYNC);
    let new = world.nodes[0].based.document();
    assert_eq!(cib::patch::apply(new, patch).unwrap_err(), cib::Rc::OLD_DATA);
}

/// As upstream's library does it: a connection for requests that wait, one for the others.
#[test]
fn who_comes_over_tcp_gets_answers_only_to_operations_and_has_rights() {
    let mut world = World::new(2);
    world.connect(0, 1, "root", false);
    for (client, user) in [(3, "hacluster"), (7, "hacluster"), (11, "ann")] {
        let new = NewClient {
            uuid: format!("uuid-{client}"),
            user: user.to_owned(),
            pid: 0,
            privileged: user == "hacluster",
            read_only: false,
            is_remote: true,
        };
        world.nodes[0].based.client_connected(client, new);
    }
    world.nodes[0].responses.clear();
    let say = |world: &mut World, client: u64, text: &str| {
        let request = xml::parse(text).ok();
        world.with(0, |based, ctx| based.client_request(ctx, client, 0, 0, request));
        world.deliver_all();
        assert!(world.nodes[0].responses.is_empty(), "{text}");
        std::mem::take(&mut world.nodes[0].events)
    };
    let register = "<cib_command cib_op='register' cib_clientname='tool' cib_async_id='uuid-7' cib_callid='0'/>";
    assert_eq!(say(&mut world, 3, register), []);
    let follow = "<cib_command cib_op='cib_notify' cib_notify_type='cib_diff_notify' \
                  cib_notify_activate='1'/>";
    assert_eq!(say(&mut world, 7, follow), []);
    // Somebody else's name, another node: not for them to say. Two at once are both answered.
    let change = |id: u32| {
        format!(
            "<cib_command cib_op='cib_modify' cib_section='nodes' cib_callid='{id}' \
             cib_callopt='{SYNC}' cib_host='node2' cib_update='true'><cib_calldata>\
             <nodes><node id='{id}' uname='n{id}'/></nodes></cib_calldata></cib_command>"
        )
    };
    world.with(0, |based, ctx| {
        based.client_request(ctx, 7, 0, 0, xml::parse(&change(4)).ok());
        based.client_request(ctx, 7, 0, 0, xml::parse(&change(5)).ok());
    });
    world.deliver_all();
    let events = std::mem::take(&mut world.nodes[0].events);
    let replies: Vec<_> = events
        .iter()
        .filter(|(client, event)| *client == 7 && event.name() == "cib-reply")
        .map(|(_, event)| (event.get("cib_callid"), event.get("cib_rc")))
        .collect();
    assert_eq!(replies, [(Some("4"), Some("0")), (Some("5"), Some("0"))]);
    assert_eq!(events.iter().filter(|(_, event)| event.name() == "notify").count(), 2);
    world.assert_equal();
    let document = world.nodes[1].based.document();
    assert_eq!(document.get("update-client"), Some("tool"));
    assert_eq!(document.get("update-user"), Some("hacluster"));
    // Access control holds for them as for everybody.
    let option = "<cluster_property_set id='o'><nvpair id='e' name='enable-acl' value='true'/>\
                  </cluster_property_set>";
    world.call(0, 1, "cib_op='cib_create' cib_section='crm_config'", option);
    world.nodes[0].events.clear();
    for op in ["cib_query", "cib_bump"] {
        let text = format!("<cib_command cib_op='{op}' cib_callid='6' cib_user='root'/>");
        let answer = say(&mut world, 11, &text);
        assert_eq!(answer[0].1.get("cib_rc"), Some("-13"), "{op}");
    }
}
