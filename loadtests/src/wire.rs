//! One kept-alive HTTP/1.1 connection that writes prepared requests and reads answers, for closed loops on the machine
//! that is measured: a general client takes as much of the cores as a third of the gateway.
//!
//! It knows what the gateway's answers look like and nothing more: a status line, a `content-length`, a body. Anything
//! else is an error. It does not reconnect, and a request that was not answered is the caller's to account for.

use std::net::SocketAddr;
use std::time::Duration;

use anyhow::{Context as _, Result, bail};
use tokio::io::{AsyncReadExt as _, AsyncWriteExt as _};
use tokio::net::TcpStream;

const HEAD_MAX: usize = 16 * 1024;

/// One connection.
pub(crate) struct Wire {
    stream: TcpStream,
    read: Vec<u8>,
    deadline: Duration,
}

/// What was answered.
pub(crate) struct Answer<'a> {
    pub(crate) status: u16,
    pub(crate) body: &'a [u8],
}

impl Wire {
    pub(crate) async fn connect(address: SocketAddr, deadline: Duration) -> Result<Self> {
        let stream = TcpStream::connect(address).await?;
        stream.set_nodelay(true)?;
        Ok(Self { stream, read: Vec::with_capacity(HEAD_MAX), deadline })
    }

    /// Writes a whole request and reads the whole answer.
    pub(crate) async fn exchange(&mut self, request: &[u8]) -> Result<Answer<'_>> {
        let deadline = self.deadline;
        let (status, head, length) =
            tokio::time::timeout(deadline, self.run(request)).await.context("no answer in time")??;
        Ok(Answer { status, body: self.read.get(head..head + length).unwrap_or_default() })
    }

    async fn run(&mut self, request: &[u8]) -> Result<(u16, usize, usize)> {
        self.stream.write_all(request).await?;
        self.read.clear();
        loop {
            if let Some((status, head, length)) = head_of(&self.read)?
                && self.read.len() >= head + length
            {
                return Ok((status, head, length));
            }
            if self.stream.read_buf(&mut self.read).await? == 0 {
                bail!("the connection ended before the answer did");
            }
        }
    }
}

/// Status, length of the head and of the body, once the head is there.
fn head_of(read: &[u8]) -> Result<Option<(u16, usize, usize)>> {
    let Some(end) = read.windows(4).position(|window| window == b"\r\n\r\n") else {
        if read.len() > HEAD_MAX {
            bail!("an answer's head is longer than {HEAD_MAX} bytes");
        }
        return Ok(None);
    };
    let head = std::str::from_utf8(read.get(..end).unwrap_or_default())?;
    let mut lines = head.split("\r\n");
    let status = lines.next().and_then(|line| line.split(' ').nth(1)).context("no status line")?.parse()?;
    let length = lines
        .filter_map(|line| line.split_once(':'))
        .find(|(name, _)| name.eq_ignore_ascii_case("content-length"))
        .context("an answer without a content-length")?
        .1
        .trim()
        .parse()?;
    Ok(Some((status, end + 4, length)))
}

#[cfg(test)]
mod tests {
    use super::head_of;

    #[test]
    fn an_answer_is_read_once_its_head_is_whole() -> anyhow::Result<()> {
        let answer = b"HTTP/1.1 202 Accepted\r\nx: y\r\nContent-Length: 5\r\n\r\nhello";
        assert_eq!(head_of(answer)?, Some((202, answer.len() - 5, 5)));
        for cut in 0..answer.len() - 5 {
            assert_eq!(head_of(&answer[..cut])?, None, "{cut}");
        }
        assert!(head_of(b"HTTP/1.1 202 Accepted\r\n\r\n").is_err(), "no length");
        assert!(head_of(b"hello\r\n\r\n").is_err(), "no status");
        assert!(head_of(&[b'x'; 20_000]).is_err(), "no end");
        Ok(())
    }
}
