//! The connections, descriptors and memory of this process, as Linux counts them.

use std::{collections::HashSet, fs, io::Read};

/// States of a connection in `/proc/net/tcp`.
const ESTABLISHED: &str = "01";
const CLOSE_WAIT: &str = "08";

/// Looks at the system, with buffers of its own: looking shall not look like a leak.
pub(crate) struct System {
    ports: Vec<u16>,
    text: String,
    sockets: HashSet<u64>,
}

/// What there is at one moment.
#[derive(Clone, Debug, Default)]
pub(crate) struct Figures {
    /// The sockets of this process to each of the servers, in whatever state.
    pub(crate) connections: Vec<usize>,
    /// All other descriptors of this process.
    pub(crate) descriptors: usize,
    /// The servers' own ends of connections, established or closed by the other side alone.
    pub(crate) at_servers: usize,
    /// Resident memory.
    pub(crate) memory_kib: u64,
}

impl System {
    pub(crate) fn new(ports: Vec<u16>) -> Self {
        Self { ports, text: String::with_capacity(4 << 20), sockets: HashSet::with_capacity(1024) }
    }

    /// None where there is no `/proc`.
    pub(crate) fn figures(&mut self) -> Option<Figures> {
        self.sockets.clear();
        let mut descriptors = 0;
        for entry in fs::read_dir("/proc/self/fd").ok()?.flatten() {
            descriptors += 1;
            let target = fs::read_link(entry.path()).unwrap_or_default();
            let inode = target.to_str().and_then(|name| name.strip_prefix("socket:[")?.strip_suffix(']'));
            self.sockets.extend(inode.and_then(|inode| inode.parse::<u64>().ok()));
        }
        let mut figures = Figures { connections: vec![0; self.ports.len()], ..Figures::default() };
        // Linux may have no IPv6.
        for (table, needed) in [("/proc/net/tcp", true), ("/proc/net/tcp6", false)] {
            self.text.clear();
            let read = fs::File::open(table).and_then(|mut file| file.read_to_string(&mut self.text));
            if read.is_err() && needed {
                return None;
            }
            for connection in self.text.lines().skip(1).filter_map(Connection::read) {
                let server = |port| self.ports.iter().position(|own| *own == port);
                if let Some(server) =
                    server(connection.remote).filter(|_| self.sockets.contains(&connection.inode))
                {
                    figures.connections[server] += 1;
                } else if server(connection.local).is_some()
                    && [ESTABLISHED, CLOSE_WAIT].contains(&connection.state)
                {
                    figures.at_servers += 1;
                }
            }
        }
        // The descriptor of the folder itself was counted too.
        figures.descriptors = (descriptors - 1usize).saturating_sub(figures.connections.iter().sum());
        let status = fs::read_to_string("/proc/self/status").ok()?;
        let memory = status.lines().find_map(|line| line.strip_prefix("VmRSS:"))?;
        figures.memory_kib = memory.split_whitespace().next()?.parse().ok()?;
        Some(figures)
    }
}

/// A line of `/proc/net/tcp`.
struct Connection<'a> {
    local: u16,
    remote: u16,
    state: &'a str,
    inode: u64,
}

impl<'a> Connection<'a> {
    fn read(line: &'a str) -> Option<Self> {
        let mut fields = line.split_whitespace();
        let port = |address: &str| u16::from_str_radix(address.rsplit(':').next()?, 16).ok();
        Some(Self {
            local: port(fields.nth(1)?)?,
            remote: port(fields.next()?)?,
            state: fields.next()?,
            inode: fields.nth(5)?.parse().ok()?,
        })
    }
}
