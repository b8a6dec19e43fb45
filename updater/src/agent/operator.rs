//! Where an operator reaches the agent: a socket on the machine, and a serial port that the machine's owner holds the other end of.
//!
//! One line of JSON each way (`coracle_rollout::operator`). Who can open either may do everything there is: the socket is root's, and
//! the port is the hypervisor's.

use std::fs::{self, OpenOptions};
use std::io::{self, BufRead, BufReader, Read, Write};
use std::os::unix::fs::PermissionsExt;
use std::os::unix::net::UnixListener;
use std::path::{Path, PathBuf};
use std::sync::mpsc::{Sender, SyncSender, sync_channel};
use std::thread;
use std::time::Duration;

use coracle_layout::paths;
use coracle_log::{error, info, warning};
use coracle_rollout::operator::{Answer, MAX_REQUEST, Request};

use super::Message;

/// How long a client on the socket may take.
const PATIENCE: Duration = Duration::from_secs(30);
/// How long the agent may.
const ANSWER: Duration = Duration::from_secs(60);

/// Listens on both, in threads of their own.
pub(crate) fn listen(socket: &Path, to: &Sender<Message>) -> io::Result<()> {
    let _gone = fs::remove_file(socket);
    let listener = UnixListener::bind(socket)?;
    fs::set_permissions(socket, fs::Permissions::from_mode(0o600))?;
    let sender = to.clone();
    thread::Builder::new().name("operator".to_owned()).spawn(move || {
        for client in listener.incoming().flatten() {
            let limits = client
                .set_read_timeout(Some(PATIENCE))
                .and_then(|()| client.set_write_timeout(Some(PATIENCE)));
            if let Err(error) = limits.and_then(|()| serve(BufReader::new(&client), &client, &sender)) {
                warning!("operator not served error=\"{error}\"");
            }
        }
    })?;
    if let Some(port) = port(Path::new("/sys/class/virtio-ports"), Path::new("/dev")) {
        let sender = to.clone();
        thread::Builder::new().name("port".to_owned()).spawn(move || serve_port(&port, &sender))?;
    }
    Ok(())
}

/// The node of our port.
fn port(ports: &Path, dev: &Path) -> Option<PathBuf> {
    let is_ours = |entry: &fs::DirEntry| {
        fs::read_to_string(entry.path().join("name")).is_ok_and(|name| name.trim() == paths::OPERATOR_PORT)
    };
    let entry = fs::read_dir(ports).ok()?.flatten().find(is_ours)?;
    Some(dev.join(entry.file_name()))
}

/// While nobody holds the other end, a read says that it is over.
fn serve_port(path: &Path, to: &Sender<Message>) {
    let port = match OpenOptions::new().read(true).write(true).open(path) {
        Ok(port) => port,
        Err(error) => return error!("operator's port not opened path={} error=\"{error}\"", path.display()),
    };
    info!("operator's port open path={}", path.display());
    loop {
        let served = serve(BufReader::new(&port), &port, to);
        if let Err(error) = served {
            warning!("operator not served error=\"{error}\"");
        }
        thread::sleep(Duration::from_millis(300));
    }
}

/// Answers line by line until the other end is gone.
fn serve(mut from: BufReader<impl Read>, mut back: impl Write, to: &Sender<Message>) -> io::Result<()> {
    loop {
        let mut line = Vec::new();
        let count = from.by_ref().take(MAX_REQUEST as u64 + 1).read_until(b'\n', &mut line)?;
        if count == 0 {
            return Ok(());
        }
        let is_whole = line.ends_with(b"\n");
        let answer = match serde_json::from_slice::<Request>(&line) {
            _ if !is_whole => Answer::Error(format!("a request is a line of at most {MAX_REQUEST} bytes")),
            Ok(request) => ask(request, to),
            Err(error) => Answer::Error(format!("not a request: {error}")),
        };
        let mut bytes = serde_json::to_vec(&answer)?;
        bytes.push(b'\n');
        back.write_all(&bytes)?;
        back.flush()?;
        if !is_whole {
            return Ok(());
        }
    }
}

fn ask(request: Request, to: &Sender<Message>) -> Answer {
    let (reply, answer): (SyncSender<Answer>, _) = sync_channel(1);
    let asked = to.send(Message::Operator { request, reply }).is_ok();
    match answer.recv_timeout(ANSWER) {
        Ok(answer) if asked => answer,
        _ => Answer::Error("the agent does not answer".to_owned()),
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::mpsc::channel;

    #[test]
    fn what_is_no_request_is_answered_and_asks_nobody() {
        let (to, from) = channel();
        for bad in
            ["{}\n", "hello\n", "\n", &format!("{}\n", "x".repeat(MAX_REQUEST + 9)), "{\"verb\": \"status\"}"]
        {
            let mut back = Vec::new();
            serve(BufReader::new(bad.as_bytes()), &mut back, &to).unwrap();
            let answer: Answer = serde_json::from_slice(&back).unwrap();
            assert!(matches!(answer, Answer::Error(_)), "{bad}");
        }
        assert!(from.try_recv().is_err());
    }

    #[test]
    fn our_port_is_known_by_its_name() {
        let folder = tempfile::tempdir().unwrap();
        assert_eq!(port(folder.path(), Path::new("/dev")), None);
        for (node, name) in [("vport0p1", "org.qemu.guest_agent.0\n"), ("vport0p2", "org.coracle.update\n")] {
            fs::create_dir(folder.path().join(node)).unwrap();
            fs::write(folder.path().join(node).join("name"), name).unwrap();
        }
        assert_eq!(port(folder.path(), Path::new("/dev")).unwrap(), Path::new("/dev/vport0p2"));
    }
}
