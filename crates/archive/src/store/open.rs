//! From an archive URL to a store.
//!
//! Does not: make requests, or read any environment variable but those of the clouds' own tools.

use std::{
    collections::BTreeMap, fs::DirBuilder, io, os::unix::fs::DirBuilderExt as _, path::Path, sync::Arc, time::Duration,
};

use object_store::{
    BackoffConfig, ClientOptions, ObjectStore, RetryConfig, aws::AmazonS3Builder, azure::MicrosoftAzureBuilder,
    gcp::GoogleCloudStorageBuilder, local::LocalFileSystem, prefix::PrefixStore,
};

use super::{Store, StoreKind};
use crate::{ArchiveError, ArchiveUrl, UrlError, url::Place};

/// Well below the stall rule, so that a writer hears of trouble while it may still repeat the request.
const RETRY: Duration = Duration::from_secs(30);

pub(super) fn open(url: &ArchiveUrl) -> Result<Store, ArchiveError> {
    match &url.0 {
        Place::Directory(path) => directory(path),
        Place::Bucket { scheme, bucket, prefix, options } => {
            let service = service(scheme, bucket, options)
                .map_err(|error| ArchiveError::Url(UrlError { text: url.to_string(), reason: error.to_string() }))?;
            let inner: Arc<dyn ObjectStore> =
                if prefix.is_empty() { service } else { Arc::new(PrefixStore::new(service, prefix.as_str())) };
            Ok(Store { inner, kind: StoreKind::Remote, place: url.to_string() })
        }
    }
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
            ArchiveError::NoPlace { place: place.display().to_string() }
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
    let retry = RetryConfig { backoff: BackoffConfig::default(), max_retries: 10, retry_timeout: RETRY };
    let http = options.get("allow_http").is_some_and(|allow| allow == "true");
    let client = ClientOptions::new().with_allow_http(http);
    let endpoint = options.get("endpoint");
    Ok(match scheme {
        "s3" => {
            let mut builder =
                AmazonS3Builder::from_env().with_client_options(client).with_bucket_name(bucket).with_retry(retry);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint);
            }
            if let Some(region) = options.get("region") {
                builder = builder.with_region(region);
            }
            Arc::new(builder.build()?)
        }
        "gs" => {
            let mut builder = GoogleCloudStorageBuilder::from_env()
                .with_client_options(client)
                .with_bucket_name(bucket)
                .with_retry(retry);
            if let Some(endpoint) = endpoint {
                builder = builder.with_base_url(endpoint);
            }
            Arc::new(builder.build()?)
        }
        _ => {
            let mut builder = MicrosoftAzureBuilder::from_env()
                .with_client_options(client)
                .with_container_name(bucket)
                .with_retry(retry);
            if let Some(endpoint) = endpoint {
                builder = builder.with_endpoint(endpoint.clone());
            }
            Arc::new(builder.build()?)
        }
    })
}
