//! Where a keyring is kept: in a private file, or in memory.

use std::{
    fmt::Debug,
    fs::File,
    io::{self, Read},
    path::{Path, PathBuf},
};

use zeroize::Zeroizing;

use super::{Keyring, KeyringError};

/// Where the keyring is kept.
///
/// It is loaded again before anything is sealed, so that a rotated key is used
/// at once by a running server, and when a row names a key that is not known.
pub trait KeySource: Debug + Send + Sync {
    /// The keyring as it is now.
    ///
    /// # Errors
    ///
    /// [`KeyringError`] where it cannot be read; nothing is sealed or opened
    /// then.
    fn load(&self) -> Result<Keyring, KeyringError>;
}

/// A keyring in a file that only its owner may read.
#[derive(Clone, Debug)]
pub struct FileKeySource(
    /// The file.
    pub PathBuf,
);

impl KeySource for FileKeySource {
    fn load(&self) -> Result<Keyring, KeyringError> {
        let Self(path) = self;
        let read = |source| KeyringError::Read { path: path.display().to_string(), source };
        let mut file = File::open(path).map_err(read)?;
        refuse_exposed(path, &file)?;
        let text = read_whole(&mut file).map_err(read)?;
        Keyring::parse(&text)
    }
}

/// Reads into one buffer that is wiped: a string that grows leaves copies.
fn read_whole(file: &mut File) -> io::Result<Zeroizing<String>> {
    let length = usize::try_from(file.metadata()?.len()).unwrap_or(0);
    let mut text = Zeroizing::new(String::with_capacity(length + 1));
    file.read_to_string(&mut text)?;
    Ok(text)
}

#[cfg(unix)]
fn refuse_exposed(path: &Path, file: &File) -> Result<(), KeyringError> {
    use std::os::unix::fs::PermissionsExt;

    let shown = || path.display().to_string();
    let metadata =
        file.metadata().map_err(|source| KeyringError::Read { path: shown(), source })?;
    let mode = metadata.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 { Ok(()) } else { Err(KeyringError::Exposed { path: shown(), mode }) }
}

#[cfg(not(unix))]
fn refuse_exposed(_: &Path, _: &File) -> Result<(), KeyringError> {
    Ok(())
}

/// A keyring that is given once, from the environment or in a test.
#[derive(Clone, Debug)]
pub struct FixedKeySource(
    /// The keyring.
    pub Keyring,
);

impl KeySource for FixedKeySource {
    fn load(&self) -> Result<Keyring, KeyringError> {
        Ok(self.0.clone())
    }
}

#[cfg(unix)]
#[cfg(test)]
mod tests {
    use std::{fs, os::unix::fs::PermissionsExt};

    use myelin_ambient::SystemEntropy;

    use super::*;

    fn file(mode: u32) -> (tempfile::TempDir, FileKeySource, Keyring) {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keyring = Keyring::generate(&SystemEntropy);
        fs::write(&path, keyring.to_text().as_bytes()).unwrap();
        fs::set_permissions(&path, fs::Permissions::from_mode(mode)).unwrap();
        (folder, FileKeySource(path), keyring)
    }

    #[test]
    fn private_file_is_read() {
        let (_folder, source, keyring) = file(0o600);
        assert_eq!(source.load().unwrap(), keyring);
    }

    #[test]
    fn file_that_others_can_read_is_refused_with_the_way_out() {
        for mode in [0o640, 0o604, 0o622] {
            let (_folder, source, _) = file(mode);
            let error = source.load().unwrap_err().to_string();
            assert!(error.contains("chmod 600"), "{error}");
        }
    }

    #[test]
    fn missing_file_is_an_error_that_names_it() {
        let error = FileKeySource("no/such/keys".into()).load().unwrap_err();
        assert!(error.to_string().contains("no/such/keys"), "{error}");
    }
}
