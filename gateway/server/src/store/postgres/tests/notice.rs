//! A server that warns in its own language, as far as a connection sees of one.

use std::io::{Read, Write};
use std::net::{TcpListener, TcpStream};
use std::time::Duration;

use tokio_postgres::{Config, NoTls};

use crate::store::postgres::session::{Opening, Session};
use crate::store::postgres::text::Use;

/// A message of the protocol: its letter, its length, what it says.
fn message(letter: u8, says: &[u8]) -> Vec<u8> {
    let length = u32::try_from(says.len() + 4).unwrap();
    [&[letter][..], &length.to_be_bytes(), says].concat()
}

fn read(stream: &mut TcpStream, letter: bool) -> Vec<u8> {
    let mut head = vec![0; if letter { 5 } else { 4 }];
    stream.read_exact(&mut head).unwrap();
    let length = u32::from_be_bytes(head[head.len() - 4..].try_into().unwrap());
    let mut says = vec![0; usize::try_from(length).unwrap() - 4];
    stream.read_exact(&mut says).unwrap();
    says
}

/// Lets in whoever comes and answers one query, with a notice of this severity before.
fn serve(listener: &TcpListener, (named, severity): (&str, &str)) {
    let (mut stream, _) = listener.accept().unwrap();
    read(&mut stream, false);
    let ready = message(b'Z', b"I");
    stream.write_all(&[message(b'R', &[0; 4]), ready.clone()].concat()).unwrap();
    read(&mut stream, true);
    let notice = format!("S{named}\0V{severity}\0C01000\0Mcanceling wait for synchronous replication\0\0");
    let answer = [message(b'N', notice.as_bytes()), message(b'C', b"COMMIT\0"), ready].concat();
    stream.write_all(&answer).unwrap();
    // Until the other side has gone.
    drop(stream.read(&mut [0; 64]));
}

fn check(notice: (&str, &str), warns: bool) {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    std::thread::scope(|scope| {
        scope.spawn(|| serve(&listener, notice));
        let mut config = Config::new();
        config.host("127.0.0.1").port(port).user("gateway");
        let deadline = Duration::from_secs(30);
        let opening = Opening { config: &config, tls: NoTls, pooler: true, use_: Use::Write, deadline };
        let session = Session::open(opening).unwrap();
        session.batch("COMMIT").unwrap();
        assert_eq!(session.take_warning(), warns, "{notice:?}");
    });
}

#[test]
fn a_warning_is_one_in_every_language() {
    check(("WARNING", "WARNING"), true);
    check(("WARNUNG", "WARNING"), true);
    check(("HINWEIS", "NOTICE"), false);
}
