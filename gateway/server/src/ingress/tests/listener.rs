//! Slow, greedy and many clients.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

use super::{NEVER, Served, exchange, read_answer, request};
use crate::ingress::Config;
use crate::intake::fake::document;

const SHORT: Duration = Duration::from_millis(150);

#[tokio::test]
async fn a_body_that_stops_or_trickles_is_answered_408() {
    let config = Config { body_progress: SHORT, body_total: SHORT * 4, ..Config::default() };
    let served = Served::with(config).await;
    let head = format!(
        "POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: 100000\r\n\
         Authorization: Bearer {}\r\nContent-Type: application/json\r\n\r\n",
        served.key
    );
    let mut stopped = TcpStream::connect(served.public.address).await.unwrap();
    stopped.write_all(head.as_bytes()).await.unwrap();
    stopped.write_all(b"{").await.unwrap();
    assert_eq!(read_answer(&mut stopped).await.says(), (408, "body_too_slow".to_owned()));

    let (mut reader, mut writer) = TcpStream::connect(served.public.address).await.unwrap().into_split();
    writer.write_all(head.as_bytes()).await.unwrap();
    let mut drops = tokio::time::interval(SHORT / 3);
    let trickling = async {
        loop {
            drops.tick().await;
            if writer.write_all(b" ").await.is_err() {
                break;
            }
        }
    };
    let answer = tokio::select! {
        answer = read_answer(&mut reader) => answer,
        () = trickling => panic!("cut without an answer"),
    };
    assert_eq!(answer.says(), (408, "body_too_slow".to_owned()));
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
}

#[tokio::test]
async fn a_client_that_never_reads_its_answers_is_cut() {
    let served = Served::with(Config { body_progress: SHORT, ..Config::default() }).await;
    let (_never_read, mut writer) = TcpStream::connect(served.public.address).await.unwrap().into_split();
    let asks = "GET /problems/not_found HTTP/1.1\r\nHost: gateway\r\n\r\n".repeat(100);
    let cut = async { while writer.write_all(asks.as_bytes()).await.is_ok() {} };
    tokio::time::timeout(NEVER, cut).await.unwrap();
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
}

/// HTTP/2 by hand: a client with an endless window that asks on every stream and takes nothing of what is answered.
#[tokio::test]
async fn an_http2_client_that_never_reads_its_answers_is_cut() {
    // Its pings go unanswered, too; only the stalled write may end it here.
    let config = Config { body_progress: SHORT, header_read: NEVER * 10, ..Config::default() };
    let served = Served::with(config).await;
    let (_never_read, mut writer) = TcpStream::connect(served.public.address).await.unwrap().into_split();
    let mut greeting = b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec();
    // SETTINGS with INITIAL_WINDOW_SIZE, and WINDOW_UPDATE of the connection: as large as they may be.
    greeting.extend([0, 0, 6, 4, 0, 0, 0, 0, 0, 0, 4, 0x7f, 0xff, 0xff, 0xff]);
    greeting.extend([0, 0, 4, 8, 0, 0, 0, 0, 0, 0x7f, 0xff, 0, 0]);
    writer.write_all(&greeting).await.unwrap();
    let mut stream: u32 = 1;
    let cut = async {
        loop {
            // HEADERS that end the request: GET, http, and the path and the host as literals.
            let mut block = vec![0x82, 0x86, 0x04, 19];
            block.extend(b"/problems/not_found");
            block.extend([0x01, 7]);
            block.extend(b"gateway");
            let mut frame = vec![0, 0, u8::try_from(block.len()).unwrap(), 1, 5];
            frame.extend(stream.to_be_bytes());
            frame.extend(block);
            if writer.write_all(&frame).await.is_err() {
                break;
            }
            stream += 2;
        }
    };
    tokio::time::timeout(NEVER, cut).await.unwrap();
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
}

#[tokio::test]
async fn a_client_that_never_finishes_its_header_is_cut() {
    let served = Served::with(Config { header_read: SHORT, ..Config::default() }).await;
    // Nothing at all; half the other protocol's greeting; half a header.
    for said in [&b""[..], b"PRI * HT", b"POST /v1/applications HTTP/1.1\r\nHost: gate"] {
        let mut stream = TcpStream::connect(served.public.address).await.unwrap();
        stream.write_all(said).await.unwrap();
        let mut rest = Vec::new();
        tokio::time::timeout(NEVER, stream.read_to_end(&mut rest)).await.unwrap().unwrap_or_default();
    }
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
}

#[tokio::test]
async fn floods_of_headers_are_refused() {
    let served = Served::new().await;
    let many: String = (0..500).map(|number| format!("X-{number}: 1\r\n")).collect();
    let long = format!("X-Long: {}\r\n", "a".repeat(2 << 20));
    for headers in [many, long] {
        let answer = exchange(served.public, &request("GET", "/problems/internal", &headers, b"")).await;
        assert_eq!(answer.status, 431, "{}", answer.head);
    }
}

#[tokio::test]
async fn ambiguous_framing_is_refused() {
    let served = Served::new().await;
    for framing in [
        "Content-Length: 2\r\nContent-Length: 3\r\n",
        "Content-Length: -1\r\n",
        "Content-Length : 2\r\n",
        "X: a\r\n b\r\n",
        "Transfer-Encoding: gzip\r\n",
    ] {
        let text = format!("POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\n{framing}\r\n{{}}");
        assert_eq!(exchange(served.public, text.as_bytes()).await.status, 400, "{framing}");
    }
}

#[tokio::test]
async fn one_address_cannot_take_every_connection_and_a_full_house_makes_room() {
    let config = Config { max_connections: 3, max_connections_per_address: 2, ..Config::default() };
    let served = Served::with(config).await;
    let mut open = Vec::new();
    for _ in 0..2 {
        let mut stream = TcpStream::connect(served.public.address).await.unwrap();
        stream.write_all(b"GET /problems/internal HTTP/1.1\r\nHost: gateway\r\n\r\n").await.unwrap();
        assert!(stream.read(&mut [0; 64]).await.unwrap() > 0);
        open.push(stream);
    }
    let mut third = TcpStream::connect(served.public.address).await.unwrap();
    let refused = tokio::time::timeout(NEVER, third.read(&mut [0; 1])).await.unwrap();
    assert!(matches!(refused, Ok(0) | Err(_)), "the third connection is closed");
    drop(open.pop());
    // Room comes back once the server has seen the close.
    let served = &served;
    let again = async {
        while exchange(served.public, &request("GET", "/problems/internal", "", b"")).await.status != 200 {
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, again).await.unwrap();
}

#[tokio::test]
async fn http2_is_spoken_with_prior_knowledge() {
    let served = Served::new().await;
    let stream = TcpStream::connect(served.public.address).await.unwrap();
    let executor = hyper_util::rt::TokioExecutor::new();
    let io = hyper_util::rt::TokioIo::new(stream);
    let (mut sender, connection) = hyper::client::conn::http2::handshake(executor, io).await.unwrap();
    served.tasks.spawn(async move { drop(connection.await) });
    let get = http::Request::get("http://gateway/problems/internal");
    let answer = sender.send_request(get.body(String::new()).unwrap()).await.unwrap();
    assert_eq!(answer.status(), 200);
    drop(sender);
}

#[tokio::test]
async fn a_stop_answers_what_is_under_way_and_accepts_nothing_more() {
    let served = Served::new().await;
    let mut stream = TcpStream::connect(served.public.address).await.unwrap();
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", served.key);
    let bytes = request("POST", "/v1/applications", &headers, document().to_string().as_bytes());
    let (head, rest) = bytes.split_at(bytes.len() - 10);
    stream.write_all(head).await.unwrap();
    // Answered from the same accept queue, later: the first connection is being served by now.
    assert_eq!(served.manage("/healthz").await.status, 200);
    assert_eq!(exchange(served.public, &request("GET", "/problems/internal", "", b"")).await.status, 200);
    let public = served.public.address;
    let stopping = served.stop();
    let finishing = async {
        stream.write_all(rest).await.unwrap();
        read_answer(&mut stream).await.status
    };
    let (_world, status) = tokio::join!(stopping, finishing);
    assert_eq!(status, 202);
    assert!(TcpStream::connect(public).await.is_err());
}

#[tokio::test]
async fn uploads_wait_for_memory_and_small_documents_do_not() {
    let config = Config { bodies_in_memory: crate::units::ByteSize::kib(1), ..Config::default() };
    let served = Served::with(config).await;
    let head = |length: usize| {
        format!(
            "POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nConnection: close\r\nContent-Length: {length}\r\n\
             Authorization: Bearer {}\r\nContent-Type: multipart/form-data; boundary=b\r\n",
            served.key
        )
    };
    let mut first = TcpStream::connect(served.public.address).await.unwrap();
    first
        .write_all(format!("{}Expect: 100-continue\r\n\r\n", head((11 << 20) + (256 << 10))).as_bytes())
        .await
        .unwrap();
    // Being asked to go on means the room is taken.
    let mut go_on = [0; 25];
    tokio::time::timeout(NEVER, first.read_exact(&mut go_on)).await.unwrap().unwrap();
    assert!(go_on.starts_with(b"HTTP/1.1 100"));
    let mut second = TcpStream::connect(served.public.address).await.unwrap();
    second.write_all(format!("{}\r\n{}", head(100_000), "x".repeat(100_000)).as_bytes()).await.unwrap();
    for _ in 0..3 {
        assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
    }
    assert!(second.try_read(&mut go_on).is_err(), "no room, no answer");
    drop(first);
    assert_eq!(read_answer(&mut second).await.says(), (400, "multipart_invalid".to_owned()));
}

#[tokio::test]
async fn a_stop_does_not_wait_for_a_client_that_never_finishes() {
    let served = Served::with(Config { drain: SHORT, ..Config::default() }).await;
    let mut stream = TcpStream::connect(served.public.address).await.unwrap();
    let headers = format!("Authorization: Bearer {}\r\nContent-Type: application/json\r\n", served.key);
    let bytes = request("POST", "/v1/applications", &headers, document().to_string().as_bytes());
    stream.write_all(bytes.strip_suffix(b"}").unwrap()).await.unwrap();
    assert_eq!(exchange(served.public, &request("GET", "/problems/internal", "", b"")).await.status, 200);
    let world = served.stop().await;
    assert!(world.store.inside().accepted.is_empty());
}
