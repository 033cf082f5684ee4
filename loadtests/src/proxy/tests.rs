//! Every mode, over real sockets. Times are lower bounds only, or the absence of bytes while a rule is in force.

use std::net::SocketAddr;
use std::time::{Duration, Instant};

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::{TcpListener, TcpStream};
use tokio::time::timeout;

use super::{Arrivals, Ending, Proxy, Rule, Rules};

const LONG: Duration = Duration::from_secs(30);
/// Long enough that a byte that is let through would have arrived.
const SHORT: Duration = Duration::from_millis(150);

/// A proxy, a connection through it, and the server's end of that connection.
struct Link {
    proxy: Proxy,
    client: TcpStream,
    server: TcpStream,
    _listener: TcpListener,
}

async fn link(rules: Rules) -> Link {
    let listener = TcpListener::bind("127.0.0.1:0").await.unwrap();
    let proxy = Proxy::start(listener.local_addr().unwrap(), 1).await.unwrap();
    proxy.set(rules);
    let client = TcpStream::connect(proxy.address).await.unwrap();
    let (server, _) = timeout(LONG, listener.accept()).await.unwrap().unwrap();
    Link { proxy, client, server, _listener: listener }
}

async fn arrives(stream: &mut TcpStream, expected: &[u8]) {
    let mut got = vec![0; expected.len()];
    timeout(LONG, stream.read_exact(&mut got)).await.expect("in time").unwrap();
    assert_eq!(got, expected);
}

async fn nothing_arrives(stream: &mut TcpStream) {
    let mut byte = [0];
    assert!(timeout(SHORT, stream.read(&mut byte)).await.is_err(), "something arrived");
}

/// How the stream ends: `Ok` by FIN, `Err` by RST.
async fn end_of(stream: &mut TcpStream) -> std::io::Result<Vec<u8>> {
    let mut rest = Vec::new();
    timeout(LONG, stream.read_to_end(&mut rest)).await.expect("it ends")?;
    Ok(rest)
}

fn is_reset(end: &std::io::Result<Vec<u8>>) -> bool {
    end.as_ref().is_err_and(|error| error.kind() == std::io::ErrorKind::ConnectionReset)
}

#[tokio::test]
async fn without_rules_everything_passes_and_ends_are_passed_on() {
    let mut link = link(Rules::default()).await;
    link.client.write_all(b"there").await.unwrap();
    arrives(&mut link.server, b"there").await;
    link.server.write_all(b"and back").await.unwrap();
    arrives(&mut link.client, b"and back").await;
    link.client.shutdown().await.unwrap();
    assert_eq!(end_of(&mut link.server).await.unwrap(), b"");
    // The other direction is still open.
    link.server.write_all(b"late").await.unwrap();
    drop(link.server);
    assert_eq!(end_of(&mut link.client).await.unwrap(), b"late");
    assert_eq!(link.proxy.served(), 1);
}

#[tokio::test]
async fn a_delay_concerns_its_direction() {
    let slow = Rule::delay(Duration::from_millis(120), Duration::from_millis(20));
    let mut link = link(Rules { up: slow, ..Rules::default() }).await;
    let sent = Instant::now();
    link.client.write_all(b"x").await.unwrap();
    arrives(&mut link.server, b"x").await;
    assert!(sent.elapsed() >= Duration::from_millis(120), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_throttle_holds_the_rate() {
    let mut link = link(Rules { down: Rule::throttle(10_000), ..Rules::default() }).await;
    let sent = Instant::now();
    link.server.write_all(&[7; 3_000]).await.unwrap();
    arrives(&mut link.client, &[7; 3_000]).await;
    assert!(sent.elapsed() >= Duration::from_millis(280), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn what_stalled_goes_on_where_it_stood() {
    let mut link = link(Rules::default()).await;
    link.client.write_all(b"one ").await.unwrap();
    arrives(&mut link.server, b"one ").await;
    link.proxy.set(Rules { up: Rule::stall(), ..Rules::default() });
    // The rule is seen before what is sent after it.
    nothing_arrives(&mut link.server).await;
    link.client.write_all(b"two").await.unwrap();
    nothing_arrives(&mut link.server).await;
    link.server.write_all(b"the other way passes").await.unwrap();
    arrives(&mut link.client, b"the other way passes").await;
    link.proxy.heal();
    arrives(&mut link.server, b"two").await;
}

#[tokio::test]
async fn a_connection_that_lost_bytes_never_goes_on() {
    let mut link = link(Rules { up: Rule::swallow(), ..Rules::default() }).await;
    link.client.write_all(&[1; 100_000]).await.unwrap();
    nothing_arrives(&mut link.server).await;
    link.proxy.heal();
    assert!(is_reset(&end_of(&mut link.server).await));
    assert!(is_reset(&end_of(&mut link.client).await));
}

#[tokio::test]
async fn pieces_are_small_and_complete() {
    let mut link = link(Rules::both(Rule::pieces(1))).await;
    link.client.write_all(b"whole").await.unwrap();
    arrives(&mut link.server, b"whole").await;
}

#[tokio::test]
async fn what_is_lost_is_sent_again_later() {
    let mut link = link(Rules { up: Rule::loss(0.9), ..Rules::default() }).await;
    let sent = Instant::now();
    link.client.write_all(b"x").await.unwrap();
    arrives(&mut link.server, b"x").await;
    // The seed's first throw loses it.
    assert!(sent.elapsed() >= Duration::from_millis(200), "{:?}", sent.elapsed());
}

#[tokio::test]
async fn a_connection_ends_after_so_many_bytes() {
    for (how, reset) in [(Ending::Reset, true), (Ending::Close, false)] {
        let mut link = link(Rules { down: Rule::end(4, how), ..Rules::default() }).await;
        link.server.write_all(b"12345678").await.unwrap();
        let end = end_of(&mut link.client).await;
        assert_eq!(is_reset(&end), reset, "{how:?}: {end:?}");
        assert!(reset || end.unwrap() == b"1234", "{how:?}");
    }
}

#[tokio::test]
async fn a_half_close_leaves_the_other_direction() {
    let mut link = link(Rules { up: Rule::end(2, Ending::HalfClose), ..Rules::default() }).await;
    link.client.write_all(b"1234").await.unwrap();
    assert_eq!(end_of(&mut link.server).await.unwrap(), b"12");
    link.server.write_all(b"still").await.unwrap();
    arrives(&mut link.client, b"still").await;
}

#[tokio::test]
async fn open_and_idle_connections_are_reset_too() {
    let ways: [fn(&Proxy); 2] = [|proxy| proxy.set(Rules::refused()), Proxy::cut];
    for way in ways {
        let mut link = link(Rules::default()).await;
        link.client.write_all(b"x").await.unwrap();
        arrives(&mut link.server, b"x").await;
        way(&link.proxy);
        assert!(is_reset(&end_of(&mut link.client).await));
        assert!(is_reset(&end_of(&mut link.server).await));
    }
}

async fn how_it_ends(address: SocketAddr) -> std::io::Result<Vec<u8>> {
    end_of(&mut TcpStream::connect(address).await?).await
}

#[tokio::test]
async fn new_connections_are_refused_or_held() {
    let link = link(Rules::default()).await;
    link.proxy.set(Rules { arrivals: Arrivals::Refuse, ..Rules::default() });
    assert!(how_it_ends(link.proxy.address).await.is_err());
    link.proxy.set(Rules::partition());
    let mut held = TcpStream::connect(link.proxy.address).await.unwrap();
    held.write_all(b"hello?").await.unwrap();
    nothing_arrives(&mut held).await;
    link.proxy.heal();
    assert!(end_of(&mut held).await.is_err());
    assert_eq!(link.proxy.served(), 1, "only the first was carried");
}

#[tokio::test]
async fn new_connections_follow_the_server_and_die_with_it() {
    let link = link(Rules::default()).await;
    let other = TcpListener::bind("127.0.0.1:0").await.unwrap();
    link.proxy.lead_to(other.local_addr().unwrap());
    let mut client = TcpStream::connect(link.proxy.address).await.unwrap();
    let (mut server, _) = timeout(LONG, other.accept()).await.unwrap().unwrap();
    client.write_all(b"moved").await.unwrap();
    arrives(&mut server, b"moved").await;
    drop(other);
    assert!(how_it_ends(link.proxy.address).await.is_err());
}
