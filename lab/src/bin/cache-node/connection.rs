//! One client: its commands go to memcached one by one, or are answered here.

use std::io;
use std::sync::Arc;

use tokio::io::{
    AsyncBufRead, AsyncBufReadExt, AsyncRead, AsyncReadExt, AsyncWrite, AsyncWriteExt, BufReader, BufWriter,
    copy_bidirectional, copy_buf,
};
use tokio::net::unix::{OwnedReadHalf, OwnedWriteHalf};
use tokio::net::{TcpStream, UnixStream};

use crate::admin;
use crate::node::Shared;
use crate::protocol::{self, Line};

/// The first byte of a request in memcached's binary protocol.
const BINARY: u8 = 0x80;
/// A longer line is no request; a `get` of very many keys still fits.
const LONGEST_LINE: u64 = 1 << 20;

/// Serves a client until it goes.
pub(crate) async fn serve(mut client: TcpStream, shared: Arc<Shared>) -> io::Result<()> {
    let mut first = [0_u8; 1];
    if client.peek(&mut first).await? == 1 && first[0] == BINARY {
        let mut memcached = UnixStream::connect(&shared.socket).await?;
        copy_bidirectional(&mut client, &mut memcached).await?;
        return Ok(());
    }
    client.set_nodelay(true)?;
    let (read, write) = client.into_split();
    serve_text(BufReader::new(read), BufWriter::new(write), &shared).await
}

async fn serve_text<R, W>(
    mut requests: BufReader<R>,
    mut answers: BufWriter<W>,
    shared: &Shared,
) -> io::Result<()>
where
    R: AsyncRead + Unpin,
    W: AsyncWrite + Unpin,
{
    let mut below = Below::connect(shared).await?;
    let mut line = Vec::new();
    loop {
        line.clear();
        if read_line(&mut requests, &mut line).await? == 0 {
            return answers.flush().await;
        }
        match protocol::classify(&line) {
            Line::Quit => return answers.flush().await,
            Line::Admin(words) => answers.write_all(admin::answer(&words, shared).await.as_bytes()).await?,
            Line::Empty => answers.write_all(b"ERROR\r\n").await?,
            Line::Store { bytes, noreply } => {
                below.requests.write_all(&line).await?;
                // The data, whatever it looks like, and its line end.
                pass(&mut requests, &mut below.requests, bytes + 2).await?;
                below.simple(noreply, &mut answers).await?;
            }
            Line::Simple { noreply } => {
                below.requests.write_all(&line).await?;
                below.simple(noreply, &mut answers).await?;
            }
            Line::Retrieve => {
                below.requests.write_all(&line).await?;
                below.values(&mut answers).await?;
            }
            Line::Attributes { key } => {
                below.requests.write_all(b"mg ").await?;
                below.requests.write_all(key).await?;
                below.requests.write_all(b" f t\r\n").await?;
                below.attributes(&mut answers).await?;
            }
            Line::Stats => {
                below.requests.write_all(&line).await?;
                below.stats(&mut answers).await?;
            }
        }
        // A client that has sent more already will wait for the last answer, not for this one.
        if requests.buffer().is_empty() {
            answers.flush().await?;
        }
    }
}

/// The connection to memcached that belongs to one client.
struct Below {
    requests: BufWriter<OwnedWriteHalf>,
    answers: BufReader<OwnedReadHalf>,
    line: Vec<u8>,
}

impl Below {
    async fn connect(shared: &Shared) -> io::Result<Self> {
        let (read, write) = UnixStream::connect(&shared.socket).await?.into_split();
        Ok(Self { requests: BufWriter::new(write), answers: BufReader::new(read), line: Vec::new() })
    }

    /// Reads one line of an answer.
    async fn next_line(&mut self) -> io::Result<&[u8]> {
        self.line.clear();
        if read_line(&mut self.answers, &mut self.line).await? == 0 {
            return Err(io::ErrorKind::UnexpectedEof.into());
        }
        Ok(&self.line)
    }

    async fn simple(&mut self, noreply: bool, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.requests.flush().await?;
        if noreply {
            return Ok(());
        }
        let line = self.next_line().await?;
        out.write_all(line).await
    }

    async fn values(&mut self, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.requests.flush().await?;
        loop {
            let line = self.next_line().await?;
            let length = protocol::value_length(line);
            out.write_all(line).await?;
            match length {
                Some(bytes) => pass(&mut self.answers, out, bytes + 2).await?,
                None => return Ok(()),
            }
        }
    }

    async fn attributes(&mut self, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.requests.flush().await?;
        let line = self.next_line().await?;
        match protocol::attributes(line) {
            Some(text) => out.write_all(text.as_bytes()).await,
            None => out.write_all(line).await,
        }
    }

    async fn stats(&mut self, out: &mut (impl AsyncWrite + Unpin)) -> io::Result<()> {
        self.requests.flush().await?;
        loop {
            let line = self.next_line().await?;
            let ends = protocol::ends_stats(line);
            // The process and the program that clients know are this one's.
            if line.starts_with(b"STAT pid ") {
                out.write_all(format!("STAT pid {}\r\n", std::process::id()).as_bytes()).await?;
            } else if line.starts_with(b"STAT version ") {
                out.write_all(format!("STAT version {}\r\n", admin::VERSION).as_bytes()).await?;
            } else {
                out.write_all(line).await?;
            }
            if ends {
                return Ok(());
            }
        }
    }
}

async fn read_line(from: &mut (impl AsyncBufRead + Unpin), line: &mut Vec<u8>) -> io::Result<usize> {
    let read = from.take(LONGEST_LINE).read_until(b'\n', line).await?;
    if read > 0 && !line.ends_with(b"\n") {
        return Err(io::ErrorKind::InvalidData.into());
    }
    Ok(read)
}

async fn pass(
    from: &mut (impl AsyncBufRead + Unpin),
    to: &mut (impl AsyncWrite + Unpin),
    bytes: u64,
) -> io::Result<()> {
    if copy_buf(&mut from.take(bytes), to).await? == bytes {
        Ok(())
    } else {
        Err(io::ErrorKind::UnexpectedEof.into())
    }
}
