//! The OCF agents that `haresources2cib` knows by name, with the order of their parameters.
//!
//! Source: haresources2cib.md §4.5.

/// One row of the table.
#[derive(Debug, Clone, Copy)]
pub struct KnownAgent {
    pub kind: &'static str,
    /// Parameter names in positional order. What exceeds them is joined into the last.
    pub parameters: &'static [&'static str],
}

impl KnownAgent {
    /// Whether it manages an address: such are watched more often.
    pub fn is_address(&self) -> bool {
        matches!(self.kind, "IPaddr" | "IPaddr2" | "IPsrcaddr" | "IPv6addr")
    }
}

const fn agent(kind: &'static str, parameters: &'static [&'static str]) -> KnownAgent {
    KnownAgent { kind, parameters }
}

/// The agent called `kind`.
pub fn known_agent(kind: &str) -> Option<&'static KnownAgent> {
    KNOWN_AGENTS.iter().find(|a| a.kind == kind)
}

/// Every known agent, all `ocf:heartbeat`.
pub const KNOWN_AGENTS: &[KnownAgent] = &[
    agent("apache", &["configfile", "httpd", "port", "statusurl", "options", "testregex"]),
    agent(
        "IPaddr",
        &[
            "ip",
            "nic",
            "cidr_netmask",
            "broadcast",
            "iflabel",
            "lvs_support",
            "local_stop_script",
            "local_start_script",
            "ARP_INTERVAL_MS",
            "ARP_REPEAT",
            "ARP_BACKGROUND",
            "ARP_NETMASK",
        ],
    ),
    agent(
        "IPaddr2",
        &[
            "ip",
            "nic",
            "cidr_netmask",
            "broadcast",
            "iflabel",
            "lvs_support",
            "mac",
            "clusterip_hash",
            "arp_interval",
            "arp_count",
            "arp_bg",
            "arp_mac",
        ],
    ),
    agent("IPsrcaddr", &["ipaddress"]),
    agent("IPv6addr", &["ipv6addr"]),
    agent("db2", &["instance", "admin"]),
    agent("oracle", &["sid", "home", "user", "ipcrm"]),
    agent("oralsnr", &["sid", "home", "user", "listener"]),
    agent("AudibleAlarm", &["nodelist"]),
    agent("Delay", &["startdelay", "stopdelay", "mondelay"]),
    agent("Filesystem", &["device", "directory", "fstype", "options", "ocfs2_cluster", "ocfs2_configfs"]),
    agent("ICP", &["driveid", "device"]),
    agent("LinuxSCSI", &["scsi"]),
    agent("LVM", &["volgrpname"]),
    agent("MailTo", &["email", "subject"]),
    agent("portblock", &["protocol", "portno", "action"]),
    agent("Raid1", &["raidconf", "raiddev"]),
    agent("ServeRAID", &["serveraid", "mergegroup"]),
    agent("WinPopup", &["hostfile"]),
    agent("Xinetd", &["service"]),
    agent("ClusterMon", &["user", "update", "extra_options", "pidfile", "htmlfile"]),
    agent("Dummy", &["state"]),
    agent("EvmsSCC", &[]),
    agent("Evmsd", &[]),
    agent("pgsql", &[]),
    agent("ManageRAID", &["raidname"]),
    agent("ManageVE", &["veid"]),
    agent("Pure-FTPd", &["script", "conffile"]),
    agent(
        "SAPDatabase",
        &[
            "SID",
            "DIR_EXECUTABLE",
            "DBTYPE",
            "NETSERVICENAME",
            "DBJ2EE_ONLY",
            "DIR_BOOTSTRAP",
            "DIR_SECSTORE",
        ],
    ),
    agent("SAPInstance", &["InstanceName", "DIR_EXECUTABLE", "DIR_PROFILE", "START_PROFILE"]),
    agent("SendArp", &["ip", "nic"]),
    agent("Stateful", &["state"]),
    agent("SysInfo", &["pidfile", "delay"]),
    agent("VIPArip", &["ip", "nic"]),
    agent("WAS", &["config", "port"]),
    agent("WAS6", &["profile"]),
    agent("Xen", &["xmfile"]),
    agent(
        "drbd",
        &[
            "drbd_resource",
            "drbdconf",
            "clone_overrides_hostname",
            "clone_max",
            "clone_node_max",
            "master_max",
            "master_node_max",
        ],
    ),
    agent(
        "eDir88",
        &[
            "eDir_config_file",
            "eDir_monitor_ldap",
            "eDir_monitor_idm",
            "eDir_jvm_initial_heap",
            "eDir_jvm_max_heap",
            "eDir_jvm_options",
        ],
    ),
    agent("ids", &["informixdir", "informixserver", "onconfig", "dbname", "sqltestquery"]),
    agent(
        "mysql",
        &[
            "binary",
            "config",
            "datadir",
            "user",
            "group",
            "test_table",
            "test_user",
            "test_passwd",
            "enable_creation",
        ],
    ),
    agent("o2cb", &["netdev", "port", "ocfs2_cluster"]),
    agent("pingd", &["pidfile", "user", "dampen", "set", "name", "section", "multiplier", "host_list"]),
    agent("rsyncd", &["binpath", "conffile", "bwlimit"]),
];
