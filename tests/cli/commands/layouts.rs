//! `driftlock init` on the layouts of real repositories: what belongs to the application is covered, or named.

use std::collections::BTreeSet;
use std::fs;
use std::os::unix::fs::symlink;

use crate::harness::World;
use crate::watch::says;

/// A repository: its files, its links with their targets, the checks that are to come of it, and what is not covered and has to
/// be named.
struct Layout {
    name: &'static str,
    files: &'static [&'static str],
    links: &'static [(&'static str, &'static str)],
    checks: &'static [(&'static str, &'static str)],
    named: &'static [&'static str],
}

const LAYOUTS: &[Layout] = &[
    Layout {
        name: "OCA with setup/",
        files: &[
            "base_x/__manifest__.py",
            "base_x/models/x.py",
            "web_y/__manifest__.py",
            "setup/base_x/setup.py",
            "setup/web_y/setup.py",
            "README.md",
            "requirements.txt",
        ],
        links: &[("setup/base_x/odoo/addons/base_x", "../../../../base_x")],
        checks: &[("addon_hashes", ".")],
        named: &["setup/base_x/odoo/addons/base_x -> ../../../../base_x: a link"],
    },
    Layout {
        name: "OCA of 7.0",
        files: &[
            "base_x/__openerp__.py",
            "base_x/x.py",
            "__unported__/y/__openerp__.py",
            "__unported__/z/__openerp__.py",
        ],
        links: &[],
        checks: &[("addon_hashes", ".")],
        named: &[],
    },
    Layout {
        name: "Doodba",
        files: &[
            "odoo/custom/src/private/sale_x/__manifest__.py",
            "odoo/custom/src/private/sale_x/models/x.py",
            "odoo/custom/src/addons.yaml",
            "devel.yaml",
            "common.yaml",
        ],
        links: &[("docker-compose.yml", "devel.yaml")],
        checks: &[("compose_hashes", "."), ("addon_hashes", "odoo/custom/src/private")],
        named: &["common.yaml", "odoo/custom/src/addons.yaml", "docker-compose.yml -> devel.yaml: a link"],
    },
    Layout {
        name: "modules at the top beside a compose file",
        files: &["docker-compose.yml", "sale_x/__manifest__.py", "sale_x/x.py", "config/odoo.conf"],
        links: &[],
        checks: &[("addon_hashes", ".")],
        named: &[],
    },
    Layout {
        name: "several addon directories",
        files: &["addons/a/__manifest__.py", "enterprise/b/__manifest__.py", "enterprise/b/b.py", "odoo.conf"],
        links: &[],
        checks: &[("addons_addons", "addons"), ("addons_enterprise", "enterprise")],
        named: &["odoo.conf"],
    },
    Layout {
        name: "addon directories made of links",
        files: &["oca/web/a/__manifest__.py", "oca/sale/b/__manifest__.py"],
        links: &[("addons/a", "../oca/web/a"), ("addons/b", "../oca/sale/b"), ("addons/c", "/opt/c")],
        checks: &[("addons_addons", "addons"), ("addons_oca_sale", "oca/sale"), ("addons_oca_web", "oca/web")],
        named: &["addons/c -> /opt/c: a link"],
    },
    Layout {
        name: "stacks",
        files: &["infra/stacks/a/docker-compose.yml", "infra/stacks/b/compose.yaml", "infra/README.md"],
        links: &[],
        checks: &[("compose_hashes", "infra/stacks")],
        named: &["infra/README.md"],
    },
    Layout {
        name: "nested stacks",
        files: &["stacks/a/prod/compose.yaml", "stacks/b/compose.yaml", "stacks/b/.env"],
        links: &[],
        checks: &[("compose_hashes", "stacks")],
        named: &["stacks/b/.env"],
    },
    Layout {
        name: "override files",
        files: &["app/docker-compose.yml", "app/docker-compose.override.yml", "app/compose.prod.yaml"],
        links: &[],
        checks: &[("compose_hashes", ".")],
        named: &[],
    },
    Layout {
        name: "profiles in files of their own",
        files: &["compose.yaml", "profiles/debug.yaml", "profiles/prod.yaml"],
        links: &[],
        checks: &[("compose_hashes", ".")],
        named: &["profiles/: 2 files that no check includes"],
    },
    Layout {
        name: "a monorepo",
        files: &["package.json", "packages/a/package.json", "packages/b/package.json", "packages/b/b.js", "tools/x.sh"],
        links: &[],
        checks: &[("module_hashes", ".")],
        named: &[],
    },
    Layout {
        name: "Ansible roles",
        files: &["roles/web/tasks/main.yml", "roles/web/templates/x.j2", "roles/db/tasks/main.yaml", "site.yml"],
        links: &[],
        checks: &[("module_hashes", "roles")],
        named: &["site.yml"],
    },
    Layout {
        name: "Helm charts",
        files: &["charts/a/Chart.yaml", "charts/a/templates/x.yaml", "charts/b/Chart.yaml"],
        links: &[],
        checks: &[("module_hashes", "charts")],
        named: &[],
    },
    Layout {
        name: "a tree like /etc",
        files: &["nginx/nginx.conf", "nginx/conf.d/x.conf", "ssh/sshd_config", "hosts"],
        links: &[("localtime", "/usr/share/zoneinfo/UTC")],
        checks: &[("tree_hashes", ".")],
        named: &["localtime -> /usr/share/zoneinfo/UTC: a link"],
    },
    Layout {
        name: "manifests of Kubernetes",
        files: &["k8s/deployment.yaml", "k8s/service.yaml", "Makefile"],
        links: &[],
        checks: &[("tree_hashes", ".")],
        named: &[],
    },
    Layout {
        name: "one application",
        files: &["pyproject.toml", "src/app/__init__.py", "src/app/main.py", "docker-compose.yml"],
        links: &[],
        checks: &[("module_hashes", ".")],
        named: &[],
    },
];

/// After `init` and `lock`, an edit of any file is drift, or the file was named by `init`.
#[test]
fn every_file_is_covered_or_named() {
    for layout in LAYOUTS {
        let world = World::new();
        fs::remove_file(world.path("driftlock.toml")).unwrap();
        fs::remove_dir(world.path("root")).unwrap();
        for file in layout.files {
            fs::create_dir_all(world.path(file).parent().unwrap()).unwrap();
            fs::write(world.path(file), file).unwrap();
        }
        for (link, target) in layout.links {
            fs::create_dir_all(world.path(link).parent().unwrap()).unwrap();
            symlink(target, world.path(link)).unwrap();
        }
        let name = layout.name;
        let said = world.driftlock(["init"]).code(0).stdout();
        let text = fs::read_to_string(world.path("driftlock.toml")).unwrap();
        let value = |line: &str, key: &str| line.strip_prefix(key).map(|rest| rest.trim_matches('"').to_owned());
        let names: Vec<_> = text.lines().filter_map(|line| value(line.trim_end_matches(']'), "[check.")).collect();
        let roots: Vec<_> = text.lines().filter_map(|line| value(line, "root = ")).collect();
        let checks: Vec<_> = names.iter().zip(&roots).map(|(name, root)| (name.as_str(), root.as_str())).collect();
        assert_eq!(checks, layout.checks, "{name}\n{text}");
        for named in layout.named {
            assert!(said.lines().any(|line| line.trim().starts_with(named)), "{name}: {named}\n{said}");
            assert!(text.contains(named), "{name}: {named}\n{text}");
        }
        world.driftlock(["lock"]).code(0);
        world.driftlock(["check"]).code(0);
        let is_named = |file: &str| {
            said.lines().map(str::trim).any(|line| {
                line.strip_prefix(file).is_some_and(|rest| rest.starts_with(": "))
                    || line.split_once("/: ").is_some_and(|(above, _)| file.starts_with(&format!("{above}/")))
            })
        };
        let mut told = BTreeSet::new();
        for file in layout.files {
            fs::write(world.path(file), "edited").unwrap();
            if is_named(file) {
                told.insert(*file);
                world.driftlock(["check"]).code(0);
            } else {
                world.driftlock(["check"]).code(1);
            }
            fs::write(world.path(file), file).unwrap();
        }
        let files = layout.named.iter().filter(|named| !named.contains(" -> ") && !named.contains("/: ")).count();
        assert!(told.len() >= files, "{name}: {told:?}");
        world.driftlock(["check"]).code(0);
    }
}

/// Globs of a fixed depth would never see it.
#[test]
fn a_stack_that_is_added_deeper_is_seen() {
    let world = World::new();
    fs::remove_file(world.path("driftlock.toml")).unwrap();
    for file in ["stacks/a/compose.yaml", "stacks/b/compose.yaml"] {
        fs::create_dir_all(world.path(file).parent().unwrap()).unwrap();
        fs::write(world.path(file), "x").unwrap();
    }
    world.driftlock(["init"]).code(0);
    world.driftlock(["lock"]).code(0);
    fs::create_dir_all(world.path("stacks/a/prod/deep")).unwrap();
    fs::write(world.path("stacks/a/prod/deep/compose.yaml"), "x").unwrap();
    let text = world.driftlock(["check"]).code(1).stdout();
    assert!(text.contains("stacks/a/prod/deep/compose.yaml"), "{text}");
}

/// However much it is, all of it is named: summed up by directory where it would be too long to read.
#[test]
fn what_is_not_covered_is_named_however_much_it_is() {
    let world = World::new();
    for number in 0..80 {
        let app = format!("app{number:02}");
        for file in ["compose.yaml", "README.md", "src/main.go", "src/go.mod", "src/deep/er/x.go"] {
            let path = world.root(format!("{app}/{file}"));
            fs::create_dir_all(path.parent().unwrap()).unwrap();
            fs::write(path, file).unwrap();
        }
    }
    fs::write(world.root("top.txt"), "").unwrap();
    let mut init = world.driftlock(["init"]);
    init.command.current_dir(world.path("root"));
    let text = init.code(0).stdout();
    for number in 0..80 {
        says(&text, &[&format!("    app{number:02}/: 4 of 5 files that no check includes\n")]);
    }
    says(&text, &["    top.txt: no check includes it\n"]);
    assert!(!text.contains("more\n"), "{text}");
    let declaration = fs::read_to_string(world.root("driftlock.toml")).unwrap();
    says(&declaration, &["#   app79/: 4 of 5 files that no check includes\n"]);
}

/// A tree that is covered at any depth is nothing to be told of.
#[test]
fn what_is_covered_too_deep_to_be_looked_into_is_not_named() {
    let world = World::new();
    for module in ["a", "b"] {
        let deep = world.root(format!("{module}/1/2/3/4/5/6/7/8/9"));
        fs::create_dir_all(&deep).unwrap();
        fs::write(deep.join("x.py"), "").unwrap();
        fs::write(world.root(format!("{module}/__manifest__.py")), "").unwrap();
    }
    let mut init = world.driftlock(["init"]);
    init.command.current_dir(world.path("root"));
    let text = init.code(0).stdout();
    assert_eq!(
        text,
        "wrote driftlock.toml; read it through, then run `driftlock lock`\nso that git merges locks by entry, once in each clone:\n    \
         git config merge.driftlock.driver 'driftlock merge-driver --marker-size %L --path %P %O %A %B'\n"
    );
}
