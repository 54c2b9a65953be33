//! nginx on the kernel's TCP, with hyper on Tidewire as its client.

use std::fs;
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{self, Command};
use std::time::Duration;

use bytes::Bytes;
use http_body_util::{BodyExt, Empty};
use hyper::client::conn::http1::{self, SendRequest};
use hyper::header::{CONTENT_RANGE, HOST, RANGE};
use hyper::{Request, Response, StatusCode};
use hyper_util::rt::TokioIo;
use libtest_mimic::{Failed, Trial};
use tidewire::Stack;
use tidewire_integration_tests::{Net, Program, TestResult, everywhere};
use tokio::io::AsyncReadExt;
use tokio::time::sleep;

pub(crate) fn trials() -> Vec<Trial> {
    [
        everywhere("nginx::answers_on_one_connection", answers),
        everywhere("nginx::sends_a_large_file", large_file),
        everywhere("nginx::closes_when_asked_to", closes),
    ]
    .into_iter()
    .flatten()
    .collect()
}

/// nginx on the right, with a folder of its own; both end with the test.
struct Nginx {
    address: SocketAddr,
    folder: PathBuf,
    _program: Program,
}

impl Nginx {
    async fn start(net: &Net) -> Result<Self, Failed> {
        let name = format!("tidewire-nginx-{}-{}", process::id(), net.right().tid());
        let folder = std::env::temp_dir().join(name);
        fs::create_dir(&folder)?;
        let address = SocketAddr::new(net.kernel(), 80);
        let written = write_site(&folder, address);
        let started = written.and_then(|()| {
            let mut command = Command::new("nginx");
            command.arg("-e").arg(folder.join("errors"));
            command.arg("-c").arg(folder.join("nginx.conf"));
            Program::start(net.right(), command)
        });
        let program = match started {
            Ok(program) => program,
            Err(error) => {
                fs::remove_dir_all(&folder)?;
                return Err(error.into());
            }
        };
        let nginx = Self {
            address,
            folder,
            _program: program,
        };
        for _ in 0..1000 {
            if net.kernel_connect(address).await.is_ok() {
                return Ok(nginx);
            }
            sleep(Duration::from_millis(10)).await;
        }
        let errors = fs::read_to_string(nginx.folder.join("errors"))?;
        Err(format!("nginx does not listen: {errors}").into())
    }

    /// A connection for many requests.
    async fn connect(&self, stack: &Stack) -> Result<SendRequest<Empty<Bytes>>, Failed> {
        let stream = stack.connect(self.address).await?;
        let (sender, connection) = http1::handshake(TokioIo::new(stream)).await?;
        tokio::spawn(connection);
        Ok(sender)
    }

    fn get(&self, path: &str) -> hyper::http::request::Builder {
        Request::get(path).header(HOST, self.address.to_string())
    }
}

impl Drop for Nginx {
    fn drop(&mut self) {
        // Connections that nginx still holds open end with it.
        let _ = fs::remove_dir_all(&self.folder);
    }
}

const LARGE: usize = 256 << 20;

fn large() -> Vec<u8> {
    (0..LARGE).map(|at| (at % 251) as u8).collect()
}

/// A configuration for one process, which need not be root, and the files that it serves.
fn write_site(folder: &Path, address: SocketAddr) -> std::io::Result<()> {
    let path = folder.display();
    let configuration = format!(
        "daemon off;
         master_process off;
         pid {path}/pid;
         events {{ }}
         http {{
             access_log off;
             client_body_temp_path {path}/body;
             proxy_temp_path {path}/proxy;
             fastcgi_temp_path {path}/fastcgi;
             uwsgi_temp_path {path}/uwsgi;
             scgi_temp_path {path}/scgi;
             server {{
                 listen {address};
                 root {path}/site;
             }}
         }}"
    );
    fs::write(folder.join("nginx.conf"), configuration)?;
    fs::create_dir(folder.join("site"))?;
    fs::write(folder.join("site/greeting"), GREETING)
}

const GREETING: &str = "hello from the kernel's TCP";

/// A file, a part of it, and a file that is not there: one connection for all.
async fn answers(net: Net) -> TestResult {
    let nginx = Nginx::start(&net).await?;
    let stack = net.stack().await?;
    let mut sender = nginx.connect(&stack).await?;
    for _ in 0..100 {
        let whole = nginx.get("/greeting").body(Empty::new())?;
        let (parts, body) = fetch(&mut sender, whole).await?;
        assert_eq!(
            (parts.status, &body[..]),
            (StatusCode::OK, GREETING.as_bytes())
        );

        let part = nginx.get("/greeting").header(RANGE, "bytes=6-9");
        let (parts, body) = fetch(&mut sender, part.body(Empty::new())?).await?;
        assert_eq!(parts.status, StatusCode::PARTIAL_CONTENT);
        assert_eq!(parts.headers[CONTENT_RANGE], "bytes 6-9/27");
        assert_eq!(&body[..], b"from");

        let missing = nginx.get("/missing").body(Empty::new())?;
        let (parts, _) = fetch(&mut sender, missing).await?;
        assert_eq!(parts.status, StatusCode::NOT_FOUND);
    }
    assert_eq!(stack.stats().active_opens, 1);
    Ok(())
}

async fn fetch(
    sender: &mut SendRequest<Empty<Bytes>>,
    request: Request<Empty<Bytes>>,
) -> Result<(hyper::http::response::Parts, Bytes), Failed> {
    sender.ready().await?;
    let (parts, body) = sender.send_request(request).await?.into_parts();
    Ok((parts, body.collect().await?.to_bytes()))
}

async fn large_file(net: Net) -> TestResult {
    let nginx = Nginx::start(&net).await?;
    let expected = large();
    fs::write(nginx.folder.join("site/large"), &expected)?;
    let stack = net.stack().await?;
    let mut sender = nginx.connect(&stack).await?;
    let request = nginx.get("/large").body(Empty::new())?;
    let mut response: Response<_> = sender.send_request(request).await?;
    let mut length = 0;
    while let Some(frame) = response.frame().await {
        let frame = frame?;
        let piece = frame.data_ref().map_or(&[][..], |data| data);
        let here = expected.get(length..length + piece.len());
        assert!(here == Some(piece), "after {length} bytes");
        length += piece.len();
    }
    assert_eq!(length, LARGE);
    Ok(())
}

/// HTTP/1.0: the end of the connection is the end of the body.
async fn closes(net: Net) -> TestResult {
    let nginx = Nginx::start(&net).await?;
    let stack = net.stack().await?;
    for _ in 0..100 {
        let stream = stack.connect(nginx.address).await?;
        stream
            .write_bytes(Bytes::from_static(b"GET /greeting HTTP/1.0\r\n\r\n"))
            .await?;
        let mut answer = String::new();
        { stream }.read_to_string(&mut answer).await?;
        assert!(answer.starts_with("HTTP/1.1 200 OK\r\n"), "{answer}");
        assert!(answer.ends_with(GREETING), "{answer}");
    }
    Ok(())
}
