//! What the system tells of itself in files: a whole tree of them, so that a test can stand in for a board.

use std::fs::{self, Metadata};
use std::os::unix::fs::MetadataExt;
use std::path::{Path, PathBuf};

/// The machine that is looked at.
#[derive(Debug, Clone)]
pub struct Machine {
    root: PathBuf,
}

impl Machine {
    /// The machine whose files lie under `root`; that of this program under `/`.
    #[must_use]
    pub fn under(root: &Path) -> Self {
        Self { root: root.to_owned() }
    }

    /// Where the file of the absolute path `path` lies.
    #[must_use]
    pub fn place(&self, path: &str) -> PathBuf {
        self.root.join(path.trim_start_matches('/'))
    }

    /// Whether there is anything called `path`.
    #[must_use]
    pub fn has(&self, path: &str) -> bool {
        self.place(path).exists()
    }

    /// What the system says of `path`, through links.
    #[must_use]
    pub fn metadata(&self, path: &str) -> Option<Metadata> {
        fs::metadata(self.place(path)).ok()
    }

    /// The text of a file without blanks and NULs around it; `None` when it cannot be read.
    #[must_use]
    pub fn text(&self, path: &str) -> Option<String> {
        let bytes = fs::read(self.place(path)).ok()?;
        let text = String::from_utf8_lossy(&bytes);
        Some(text.trim_matches(|c: char| c == '\0' || c.is_whitespace()).to_owned())
    }

    /// The number in a file.
    #[must_use]
    pub fn number(&self, path: &str) -> Option<u64> {
        self.text(path)?.parse().ok()
    }

    /// Names in a folder that begin with `start`, in order.
    #[must_use]
    pub fn names(&self, folder: &str, start: &str) -> Vec<String> {
        let entries = fs::read_dir(self.place(folder)).into_iter().flatten().flatten();
        let names = entries.filter_map(|entry| entry.file_name().into_string().ok());
        let mut names: Vec<String> = names.filter(|name| name.starts_with(start)).collect();
        names.sort_by_key(|name| (name.len(), name.clone()));
        names
    }

    /// The last name of `path` when all links are followed.
    #[must_use]
    pub fn target(&self, path: &str) -> Option<String> {
        let path = fs::canonicalize(self.place(path)).ok()?;
        path.file_name()?.to_str().map(str::to_owned)
    }
}

/// Whom the lock runs as.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct User {
    /// The name.
    pub name: String,
    id: u32,
    groups: Vec<u32>,
}

/// The service's own user.
pub const SERVICE_USER: &str = "facelatch";

impl User {
    /// The user called `name`, with all groups.
    ///
    /// # Source
    /// passwd(5), group(5).
    #[must_use]
    pub fn called(name: &str, machine: &Machine) -> Option<Self> {
        let passwd = machine.text("/etc/passwd")?;
        let mut fields = passwd.lines().find(|line| line.split(':').next() == Some(name))?.split(':').skip(2);
        let id = fields.next()?.parse().ok()?;
        let own = fields.next()?.parse().ok()?;
        let of = |line: &str| {
            let mut fields = line.split(':').skip(2);
            let group = fields.next()?.parse().ok()?;
            fields.next()?.split(',').any(|member| member.trim() == name).then_some(group)
        };
        let all = machine.text("/etc/group").unwrap_or_default();
        let groups = std::iter::once(own).chain(all.lines().filter_map(of)).collect();
        Some(Self { name: name.to_owned(), id, groups })
    }

    /// Whoever runs this program.
    ///
    /// # Source
    /// proc_pid_status(5).
    #[must_use]
    pub fn caller(machine: &Machine) -> Self {
        let status = machine.text("/proc/self/status").unwrap_or_default();
        let numbers = |key: &str| -> Vec<u32> {
            let line = status.lines().find_map(|line| line.strip_prefix(key)).unwrap_or_default();
            line.split_whitespace().filter_map(|word| word.parse().ok()).collect()
        };
        let effective = |ids: Vec<u32>| ids.get(1).copied().unwrap_or(u32::MAX);
        let id = effective(numbers("Uid:"));
        let mut groups = numbers("Groups:");
        groups.push(effective(numbers("Gid:")));
        let passwd = machine.text("/etc/passwd").unwrap_or_default();
        let name = passwd.lines().find_map(|line| {
            let mut fields = line.split(':');
            let name = fields.next()?;
            (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
        });
        Self { name: name.unwrap_or_else(|| format!("user {id}")), id, groups }
    }

    /// Whether this user may read and write what `file` tells of.
    #[must_use]
    pub fn may_use(&self, file: &Metadata) -> bool {
        const READ_AND_WRITE: u32 = 6;
        let bits = match () {
            () if self.id == 0 => return true,
            () if self.id == file.uid() => file.mode() >> 6,
            () if self.groups.contains(&file.gid()) => file.mode() >> 3,
            () => file.mode(),
        };
        bits & READ_AND_WRITE == READ_AND_WRITE
    }

    /// How this user gets to read and write a device file for which [`User::may_use`] says no.
    #[must_use]
    pub fn remedy(&self, file: &Metadata, machine: &Machine) -> String {
        let again = "then start the lock again (or log in again)";
        match group_called(file.gid(), machine) {
            Some(group) if file.mode() & 0o060 == 0o060 && file.gid() != 0 => {
                format!("sudo usermod -aG {group} {}; {again}", self.name)
            }
            _ => format!(
                "install the package's udev rule (boards/udev/70-facelatch.rules in /etc/udev/rules.d), run: sudo udevadm trigger; {again}"
            ),
        }
    }
}

fn group_called(id: u32, machine: &Machine) -> Option<String> {
    let groups = machine.text("/etc/group")?;
    groups.lines().find_map(|line| {
        let mut fields = line.split(':');
        let name = fields.next()?;
        (fields.nth(1)?.parse() == Ok(id)).then(|| name.to_owned())
    })
}
