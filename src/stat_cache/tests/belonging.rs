//! What a cache belongs to.

use crate::capability::RunIdentity;
use crate::stat_cache::binding::Binding;
use crate::stat_cache::location::Root;

#[test]
fn what_a_cache_belongs_to_is_told_apart() {
    let us = RunIdentity { user: 0, group: 0, groups: vec![0, 4], boot: b"a".to_vec(), now: 5, booted: 3 };
    let digest = |identity: &RunIdentity| Binding::new(identity).finish();
    for other in [
        RunIdentity { user: 1, ..us.clone() },
        RunIdentity { group: 1, ..us.clone() },
        RunIdentity { groups: vec![0], ..us.clone() },
        RunIdentity { groups: vec![], ..us.clone() },
        RunIdentity { boot: b"b".to_vec(), ..us.clone() },
        RunIdentity { boot: vec![], ..us.clone() },
    ] {
        assert_ne!(digest(&us), digest(&other), "{other:?}");
    }
    assert_eq!(
        digest(&us),
        digest(&RunIdentity { now: 6, booted: 4, ..us.clone() }),
        "the clocks are seen to elsewhere"
    );
}

/// A lock is known by its inode, so it is to lie where it lay.
#[test]
fn a_cache_belongs_to_where_the_locks_are() {
    let digest = |locks: Option<&Root>| {
        let us = RunIdentity { user: 0, group: 0, groups: vec![], boot: b"a".to_vec(), now: 5, booted: 3 };
        let mut binding = Binding::new(&us);
        binding.locks(locks);
        binding.finish()
    };
    let here = Root { device: (8, 1), inode: 2, file_system: 3 };
    assert_eq!(digest(Some(&here)), digest(Some(&here)));
    assert_ne!(digest(Some(&here)), digest(None));
    for other in [
        Root { device: (9, 1), ..here },
        Root { device: (8, 2), ..here },
        Root { inode: 3, ..here },
        Root { file_system: 4, ..here },
    ] {
        assert_ne!(digest(Some(&here)), digest(Some(&other)), "{other:?}");
    }
}
