//! Graphs of others with something changed: what they say of themselves, the order of their outputs. Field numbers are
//! those of onnx.proto.

/// The fields of a message, each as its number and all of its bytes, with the place at which its content begins.
fn fields(message: &[u8]) -> Vec<(u64, &[u8], usize)> {
    let (mut all, mut at) = (Vec::new(), 0);
    while at < message.len() {
        let (tag, mut end) = varint(message, at);
        let mut content = end;
        match tag & 7 {
            0 => end = varint(message, end).1,
            1 => end += 8,
            2 => {
                let (length, from) = varint(message, end);
                (content, end) = (from, from + length as usize);
            }
            _ => end += 4,
        }
        all.push((tag >> 3, &message[at..end], content - at));
        at = end;
    }
    all
}

fn varint(bytes: &[u8], mut at: usize) -> (u64, usize) {
    let (mut value, mut shift) = (0, 0);
    loop {
        value |= u64::from(bytes[at] & 0x7f) << shift;
        shift += 7;
        at += 1;
        if bytes[at - 1] < 0x80 {
            return (value, at);
        }
    }
}

fn field(number: u64, content: &[u8]) -> Vec<u8> {
    let mut out = Vec::new();
    for mut n in [number << 3 | 2, content.len() as u64] {
        while n >= 0x80 {
            out.push(n as u8 | 0x80);
            n >>= 7;
        }
        out.push(n as u8);
    }
    out.extend(content);
    out
}

/// A model that says something else of itself under this key.
pub fn saying(model: &[u8], key: &str, value: &str) -> Vec<u8> {
    let named = field(1, key.as_bytes());
    let kept =
        fields(model).into_iter().filter(|(number, bytes, from)| *number != 14 || !bytes[*from..].starts_with(&named));
    let mut out: Vec<u8> = kept.flat_map(|(_, bytes, _)| bytes.to_vec()).collect();
    out.extend(field(14, &[named, field(2, value.as_bytes())].concat()));
    out
}

/// A model whose outputs of these two places have changed them.
pub fn swapped(model: &[u8], a: usize, b: usize) -> Vec<u8> {
    let graph = |graph: &[u8]| {
        let (mut outputs, mut rest) = (Vec::new(), Vec::new());
        for (number, bytes, _) in fields(graph) {
            if number == 12 { outputs.push(bytes.to_vec()) } else { rest.extend(bytes) }
        }
        outputs.swap(a, b);
        [rest, outputs.concat()].concat()
    };
    let parts = fields(model).into_iter();
    parts
        .flat_map(|(number, bytes, from)| if number == 7 { field(7, &graph(&bytes[from..])) } else { bytes.to_vec() })
        .collect()
}
