//! Output folder of a demo.

use std::cell::Cell;
use std::fs;
use std::path::{Path, PathBuf};

use crate::commands::failure::Failure;

/// The folder of the demo's files. A folder that it created is removed on drop, unless kept.
#[derive(Debug)]
pub(super) struct Folder {
    path: PathBuf,
    temporary: Cell<bool>,
}

impl Folder {
    pub(super) fn create(path: &Path) -> Result<Self, Failure> {
        let is_new = !path.exists();
        fs::create_dir_all(path).map_err(|error| {
            let path = path.display();
            Failure::Environment(format!(
                "cannot make the folder {path}: {error}. Name another one with --out"
            ))
        })?;
        Ok(Self {
            path: path.to_owned(),
            temporary: Cell::new(is_new),
        })
    }

    pub(super) fn path(&self, name: &str) -> PathBuf {
        self.path.join(name)
    }

    pub(super) fn write(&self, name: &str, text: &str) -> Result<(), Failure> {
        let path = self.path(name);
        fs::write(&path, text)
            .map_err(|error| Failure::failed(format!("cannot write {}", path.display()), error))
    }

    pub(super) fn keep(&self) {
        self.temporary.set(false);
    }
}

impl Drop for Folder {
    fn drop(&mut self) {
        if self.temporary.get() {
            // With all that was written before the failure.
            drop(fs::remove_dir_all(&self.path));
        }
    }
}

#[cfg(test)]
mod tests {
    use std::{env, process};

    use super::*;

    #[test]
    fn only_a_folder_of_its_own_that_was_not_kept_goes_away() {
        let base = env::temp_dir().join(format!("tidewire-files-{}", process::id()));
        let inner = base.join("inner");
        let outer = Folder::create(&base).expect("a folder");
        let folder = Folder::create(&inner).expect("a folder");
        folder.write("a", "text").expect("a file");
        drop(folder);
        assert!(!inner.exists() && base.exists());
        let folder = Folder::create(&inner).expect("a folder");
        folder.keep();
        drop(folder);
        drop(Folder::create(&inner).expect("the folder again"));
        assert!(inner.exists());
        drop(outer);
        assert!(!base.exists());
    }

    #[test]
    fn a_folder_that_cannot_be_made_is_the_environment() {
        let refused = Folder::create(Path::new("/dev/null/folder"));
        assert!(matches!(refused, Err(Failure::Environment(text)) if text.contains("--out")));
    }
}
