//! Alone in its process, because it measures the memory of the whole process.

mod http_support;

use http_support::*;
use lockgate_effects::http::HttpClient;
use tokio::io::AsyncWriteExt as _;

/// Most memory the process ever had, in KiB.
fn peak_kib() -> u64 {
    let status = std::fs::read_to_string("/proc/self/status").expect("procfs");
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).expect("a peak");
    line.trim().trim_end_matches(" kB").parse().expect("a number")
}

#[tokio::test(flavor = "multi_thread", worker_threads = 2)]
async fn n05_streaming_100_mb_holds_a_bounded_part_of_it() {
    const SIZE: usize = 100_000_000;
    let server = Server::handling(|mut stream, _| async move {
        read_request(&mut stream).await;
        stream.write_all(format!("HTTP/1.1 200 OK\r\ncontent-length: {SIZE}\r\n\r\n").as_bytes()).await.expect("head");
        let chunk = vec![b'x'; 100_000];
        for _ in 0..SIZE / chunk.len() {
            stream.write_all(&chunk).await.expect("written");
        }
    })
    .await;
    let cell = HttpClient::new().for_cell();
    let mut body = cell.send(get(server.url("/")), &nowhere, &limits()).await.expect("a head").body.expect("a body");
    let before = peak_kib();
    let mut received = 0;
    while let Some(chunk) = body.next_chunk(64 << 10).await.expect("a piece") {
        received += chunk.len();
    }
    assert_eq!(received, SIZE);
    let grown = peak_kib() - before;
    assert!(grown < 8 << 10, "the peak grew by {grown} KiB while {SIZE} bytes passed");
}
