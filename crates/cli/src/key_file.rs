//! The key file on disk: made once, replaced whole, never half written.

use std::{
    fs::{self, File, OpenOptions},
    io::{self, Write as _},
    os::unix::fs::OpenOptionsExt,
    path::{Path, PathBuf},
};

use anyhow::{Context, Result, bail};
use myelin_storage::{FileKeySource, KeySource as _, Keyring};

/// A key file that no other `myelin` process changes meanwhile.
#[derive(Debug)]
pub(crate) struct KeyFile {
    path: PathBuf,
    /// The folder, locked while this lives; the lock ends with the process.
    folder: File,
}

impl KeyFile {
    /// Takes hold of the file, which may not exist yet.
    ///
    /// # Errors
    ///
    /// When its folder is missing, or another process has hold of it.
    pub(crate) fn lock(path: &Path) -> Result<Self> {
        let parent = path.parent().filter(|parent| !parent.as_os_str().is_empty());
        let parent = parent.unwrap_or(Path::new("."));
        let shown = parent.display();
        let folder =
            File::open(parent).with_context(|| format!("cannot open the folder {shown}"))?;
        match folder.try_lock() {
            Ok(()) => Ok(Self { path: path.to_owned(), folder }),
            Err(fs::TryLockError::WouldBlock) => {
                bail!("another `myelin` process is changing keys in {shown}")
            }
            Err(fs::TryLockError::Error(error)) => {
                Err(error).with_context(|| format!("cannot lock the folder {shown}"))
            }
        }
    }

    /// The keyring in the file.
    pub(crate) fn read(&self) -> Result<Keyring> {
        Ok(FileKeySource(self.path.clone()).load()?)
    }

    /// Writes a new file, which must not exist yet.
    pub(crate) fn create(&self, keyring: &Keyring) -> Result<()> {
        let written = self.write_beside(keyring).and_then(|new| {
            // A link does not replace what is there, as a rename would.
            let linked = fs::hard_link(&new, &self.path);
            fs::remove_file(&new)?;
            linked?;
            self.folder.sync_all()
        });
        written.with_context(|| format!("cannot make the key file {}", self.path.display()))
    }

    /// Replaces the file: whoever reads it, and whatever happens, finds the
    /// old keyring or the new one.
    pub(crate) fn replace(&self, keyring: &Keyring) -> Result<()> {
        let written = self.write_beside(keyring).and_then(|new| {
            fs::rename(new, &self.path)?;
            self.folder.sync_all()
        });
        written.with_context(|| format!("cannot replace the key file {}", self.path.display()))
    }

    /// Writes the keyring to a file beside this one, down to the disk.
    fn write_beside(&self, keyring: &Keyring) -> io::Result<PathBuf> {
        let mut name = self.path.clone().into_os_string();
        name.push(".new");
        let new = PathBuf::from(name);
        // Left behind by a process that was killed: nobody else has the lock.
        match fs::remove_file(&new) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file = OpenOptions::new().write(true).create_new(true).mode(0o600).open(&new)?;
        file.write_all(keyring.to_text().as_bytes())?;
        file.sync_all()?;
        Ok(new)
    }
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use myelin_ambient::SystemEntropy;

    use super::*;

    #[test]
    fn a_new_file_is_its_owners_alone_and_is_never_overwritten() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let keyring = Keyring::generate(&SystemEntropy);
        let file = KeyFile::lock(&path).unwrap();
        file.create(&keyring).unwrap();
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
        file.create(&Keyring::generate(&SystemEntropy)).unwrap_err();
        assert_eq!(file.read().unwrap(), keyring);
        assert_eq!(fs::read_dir(folder.path()).unwrap().count(), 1, "nothing else is left");
    }

    #[test]
    fn replacing_survives_what_a_killed_process_left() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let file = KeyFile::lock(&path).unwrap();
        file.create(&Keyring::generate(&SystemEntropy)).unwrap();
        fs::write(folder.path().join("keys.new"), "half").unwrap();
        let rotated = file.read().unwrap().rotated(&SystemEntropy);
        file.replace(&rotated).unwrap();
        assert_eq!(file.read().unwrap(), rotated);
        assert_eq!(fs::metadata(&path).unwrap().permissions().mode() & 0o777, 0o600);
    }

    #[test]
    fn one_process_at_a_time_changes_keys() {
        let folder = tempfile::tempdir().unwrap();
        let path = folder.path().join("keys");
        let held = KeyFile::lock(&path).unwrap();
        assert!(KeyFile::lock(&path).is_err());
        drop(held);
        KeyFile::lock(&path).unwrap();
    }
}
