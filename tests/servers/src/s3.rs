//! A private server that speaks S3 (moto, from PyPI, as `tests/run tools` installs it), with one bucket.
//!
//! It keeps objects in memory: it tells what the API answers, nothing about durability. After a kill it is empty and has no
//! bucket until `restart`.

use crate::keeper::Keeper;
use crate::server::Server;
use crate::tools;
use anyhow::{Context, Result, anyhow, bail, ensure};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, SocketAddr, TcpStream};
use std::ops::Deref;
use std::path::Path;
use std::sync::OnceLock;
use std::time::Duration;

pub struct S3 {
    server: Server,
    port: u16,
}

impl Deref for S3 {
    type Target = Server;

    fn deref(&self) -> &Server {
        &self.server
    }
}

impl S3 {
    /// The bucket that is there.
    pub const BUCKET: &str = "causeway";

    pub fn start() -> Result<Self> {
        let program = Path::new(env!("CARGO_MANIFEST_DIR")).join("../../target/moto/bin/moto_server");
        let program = program.canonicalize();
        let program = program.context("moto_server is not installed here: run `tests/run tools`")?;
        let port = tools::free_port()?;
        let keeper = Keeper::new("s3", None)?;
        let run = format!("exec '{}' --host 127.0.0.1 --port {port}\n", program.display());
        keeper.write("run", &run)?;
        let ready = move || make_bucket(port).is_ok();
        let server = Server::start("s3", keeper, "TERM", Box::new(ready))?;
        Ok(Self { server, port })
    }

    /// One for all tests of this process.
    pub fn shared() -> Result<&'static Self> {
        static SHARED: OnceLock<Result<S3, String>> = OnceLock::new();
        SHARED
            .get_or_init(|| Self::start().map_err(|error| format!("{error:#}")))
            .as_ref()
            .map_err(|error| anyhow!("{error}"))
    }

    /// Such as `http://127.0.0.1:5000`. Any key and secret will do.
    #[must_use]
    pub fn endpoint(&self) -> String {
        format!("http://127.0.0.1:{}", self.port)
    }
}

/// Makes the bucket; that it is there already is as good.
fn make_bucket(port: u16) -> Result<()> {
    let bound = Duration::from_secs(5);
    let mut socket = TcpStream::connect_timeout(&SocketAddr::from((Ipv4Addr::LOCALHOST, port)), bound)?;
    socket.set_read_timeout(Some(bound))?;
    let request = format!(
        "PUT /{} HTTP/1.1\r\nHost: 127.0.0.1:{port}\r\nAuthorization: AWS4-HMAC-SHA256 \
         Credential=test/20260101/us-east-1/s3/aws4_request, SignedHeaders=host, Signature=0\r\n\
         Content-Length: 0\r\nConnection: close\r\n\r\n",
        S3::BUCKET
    );
    socket.write_all(request.as_bytes())?;
    let mut answer = [0; 12];
    socket.read_exact(&mut answer)?;
    ensure!(answer.starts_with(b"HTTP/1.1 "), "no answer");
    match &answer[9..] {
        b"200" | b"409" => Ok(()),
        other => bail!("{}", String::from_utf8_lossy(other)),
    }
}
