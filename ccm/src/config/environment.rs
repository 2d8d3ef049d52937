//! What the children of the daemon find in their environment (heartbeat.md §4.1 and §2).

use std::path::Path;

use super::types::*;

impl Config {
    /// Variables for programs of `respawn` and `failfast` lines: Heartbeat's own, every parameter of
    /// the file as `HA_name` with its text as written, and the `env` lines.
    ///
    /// `node`: this node's name. `config_dir`: where `ha.cf` is.
    pub fn child_environment(&self, node: &str, config_dir: &Path) -> Vec<(String, String)> {
        let mut env: Vec<(String, String)> = Vec::new();
        let mut set = |name: &str, value: String| {
            env.retain(|(n, _)| n != name);
            env.push((name.to_string(), value));
        };
        set("PATH", "/usr/local/sbin:/usr/local/bin:/usr/sbin:/usr/bin:/sbin:/bin".to_string());
        for parameter in &self.parameters {
            // Lines of other programs, and of devices with passwords, are nobody's business.
            let private =
                matches!(parameter.name, "stonith" | "stonith_host" | "respawn" | "failfast" | "env");
            if !private {
                set(&format!("HA_{}", parameter.name), parameter.value.clone());
            }
        }
        set("HA_CURHOST", node.to_string());
        set("HA_DATEFMT", "%Y/%m/%d_%T ".to_string());
        set("HA_DIR", config_dir.display().to_string());
        set("HA_FUNCS", config_dir.join("shellfuncs").display().to_string());
        set("HA_DONTASK", "yes".to_string());
        set("HA_DEBUG", self.debug.to_string());
        set("OCF_ROOT", "/usr/lib/ocf".to_string());
        if *self.auto_failback != AutoFailback::Legacy {
            set("HA_NICEFAILBACK", "yes".to_string());
        }
        for (name, file) in [("HA_LOGFILE", &self.logfile), ("HA_DEBUGLOG", &self.debugfile)] {
            if let Some(file) = file {
                set(name, file.display().to_string());
            }
        }
        if let Some(facility) = self.logfacility.as_ref().and_then(|f| f.value.clone()) {
            set("HA_LOGFACILITY", facility);
        }
        if let Some(logd) = &self.use_logd {
            set("HA_LOGD", if logd.value { "yes" } else { "no" }.to_string());
        }
        for line in &self.env {
            set(&format!("HA_{}", line.value.0), line.value.1.clone());
        }
        env
    }
}

#[cfg(test)]
mod tests {
    #![allow(clippy::unwrap_used)]
    use super::*;

    #[test]
    fn parameters_and_env_lines() {
        let text = "keepalive 500ms\nbcast eth0\nnode a b\nauto_failback off\nenv quorum=majority\nenv a=1 a=2\n\
                    stonith_host * null secret\n";
        let env = Config::parse(text, "f").unwrap().child_environment("a", Path::new("/etc/ha.d"));
        let get = |name: &str| env.iter().find(|(n, _)| n == name).map(|(_, v)| v.as_str());
        assert_eq!(get("HA_keepalive"), Some("500ms"));
        assert_eq!(get("HA_quorum"), Some("majority"));
        assert_eq!(get("HA_a"), Some("2"));
        assert_eq!(get("HA_NICEFAILBACK"), Some("yes"));
        assert_eq!(get("HA_CURHOST"), Some("a"));
        assert!(!env.iter().any(|(_, v)| v.contains("secret")));
    }
}
