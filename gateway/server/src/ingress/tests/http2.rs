//! HTTP/2 by hand: clients that hold what they take no part in, and floods of the frames that cost a server most.

use std::time::Duration;

use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpSocket;
use tokio::net::tcp::{OwnedReadHalf, OwnedWriteHalf};

use super::{NEVER, Served};
use crate::ingress::Config;
use crate::intake::fake::document;

const SHORT: Duration = Duration::from_millis(150);

/// What it is called, and the frames it sends for one stream after another.
type Flood<'a> = (&'a str, &'a dyn Fn(u32) -> Vec<u8>);

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let mut frame = u32::try_from(payload.len()).unwrap().to_be_bytes()[1..].to_vec();
    frame.extend([kind, flags]);
    frame.extend(stream.to_be_bytes());
    frame.extend(payload);
    frame
}

/// HEADERS that ask for a page: GET, http, the path and the host as literals.
fn ask(stream: u32) -> Vec<u8> {
    let mut block = vec![0x82, 0x86, 0x04, 19];
    block.extend(b"/problems/not_found");
    block.extend([0x01, 7]);
    block.extend(b"gateway");
    frame(1, 0x05, stream, &block)
}

/// A connection that grants each stream so many bytes.
async fn connect(served: &Served, window: u32) -> (OwnedReadHalf, OwnedWriteHalf) {
    let socket = TcpSocket::new_v4().unwrap();
    // What is not read is soon felt.
    socket.set_recv_buffer_size(4_096).unwrap();
    let (reader, mut writer) = socket.connect(served.public.address).await.unwrap().into_split();
    let mut settings = 4u16.to_be_bytes().to_vec();
    settings.extend(window.to_be_bytes());
    let greeting = [b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &settings)].concat();
    writer.write_all(&greeting).await.unwrap();
    (reader, writer)
}

/// Reads everything that comes until the connection is cut.
async fn is_cut(mut reader: OwnedReadHalf) {
    let mut read = [0; 4096];
    let cut = async { while !matches!(reader.read(&mut read).await, Ok(0) | Err(_)) {} };
    tokio::time::timeout(NEVER, cut).await.expect("it is cut");
}

async fn places_are_free(served: &Served) {
    let free = async {
        loop {
            let metrics = String::from_utf8(served.manage("/metrics").await.body).unwrap();
            // The one that asks.
            if metrics.contains("causeway_connections_open 1\n") {
                break;
            }
            tokio::task::yield_now().await;
        }
    };
    tokio::time::timeout(NEVER, free).await.expect("its place is free");
    assert_eq!(served.post_json(document().to_string().as_bytes()).await.status, 202);
}

#[tokio::test]
async fn a_client_that_reads_and_grants_no_window_is_cut() {
    let config = Config { header_read: SHORT, body_progress: SHORT, idle: NEVER * 10, ..Config::default() };
    let served = Served::with(config).await;
    let (reader, mut writer) = connect(&served, 0).await;
    for stream in (1..200).step_by(2) {
        writer.write_all(&ask(stream)).await.unwrap();
    }
    is_cut(reader).await;
    places_are_free(&served).await;
}

#[tokio::test]
async fn a_client_that_asks_for_nothing_more_is_cut() {
    // One byte of window takes the answer off our hands, and the client never takes the rest.
    for window in [1, 65_535] {
        let config = Config { header_read: SHORT, idle: SHORT, body_progress: NEVER * 10, ..Config::default() };
        let served = Served::with(config).await;
        let (reader, mut writer) = connect(&served, window).await;
        writer.write_all(&ask(1)).await.unwrap();
        is_cut(reader).await;
        places_are_free(&served).await;
    }
}

#[tokio::test]
async fn a_client_that_only_greets_is_cut() {
    let served = Served::with(Config { header_read: SHORT, ..Config::default() }).await;
    let (reader, _writer) = connect(&served, 65_535).await;
    is_cut(reader).await;
    places_are_free(&served).await;
}

#[tokio::test]
async fn floods_end_their_own_connection() {
    let reset = |stream: u32| [ask(stream), frame(3, 0, stream, &8u32.to_be_bytes())].concat();
    let endless = |stream: u32| match stream {
        // A header that goes on and on: HEADERS without an end, then one CONTINUATION after another.
        1 => frame(1, 0x01, 1, &[0x82, 0x86, 0x84]),
        _ => frame(9, 0, 1, &[&[0x00, 0x01, b'a', 0x7f, 0x81, 0x01], [b'x'; 256].as_slice()].concat()),
    };
    let settings = |_| frame(4, 0, 0, &[]);
    let pings = |_| frame(6, 0, 0, &[7; 8]);
    let floods: [Flood<'_>; 4] =
        [("resets", &reset), ("an endless header", &endless), ("settings", &settings), ("pings", &pings)];
    for (what, flood) in floods {
        let served = Served::with(Config { body_progress: SHORT, ..Config::default() }).await;
        // It takes nothing of what is answered, so that answers to its frames pile up somewhere.
        let (reader, mut writer) = connect(&served, 65_535).await;
        let mut stream = 1;
        let cut = async {
            loop {
                let many: Vec<u8> = (0..256).flat_map(|number| flood(stream + 2 * number)).collect();
                if writer.write_all(&many).await.is_err() {
                    break;
                }
                stream += 512;
            }
        };
        tokio::time::timeout(NEVER * 3, cut).await.unwrap_or_else(|_| panic!("{what}: {stream}"));
        drop(reader);
        places_are_free(&served).await;
    }
}
