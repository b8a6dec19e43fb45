//! A client of the QEMU Machine Protocol over a Unix socket.
//!
//! The protocol is QEMU's `docs/interop/qmp-spec.txt`: one JSON object a line; a greeting first, then for each command
//! one answer in order, with events in between at any time.

use std::io::{BufRead, BufReader, Read, Write};
use std::os::unix::net::UnixStream;
use std::sync::mpsc::{Receiver, RecvTimeoutError, channel};
use std::thread;

use serde_json::{Value, json};

use crate::{Deadline, Error};

/// How long QEMU may take to answer a command; the host may be busy.
const ANSWER_SECONDS: u64 = 60;
/// Longest line that is accepted.
const MAX_LINE: u64 = 1 << 20;

/// Something that happened in or to the guest.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct Event {
    /// Its name: `SHUTDOWN`, `RESET`, `POWERDOWN`, `WATCHDOG`, …
    pub name: String,
    /// Its data, `null` where there are none.
    pub data: Value,
}

impl Event {
    /// A text among its data.
    pub fn text(&self, key: &str) -> Option<&str> {
        self.data.get(key)?.as_str()
    }
}

/// A connection after the handshake.
#[derive(Debug)]
pub struct Client {
    stream: UnixStream,
    messages: Receiver<Value>,
    events: Vec<Event>,
    /// How many of the events have been waited for.
    seen: usize,
}

impl Client {
    /// Shakes hands over a connected socket. A thread reads it until QEMU closes it.
    ///
    /// # Errors
    /// [`Error::Qmp`] and what [`execute`](Self::execute) says.
    pub fn over(stream: UnixStream) -> Result<Self, Error> {
        let reader = stream.try_clone().map_err(|source| Error::Qmp { command: "connect".into(), source })?;
        let (sender, messages) = channel();
        thread::spawn(move || {
            let mut reader = BufReader::new(reader);
            let mut line = Vec::new();
            // Ends with the connection, with a line that is no JSON, or when the client is gone.
            while (&mut reader).take(MAX_LINE).read_until(b'\n', &mut line).is_ok_and(|len| len > 0) {
                let Ok(message) = serde_json::from_slice(&line) else { break };
                if sender.send(message).is_err() {
                    break;
                }
                line.clear();
            }
        });
        let mut client = Self { stream, messages, events: Vec::new(), seen: 0 };
        client
            .receive("connect", Deadline::seconds(ANSWER_SECONDS), |message| message.get("QMP").cloned())?;
        client.execute("qmp_capabilities", json!({}))?;
        Ok(client)
    }

    /// Runs a command and returns what it answers. Events that arrive meanwhile are kept.
    ///
    /// # Errors
    /// [`Error::Qmp`] if it cannot be sent, [`Error::QmpRefused`], [`Error::QmpClosed`], [`Error::QmpSilent`].
    pub fn execute(&mut self, command: &str, arguments: Value) -> Result<Value, Error> {
        let mut line = json!({ "execute": command, "arguments": arguments }).to_string();
        line.push('\n');
        self.stream
            .write_all(line.as_bytes())
            .map_err(|source| Error::Qmp { command: command.to_owned(), source })?;
        let answer = |message: &Value| {
            let refused = |error: &Value| Err(error["desc"].as_str().unwrap_or_default().to_owned());
            message.get("return").cloned().map(Ok).or_else(|| message.get("error").map(refused))
        };
        self.receive(command, Deadline::seconds(ANSWER_SECONDS), answer)?
            .map_err(|reason| Error::QmpRefused { command: command.to_owned(), reason })
    }

    /// Lets a machine that was started paused run.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn resume(&mut self) -> Result<(), Error> {
        self.execute("cont", json!({})).map(drop)
    }

    /// Presses the power button.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn system_powerdown(&mut self) -> Result<(), Error> {
        self.execute("system_powerdown", json!({})).map(drop)
    }

    /// Pushes the reset button.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn system_reset(&mut self) -> Result<(), Error> {
        self.execute("system_reset", json!({})).map(drop)
    }

    /// Presses these keys together; names as in QEMU's `QKeyCode`: `ctrl`, `alt`, `delete`.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn send_key(&mut self, keys: &[&str]) -> Result<(), Error> {
        let keys: Vec<_> = keys.iter().map(|key| json!({ "type": "qcode", "data": key })).collect();
        self.execute("send-key", json!({ "keys": keys })).map(drop)
    }

    /// Ends QEMU at once, as if the power was cut.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn quit(&mut self) -> Result<(), Error> {
        self.execute("quit", json!({})).map(drop)
    }

    /// `running`, `paused`, `shutdown`, …
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn status(&mut self) -> Result<String, Error> {
        Ok(self.execute("query-status", json!({}))?["status"].as_str().unwrap_or_default().to_owned())
    }

    /// Runs a line of the human monitor, for what QMP has no command for, and returns what it prints.
    ///
    /// # Errors
    /// As [`execute`](Self::execute).
    pub fn human(&mut self, line: &str) -> Result<String, Error> {
        let answer = self.execute("human-monitor-command", json!({ "command-line": line }))?;
        Ok(answer.as_str().unwrap_or_default().to_owned())
    }

    /// Waits for an event of this name; the ones before it are not waited for again.
    ///
    /// # Errors
    /// [`Error::QmpSilent`] at the deadline, [`Error::QmpClosed`] if QEMU ended before.
    pub fn wait_event(&mut self, name: &str, deadline: Deadline) -> Result<Event, Error> {
        loop {
            while let Some(event) = self.events.get(self.seen) {
                self.seen += 1;
                if event.name == name {
                    return Ok(event.clone());
                }
            }
            let message = self.next(name, deadline)?;
            self.events.extend(event(&message));
        }
    }

    /// Every event since the handshake, up to the end of the connection or the deadline.
    pub fn all_events(&mut self, deadline: Deadline) -> &[Event] {
        while let Ok(message) = self.next("", deadline) {
            self.events.extend(event(&message));
        }
        &self.events
    }

    /// The next message that `wanted` takes; events on the way are kept.
    fn receive<T>(
        &mut self,
        what: &str,
        deadline: Deadline,
        wanted: impl Fn(&Value) -> Option<T>,
    ) -> Result<T, Error> {
        loop {
            let message = self.next(what, deadline)?;
            match wanted(&message) {
                Some(value) => return Ok(value),
                None => self.events.extend(event(&message)),
            }
        }
    }

    fn next(&self, awaited: &str, deadline: Deadline) -> Result<Value, Error> {
        self.messages.recv_timeout(deadline.remaining().unwrap_or_default()).map_err(|error| match error {
            RecvTimeoutError::Timeout => {
                Error::QmpSilent { awaited: awaited.to_owned(), waited: deadline.waited() }
            }
            RecvTimeoutError::Disconnected => Error::QmpClosed { awaited: awaited.to_owned() },
        })
    }
}

fn event(message: &Value) -> Option<Event> {
    let name = message.get("event")?.as_str()?.to_owned();
    Some(Event { name, data: message.get("data").cloned().unwrap_or_default() })
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Plays QEMU: greets, then answers each line that comes with the next of `answers`, then closes.
    fn served(answers: &'static [&'static str]) -> Result<Client, Error> {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        thread::spawn(move || {
            theirs.write_all(b"{\"QMP\": {\"version\": {}, \"capabilities\": []}}\n").unwrap();
            let mut commands = BufReader::new(theirs.try_clone().unwrap()).lines();
            for answer in answers {
                commands.next().unwrap().unwrap();
                theirs.write_all(answer.as_bytes()).unwrap();
            }
        });
        Client::over(ours)
    }

    const READY: &str = "{\"return\": {}}\n";

    #[test]
    fn events_between_command_and_answer_are_kept_in_order() {
        let mut client = served(&[
            READY,
            "{\"event\": \"POWERDOWN\", \"timestamp\": {}}\n{\"event\": \"RESET\", \"data\": {\"reason\": \"guest-reset\"}}\n{\"return\": {\"status\": \"running\"}}\n",
        ])
        .unwrap();
        assert_eq!(client.status().unwrap(), "running");
        let event = client.wait_event("RESET", Deadline::seconds(20)).unwrap();
        assert_eq!(event.text("reason"), Some("guest-reset"));
        assert!(matches!(
            client.wait_event("POWERDOWN", Deadline::seconds(20)),
            Err(Error::QmpClosed { .. })
        ));
        let names: Vec<_> =
            client.all_events(Deadline::seconds(20)).iter().map(|event| &*event.name).collect();
        assert_eq!(names, ["POWERDOWN", "RESET"]);
    }

    #[test]
    fn refusals_and_the_end_are_errors() {
        let mut client =
            served(&[READY, "{\"error\": {\"class\": \"GenericError\", \"desc\": \"no\"}}\n"]).unwrap();
        assert!(matches!(client.quit(), Err(Error::QmpRefused { reason, .. }) if reason == "no"));
        assert!(client.all_events(Deadline::seconds(20)).is_empty());
        assert!(matches!(client.wait_event("SHUTDOWN", Deadline::seconds(20)), Err(Error::QmpClosed { .. })));
        assert!(matches!(served(&[]), Err(Error::QmpClosed { .. } | Error::Qmp { .. })));
    }

    #[test]
    fn what_is_no_json_ends_the_connection() {
        assert!(matches!(served(&["nonsense\n"]), Err(Error::QmpClosed { .. })));
    }

    #[test]
    fn silence_ends_at_the_deadline() {
        let (ours, mut theirs) = UnixStream::pair().unwrap();
        theirs.write_all(b"{\"QMP\": {}}\n{\"return\": {}}\n").unwrap();
        let mut client = Client::over(ours).unwrap();
        let deadline = Deadline::after(std::time::Duration::from_millis(20));
        assert!(matches!(client.wait_event("RESET", deadline), Err(Error::QmpSilent { .. })));
    }
}
