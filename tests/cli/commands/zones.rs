//! Times in the zone of the user.

use std::fs;

use crate::harness::World;

/// A zone that is nine hours before UTC all the time, as `zic` compiles it. Source: RFC 9636.
fn tokyo() -> Vec<u8> {
    let block = |times: &[u8]| {
        let mut block = b"TZif2".to_vec();
        block.extend([0; 15]);
        // One type of time, and the four bytes of its name; no transitions or leap seconds.
        [0_u32, 0, 0, 0, 1, 4].iter().for_each(|count| block.extend(count.to_be_bytes()));
        block.extend(times);
        block
    };
    let times = [&(9 * 3600_i32).to_be_bytes()[..], &[0, 0], b"JST\0"].concat();
    [block(&times), block(&times), b"\nJST-9\n".to_vec()].concat()
}

/// By name, by rule, and as UTC, which is also what counts where the zone is not known.
#[test]
fn times_are_in_the_zone_of_the_user() {
    let world = World::new();
    world.write("m/a", "1");
    world.lock();
    fs::create_dir_all(world.path("zones/Asia")).unwrap();
    fs::write(world.path("zones/Asia/Tokyo"), tokyo()).unwrap();
    let zones = world.path("zones").display().to_string();
    for (zone, offset) in [("Asia/Tokyo", "+09:00"), ("JST-9", "+09:00"), ("UTC0", "+00:00"), ("No/Where", "Z")] {
        let run = world.driftlock(["check", "--json", "--no-report"]).env("TZ", zone).env("TZDIR", &zones);
        let report = run.code(0).json();
        let started = report["started"].as_str().unwrap();
        assert!(started.ends_with(offset) && started.len() == 19 + offset.len(), "{zone}: {started}");
        // The folder is called by the same time.
        let digits = |text: &str| text.chars().filter(char::is_ascii_digit).take(14).collect::<String>();
        assert_eq!(digits(started), digits(report["timestamp"].as_str().unwrap()));
    }
    // A report is read back whatever zone its reader is in.
    world.driftlock(["check"]).env("TZ", "No/Where").code(0);
    world.driftlock(["report"]).env("TZ", "Asia/Tokyo").env("TZDIR", &zones).code(0);
}
