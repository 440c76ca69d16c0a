//! Recognises secrets, by file name or by a private key in the contents. Reports show their contents only if an
//! operator names the file literally.

use crate::path::split_last;

const ENDS: [&[u8]; 15] = [
    b".env",
    b".pem",
    b".key",
    b".p12",
    b".pfx",
    b".jks",
    b".keystore",
    b".kdbx",
    b".ppk",
    b".gpg",
    b".pgp",
    b".token",
    b".secret",
    b".netrc",
    b".pgpass",
];
const STARTS: [&[u8]; 6] = [b".env", b"id_rsa", b"id_dsa", b"id_ecdsa", b"id_ed25519", b".htpasswd"];
const PARTS: [&[u8]; 5] = [b"secret", b"passwd", b"password", b"credential", b"private_key"];

/// Whether the path names a secret: `*.env`, `*.pem`, keys and similar files, and everything in a directory of secrets.
#[must_use]
pub fn is_named(path: &[u8]) -> bool {
    let path = path.to_ascii_lowercase();
    let (above, name) = split_last(&path);
    let has = |whole: &[u8], part: &[u8]| whole.windows(part.len()).any(|window| window == part);
    ENDS.iter().any(|end| name.ends_with(end))
        || STARTS.iter().any(|start| name.starts_with(start))
        || PARTS.iter().any(|part| has(name, part))
        || above.split(|&byte| byte == b'/').any(|name| matches!(name, b"secrets" | b".ssh" | b".gnupg"))
}

/// Whether the contents have a private key in them.
#[must_use]
pub fn is_within(contents: &[u8]) -> bool {
    const MARK: &[u8] = b"PRIVATE KEY-----";
    contents.windows(MARK.len()).any(|window| window == MARK)
}

/// Whether one of the globs is exactly this path, without wildcards.
#[must_use]
pub fn is_literal(globs: &[String], path: &[u8]) -> bool {
    globs.iter().any(|glob| glob.as_bytes() == path && !glob.contains(['*', '?', '[', ']', '{', '}', '\\', '!']))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn secrets_are_known_by_their_names() {
        for name in [
            "web/.env",
            "web/prod.env",
            ".env.local",
            "tls/web.pem",
            "tls/WEB.KEY",
            "id_ed25519",
            "a/secrets/db",
            "db_password.txt",
            ".ssh/config",
            "aws-credentials",
        ] {
            assert!(is_named(name.as_bytes()), "{name}");
        }
        for name in ["web/docker-compose.yml", "keyboard.py", "env/readme", "environment.yml", "module/models.py"] {
            assert!(!is_named(name.as_bytes()), "{name}");
        }
        assert!(is_within(b"x\n-----BEGIN OPENSSH PRIVATE KEY-----\n"));
        assert!(!is_within(b"-----BEGIN PUBLIC KEY-----"));
        let globs = ["web/.env".to_owned(), "*/.env".to_owned()];
        assert!(is_literal(&globs, b"web/.env") && !is_literal(&globs, b"db/.env") && !is_literal(&globs, b"*/.env"));
    }
}
