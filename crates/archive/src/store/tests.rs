//! What every store promises, on each kind of store; and what is made of services that answer oddly.

mod places;
mod promises;
mod service;

use std::time::Duration;

use vmrewind_testkit::{
    s3::S3Server,
    store::{Call, Script},
};

use self::{
    places::{Bucket, Directory, Faulty, Memory, Whole},
    promises::every_promise,
};

#[tokio::test]
async fn memory_keeps_every_promise() {
    every_promise(&Memory).await;
}

#[tokio::test(start_paused = true)]
async fn memory_behind_faults_keeps_every_promise() {
    for seed in 0..4 {
        every_promise(&Faulty::new(Memory, Script::new(seed))).await;
    }
}

#[tokio::test]
async fn a_store_that_ignores_ranges_keeps_every_promise() {
    every_promise(&Whole(Memory)).await;
}

#[tokio::test]
async fn a_directory_keeps_every_promise() {
    every_promise(&Directory::new()).await;
}

/// Of creates only those that do not fail: an error of a directory is final, since nobody knows then what is durable.
#[tokio::test]
async fn a_directory_behind_faults_of_reading_keeps_every_promise() {
    let script = Script::new(5).slow(Duration::from_millis(1)).always_answering().sparing(Call::Put);
    every_promise(&Faulty::new(Directory::new(), script)).await;
}

#[tokio::test]
async fn a_real_s3_server_keeps_every_promise() {
    let server = S3Server::start().await.expect("started");
    every_promise(&Bucket::new(&server)).await;
}

#[tokio::test]
async fn a_real_s3_server_behind_faults_keeps_every_promise() {
    let server = S3Server::start().await.expect("started");
    let script = Script::new(6).slow(Duration::from_millis(1)).always_answering();
    every_promise(&Faulty::new(Bucket::new(&server), script)).await;
}
