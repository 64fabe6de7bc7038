//! obs-websocket 5 as published: the messages that Mynah sends and reads. Knows no connection.
//!
//! Each message is a JSON object `{op, d}`. The server says Hello, the client identifies itself, then requests and
//! responses go in pairs.

use data_encoding::BASE64;
use serde::Deserialize;
use serde_json::{Value, json};
use sha2::{Digest, Sha256};

/// The version of the protocol's requests that Mynah speaks.
const RPC_VERSION: u64 = 1;
/// The events that Mynah wants: those of outputs, which tell when the stream begins and ends.
const EVENTS: u64 = 1 << 6;

/// Close codes of the server.
pub const CLOSE_AUTHENTICATION_FAILED: u16 = 4009;
/// It speaks no version of the protocol that both know.
pub const CLOSE_UNSUPPORTED_RPC_VERSION: u16 = 4010;

/// Status codes of responses.
pub const SUCCESS: u64 = 100;
/// The output, here the stream, does not run.
pub const OUTPUT_NOT_RUNNING: u64 = 501;
/// There is no input of this name.
pub const RESOURCE_NOT_FOUND: u64 = 600;

/// What the server says.
#[derive(Debug, Clone, PartialEq)]
pub enum Said {
    /// The first message; with a challenge and a salt where a password is wanted.
    Hello { rpc_version: u64, challenge: Option<Challenge> },
    /// The client is let in.
    Identified,
    /// The stream began or ended.
    Streaming(bool),
    /// Another event.
    Other,
    /// The answer to a request.
    Response { id: String, code: u64, comment: String, data: Value },
}

/// What a password is proved by.
#[derive(Debug, Clone, PartialEq, Eq, Deserialize)]
pub struct Challenge {
    challenge: String,
    salt: String,
}

#[derive(Deserialize)]
struct Envelope {
    op: u64,
    #[serde(default)]
    d: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct HelloData {
    rpc_version: u64,
    authentication: Option<Challenge>,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct EventData {
    event_type: String,
    #[serde(default)]
    event_data: Value,
}

#[derive(Deserialize)]
#[serde(rename_all = "camelCase")]
struct ResponseData {
    request_id: String,
    request_status: RequestStatus,
    #[serde(default)]
    response_data: Value,
}

#[derive(Deserialize)]
struct RequestStatus {
    code: u64,
    #[serde(default)]
    comment: String,
}

/// Reads a message; what is odd about it where it can't be one.
pub fn read(text: &str) -> Result<Said, String> {
    let odd = |e: serde_json::Error| format!("a message can't be read: {e}");
    let Envelope { op, d } = serde_json::from_str(text).map_err(odd)?;
    Ok(match op {
        0 => {
            let hello: HelloData = serde_json::from_value(d).map_err(odd)?;
            Said::Hello { rpc_version: hello.rpc_version, challenge: hello.authentication }
        }
        2 => Said::Identified,
        5 => {
            let event: EventData = serde_json::from_value(d).map_err(odd)?;
            match (event.event_type.as_str(), event.event_data["outputActive"].as_bool()) {
                ("StreamStateChanged", Some(active)) => Said::Streaming(active),
                _ => Said::Other,
            }
        }
        7 => {
            let response: ResponseData = serde_json::from_value(d).map_err(odd)?;
            let RequestStatus { code, comment } = response.request_status;
            Said::Response { id: response.request_id, code, comment, data: response.response_data }
        }
        _ => Said::Other,
    })
}

/// For fuzzing: a message, and the answer to a Hello.
pub fn fuzz(data: &[u8]) {
    if let Ok(Said::Hello { challenge: Some(asked), .. }) =
        std::str::from_utf8(data).map_err(|e| e.to_string()).and_then(read)
    {
        assert_eq!(proof("password", &asked).len(), 44, "a proof is 32 bytes in base64");
    }
}

/// The proof of a password: base64(sha256(base64(sha256(password + salt)) + challenge)).
pub fn proof(password: &str, asked: &Challenge) -> String {
    let secret = BASE64.encode(&Sha256::digest(format!("{password}{}", asked.salt)));
    BASE64.encode(&Sha256::digest(format!("{secret}{}", asked.challenge)))
}

/// The client's answer to Hello.
pub fn identify(proof: Option<String>) -> String {
    let mut d = json!({ "rpcVersion": RPC_VERSION, "eventSubscriptions": EVENTS });
    if let Some(proof) = proof {
        d["authentication"] = proof.into();
    }
    json!({ "op": 1, "d": d }).to_string()
}

fn request(id: &str, kind: &str, data: Value) -> String {
    json!({ "op": 6, "d": { "requestType": kind, "requestId": id, "requestData": data } }).to_string()
}

/// Asks for an input's settings: whether it is there, and of which kind.
pub fn get_input(id: &str, name: &str) -> String {
    request(id, "GetInputSettings", json!({ "inputName": name }))
}

/// Sets the text of a text source and leaves its other settings.
pub fn set_text(id: &str, name: &str, text: &str) -> String {
    request(id, "SetInputSettings", json!({ "inputName": name, "inputSettings": { "text": text }, "overlay": true }))
}

/// Asks whether OBS streams.
pub fn get_stream_status(id: &str) -> String {
    request(id, "GetStreamStatus", json!({}))
}

/// Puts a caption into the running stream.
pub fn send_caption(id: &str, text: &str) -> String {
    request(id, "SendStreamCaption", json!({ "captionText": text }))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_published_example_of_a_proof() {
        // The challenge and salt of the protocol's own example, with the proof that OpenSSL gives for them.
        let asked = Challenge {
            challenge: "+IxH4CnCiqpX1rM9scsNynZzbOe4KhDeYcTNS3PDaeY=".to_owned(),
            salt: "lM1GncleQOaCu9lT1yeUZhFYnqhsLLP1G5lAGo3ixaI=".to_owned(),
        };
        assert_eq!(proof("supersecretpassword", &asked), "1Ct943GAT+6YQUUX47Ia/ncufilbe6+oD6lY+5kaCu4=");
    }

    #[test]
    fn what_the_server_says_is_read_and_garbage_is_told() {
        let hello = r#"{"op":0,"d":{"obsWebSocketVersion":"5.1.0","rpcVersion":1,"authentication":{"challenge":"c","salt":"s"}}}"#;
        assert!(matches!(read(hello), Ok(Said::Hello { rpc_version: 1, challenge: Some(_) })));
        assert_eq!(read(r#"{"op":0,"d":{"rpcVersion":1}}"#), Ok(Said::Hello { rpc_version: 1, challenge: None }));
        assert_eq!(read(r#"{"op":2,"d":{"negotiatedRpcVersion":1}}"#), Ok(Said::Identified));
        let event = r#"{"op":5,"d":{"eventType":"StreamStateChanged","eventIntent":64,"eventData":{"outputActive":true,"outputState":"OBS_WEBSOCKET_OUTPUT_STARTED"}}}"#;
        assert_eq!(read(event), Ok(Said::Streaming(true)));
        let response = r#"{"op":7,"d":{"requestType":"X","requestId":"3","requestStatus":{"result":false,"code":501,"comment":"no"}}}"#;
        assert!(matches!(read(response), Ok(Said::Response { id, code: OUTPUT_NOT_RUNNING, .. }) if id == "3"));
        assert_eq!(read(r#"{"op":99,"d":{}}"#), Ok(Said::Other));
        for garbage in ["", "hello", "[]", r#"{"op":"x"}"#, r#"{"op":7,"d":{}}"#, r#"{"op":0,"d":{"rpcVersion":-1}}"#] {
            assert!(read(garbage).is_err(), "{garbage}");
        }
    }
}
