//! Refusals of names: of checks and of their lock files.

use super::*;

#[test]
fn refuses_names_of_checks() {
    const HELP: &str = "use 1 to 100 characters of `A-Z a-z 0-9 _ . -`, the first a letter or a digit";
    let long = "x".repeat(101);
    for (name, key, shown) in [
        ("", "\"\"", ""),
        ("_a", "_a", "_a"),
        (".a", "\".a\"", ".a"),
        ("a b", "\"a b\"", "a b"),
        ("ä", "\"ä\"", "ä"),
        ("a/b", "\"a/b\"", "a/b"),
        ("a\\nb", "\"a\\nb\"", "a\\nb"),
        (&long, &long, &long),
    ] {
        let text = format!("[check.\"{name}\"]");
        refuses(&text, &format!("1: check.{key}: `{shown}` is not a valid check name; {HELP}"));
    }
    for name in ["lock_files_exist", "server_collection", "seal", "live"] {
        let text = format!("\n[check.{name}]");
        let message = format!("`{name}` is a reserved name in reports; give the check another name");
        refuses(&text, &format!("2: check.{name}: {message}"));
    }
    for name in ["a", "A.b-c_9", &"x".repeat(100)] {
        assert!(toml(&format!("[check.\"{name}\"]\nkind = 'trees'\nroot = 'r'")).is_ok(), "{name}");
    }
}

#[test]
fn refuses_lock_files() {
    const HELP: &str = "write a plain name that ends in `.lock.json` or `.lock.txt`";
    for (lock, reason) in [
        ("a/b.lock.json", "it contains `/`, but locks are directly in the `locks` directory"),
        ("../b.lock.json", "it contains `/`, but locks are directly in the `locks` directory"),
        (".lock.json", "it starts with `.`"),
        ("a.json", "it ends in neither `.lock.json` nor `.lock.txt`"),
    ] {
        let message = format!("5: check.a.lock: `{lock}` is not a valid name for a lock file: {reason}; {HELP}");
        refuses(&with(&format!("lock = '{lock}'")), &message);
    }
    refuses(
        &with("lock = 'a.hash.txt'"),
        "5: check.a.lock: `a.hash.txt` is not a valid name for a lock file: `.hash.txt` is for old locks of `trees`; use it in a check of kind `trees`, or choose another name",
    );
    let long = format!("{}.lock.json", "x".repeat(200));
    assert!(refused(toml(&with(&format!("lock = '{long}'")))).contains("it is longer than 200 bytes"));
    refuses(
        &tree_with("lock = 'a.lock.txt'"),
        "4: check.a.lock: `a.lock.txt` has the sha256sum format, which does not support `trees`; \
         write a name that ends in `.lock.json`",
    );
    refuses(
        &with("lock = 'a.lock.txt'\nattributes = ['mode']"),
        "5: check.a.lock: `a.lock.txt` has the sha256sum format, which does not support `attributes`; \
         write a name that ends in `.lock.json`",
    );
    assert!(toml(&with("lock = 'a.lock.txt'\nattributes = []")).is_ok());
}

#[test]
fn refuses_two_checks_with_one_lock_file() {
    const OWN: &str = "give each check its own lock: `lock = \"NAME.lock.json\"`";
    refuses(
        &with("[check.b]\nkind = 'trees'\nroot = 'r'\nlock = 'a.lock.json'"),
        &format!("8: check.b.lock: lock file `a.lock.json` is already used by check `a` (line 1); {OWN}"),
    );
    refuses(
        &with("lock = 'b.lock.json'\n[check.b]\nkind = 'trees'\nroot = 'r'"),
        &format!("6: check.b.lock: lock file `b.lock.json` is already used by check `a` (line 5); {OWN}"),
    );
}

#[test]
fn an_old_lock_of_modules_has_a_new_one_beside_it() {
    let old = tree_with("lock = 'odoo_addons_modules.hash.txt'");
    let check = &toml(&old).unwrap().checks[0];
    assert_eq!(check.lock.name, format!("{}.lock.json", check.name));
    assert_eq!(check.lock.old.as_deref(), Some("odoo_addons_modules.hash.txt"));
    refuses(
        &format!("{old}[check.b]\nkind = 'trees'\nroot = 'r'\nlock = 'odoo_addons_modules.hash.txt'"),
        "8: check.b.lock: lock file `odoo_addons_modules.hash.txt` is already used by check `a` (line 4); give each check \
         its own lock: `lock = \"NAME.lock.json\"`",
    );
    refuses(
        &format!("{old}[check.b]\nkind = 'trees'\nroot = 'r'\nlock = 'a.lock.json'"),
        "8: check.b.lock: lock file `a.lock.json` is already used by check `a` (line 4); give each check its own lock: \
         `lock = \"NAME.lock.json\"`",
    );
}
