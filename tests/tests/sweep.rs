//! Every scenario with a fault of every kind at every request, and killed at every step: see
//! `src/sweep.rs`. It is exhaustive, and no seed is in it.

use sfbulk_tests::sweep::sweep;

#[test]
fn one_fault_of_any_kind_at_any_place_is_got_over_or_told() {
    let swept = sweep(false);
    println!("{} scenarios, {} runs", swept.scenarios, swept.runs);
    swept.failures.iter().for_each(|(what, why)| {
        println!("  {what}: {}", why.lines().next().unwrap_or_default());
    });
    assert!(swept.scenarios >= 36 && swept.runs > 10_000);
    assert!(swept.failures.is_empty(), "{}\n{}", swept.failures[0].0, swept.failures[0].1);
}
