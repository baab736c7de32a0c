//! The data directory: its owner's alone.

use std::{
    fs::{self, DirBuilder, Permissions},
    io,
    os::unix::fs::{DirBuilderExt, PermissionsExt},
    path::Path,
};

use anyhow::{Context, Result, bail};

/// Makes the directory (mode 700) if it is missing; whether it was.
///
/// # Errors
///
/// When others may enter the directory: the database in it holds password
/// hashes. An empty one, such as a new volume, is closed to them instead.
pub(crate) fn prepare(directory: &Path) -> Result<bool> {
    let shown = directory.display();
    let metadata = match fs::metadata(directory) {
        Ok(metadata) => metadata,
        Err(error) if error.kind() == io::ErrorKind::NotFound => {
            DirBuilder::new()
                .recursive(true)
                .mode(0o700)
                .create(directory)
                .with_context(|| format!("cannot make the data directory {shown}"))?;
            return Ok(true);
        }
        Err(error) => {
            return Err(error).with_context(|| format!("cannot use the data directory {shown}"));
        }
    };
    if !metadata.is_dir() {
        bail!("the data directory {shown} is not a directory");
    }
    let mode = metadata.permissions().mode() & 0o777;
    let others = mode & 0o077;
    if others == 0 {
        return Ok(false);
    }
    if is_empty(directory) && fs::set_permissions(directory, Permissions::from_mode(0o700)).is_ok()
    {
        return Ok(false);
    }
    bail!("others may enter the data directory {shown} (mode {mode:o}): run `chmod 700 {shown}`")
}

fn is_empty(directory: &Path) -> bool {
    fs::read_dir(directory).is_ok_and(|mut entries| entries.next().is_none())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn mode(path: &Path) -> u32 {
        fs::metadata(path).unwrap().permissions().mode() & 0o777
    }

    #[test]
    fn a_missing_directory_is_made_for_its_owner_alone() {
        let folder = tempfile::tempdir().unwrap();
        let data = folder.path().join("a").join("b");
        assert!(prepare(&data).unwrap());
        assert_eq!(mode(&data), 0o700);
        assert!(!prepare(&data).unwrap(), "the second time it is there");
    }

    #[test]
    fn an_empty_directory_is_closed_to_others() {
        let folder = tempfile::tempdir().unwrap();
        fs::set_permissions(folder.path(), Permissions::from_mode(0o755)).unwrap();
        prepare(folder.path()).unwrap();
        assert_eq!(mode(folder.path()), 0o700);
    }

    #[test]
    fn a_directory_with_files_that_others_may_enter_is_refused_with_the_way_out() {
        let folder = tempfile::tempdir().unwrap();
        fs::write(folder.path().join("myelin.db"), "").unwrap();
        for open in [0o755, 0o750, 0o701] {
            fs::set_permissions(folder.path(), Permissions::from_mode(open)).unwrap();
            let error = prepare(folder.path()).unwrap_err().to_string();
            assert!(error.contains("chmod 700"), "{error}");
            assert_eq!(mode(folder.path()), open, "nothing was changed");
        }
    }
}
