//! Conversations: what the machine says to the service and hears from it, one snapshot for each
//! [scenario](sfbulk_tests::scenarios). Read a changed snapshot as a change of the protocol.

use std::thread;

use sfbulk_tests::dialogue;
use sfbulk_tests::scenarios::{self, Scenario};
use sfbulk_tests::server::CANARY;

#[test]
fn every_conversation_is_as_it_was() {
    let scenarios = scenarios::all();
    assert!(scenarios.len() >= 38);
    let changed = |scenario: Scenario| {
        let title = scenario.title;
        thread::spawn(move || compare(scenario)).join().err().map(|_| title)
    };
    let changed: Vec<&str> = scenarios.into_iter().filter_map(changed).collect();
    assert!(changed.is_empty(), "changed, see above: {changed:#?}");
}

/// Plays a conversation to its end and compares it with the snapshot of its name.
fn compare(scenario: Scenario) {
    let name = scenario.name;
    let world = scenario.play();
    let text = dialogue::render(&world.log);
    assert!(!text.contains(CANARY), "a secret in the conversation:\n{text}");
    let mut settings = insta::Settings::clone_current();
    settings.set_snapshot_path("snapshots");
    settings.set_prepend_module_to_snapshot(false);
    settings.set_omit_expression(true);
    settings.add_filter(r"client=sfbulk/\d+\.\d+\.\d+\S*", "client=sfbulk/[version]");
    settings.bind(|| insta::assert_snapshot!(name, text));
}
