//! A service that answers as a function says, below the real client library: what that makes of odd answers is then known, and
//! no socket is opened.
//!
//! Does not: check signatures.

use std::{
    fmt,
    sync::{
        Arc,
        atomic::{AtomicUsize, Ordering},
    },
};

use async_trait::async_trait;
use object_store::{
    ClientOptions,
    aws::AmazonS3Builder,
    client::{HttpClient, HttpConnector, HttpError, HttpErrorKind, HttpRequest, HttpResponse, HttpService},
};

/// A request, as far as answers depend on it.
#[derive(Clone, Debug)]
pub struct Asked {
    /// `GET`, `HEAD`, `PUT`, `DELETE`.
    pub method: String,
    /// Path in the service, for example `/bucket/log/0000/0000000000000001`.
    pub path: String,
    /// The range that is asked for, for example `bytes=0-9`.
    pub range: Option<String>,
    /// How many requests came before.
    pub before: usize,
}

/// An answer.
#[derive(Clone, Debug)]
pub struct Reply {
    /// HTTP status; 0 cuts the connection.
    pub status: u16,
    /// Headers beside those that every answer has.
    pub headers: Vec<(&'static str, String)>,
    /// The body.
    pub body: Vec<u8>,
}

impl Reply {
    /// An answer with this status and body.
    #[must_use]
    pub fn new(status: u16, body: &[u8]) -> Self {
        Self { status, headers: Vec::new(), body: body.to_vec() }
    }

    /// A refusal in the form of Amazon S3.
    #[must_use]
    pub fn refusal(status: u16, code: &str, message: &str) -> Self {
        let body = format!(
            "<?xml version=\"1.0\" encoding=\"UTF-8\"?>\n<Error><Code>{code}</Code><Message>{message}</Message>\
             <AWSAccessKeyId>AKIAPLANTED</AWSAccessKeyId><StringToSign>planted</StringToSign></Error>"
        );
        Self::new(status, body.as_bytes())
    }
}

type Answering = Arc<dyn Fn(&Asked) -> Reply + Send + Sync>;

/// A service that answers as a function says. Clones count their requests together.
#[derive(Clone)]
pub struct Canned {
    answering: Answering,
    asked: Arc<AtomicUsize>,
}

impl Canned {
    /// Makes a service.
    pub fn new(answering: impl Fn(&Asked) -> Reply + Send + Sync + 'static) -> Self {
        Self { answering: Arc::new(answering), asked: Arc::default() }
    }

    /// Returns how many requests came.
    #[must_use]
    pub fn asked(&self) -> usize {
        self.asked.load(Ordering::Relaxed)
    }

    /// Returns an S3 client of it, to which a bucket and all else is to be added.
    #[must_use]
    pub fn client(&self) -> AmazonS3Builder {
        AmazonS3Builder::new()
            .with_access_key_id("AKIAPLANTED")
            .with_secret_access_key("planted-secret")
            .with_http_connector(self.clone())
    }
}

impl fmt::Debug for Canned {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("Canned").field("asked", &self.asked()).finish_non_exhaustive()
    }
}

impl HttpConnector for Canned {
    fn connect(&self, _options: &ClientOptions) -> object_store::Result<HttpClient> {
        Ok(HttpClient::new(self.clone()))
    }
}

#[async_trait]
impl HttpService for Canned {
    async fn call(&self, request: HttpRequest) -> Result<HttpResponse, HttpError> {
        let asked = Asked {
            method: request.method().to_string(),
            path: request.uri().path().to_owned(),
            range: request.headers().get("range").and_then(|value| value.to_str().ok()).map(str::to_owned),
            before: self.asked.fetch_add(1, Ordering::Relaxed),
        };
        let Reply { status, headers, body } = (self.answering)(&asked);
        let cut = |reason: String| HttpError::new(HttpErrorKind::Interrupted, std::io::Error::other(reason));
        if status == 0 {
            return Err(cut("the connection was cut".to_owned()));
        }
        let mut response = http::Response::builder()
            .status(status)
            .header("last-modified", "Tue, 03 Nov 2026 10:00:00 GMT")
            .header("etag", "\"e\"");
        if headers.iter().all(|(name, _)| *name != "content-length") {
            response = response.header("content-length", body.len());
        }
        for (name, value) in headers {
            response = response.header(name, value);
        }
        response.body(body.into()).map_err(|error| cut(error.to_string()))
    }
}
