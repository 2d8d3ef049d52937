//! The console: keys that turn parts of the page on and off.

use std::io::{self, IsTerminal as _, Read as _};

use rustix::termios::{LocalModes, OptionalActions, Termios, tcgetattr, tcsetattr};

use super::Arguments;

/// What `?` shows.
pub const HELP: &str = "\
Keys, each of which turns something on or off:
  c  tickets                  n  resources below their nodes
  f  fail counts              r  inactive resources
  o  operations               R  ids, versions, instances
  t  operations with times    b  resources as counts
  A  node attributes          D  headers
  L  bans                     m  fencing: failed and pending, all, each single one, none
  ?  this help                any other key shows the page anew; Ctrl-C ends
";

const CTRL_C: u8 = 3;

/// A terminal that gives single keys, unechoed, until this is dropped.
pub struct Terminal {
    before: Termios,
}

impl Terminal {
    /// None where the input or the output is no terminal.
    pub fn open() -> Option<Self> {
        if !io::stdin().is_terminal() || !io::stdout().is_terminal() {
            return None;
        }
        let before = tcgetattr(io::stdin()).ok()?;
        let mut keys = before.clone();
        keys.local_modes.remove(LocalModes::ICANON | LocalModes::ECHO | LocalModes::ISIG);
        tcsetattr(io::stdin(), OptionalActions::Now, &keys).ok()?;
        Some(Self { before })
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        // A terminal that has gone away needs nothing back.
        let _ = tcsetattr(io::stdin(), OptionalActions::Now, &self.before);
    }
}

/// Reads keys until the input ends or `each` says that nobody wants more.
pub fn keys(each: impl Fn(u8) -> bool) {
    for key in io::stdin().lock().bytes() {
        match key {
            Ok(key) if each(key) => {}
            _ => return,
        }
    }
}

/// What a key did.
#[derive(Debug, PartialEq, Eq)]
pub enum Pressed {
    Changed,
    Help,
    Quit,
}

/// Carries out a key (Pacemaker 2.1.5's keys).
pub fn press(key: u8, arguments: &mut Arguments) -> Pressed {
    let flip = |flag: &mut bool| *flag = !*flag;
    match key {
        CTRL_C => return Pressed::Quit,
        b'?' => return Pressed::Help,
        b'c' => flip(&mut arguments.tickets),
        b'f' => flip(&mut arguments.failcounts),
        b'n' => flip(&mut arguments.group_by_node),
        b'o' => flip(&mut arguments.operations),
        b'r' => flip(&mut arguments.inactive),
        b'R' => flip(&mut arguments.show_detail),
        b't' => flip(&mut arguments.timing_details),
        b'A' => flip(&mut arguments.show_node_attributes),
        b'L' => {
            arguments.neg_locations = match arguments.neg_locations {
                Some(_) => None,
                None => Some(String::new()),
            };
        }
        b'D' => flip(&mut arguments.hide_headers),
        b'b' => flip(&mut arguments.brief),
        b'j' => flip(&mut arguments.pending),
        b'm' => {
            let next = match arguments.fence_history.as_deref() {
                None | Some("1") => "2",
                Some("2") => "3",
                Some("3") => "0",
                Some(_) => "1",
            };
            arguments.fence_history = Some(next.to_owned());
        }
        _ => {}
    }
    Pressed::Changed
}
