//! A file, a folder or an archive → named instances.

use std::fs::{self, File};
use std::io::{self, BufReader, Read as _};

use anyhow::{Context as _, Result, ensure};
use camino::{Utf8Path, Utf8PathBuf};
use lzma_rust2::XzReader;
use planner::schedule::rcpsp::Project;

use super::parse;

/// One instance.
pub struct Instance {
    /// Its file's name without the ending.
    pub name: String,
    /// What is to be scheduled.
    pub project: Project,
}

/// All instances at a path, by name as people count: `j30_2` before `j30_10`.
pub fn instances(path: &Utf8Path) -> Result<Vec<Instance>> {
    let mut files = if path.is_dir() {
        folder(path)?
    } else if path.as_str().ends_with(".tar.xz") {
        archive(path)?
    } else {
        let text = fs::read_to_string(path).with_context(|| format!("read {path}"))?;
        vec![(path.to_owned(), text)]
    };
    files.sort_by_cached_key(|(path, _)| counted(path.as_str()));
    let instances = files.iter().map(|(file, text)| instance(file, text));
    let instances: Vec<Instance> = instances.collect::<Result<_>>()?;
    ensure!(!instances.is_empty(), "{path} has no `.sm` or `.rcp` file");
    Ok(instances)
}

fn instance(file: &Utf8Path, text: &str) -> Result<Instance> {
    let project = match file.extension() {
        Some("rcp") => parse::rcp(text),
        _ => parse::sm(text),
    };
    Ok(Instance {
        name: file.file_stem().unwrap_or_default().to_owned(),
        project: project.with_context(|| format!("read {file}"))?,
    })
}

fn is_instance(path: &Utf8Path) -> bool {
    matches!(path.extension(), Some("sm" | "rcp"))
}

fn folder(path: &Utf8Path) -> Result<Vec<(Utf8PathBuf, String)>> {
    let mut files = Vec::new();
    for entry in path
        .read_dir_utf8()
        .with_context(|| format!("list {path}"))?
    {
        let file = entry.with_context(|| format!("list {path}"))?.into_path();
        if is_instance(&file) {
            let text = fs::read_to_string(&file).with_context(|| format!("read {file}"))?;
            files.push((file, text));
        }
    }
    Ok(files)
}

fn archive(path: &Utf8Path) -> Result<Vec<(Utf8PathBuf, String)>> {
    let file = File::open(path).with_context(|| format!("open {path}"))?;
    let mut archive = tar::Archive::new(XzReader::new(BufReader::new(file), true));
    let mut files = Vec::new();
    let mut read = || -> io::Result<()> {
        for entry in archive.entries()? {
            let mut entry = entry?;
            let name = String::from_utf8_lossy(&entry.path_bytes()).into_owned();
            let name = Utf8PathBuf::from(name);
            if entry.header().entry_type().is_file() && is_instance(&name) {
                let mut text = String::new();
                entry.read_to_string(&mut text)?;
                files.push((name, text));
            }
        }
        Ok(())
    };
    read().with_context(|| format!("read {path}"))?;
    Ok(files)
}

/// Text and numbers in turn, so that numbers compare as such.
fn counted(name: &str) -> Vec<(String, u64)> {
    let mut parts = vec![(String::new(), 0_u64)];
    let mut in_number = false;
    for character in name.chars() {
        let digit = character.to_digit(10);
        if in_number && digit.is_none() {
            parts.push((String::new(), 0));
        }
        in_number = digit.is_some();
        if let Some(part) = parts.last_mut() {
            match digit {
                Some(digit) => part.1 = part.1.saturating_mul(10).saturating_add(digit.into()),
                None => part.0.push(character),
            }
        }
    }
    parts
}

#[cfg(test)]
mod tests {
    use super::counted;

    /// Numbers in names count as numbers.
    #[test]
    fn names_are_sorted_as_people_count() {
        let mut names = ["j30/j3010_1.sm", "j30/j302_10.sm", "j30/j302_9.sm"];
        names.sort_by_cached_key(|name| counted(name));
        assert_eq!(names, ["j30/j302_9.sm", "j30/j302_10.sm", "j30/j3010_1.sm"]);
    }
}
