//! Parameters kept out of the CIB: a value of `lrm://` stands for the content of a file that only
//! root can read.
//!
//! Source: `spec/pacemaker-cluster.md` §16.6.

use std::collections::BTreeMap;
use std::fs;
use std::path::Path;

use md5::{Digest, Md5};

/// Where the files are: one directory per resource, one file per parameter, and its MD5 beside it.
pub const SECRETS_DIR: &str = "/var/lib/pacemaker/lrm/secrets";

/// The value that stands for a secret.
const PLACEHOLDER: &str = "lrm://";

/// Longest secret, in bytes.
const SECRET_MAX: usize = 255;

/// Why secrets could not be read; the parameter's name is in it, its value never.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("secret of parameter `{0}` is missing or does not match its signature")]
pub struct SecretError(pub String);

/// Replaces placeholders by what they stand for.
pub fn substitute(
    dir: &Path,
    resource: &str,
    params: &mut BTreeMap<String, String>,
) -> Result<(), SecretError> {
    for (name, value) in params.iter_mut().filter(|(_, value)| *value == PLACEHOLDER) {
        *value = read(dir, resource, name).ok_or_else(|| SecretError(name.clone()))?;
    }
    Ok(())
}

fn read(dir: &Path, resource: &str, name: &str) -> Option<String> {
    // Ids come from the configuration: they must not lead out of the directory.
    if [resource, name].iter().any(|part| part.contains('/') || *part == ".." || part.is_empty()) {
        return None;
    }
    let path = dir.join(resource).join(name);
    let secret = first_line(&fs::read_to_string(&path).ok()?)?;
    let sign = first_line(&fs::read_to_string(path.with_file_name(format!("{name}.sign"))).ok()?)?;
    let digest = Md5::digest(secret.as_bytes());
    let digest: String = digest.iter().map(|byte| format!("{byte:02x}")).collect();
    (digest == sign).then_some(secret)
}

fn first_line(text: &str) -> Option<String> {
    let line = text.lines().next().unwrap_or_default().trim_end();
    (line.len() <= SECRET_MAX).then(|| line.to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn placeholders_are_replaced_only_with_a_matching_signature() {
        let dir = std::env::temp_dir().join(format!("execd-secrets-{}", std::process::id()));
        fs::create_dir_all(dir.join("R")).unwrap();
        fs::write(dir.join("R/passwd"), "hello \n").unwrap();
        fs::write(dir.join("R/passwd.sign"), "5d41402abc4b2a76b9719d911017c592\n").unwrap();
        let params = |name: &str| -> BTreeMap<String, String> {
            [(name.to_owned(), "lrm://".to_owned()), ("a".to_owned(), "b".to_owned())].into()
        };
        let mut good = params("passwd");
        assert_eq!(substitute(&dir, "R", &mut good), Ok(()));
        assert_eq!(good["passwd"], "hello");
        assert!(substitute(&dir, "R", &mut params("other")).is_err());
        assert!(substitute(&dir, "..", &mut params("passwd")).is_err());
        fs::write(dir.join("R/passwd"), "changed\n").unwrap();
        assert!(substitute(&dir, "R", &mut params("passwd")).is_err());
        fs::remove_dir_all(dir).unwrap();
    }
}
