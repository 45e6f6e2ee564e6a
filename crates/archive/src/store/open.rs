//! From an archive URL to a store.
//!
//! Does not: make requests, or read any environment variable but those of the clouds' own tools.

use std::{
    collections::BTreeMap, fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc, time::Duration,
};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig,
    aws::{AmazonS3, AmazonS3Builder},
    azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder,
    local::LocalFileSystem,
    prefix::PrefixStore,
};

use super::{Patience, Store, StoreKind};
use crate::{ArchiveError, ArchiveUrl, UrlError, url::Place};

/// How long one request may take with its answer: 64 MiB at 10 Mbit/s.
const REQUEST: Duration = Duration::from_secs(60);

/// What the client repeats by itself: enough to go on with an answer that broke off in the middle. All else is asked again by
/// [`Patience`], which knows what was asked.
const RETRIES: usize = 2;
const RETRY: Duration = Duration::from_secs(30);

pub(super) fn open(url: &ArchiveUrl) -> Result<Store, ArchiveError> {
    match &url.0 {
        Place::Directory(path) => directory(path),
        Place::Bucket { scheme, bucket, prefix, options } => {
            let service = service(scheme, bucket, options)
                .map_err(|error| ArchiveError::Url(UrlError { text: url.to_string(), reason: error.to_string() }))?;
            Ok(remote(service, prefix, url.to_string()))
        }
    }
}

/// Makes a store of what lies below a prefix of a bucket.
pub(super) fn remote(service: Arc<dyn ObjectStore>, prefix: &str, place: String) -> Store {
    let inner: Arc<dyn ObjectStore> =
        if prefix.is_empty() { service } else { Arc::new(PrefixStore::new(service, prefix)) };
    let store = Store::from_parts(inner, StoreKind::Remote).with_patience(Patience::SERVICE);
    Store { place, ..store }
}

/// Makes a directory that does not exist but whose parent does, open to its owner only.
pub(super) fn make(url: &ArchiveUrl) -> Result<(), ArchiveError> {
    let Place::Directory(path) = &url.0 else { return Ok(()) };
    match DirBuilder::new().mode(0o700).create(path) {
        Ok(()) => Ok(()),
        Err(error) if error.kind() == io::ErrorKind::AlreadyExists => Ok(()),
        Err(error) => Err(refused(path, "make", error)),
    }
}

fn refused(path: &Path, verb: &str, error: io::Error) -> ArchiveError {
    let what = format!("{verb} the directory {}", path.display());
    match error.kind() {
        io::ErrorKind::NotFound => {
            // What is to be made lacks the directory above it.
            let place = if verb == "make" { path.parent().unwrap_or(path) } else { path };
            ArchiveError::NoPlace { place: place.display().to_string(), files: true }
        }
        io::ErrorKind::PermissionDenied | io::ErrorKind::ReadOnlyFilesystem => {
            ArchiveError::Denied { what, files: true, source: error.into() }
        }
        _ => ArchiveError::StoreFailed { what, source: error.into() },
    }
}

fn directory(path: &Path) -> Result<Store, ArchiveError> {
    let root = std::fs::canonicalize(path).map_err(|error| refused(path, "open", error))?;
    if !root.is_dir() {
        let place = root.display().to_string();
        return Err(ArchiveError::NotEmpty { place, found: "a file where a directory is expected".into() });
    }
    let files = LocalFileSystem::new_with_prefix(&root)
        .map_err(|error| ArchiveError::StoreFailed { what: format!("open {}", root.display()), source: error.into() })?
        .with_fsync(true);
    Ok(Store::from_parts(Arc::new(files), StoreKind::Directory(root)))
}

fn service(
    scheme: &str,
    bucket: &str,
    options: &BTreeMap<String, String>,
) -> Result<Arc<dyn ObjectStore>, object_store::Error> {
    Ok(match scheme {
        "s3" => Arc::new(s3(AmazonS3Builder::from_env(), bucket, options)?),
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_client_options(client(options))
                .with_bucket_name(bucket)
                .with_retry(retries());
            if let Some(endpoint) = options.get("endpoint") {
                builder = builder.with_base_url(endpoint);
            }
            Arc::new(builder.build()?)
        }
        _ => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_client_options(client(options))
                .with_container_name(bucket)
                .with_retry(retries());
            if let Some(endpoint) = options.get("endpoint") {
                builder = builder.with_endpoint(endpoint.clone());
            }
            Arc::new(builder.build()?)
        }
    })
}

/// Adds to credentials where the bucket is and how it is spoken to.
pub(super) fn s3(
    mut builder: AmazonS3Builder,
    bucket: &str,
    options: &BTreeMap<String, String>,
) -> Result<AmazonS3, object_store::Error> {
    if let Some(endpoint) = options.get("endpoint") {
        builder = builder.with_endpoint(endpoint);
    }
    if let Some(region) = options.get("region") {
        builder = builder.with_region(region);
    }
    builder.with_client_options(client(options)).with_bucket_name(bucket).with_retry(retries()).build()
}

fn client(options: &BTreeMap<String, String>) -> ClientOptions {
    let http = options.get("allow_http").is_some_and(|allow| allow == "true");
    ClientOptions::new().with_allow_http(http).with_timeout(REQUEST)
}

fn retries() -> RetryConfig {
    RetryConfig { backoff: BackoffConfig::default(), max_retries: RETRIES, retry_timeout: RETRY }
}
