//! Who may read the overlay: programs on this machine, and pages of the overlay itself. A web page that the user visits
//! may not, whatever name it gives this machine (DNS rebinding) and whatever it embeds. Knows no connection.

use hyper::header::{CONTENT_LENGTH, HOST, HeaderMap, ORIGIN, TRANSFER_ENCODING};
use hyper::{Method, StatusCode, Uri};

/// Why a request is refused: a status and one sentence.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Refusal {
    /// The HTTP status.
    pub status: StatusCode,
    /// For the person who reads it.
    pub why: &'static str,
}

const fn refusal(status: StatusCode, why: &'static str) -> Refusal {
    Refusal { status, why }
}

/// Whether an authority, `host` or `host:port`, names this machine.
fn is_here(authority: &str) -> bool {
    let (host, port) = match authority.rsplit_once(':') {
        Some((host, port)) if !authority.ends_with(']') => (host, Some(port)),
        _ => (authority, None),
    };
    let host_is_here = ["127.0.0.1", "localhost", "[::1]"].iter().any(|name| host.eq_ignore_ascii_case(name));
    host_is_here
        && port.is_none_or(|p| !p.is_empty() && p.bytes().all(|b| b.is_ascii_digit()) && p.parse::<u16>().is_ok())
}

/// Checks a request's head.
pub fn check(method: &Method, uri: &Uri, headers: &HeaderMap) -> Result<(), Refusal> {
    if method != Method::GET && method != Method::HEAD {
        return Err(refusal(StatusCode::METHOD_NOT_ALLOWED, "the overlay can only be read; use GET or HEAD"));
    }
    let mut hosts = headers.get_all(HOST).iter();
    let host = hosts.next().and_then(|h| h.to_str().ok());
    if hosts.next().is_some() || !host.is_some_and(is_here) || uri.authority().is_some_and(|a| !is_here(a.as_str())) {
        return Err(refusal(
            StatusCode::FORBIDDEN,
            "the overlay answers only to the names 127.0.0.1, localhost and [::1]",
        ));
    }
    let own = |origin: &str| origin.strip_prefix("http://").is_some_and(|rest| Some(rest) == host);
    if headers.get_all(ORIGIN).iter().any(|o| !o.to_str().is_ok_and(own)) {
        return Err(refusal(StatusCode::FORBIDDEN, "the overlay does not answer pages of other sites"));
    }
    // A link on another site may lead here; nothing on it may be fetched from here.
    let told = |name: &str| headers.get(name).and_then(|v| v.to_str().ok());
    let foreign = told("sec-fetch-site").is_some_and(|site| !matches!(site, "same-origin" | "none"));
    if foreign && !(told("sec-fetch-mode") == Some("navigate") && told("sec-fetch-dest") == Some("document")) {
        return Err(refusal(StatusCode::FORBIDDEN, "the overlay does not answer pages of other sites"));
    }
    let sends =
        headers.contains_key(TRANSFER_ENCODING) || headers.get_all(CONTENT_LENGTH).iter().any(|l| l.as_bytes() != b"0");
    if sends {
        return Err(refusal(StatusCode::PAYLOAD_TOO_LARGE, "the overlay takes no content; ask without one"));
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn verdict(method: &str, uri: &str, headers: &[(&str, &str)]) -> u16 {
        let mut map = HeaderMap::new();
        for (name, value) in headers {
            let name = hyper::header::HeaderName::from_bytes(name.as_bytes()).expect("a name");
            map.append(name, value.parse().expect("a value"));
        }
        let method = Method::from_bytes(method.as_bytes()).expect("a method");
        check(&method, &uri.parse().expect("a URI"), &map).map_or_else(|r| r.status.as_u16(), |()| 200)
    }

    #[test]
    fn only_names_of_this_machine_are_answered() {
        for good in ["127.0.0.1", "127.0.0.1:7373", "localhost", "LOCALHOST:80", "[::1]", "[::1]:7373"] {
            assert_eq!(verdict("GET", "/", &[("host", good)]), 200, "{good}");
        }
        let bad = [
            "",
            "evil.example",
            "127.0.0.1.evil.example",
            "localhost.evil.example:7373",
            "evil.example:127",
            "127.0.0.2",
            "0.0.0.0",
            "[::]",
            "::1",
            "localhost:",
            "localhost:x",
            "localhost:99999",
            "a@localhost",
            "localhost, evil.example",
            "127.0.0.1:80:80",
            "2130706433",
            "[::1",
            "localhost.",
        ];
        for bad in bad {
            assert_eq!(verdict("GET", "/", &[("host", bad)]), 403, "{bad}");
        }
        assert_eq!(verdict("GET", "/", &[]), 403);
        assert_eq!(verdict("GET", "/", &[("host", "localhost"), ("host", "localhost")]), 403);
        assert_eq!(verdict("GET", "http://evil.example/", &[("host", "localhost")]), 403);
        assert_eq!(verdict("GET", "http://localhost:7373/", &[("host", "localhost:7373")]), 200);
    }

    #[test]
    fn pages_of_other_sites_are_refused() {
        let with = |more: &[(&str, &str)]| verdict("GET", "/events", &[&[("host", "localhost:7373")], more].concat());
        assert_eq!(with(&[("origin", "http://localhost:7373")]), 200);
        for origin in [
            "null",
            "https://evil.example",
            "http://localhost:7374",
            "http://127.0.0.1:7373",
            "http://localhost:7373.evil.example",
        ] {
            assert_eq!(with(&[("origin", origin)]), 403, "{origin}");
        }
        assert_eq!(with(&[("sec-fetch-site", "same-origin"), ("sec-fetch-mode", "cors")]), 200);
        assert_eq!(
            with(&[("sec-fetch-site", "none"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]),
            200
        );
        assert_eq!(
            with(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "no-cors"), ("sec-fetch-dest", "script")]),
            403
        );
        assert_eq!(with(&[("sec-fetch-site", "same-site"), ("sec-fetch-mode", "cors")]), 403);
        assert_eq!(
            with(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "iframe")]),
            403
        );
        assert_eq!(
            with(&[("sec-fetch-site", "cross-site"), ("sec-fetch-mode", "navigate"), ("sec-fetch-dest", "document")]),
            200
        );
    }

    #[test]
    fn nothing_can_be_written() {
        for method in ["POST", "PUT", "DELETE", "OPTIONS", "PATCH", "BREW"] {
            assert_eq!(verdict(method, "/", &[("host", "localhost")]), 405, "{method}");
        }
        assert_eq!(verdict("HEAD", "/", &[("host", "localhost")]), 200);
        assert_eq!(verdict("GET", "/", &[("host", "localhost"), ("content-length", "5")]), 413);
        assert_eq!(verdict("GET", "/", &[("host", "localhost"), ("transfer-encoding", "chunked")]), 413);
    }
}
