//! Which import controller the scenarios run against.

use std::path::{Path, PathBuf};

use anyhow::{Context as _, Result, bail};

/// Variable that names the real engine's program.
const VARIABLE: &str = "WINDROW_TEST_ENGINE";
/// The real engine's program on the PATH.
const PROGRAM: &str = "vm-import-controller";

/// The import controller: the real one, which is no part of this repository, or our double of it
/// (`tests/double`), a program with the same contract: takes KUBECONFIG, brings its own kinds,
/// serves `/tmp/vm-import-controller` on port 8080.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Engine {
    /// The program, copied out of the add-on's image.
    Real(PathBuf),
    /// Ours, built from this workspace.
    Double(PathBuf),
}

impl Engine {
    /// The one that was named, else the real one where it is found, else the double.
    pub fn find(named: Option<&Path>, double: &Path) -> Result<Self> {
        let variable = std::env::var_os(VARIABLE)
            .filter(|v| !v.is_empty())
            .map(PathBuf::from);
        for (path, from) in [
            (named.map(Path::to_owned), "--engine"),
            (variable, VARIABLE),
        ] {
            let Some(path) = path else { continue };
            if path.as_os_str() == "double" {
                return Ok(Self::Double(double.to_owned()));
            }
            if !path.is_file() {
                bail!("{from} names `{}`, which is no file", path.display());
            }
            let path = path
                .canonicalize()
                .with_context(|| format!("look at `{}`", path.display()))?;
            return Ok(Self::Real(path));
        }
        let found = std::env::split_paths(&std::env::var_os("PATH").unwrap_or_default())
            .map(|folder| folder.join(PROGRAM))
            .find(|path| path.is_file());
        Ok(match found {
            Some(path) => Self::Real(path),
            None => Self::Double(double.to_owned()),
        })
    }

    /// Its program.
    pub fn program(&self) -> &Path {
        match self {
            Self::Real(path) | Self::Double(path) => path,
        }
    }

    /// One word, also the folder of its transcripts.
    pub fn word(&self) -> &'static str {
        match self {
            Self::Real(_) => "real",
            Self::Double(_) => "double",
        }
    }

    /// For the first and last lines of a run.
    pub fn describe(&self) -> String {
        match self {
            Self::Real(path) => {
                format!("engine: the real vm-import-controller, {}", path.display())
            }
            Self::Double(_) => format!(
                "engine: the double (the real one is taken from --engine, {VARIABLE}, or as {PROGRAM} from the PATH)"
            ),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    // A named program that is not there is an error, never a silent fall back to the double.
    #[test]
    fn a_missing_program_is_said() {
        let error = Engine::find(Some(Path::new("/nowhere/engine")), Path::new("double"));
        assert!(
            error
                .expect_err("no such file")
                .to_string()
                .contains("--engine")
        );
        let double =
            Engine::find(Some(Path::new("double")), Path::new("/x/double")).expect("double");
        assert_eq!(double, Engine::Double(PathBuf::from("/x/double")));
    }
}
