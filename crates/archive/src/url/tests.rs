use super::*;

fn refused(text: &str) -> String {
    text.parse::<ArchiveUrl>().expect_err(text).reason
}

#[test]
fn reads_paths_and_file_urls_as_directories() {
    for (text, path) in [("/a/b", "/a/b"), ("file:///a/b%20c", "/a/b c"), ("/a/./b?x=y", "/a/b?x=y")] {
        assert_eq!(text.parse(), Ok(ArchiveUrl(Place::Directory(path.into()))), "{text}");
    }
    let relative: ArchiveUrl = "archive".parse().expect("a path");
    assert!(matches!(relative.0, Place::Directory(path) if path.is_absolute()));
}

#[test]
fn printing_and_parsing_a_bucket_url_are_inverse() {
    for text in ["s3://b", "gs://b/p/q", "az://c/p", "s3://b/p?allow_http=true&endpoint=http://127.0.0.1:9/x&region=r"]
    {
        let url: ArchiveUrl = text.parse().expect(text);
        assert_eq!(url.to_string(), text);
    }
    let escaped: ArchiveUrl = "s3://b/p/?endpoint=http%3A%2F%2Fh".parse().expect("valid");
    assert_eq!(escaped.to_string(), "s3://b/p?endpoint=http://h");
}

#[test]
fn refuses_what_is_no_place_for_an_archive_and_says_why() {
    assert!(refused("").contains("empty"));
    assert!(refused("file://host/a").contains("three slashes"));
    assert!(refused("ftp://a/b").contains("neither"));
    assert!(refused("s3:///a").contains("no bucket"));
    assert!(refused("s3://key:secret@b/a").contains("credentials"));
    assert!(refused("s3://b/../a").contains("dots"));
    assert!(refused("s3://b?colour=red").contains("\"colour\""));
    assert!(refused("s3://b?allow_http=1").contains("true or false"));
    assert!(refused("s3://b?region=a&region=b").contains("twice"));
    assert!(refused("s3://b?region=%4").contains("percent"));
}
