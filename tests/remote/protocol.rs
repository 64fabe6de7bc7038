//! The client against a server of a few lines that does exactly what a test says: what it asks, how long it waits, what
//! it says about failures. Needs no Python.

use std::io::{BufRead, BufReader, Read, Write};
use std::net::{TcpListener, TcpStream};
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::time::{Duration, Instant};

use mynah::runtime::remote::{Asked, Client, Given, Server};

/// What a request gets: a status and a body; after a wait; and whether the connection is closed behind it, unsaid.
struct Reply {
    status: u16,
    body: Vec<u8>,
    /// Where the JSON of the body ends, if binary numbers come behind it.
    json: Option<usize>,
    wait: Duration,
    closes: bool,
}

fn reply(status: u16, body: &str) -> Reply {
    Reply { status, body: body.as_bytes().to_vec(), json: None, wait: Duration::ZERO, closes: false }
}

/// A server that answers by a function of path and body; gives it and the count of runs that it was asked for.
fn serve(answer: impl Fn(&str, &[u8], usize) -> Reply + Send + Sync + 'static) -> (Server, Arc<AtomicUsize>) {
    let listener = TcpListener::bind("127.0.0.1:0").expect("a port");
    let server = Server::chosen(&format!("http://{}", listener.local_addr().expect("an address"))).expect("an address");
    let (runs, answer) = (Arc::new(AtomicUsize::new(0)), Arc::new(answer));
    let count = runs.clone();
    std::thread::spawn(move || {
        for stream in listener.incoming().flatten() {
            let (count, answer) = (count.clone(), answer.clone());
            std::thread::spawn(move || converse(stream, &*answer, &count));
        }
    });
    (server, runs)
}

fn converse(stream: TcpStream, answer: &dyn Fn(&str, &[u8], usize) -> Reply, runs: &AtomicUsize) -> Option<()> {
    let mut writer = stream.try_clone().ok()?;
    let mut reader = BufReader::new(stream);
    loop {
        let (mut line, mut length) = (String::new(), 0);
        reader.read_line(&mut line).ok().filter(|n| *n > 0)?;
        let path = line.split(' ').nth(1)?.to_owned();
        loop {
            line.clear();
            reader.read_line(&mut line).ok()?;
            if line.trim().is_empty() {
                break;
            }
            if let Some(n) = line.to_ascii_lowercase().strip_prefix("content-length:") {
                length = n.trim().parse().ok()?;
            }
        }
        let mut body = vec![0; length];
        reader.read_exact(&mut body).ok()?;
        let n = if path.ends_with("/infer") { runs.fetch_add(1, Ordering::SeqCst) } else { 0 };
        let reply = answer(&path, &body, n);
        std::thread::sleep(reply.wait);
        let json = reply.json.map_or_else(String::new, |n| format!("Inference-Header-Content-Length: {n}\r\n"));
        write!(writer, "HTTP/1.1 {} Said\r\n{json}Content-Length: {}\r\n\r\n", reply.status, reply.body.len()).ok()?;
        writer.write_all(&reply.body).ok()?;
        if reply.closes {
            return None;
        }
    }
}

type Answer = fn(&str) -> Reply;

const MODEL: &str = r#"{"name":"m","inputs":[{"name":"x","datatype":"FP32","shape":[1,-1]}],"outputs":[{"name":"y","datatype":"FP32","shape":[1,-1]}]}"#;
const NUMBERS: &str = r#"{"outputs":[{"name":"y","shape":[1,2],"datatype":"FP32","data":[0.5,-2]}]}"#;

/// A server that is in order, but for its runs.
fn in_order(path: &str, run: impl FnOnce() -> Reply) -> Reply {
    match path {
        "/v2/health/ready" | "/v2/health/live" => reply(200, ""),
        "/v2" => reply(200, r#"{"name":"test","version":"1","extensions":[]}"#),
        "/v2/models/m" => reply(200, MODEL),
        "/v2/models/m/infer" => run(),
        _ => reply(404, r#"{"error":"unknown"}"#),
    }
}

fn asked() -> Asked {
    Asked {
        model: "m".to_owned(),
        inputs: vec![("x".to_owned(), vec![1, -1])],
        outputs: vec![("y".to_owned(), vec![1, -1])],
    }
}

fn opened(server: Server) -> Client {
    let mut client = Client::open(server, &asked()).expect("it is in order");
    client.expect(Duration::from_millis(20));
    client
}

fn run(client: &mut Client) -> Result<Vec<Vec<f32>>, String> {
    client.run(&[Given { name: "x", shape: &[1, 2], numbers: &[1.0, 2.0] }], &["y"]).map_err(|e| e.to_string())
}

#[test]
fn numbers_go_there_and_back_also_where_connections_do_not_last() {
    let (server, runs) = serve(|path, body, _| {
        in_order(path, || {
            assert!(body.starts_with(br#"{"inputs":[{"name":"x","shape":[1,2],"datatype":"FP32","data":[1.0,2.0]}]"#));
            Reply { closes: true, ..reply(200, NUMBERS) }
        })
    });
    let mut client = opened(server);
    for _ in 0..5 {
        assert_eq!(run(&mut client), Ok(vec![vec![0.5, -2.0]]));
        // The end of the connection arrives.
        std::thread::sleep(Duration::from_millis(20));
    }
    assert_eq!((client.form(), runs.load(Ordering::SeqCst)), ("json", 5));
}

#[test]
fn a_server_that_can_is_sent_bytes() {
    let (server, _) = serve(|path, body, _| match path {
        "/v2" => reply(200, r#"{"extensions":["sequence","binary_tensor_data"]}"#),
        _ => in_order(path, || {
            assert!(body.ends_with(&[0, 0, 128, 63, 0, 0, 0, 64]), "the numbers stand behind the JSON");
            let head = r#"{"outputs":[{"name":"y","parameters":{"binary_data_size":8}}]}"#;
            Reply {
                json: Some(head.len()),
                body: [head.as_bytes(), &[0, 0, 0, 63, 0, 0, 0, 192]].concat(),
                ..reply(200, "")
            }
        }),
    });
    let mut client = opened(server);
    assert_eq!((client.form(), run(&mut client)), ("binary", Ok(vec![vec![0.5, -2.0]])));
}

#[test]
fn a_late_answer_is_not_waited_for_and_the_server_is_left_alone_for_a_while() {
    let (server, runs) = serve(|path, _, n| {
        in_order(path, || Reply { wait: Duration::from_millis(if n == 1 { 2000 } else { 0 }), ..reply(200, NUMBERS) })
    });
    let mut client = opened(server);
    assert!(run(&mut client).is_ok());
    let began = Instant::now();
    let said = run(&mut client).expect_err("it takes two seconds");
    assert!(began.elapsed() < Duration::from_millis(1500) && said.contains("in time"), "{said}");
    assert!(run(&mut client).is_err());
    assert_eq!(runs.load(Ordering::SeqCst), 2, "it was not asked again at once");
    std::thread::sleep(Duration::from_millis(300));
    assert_eq!(run(&mut client), Ok(vec![vec![0.5, -2.0]]), "the late answer is nobody's");
}

#[test]
fn a_render_asks_again_until_it_gets_an_answer() {
    let (server, runs) = serve(|path, _, n| {
        in_order(path, || match n {
            0 => Reply { body: vec![7; 100], ..reply(200, "") },
            1 => reply(500, r#"{"error":"out of memory"}"#),
            _ => reply(200, NUMBERS),
        })
    });
    let mut client = opened(server);
    client.renders(true);
    assert_eq!(run(&mut client), Ok(vec![vec![0.5, -2.0]]));
    assert_eq!(runs.load(Ordering::SeqCst), 3);
}

#[test]
fn what_is_wrong_with_a_server_is_told() {
    let told = |answer: Answer| {
        let (server, _) = serve(move |path, _, _| answer(path));
        match Client::open(server, &asked()) {
            Ok(mut client) => run(&mut client).expect_err("something is wrong"),
            Err(e) => e.to_string(),
        }
    };
    let other = MODEL.replace("-1", "7,3");
    assert!(
        Client::open(
            serve(move |p, _, _| if p == "/v2/models/m" { reply(200, &other) } else { in_order(p, || reply(200, "")) })
                .0,
            &asked()
        )
        .is_err_and(|e| e.to_string().contains("the input `x` is FP32 [1, 7, 3] where FP32 [1, -1] is expected"))
    );
    let cases: [(Answer, &str); 5] = [
        (
            |p| if p == "/v2/health/ready" { reply(503, "") } else { in_order(p, || reply(200, NUMBERS)) },
            "not ready (status 503)",
        ),
        (
            |p| {
                if p == "/v2/models/m" {
                    reply(404, r#"{"error":"no m here"}"#)
                } else {
                    in_order(p, || reply(200, ""))
                }
            },
            "404: no m here",
        ),
        (|p| if p == "/v2/models/m" { reply(200, "<html>") } else { in_order(p, || reply(200, "")) }, "can't be read"),
        (|p| in_order(p, || reply(500, r#"{"error":"out of memory"}"#)), "status 500: out of memory"),
        (|p| in_order(p, || reply(200, r#"{"outputs":[]}"#)), "`y` is missing"),
    ];
    for (answer, why) in cases {
        let said = told(answer);
        assert!(said.contains(why) && said.contains("the server http://127.0.0.1:"), "{said}");
    }
}
