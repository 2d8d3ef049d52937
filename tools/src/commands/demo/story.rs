//! The demo from its first line to its last.

use std::io;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, channel};
use std::time::{Duration, Instant};

use cib::{Element, Operation, Request};

use super::node::{DemoNode, NAMES, Place};
use super::watch::{self, Known, Sight, picture};
use crate::api::client::Client;
use crate::api::proto::StatusReply;
use crate::request::from_cib_request;

/// Each step may take this long on a slow machine.
const PATIENCE: Duration = Duration::from_secs(60);

/// What can go wrong with a demo.
#[derive(Debug, thiserror::Error)]
pub enum DemoError {
    #[error("{0}")]
    Io(#[from] io::Error),
    #[error("waited {PATIENCE:?} for {what}; this is what the nodes said last\n{said}")]
    Waited { what: &'static str, said: String },
    #[error("the service could not be configured: {0}")]
    Configure(String),
    #[error("interrupted")]
    Interrupted,
}

struct Story {
    place: Place,
    nodes: Vec<DemoNode>,
    sights: Receiver<Sight>,
    known: Known,
    answer: Option<(String, Instant)>,
    shown: String,
    began: Instant,
}

/// Runs the demo.
pub fn tell(once: bool, keep: bool) -> Result<(), DemoError> {
    let mut dir = tempfile::Builder::new().prefix("everbeat-demo-").tempdir()?;
    dir.disable_cleanup(keep);
    // Agents check that others may not write to what they run.
    let place = Place::new(dir.path().to_owned())?;
    let (sender, sights) = channel();
    listen_for_interrupt(sender.clone());
    let mut story = Story {
        place,
        nodes: Vec::new(),
        sights,
        known: Known::new(),
        answer: None,
        shown: String::new(),
        began: Instant::now(),
    };
    let result = story.run(once, &sender);
    story.stop_all()?;
    if keep {
        println!("The files are in {}", dir.path().display());
    }
    match result {
        Err(DemoError::Interrupted) if !once => Ok(()),
        result => result,
    }
}

/// Ctrl-C and a polite kill end the demo in order.
fn listen_for_interrupt(sights: Sender<Sight>) {
    std::thread::spawn(move || {
        let runtime = tokio::runtime::Builder::new_current_thread().enable_all().build();
        let Ok(runtime) = runtime else { return };
        runtime.block_on(async {
            let mut terminate = match tokio::signal::unix::signal(tokio::signal::unix::SignalKind::terminate()) {
                Ok(terminate) => terminate,
                Err(_) => return,
            };
            tokio::select! {
                _ = tokio::signal::ctrl_c() => {}
                _ = terminate.recv() => {}
            }
        });
        // The demo has ended already if nobody listens.
        let _ = sights.send(Sight::Interrupt);
    });
}

impl Story {
    fn run(&mut self, once: bool, sender: &Sender<Sight>) -> Result<(), DemoError> {
        self.say(&format!("three nodes on 127.0.0.11 to .13, files below {}", self.place.dir.display()));
        for index in 0..NAMES.len() {
            let mut node = DemoNode::prepare(&self.place, index)?;
            node.start()?;
            watch::follow(node.name, node.root.clone(), sender.clone());
            self.nodes.push(node);
        }
        self.wait("one cluster of three", |known, _| {
            known.len() == NAMES.len()
                && known.values().all(|reply| reply.quorate && online(reply) == NAMES.len())
                && same_dc(known)
        })?;
        let (address, port) = self.place.service;
        self.say(&format!("the cluster stands; now a service: web, an HTTP server on {address}:{port}"));
        self.configure()?;
        watch::poll(self.place.service, sender.clone());
        let first = self.wait("the service to answer", |_, answer| answer.is_some())?;
        let victim = first.unwrap_or_default();
        self.say(&format!("http://{address}:{port}/ is answered by {victim}"));

        let killed = Instant::now();
        self.say(&format!("KILLING {victim}: every process of that node, at once"));
        if let Some(node) = self.nodes.iter_mut().find(|node| node.name == victim) {
            node.power_off()?;
        }
        self.known.retain(|name, _| *name != victim);
        self.answer = None;
        let taker = self.wait("another node to take over", move |_, answer| {
            answer.as_ref().is_some_and(|(name, at)| *at > killed && *name != victim)
        })?;
        let taker = taker.unwrap_or_default();
        let after = self.answer.as_ref().map_or(Duration::ZERO, |(_, at)| at.duration_since(killed));
        self.say(&format!(
            "TAKEN OVER: {taker} answers {:.2} s after the kill (deadtime is 2 s)",
            after.as_secs_f64()
        ));
        let calm = taker.clone();
        self.wait("the survivors to agree", move |known, _| {
            known.values().all(|reply| online(reply) == NAMES.len() - 1) && runs_on(known, &calm)
        })?;
        if once {
            return Ok(());
        }
        self.invite(&taker);
        loop {
            self.see(Instant::now() + Duration::from_secs(3600))?;
        }
    }

    /// Tells the user what to try.
    fn invite(&self, taker: &str) {
        let binary = std::env::current_exe().unwrap_or_else(|_| "everbeat".into());
        let root = self.place.dir.join(taker);
        println!(
            "\nThe cluster stays up until Ctrl-C. In another terminal:\n\n  \
             export EVERBEAT_ROOT={}\n  alias everbeat={}\n\n  \
             everbeat crm_mon -1                        what runs where\n  \
             everbeat crm_standby -N {taker} -v on          move everything away from {taker}\n  \
             everbeat crm_resource --locate -r web      where is it now\n  \
             everbeat cibadmin -Q                       the whole configuration\n",
            root.display(),
            binary.display()
        );
    }

    fn configure(&self) -> Result<(), DemoError> {
        let fail = |error: &dyn std::fmt::Display| DemoError::Configure(error.to_string());
        let root = self.nodes.first().map(|node| node.root.clone()).unwrap_or_default();
        let mut client = Client::connect(&root).map_err(|error| fail(&error))?;
        for (section, input) in [("crm_config", options()), ("resources", self.service())] {
            let request = Request::new(Operation::Modify).section(section).input(input).allow_create();
            let reply = client.cib(from_cib_request(&request, "demo")).map_err(|error| fail(&error))?;
            if reply.code != 0 {
                return Err(fail(&reply.error));
            }
        }
        Ok(())
    }

    fn service(&self) -> Element {
        let (address, port) = self.place.service;
        let pair = |name: &str, value: String| {
            Element::new("nvpair")
                .with_attr("id", format!("web-{name}"))
                .with_attr("name", name)
                .with_attr("value", value)
        };
        let parameters = Element::new("instance_attributes")
            .with_attr("id", "web-parameters")
            .with_child(pair("address", address.to_string()))
            .with_child(pair("port", port.to_string()));
        let monitor = Element::new("op")
            .with_attr("id", "web-monitor")
            .with_attr("name", "monitor")
            .with_attr("interval", "2s")
            .with_attr("timeout", "20s");
        let primitive = Element::new("primitive")
            .with_attr("id", "web")
            .with_attr("class", "ocf")
            .with_attr("provider", "everbeat")
            .with_attr("type", "Web")
            .with_child(parameters)
            .with_child(Element::new("operations").with_child(monitor));
        Element::new("resources").with_child(primitive)
    }

    /// Waits for something, showing every change of the status. Returns who answered last.
    fn wait(
        &mut self,
        what: &'static str,
        reached: impl Fn(&Known, &Option<(String, Instant)>) -> bool,
    ) -> Result<Option<String>, DemoError> {
        let end = Instant::now() + PATIENCE;
        while !reached(&self.known, &self.answer) {
            if Instant::now() > end {
                let said = self.nodes.iter().map(DemoNode::last_words).collect();
                return Err(DemoError::Waited { what, said });
            }
            self.see(end)?;
        }
        Ok(self.answer.as_ref().map(|(name, _)| name.clone()))
    }

    /// Takes one sight.
    fn see(&mut self, until: Instant) -> Result<(), DemoError> {
        match self.sights.recv_timeout(until.saturating_duration_since(Instant::now())) {
            Ok(Sight::Status(name, reply)) => drop(self.known.insert(name, reply)),
            Ok(Sight::Silent(name)) => drop(self.known.remove(name)),
            Ok(Sight::Answer(name, at)) => self.answer = Some((name, at)),
            Ok(Sight::Interrupt) | Err(RecvTimeoutError::Disconnected) => return Err(DemoError::Interrupted),
            Err(RecvTimeoutError::Timeout) => {}
        }
        let dc = self.known.values().find(|reply| reply.dc == reply.node);
        if let Some(text) = dc.or_else(|| self.known.values().next()).map(picture)
            && text != self.shown
        {
            self.say(&text);
            self.shown = text;
        }
        Ok(())
    }

    fn say(&self, text: &str) {
        println!("{:7.2} s  {text}", self.began.elapsed().as_secs_f64());
    }

    fn stop_all(&mut self) -> Result<(), DemoError> {
        self.say("stopping what is left");
        self.nodes.iter_mut().for_each(DemoNode::ask_to_stop);
        let until = Instant::now() + Duration::from_secs(10);
        for node in &mut self.nodes {
            node.wait_for_stop(until)?;
        }
        Ok(())
    }
}

fn online(reply: &StatusReply) -> usize {
    reply.nodes.iter().filter(|node| node.online).count()
}

fn same_dc(known: &Known) -> bool {
    let mut dcs = known.values().map(|reply| reply.dc.as_str());
    let first = dcs.next().unwrap_or_default();
    !first.is_empty() && dcs.all(|dc| dc == first)
}

fn runs_on(known: &Known, node: &str) -> bool {
    known.values().any(|reply| {
        reply
            .resources
            .iter()
            .any(|resource| resource.id == "web" && resource.nodes.iter().any(|on| on == node))
    })
}

/// Three nodes of one machine cannot fence each other; and what runs well stays where it is.
fn options() -> Element {
    let pair = |name: &str, value: &str| {
        let id = format!("cib-bootstrap-options-{name}");
        Element::new("nvpair").with_attr("id", id).with_attr("name", name).with_attr("value", value)
    };
    let set = Element::new("cluster_property_set")
        .with_attr("id", "cib-bootstrap-options")
        .with_child(pair("stonith-enabled", "false"));
    Element::new("crm_config").with_child(set)
}
