//! Clients that mean no good, by hand over sockets: slow, greedy, flooding. They know HTTP and nothing of the gateway but its
//! one door.
//!
//! Each writes until it is cut, cannot write any more, or has said what it had to say; then it holds its connection and takes no
//! part, so that only the server can end it.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::Result;
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

/// A write that waits so long has met a server that takes nothing more.
const STALLED: Duration = Duration::from_secs(3);
/// Between two bytes of those that trickle.
const TRICKLE: Duration = Duration::from_millis(700);

/// What a client does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Kind {
    Silent,
    SlowHeader,
    SlowBody,
    HalfBody,
    NeverReads,
    ManyHeaders,
    HugeHeader,
    BigBodies,
    WideDocuments,
    NoWindow,
    OneByteWindow,
    Resets,
    EndlessHeader,
    Settings,
    Pings,
}

impl Kind {
    pub(crate) const ALL: [Self; 15] = [
        Self::Silent,
        Self::SlowHeader,
        Self::SlowBody,
        Self::HalfBody,
        Self::NeverReads,
        Self::ManyHeaders,
        Self::HugeHeader,
        Self::BigBodies,
        Self::WideDocuments,
        Self::NoWindow,
        Self::OneByteWindow,
        Self::Resets,
        Self::EndlessHeader,
        Self::Settings,
        Self::Pings,
    ];

    pub(crate) const fn name(self) -> &'static str {
        match self {
            Self::Silent => "says nothing",
            Self::SlowHeader => "a header byte by byte",
            Self::SlowBody => "a body byte by byte",
            Self::HalfBody => "half a body",
            Self::NeverReads => "asks and never reads",
            Self::ManyHeaders => "500 headers",
            Self::HugeHeader => "a header of 2 MiB",
            Self::BigBodies => "bodies as large as they may be",
            Self::WideDocuments => "documents of a million brackets",
            Self::NoWindow => "HTTP/2 without a window",
            Self::OneByteWindow => "HTTP/2 with a window of one byte",
            Self::Resets => "HTTP/2 resets",
            Self::EndlessHeader => "HTTP/2 headers without an end",
            Self::Settings => "HTTP/2 settings",
            Self::Pings => "HTTP/2 pings",
        }
    }

    /// One connection, as far as it gets. It is still open unless the server ended it.
    pub(crate) async fn attack(self, to: SocketAddr, key: &str) -> Result<TcpStream> {
        let mut stream = TcpStream::connect(to).await?;
        match self {
            Self::Silent => {}
            Self::SlowHeader => trickle(&mut stream, b"GET /v1/jobs HTTP/1.1\r\nX-Slow: ").await,
            Self::SlowBody => trickle(&mut stream, format!("{}{{", post(key, 100_000, JSON)).as_bytes()).await,
            Self::HalfBody => {
                let half = format!("{}{}", post(key, 60_000, JSON), " ".repeat(30_000));
                write(&mut stream, half.as_bytes()).await;
            }
            Self::NeverReads => {
                let asks = "GET /problems/not_found HTTP/1.1\r\nHost: gateway\r\n\r\n".repeat(200);
                while write(&mut stream, asks.as_bytes()).await {}
            }
            Self::ManyHeaders => {
                let many: String = (0..500).map(|number| format!("X-{number}: 1\r\n")).collect();
                write(&mut stream, get(&many).as_bytes()).await;
            }
            Self::HugeHeader => {
                write(&mut stream, get(&format!("X-Long: {}\r\n", "a".repeat(2 << 20))).as_bytes()).await;
            }
            Self::BigBodies => big_body(&mut stream, key).await,
            Self::WideDocuments => wide_documents(&mut stream, key).await,
            Self::NoWindow => {
                greet(&mut stream, 0).await;
                for number in 0..100 {
                    write(&mut stream, &ask(2 * number + 1)).await;
                }
            }
            Self::OneByteWindow => {
                greet(&mut stream, 1).await;
                write(&mut stream, &ask(1)).await;
            }
            Self::Resets => {
                flood(&mut stream, |stream| [ask(stream), frame(3, 0, stream, &[0, 0, 0, 8])].concat()).await;
            }
            Self::EndlessHeader => flood(&mut stream, endless).await,
            Self::Settings => flood(&mut stream, |_| frame(4, 0, 0, &[])).await,
            Self::Pings => flood(&mut stream, |_| frame(6, 0, 0, &[7; 8])).await,
        }
        Ok(stream)
    }
}

const JSON: &str = "application/json";

fn post(key: &str, length: usize, kind: &str) -> String {
    format!(
        "POST /v1/applications HTTP/1.1\r\nHost: gateway\r\nAuthorization: Bearer {key}\r\nContent-Type: {kind}\r\n\
         Content-Length: {length}\r\n\r\n"
    )
}

fn get(headers: &str) -> String {
    format!("GET /v1/jobs HTTP/1.1\r\nHost: gateway\r\n{headers}\r\n")
}

async fn big_body(stream: &mut TcpStream, key: &str) {
    let (length, piece) = (11 << 20, vec![b'x'; 64 << 10]);
    let mut goes = write(stream, post(key, length, "multipart/form-data; boundary=b").as_bytes()).await;
    for _ in 0..length / piece.len() {
        goes = goes && write(stream, &piece).await;
    }
}

async fn wide_documents(stream: &mut TcpStream, key: &str) {
    for document in ["[".repeat(1 << 20), "[[],".repeat(1 << 18), format!("[{}1]", "1,".repeat(1 << 19))] {
        let asked = format!("{}{document}", post(key, document.len(), JSON));
        if !write(stream, asked.as_bytes()).await || !answered(stream).await {
            break;
        }
    }
}

/// HEADERS that do not end, then one CONTINUATION after another.
fn endless(stream: u32) -> Vec<u8> {
    match stream {
        1 => frame(1, 0x01, 1, &[0x82, 0x86, 0x84]),
        _ => frame(9, 0, 1, &[&[0x00, 0x01, b'a', 0x7f, 0x81, 0x01], [b'x'; 256].as_slice()].concat()),
    }
}

/// Writes all of it; false when the server takes no more.
async fn write(stream: &mut TcpStream, bytes: &[u8]) -> bool {
    matches!(tokio::time::timeout(STALLED, stream.write_all(bytes)).await, Ok(Ok(())))
}

/// Reads what comes first; false when the server has ended the connection.
async fn answered(stream: &mut TcpStream) -> bool {
    let mut read = vec![0; 16 << 10];
    matches!(tokio::time::timeout(Duration::from_secs(30), stream.read(&mut read)).await, Ok(Ok(1..)))
}

/// This, and then a byte now and then until the server has had enough.
async fn trickle(stream: &mut TcpStream, first: &[u8]) {
    let mut drops = tokio::time::interval(TRICKLE);
    let mut goes = write(stream, first).await;
    while goes {
        drops.tick().await;
        goes = write(stream, b"1").await && !was_cut(stream).await;
    }
}

/// Has the server ended it? Takes nothing else of what it said.
async fn was_cut(stream: &mut TcpStream) -> bool {
    let mut read = vec![0; 4096];
    match tokio::time::timeout(Duration::from_millis(1), stream.read(&mut read)).await {
        Ok(Ok(0) | Err(_)) => true,
        Ok(Ok(_)) | Err(_) => false,
    }
}

/// The same frames over and over, until the server takes no more. What it answers is not read.
async fn flood(stream: &mut TcpStream, one: impl Fn(u32) -> Vec<u8>) {
    let mut goes = greet(stream, 65_535).await;
    let mut number = 1;
    while goes {
        let many: Vec<u8> = (0..256).flat_map(|next| one(number + 2 * next)).collect();
        goes = write(stream, &many).await;
        number = (number + 512) & 0x7fff_ffff;
    }
}

fn frame(kind: u8, flags: u8, stream: u32, payload: &[u8]) -> Vec<u8> {
    let length = u32::try_from(payload.len()).unwrap_or(0).to_be_bytes();
    let mut frame = vec![length[1], length[2], length[3], kind, flags];
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

/// The preface, and SETTINGS with the window of each stream.
async fn greet(stream: &mut TcpStream, window: u32) -> bool {
    let settings = [4u16.to_be_bytes().as_slice(), &window.to_be_bytes()].concat();
    write(stream, &[b"PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n".to_vec(), frame(4, 0, 0, &settings)].concat()).await
}
