//! Questions without another process in between.

use std::time::Duration;

use coracle_fetch::direct::{Answer, Login, Question, Url};
use coracle_fetch::{Direct, Options};
use coracle_trust::Fault;
use coracle_trust::transport::collect;

use crate::chain;
use crate::listener::{listen, response, serve};

async fn ask(port: u16, login: Login<'_>) -> Result<Answer, Fault> {
    let direct = Direct::new(&Options::default()).unwrap();
    let url = Url::parse(&format!("http://127.0.0.1:{port}/a?secret=b")).unwrap();
    direct.ask(Question { url, headers: &[("range", "bytes=5-")], login, form: None }).await
}

#[tokio::test]
async fn every_answer_is_shown_as_it_is() {
    let port = serve(|asked| {
        let login = asked.header("authorization").unwrap_or("nobody");
        assert_eq!((asked.path.as_str(), asked.header("range")), ("/a?secret=b", Some("bytes=5-")));
        let headers = format!("x-a: {login}\r\nx-a: \u{fc}\r\nx-a: 2\r\nretry-after: 7\r\nlocation: /c\r\n");
        response("307 Elsewhere", &headers, b"there")
    });
    for (login, want) in [
        (Login::Nobody, "nobody"),
        (Login::Basic { user: "a", password: "b:c" }, "Basic YTpiOmM="),
        (Login::Bearer("t0k"), "Bearer t0k"),
    ] {
        let answer = ask(port, login).await.unwrap();
        assert_eq!((answer.status, answer.length), (307, Some(5)));
        assert_eq!(answer.retry_after, Some(Duration::from_secs(7)));
        assert_eq!(answer.header("location"), Some("/c"));
        assert_eq!(answer.all("x-a").collect::<Vec<_>>(), [want, "2"]);
        assert_eq!(collect(answer.body, 5).await.unwrap(), b"there");
    }
}

#[tokio::test]
async fn faults_tell_no_secrets() {
    let endless = listen(|mut stream| {
        use std::io::{Read as _, Write as _};
        assert!(stream.read(&mut [0; 4096]).unwrap() > 0);
        stream.write_all(b"HTTP/1.1 200 OK\r\nx: ").unwrap();
        while stream.write_all(&[b'x'; 4096]).is_ok() {}
    });
    for (port, login) in [
        (endless, Login::Bearer("secret")),
        (serve(|_| b"SSH-2.0\r\n".to_vec()), Login::Basic { user: "a", password: "secret" }),
        (1, Login::Bearer("secret\n")),
    ] {
        let fault = ask(port, login).await.unwrap_err();
        let said = format!("{} {fault:?} {login:?}", chain(&fault));
        assert!(matches!(fault, Fault::Unreachable { .. }) && !said.contains("secret"), "{said}");
    }
    let port = serve(|_| b"HTTP/1.1 200 OK\r\ncontent-length: 100\r\n\r\nhalf".to_vec());
    let fault = collect(ask(port, Login::Nobody).await.unwrap().body, 100).await.unwrap_err();
    let said = format!("{} {fault:?}", chain(&fault));
    assert!(matches!(fault, Fault::Unreachable { .. }) && !said.contains("secret"), "{said}");
}
