//! Shown again at every change: on a terminal, in a file, for a program; in the foreground or not.

use std::fmt::Write as _;
use std::io::{self, Write as _};
use std::sync::mpsc::{self, Sender};
use std::thread;
use std::time::Duration;

use crm_core::policy::render::list::html;
use crm_core::policy::render::xml;

use super::notify::{self, Agent};
use super::terminal::{self, Pressed, Terminal};
use super::{Format, Request, cib_of, write};
use crate::api::client::ClientError;
use crate::api::proto::ClusterState;
use crate::exit;
use crate::source::{Source, SourceError};

/// What is shown.
pub struct Seen {
    pub cib: cib::Cib,
    /// None where it is a file.
    pub live: Option<ClusterState>,
}

enum Event {
    Seen(Box<Seen>),
    Lost(SourceError),
    Key(u8),
}

/// What the page says at the moment.
#[derive(Default)]
struct Page {
    seen: Option<Box<Seen>>,
    /// Why nothing newer is known.
    lost: Option<SourceError>,
    help: bool,
}

/// Ends when nobody reads it any more, with the connection where it is not tried again, or by a key.
pub fn follow(mut request: Request) -> Result<u8, SourceError> {
    let mut agent = request.arguments.external_agent.clone().map(|program| {
        Agent::new(program, request.arguments.external_recipient.clone(), request.arguments.watch_fencing)
    });
    let plain = request.format == Format::Text && request.arguments.output().is_none();
    let terminal = if plain && !request.arguments.daemonize { Terminal::open() } else { None };
    let stays = request.arguments.daemonize || terminal.is_some();
    let (events, incoming) = mpsc::channel();
    let interval = request.arguments.interval();
    if terminal.is_some() {
        let keys = events.clone();
        thread::spawn(move || terminal::keys(|key| keys.send(Event::Key(key)).is_ok()));
    }
    thread::spawn(move || watch(interval, stays, &events));
    let mut page = Page::default();
    while let Ok(first) = incoming.recv() {
        // What came meanwhile is told, but only the last of it is shown.
        let mut next = Some(first);
        while let Some(event) = next {
            match event {
                Event::Seen(seen) => {
                    if let (Some(agent), Some(before)) = (&mut agent, &page.seen) {
                        agent.tell(&notify::changes(before, &seen));
                    }
                    (page.seen, page.lost) = (Some(seen), None);
                }
                Event::Lost(error) if !stays => return Err(error),
                Event::Lost(error) => page.lost = Some(error),
                Event::Key(key) => match terminal::press(key, &mut request.arguments) {
                    Pressed::Quit => return Ok(exit::OK),
                    Pressed::Help => page.help = !page.help,
                    Pressed::Changed => {
                        page.help = false;
                        request.settle();
                    }
                },
            }
            next = incoming.try_recv().ok();
        }
        match put(&request, &page, terminal.is_some()) {
            Ok(true) => {}
            Ok(false) => break,
            // A file that cannot be written now may be writable later; in the background nobody hears of it.
            Err(_) if request.arguments.daemonize => {}
            Err(error) => return Err(error),
        }
    }
    Ok(exit::OK)
}

/// Shows the page. False when the reader has gone away.
fn put(request: &Request, page: &Page, terminal: bool) -> Result<bool, SourceError> {
    let arguments = &request.arguments;
    if arguments.daemonize && arguments.output().is_none() {
        return Ok(true); // it runs for the program alone
    }
    let text = match (&page.lost, &page.seen) {
        _ if page.help => terminal::HELP.to_owned(),
        (Some(error), _) => lost(request, error),
        (None, Some(seen)) => request.render(&seen.cib, seen.live.as_ref()),
        (None, None) => "Asking the cluster ...\n".to_owned(),
    };
    if arguments.output().is_some() {
        return write(arguments, &text).map(|()| true);
    }
    // A terminal is written from the top of the cleared screen.
    let clear = if terminal { "\x1b[H\x1b[2J" } else { "" };
    let mut out = io::stdout().lock();
    Ok(write!(out, "{clear}{text}").and_then(|()| out.flush()).is_ok())
}

/// The page of a cluster that cannot be asked: an old page would be taken for the present.
fn lost(request: &Request, error: &SourceError) -> String {
    let seconds = request.arguments.interval().as_secs();
    let text = format!("Connection to cluster failed: {error}");
    match request.format {
        Format::Text | Format::None => format!("{text}\nIt is tried again every {seconds} s.\n"),
        Format::Xml | Format::LegacyXml => {
            xml::document(&request.line, Vec::new(), i32::from(error.exit()), &text, "")
        }
        Format::Html => {
            let mut out =
                String::from("<!DOCTYPE html>\n<html lang=\"en\">\n<head>\n<meta charset=\"utf-8\">\n");
            let _ = writeln!(out, "<meta http-equiv=\"refresh\" content=\"{seconds}\">");
            let _ = writeln!(out, "<title>Cluster Status</title>\n</head>\n<body>\n<p>{}</p>", html(&text));
            out.push_str("</body>\n</html>\n");
            out
        }
    }
}

/// Looks for as long as somebody listens.
fn watch(interval: Duration, again: bool, events: &Sender<Event>) {
    while let Err(error) = look(interval, events) {
        if events.send(Event::Lost(error)).is_err() || !again {
            return;
        }
        thread::sleep(interval);
    }
}

/// Looks until nobody listens (`Ok`) or nothing more can be seen.
fn look(interval: Duration, events: &Sender<Event>) -> Result<(), SourceError> {
    let mut source = Source::open("crm_mon")?;
    let Some(client) = source.client() else {
        loop {
            let seen = Seen { cib: source.cib()?, live: None };
            if events.send(Event::Seen(Box::new(seen))).is_err() {
                return Ok(());
            }
            thread::sleep(interval);
        }
    };
    let mut ended = Err(ClientError::Transport("the node has ended".into()).into());
    client.watch(false, |state| {
        let sent = cib_of(&state).map(|cib| {
            let seen = Seen { cib, live: Some(state) };
            events.send(Event::Seen(Box::new(seen))).is_ok()
        });
        match sent {
            Ok(true) => return true,
            Ok(false) => ended = Ok(()),
            Err(error) => ended = Err(error),
        }
        false
    })?;
    ended
}
