//! What goes over the wire: requests and answers of the Open Inference Protocol v2 (KServe's "Open Inference Protocol",
//! inference request and response JSON objects) in three forms. Floats alone; knows no connection.

use base64::Engine as _;
use base64::engine::general_purpose::STANDARD;
use serde::de::{DeserializeSeed, Deserializer, Error as _, SeqAccess, Visitor};
use serde::{Deserialize, Serialize};

/// Sizes of a tensor; −1 for one that may be anything.
pub type Shape = Vec<i64>;

/// A tensor that goes in.
#[derive(Debug, Clone, Copy)]
pub struct Given<'a> {
    /// Its name.
    pub name: &'a str,
    /// Its sizes.
    pub shape: &'a [i64],
    /// Its numbers, row by row.
    pub numbers: &'a [f32],
}

/// How numbers are written.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Form {
    /// Behind the JSON, little-endian: Triton's "binary tensor data" extension.
    Binary,
    /// As one text of base64 in a tensor of BYTES: MLServer's content type of that name.
    Base64,
    /// As numbers in the JSON.
    Json,
}

/// The content type of [`Form::Base64`].
const BASE64: &str = "base64";

/// What `/v2` tells, of which only this counts.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ServerTold {
    pub extensions: Vec<String>,
}

/// What `/v2/models/NAME` tells.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct ModelTold {
    pub inputs: Vec<TensorTold>,
    pub outputs: Vec<TensorTold>,
}

/// A tensor of a model.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct TensorTold {
    pub name: String,
    pub datatype: String,
    pub shape: Shape,
    pub parameters: Option<Parameters>,
}

impl TensorTold {
    /// Whether it is one text of base64.
    pub fn is_base64(&self) -> bool {
        self.datatype == "BYTES" && self.parameters.as_ref().is_some_and(|p| p.content_type.as_deref() == Some(BASE64))
    }
}

/// Of a tensor, as far as it matters here.
#[derive(Debug, Default, Serialize, Deserialize)]
#[serde(default)]
pub(super) struct Parameters {
    #[serde(skip_serializing_if = "Option::is_none")]
    content_type: Option<String>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_data: Option<bool>,
    #[serde(skip_serializing_if = "Option::is_none")]
    binary_data_size: Option<usize>,
}

/// A server's word on what went wrong.
#[derive(Debug, Default, Deserialize)]
#[serde(default)]
pub(super) struct Trouble {
    pub error: String,
    pub detail: serde_json::Value,
}

#[derive(Serialize)]
struct Request<'a> {
    inputs: Vec<Input<'a>>,
    outputs: Vec<Wanted<'a>>,
}

#[derive(Serialize)]
struct Input<'a> {
    name: &'a str,
    shape: &'a [i64],
    datatype: &'static str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
    #[serde(skip_serializing_if = "Option::is_none")]
    data: Option<Written<'a>>,
}

#[derive(Serialize)]
#[serde(untagged)]
enum Written<'a> {
    Numbers(&'a [f32]),
    Text([String; 1]),
}

#[derive(Serialize)]
struct Wanted<'a> {
    name: &'a str,
    #[serde(skip_serializing_if = "Option::is_none")]
    parameters: Option<Parameters>,
}

/// Writes a request into `body`; gives the length of its JSON, which is all of it but in the binary form.
pub(super) fn request(form: Form, given: &[Given], wanted: &[&str], body: &mut Vec<u8>) -> usize {
    let mut tail = Vec::new();
    let inputs = given.iter().map(|g| match form {
        Form::Json => Input {
            name: g.name,
            shape: g.shape,
            datatype: "FP32",
            parameters: None,
            data: Some(Written::Numbers(g.numbers)),
        },
        Form::Base64 => {
            let text = STANDARD.encode(bytes_of(g.numbers));
            let parameters = Some(Parameters { content_type: Some(BASE64.to_owned()), ..Parameters::default() });
            Input { name: g.name, shape: &[1], datatype: "BYTES", parameters, data: Some(Written::Text([text])) }
        }
        Form::Binary => {
            tail.extend(g.numbers.iter().flat_map(|x| x.to_le_bytes()));
            let parameters = Some(Parameters { binary_data_size: Some(g.numbers.len() * 4), ..Parameters::default() });
            Input { name: g.name, shape: g.shape, datatype: "FP32", parameters, data: None }
        }
    });
    let inputs = inputs.collect();
    let outputs = wanted.iter().map(|name| {
        let parameters = match form {
            Form::Json => None,
            Form::Base64 => Some(Parameters { content_type: Some(BASE64.to_owned()), ..Parameters::default() }),
            Form::Binary => Some(Parameters { binary_data: Some(true), ..Parameters::default() }),
        };
        Wanted { name, parameters }
    });
    body.clear();
    // Nothing of this can fail: it goes to memory, and its keys are texts.
    let _ = serde_json::to_writer(&mut *body, &Request { inputs, outputs: outputs.collect() });
    let json = body.len();
    body.append(&mut tail);
    json
}

#[derive(Deserialize)]
struct Answer {
    outputs: Vec<Output>,
}

#[derive(Deserialize)]
struct Output {
    name: String,
    #[serde(default)]
    parameters: Option<Parameters>,
    #[serde(default)]
    data: Read,
}

/// The numbers of the wanted tensors, in the order in which they were wanted. `json` is the length of the JSON where
/// binary numbers come behind it.
pub(super) fn answer(body: &[u8], json: Option<usize>, wanted: &[&str]) -> Result<Vec<Vec<f32>>, String> {
    let (head, mut tail) = body.split_at_checked(json.unwrap_or(body.len())).ok_or("it is shorter than it says")?;
    let answer: Answer = serde_json::from_slice(head).map_err(|e| e.to_string())?;
    let mut found: Vec<Option<Vec<f32>>> = wanted.iter().map(|_| None).collect();
    for output in answer.outputs {
        let Output { name, parameters, data } = output;
        let parameters = parameters.unwrap_or_default();
        let numbers = if let Some(size) = parameters.binary_data_size {
            let (mine, rest) = tail.split_at_checked(size).ok_or_else(|| format!("`{name}` is cut off"))?;
            tail = rest;
            floats_of(mine)
        } else if let [text] = &data.texts[..] {
            STANDARD.decode(text).ok().and_then(|bytes| floats_of(&bytes))
        } else {
            data.texts.is_empty().then_some(data.numbers)
        };
        let numbers = numbers.ok_or_else(|| format!("`{name}` holds no floats"))?;
        if let Some(place) = wanted.iter().position(|w| *w == name) {
            found[place] = Some(numbers);
        }
    }
    found.into_iter().zip(wanted).map(|(f, name)| f.ok_or_else(|| format!("`{name}` is missing"))).collect()
}

fn bytes_of(numbers: &[f32]) -> Vec<u8> {
    numbers.iter().flat_map(|x| x.to_le_bytes()).collect()
}

/// None where they are no whole number of floats.
fn floats_of(bytes: &[u8]) -> Option<Vec<f32>> {
    let (whole, rest) = bytes.as_chunks::<4>();
    rest.is_empty().then(|| whole.iter().map(|b| f32::from_le_bytes(*b)).collect())
}

/// The `data` of an output: numbers, in one list or in lists of lists, or texts.
#[derive(Debug, Default)]
struct Read {
    numbers: Vec<f32>,
    texts: Vec<String>,
}

impl<'de> Deserialize<'de> for Read {
    fn deserialize<D: Deserializer<'de>>(deserializer: D) -> Result<Self, D::Error> {
        let mut read = Read::default();
        deserializer.deserialize_any(Into(&mut read))?;
        Ok(read)
    }
}

/// Reads an element of `data`, or a list of them, into what was read before.
struct Into<'a>(&'a mut Read);

impl<'de> DeserializeSeed<'de> for Into<'_> {
    type Value = ();

    fn deserialize<D: Deserializer<'de>>(self, deserializer: D) -> Result<(), D::Error> {
        deserializer.deserialize_any(self)
    }
}

impl<'de> Visitor<'de> for Into<'_> {
    type Value = ();

    fn expecting(&self, f: &mut std::fmt::Formatter) -> std::fmt::Result {
        f.write_str("numbers or texts")
    }

    fn visit_f64<E: serde::de::Error>(self, x: f64) -> Result<(), E> {
        self.0.numbers.push(x as f32);
        Ok(())
    }

    fn visit_u64<E: serde::de::Error>(self, x: u64) -> Result<(), E> {
        self.visit_f64(x as f64)
    }

    fn visit_i64<E: serde::de::Error>(self, x: i64) -> Result<(), E> {
        self.visit_f64(x as f64)
    }

    fn visit_str<E: serde::de::Error>(self, x: &str) -> Result<(), E> {
        if !self.0.numbers.is_empty() {
            return Err(E::custom("a text among numbers"));
        }
        self.0.texts.push(x.to_owned());
        Ok(())
    }

    fn visit_unit<E: serde::de::Error>(self) -> Result<(), E> {
        Err(E::custom("a number that is none"))
    }

    fn visit_seq<A: SeqAccess<'de>>(self, mut list: A) -> Result<(), A::Error> {
        while list.next_element_seed(Into(&mut *self.0))?.is_some() {
            if !self.0.texts.is_empty() && !self.0.numbers.is_empty() {
                return Err(A::Error::custom("texts and numbers"));
            }
        }
        Ok(())
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn requests_are_as_the_protocol_has_them() {
        let given = [Given { name: "a", shape: &[1, 2], numbers: &[1.0, -0.25] }];
        let (mut body, wanted) = (Vec::new(), ["b"]);
        let plain =
            r#"{"inputs":[{"name":"a","shape":[1,2],"datatype":"FP32","data":[1.0,-0.25]}],"outputs":[{"name":"b"}]}"#;
        assert_eq!((request(Form::Json, &given, &wanted, &mut body), &body[..]), (plain.len(), plain.as_bytes()));
        let packed = r#"{"inputs":[{"name":"a","shape":[1],"datatype":"BYTES","parameters":{"content_type":"base64"},"data":["AACAPwAAgL4="]}],"outputs":[{"name":"b","parameters":{"content_type":"base64"}}]}"#;
        assert_eq!((request(Form::Base64, &given, &wanted, &mut body), &body[..]), (packed.len(), packed.as_bytes()));
        let head = r#"{"inputs":[{"name":"a","shape":[1,2],"datatype":"FP32","parameters":{"binary_data_size":8}}],"outputs":[{"name":"b","parameters":{"binary_data":true}}]}"#;
        let length = request(Form::Binary, &given, &wanted, &mut body);
        assert_eq!(
            (length, &body[..length], &body[length..]),
            (head.len(), head.as_bytes(), &[0, 0, 128, 63, 0, 0, 128, 190][..])
        );
    }

    #[test]
    fn answers_of_all_forms_are_read() {
        let read = |text: &str, tail: &[u8], json: bool| {
            let body = [text.as_bytes(), tail].concat();
            answer(&body, json.then_some(text.len()), &["x", "y"])
        };
        let both = Ok(vec![vec![1.0, -0.25], vec![3.0]]);
        let plain = r#"{"model_name":"m","outputs":[{"name":"y","shape":[1],"datatype":"FP32","data":[3]},{"name":"x","data":[[1.0],[-0.25]]}]}"#;
        assert_eq!(read(plain, &[], false), both);
        let packed = r#"{"outputs":[{"name":"x","data":["AACAPwAAgL4="]},{"name":"y","datatype":"BYTES","data":["AABAQA=="],"parameters":null}]}"#;
        assert_eq!(read(packed, &[], false), both);
        let head = r#"{"outputs":[{"name":"x","parameters":{"binary_data_size":8}},{"name":"y","parameters":{"binary_data_size":4}}]}"#;
        let tail = [0, 0, 128, 63, 0, 0, 128, 190, 0, 0, 64, 64];
        assert_eq!(read(head, &tail, true), both);
        // What is cut off, mixed up or missing is told.
        assert!(read(head, &tail[..11], true).is_err_and(|e| e.contains("cut off")));
        assert!(read(head, &tail, false).is_err());
        assert!(answer(head.as_bytes(), Some(head.len() + 1), &[]).is_err_and(|e| e.contains("shorter")));
        assert!(read(&plain.replace("\"y\"", "\"z\""), &[], false).is_err_and(|e| e.contains("`y` is missing")));
        for bad in [
            "[1,\"AA\"]",
            "[\"AA\",1]",
            "[null]",
            "[\"?\"]",
            "[\"AAA=\"]",
            "[\"AACAPw==\",\"AACAPw==\"]",
            "[true]",
            "{}",
        ] {
            assert!(read(&plain.replace("[3]", bad), &[], false).is_err(), "{bad}");
        }
    }
}
