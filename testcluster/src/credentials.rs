//! Certificates, users, tokens and kubeconfig files of one control plane.
//!
//! Everything is made anew for each cluster and worthless after it.

use std::{
    fmt::Write as _,
    fs::{self, File},
    io::Read as _,
    path::{Path, PathBuf},
    process::Command,
};

use crate::{Binaries, Error};

/// The group that RBAC does not bind.
pub(crate) const MASTERS: &str = "system:masters";

/// Somebody whom the API server knows by a bearer token.
#[derive(Debug, Clone)]
pub(crate) struct User {
    pub(crate) name: String,
    pub(crate) groups: Vec<String>,
    pub(crate) token: String,
}

impl User {
    /// A user with a token drawn from the operating system's randomness.
    pub(crate) fn new(name: &str, groups: &[String]) -> Result<Self, Error> {
        for name in groups.iter().map(String::as_str).chain([name]) {
            // A comma would split a group in two; quotes are escaped below.
            if name.is_empty() || name.contains(|c: char| c.is_control() || c == ',') {
                return Err(Error::Name { name: name.to_owned() });
            }
        }
        Ok(Self { name: name.to_owned(), groups: groups.to_vec(), token: token()? })
    }

    fn csv_line(&self) -> String {
        let quoted = |text: &str| format!("\"{}\"", text.replace('"', "\"\""));
        let (name, groups) = (quoted(&self.name), quoted(&self.groups.join(",")));
        format!("{},{name},{name},{groups}\n", self.token)
    }
}

fn token() -> Result<String, Error> {
    let mut bytes = [0; 16];
    File::open("/dev/urandom")
        .and_then(|mut file| file.read_exact(&mut bytes))
        .map_err(Error::io("read randomness"))?;
    Ok(bytes.iter().fold(String::new(), |mut text, byte| {
        // invariant: writing to a String cannot fail.
        let _ = write!(text, "{byte:02x}");
        text
    }))
}

/// The files that identify the control plane and its users, below one folder.
#[derive(Debug)]
pub(crate) struct Credentials {
    folder: PathBuf,
    url: String,
    pub(crate) users: Vec<User>,
}

impl Credentials {
    /// Writes certificates, keys and the token file.
    pub(crate) fn write(binaries: &Binaries, folder: &Path, url: String, users: Vec<User>) -> Result<Self, Error> {
        let keygen = binaries.keygen();
        let output =
            Command::new(&keygen).arg(folder).output().map_err(Error::io(format!("run {}", keygen.display())))?;
        if !output.status.success() {
            let message = String::from_utf8_lossy(&output.stderr).into_owned();
            return Err(Error::io("make certificates")(std::io::Error::other(message)));
        }
        let this = Self { folder: folder.to_owned(), url, users };
        let lines: String = this.users.iter().map(User::csv_line).collect();
        write(&this.tokens(), &lines)?;
        Ok(this)
    }

    pub(crate) fn authority(&self) -> PathBuf {
        self.folder.join("ca.crt")
    }

    pub(crate) fn server_certificate(&self) -> PathBuf {
        self.folder.join("server.crt")
    }

    pub(crate) fn server_key(&self) -> PathBuf {
        self.folder.join("server.key")
    }

    pub(crate) fn service_account_key(&self) -> PathBuf {
        self.folder.join("sa.key")
    }

    pub(crate) fn tokens(&self) -> PathBuf {
        self.folder.join("tokens.csv")
    }

    pub(crate) fn user(&self, name: &str) -> Result<&User, Error> {
        self.users.iter().find(|user| user.name == name).ok_or_else(|| Error::UnknownUser { name: name.to_owned() })
    }

    /// A kubeconfig file with which this user talks to the API server.
    pub(crate) fn kubeconfig(&self, user: &User) -> Result<PathBuf, Error> {
        let place = self.users.iter().position(|other| other.name == user.name).unwrap_or(self.users.len());
        let path = self.folder.join(format!("kubeconfig-{place}.yaml"));
        let (url, token) = (&self.url, &user.token);
        let authority = self.authority().display().to_string().replace('\'', "''");
        let text = format!(
            "\
apiVersion: v1
kind: Config
current-context: testcluster
contexts:
  - name: testcluster
    context: {{cluster: testcluster, user: testcluster, namespace: default}}
clusters:
  - name: testcluster
    cluster:
      server: {url}
      certificate-authority: '{authority}'
users:
  - name: testcluster
    user:
      token: {token}
"
        );
        write(&path, &text)?;
        Ok(path)
    }
}

fn write(path: &Path, text: &str) -> Result<(), Error> {
    fs::write(path, text).map_err(Error::io(format!("write {}", path.display())))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn names_with_colons_and_quotes_fit_into_the_token_file() {
        let user = User::new("system:\"odd\"", &["system:masters".into(), "team".into()]).expect("a name");
        let line = user.csv_line();
        let (token, rest) = line.split_once(',').expect("a comma");
        assert_eq!(token.len(), 32);
        assert_eq!(rest, "\"system:\"\"odd\"\"\",\"system:\"\"odd\"\"\",\"system:masters,team\"\n");
    }

    #[test]
    fn names_that_would_break_the_token_file_are_refused() {
        for name in ["", "a\nb", "a,b"] {
            assert!(matches!(User::new(name, &[]), Err(Error::Name { .. })), "{name:?}");
            assert!(matches!(User::new("ok", &[name.to_owned()]), Err(Error::Name { .. })), "{name:?}");
        }
    }

    #[test]
    fn no_two_users_share_a_token() {
        let token = |name| User::new(name, &[]).expect("a name").token;
        assert_ne!(token("a"), token("b"));
    }
}
