//! Torch's legacy file: five pickles, then the storages. Nothing in it is executed.
//!
//! The order is that of torch.serialization's `_legacy_save`: magic number, protocol version, system info, the object
//! with persistent ids for storages, the list of storage keys; then for each key a u64 count and the raw little-endian
//! data. Knows no network.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use super::pickle::{self, Pickle, Value};
use super::{BuildError, Bytes};

/// 0x1950a86a20f9469cfc6c, little endian.
const MAGIC: [u8; 10] = [0x6c, 0xfc, 0x9c, 0x46, 0xf9, 0x20, 0x6a, 0xa8, 0x50, 0x19];
const PROTOCOL: i64 = 1001;

/// A file that was read: its object, and where its storages lie.
pub(super) struct Torch {
    path: PathBuf,
    data: Vec<u8>,
    object: Pickle,
    storages: Storages,
}

/// Key → byte of the first element, and how many f32 there are; `None` for a storage of something else.
type Storages = HashMap<String, Option<(usize, usize)>>;

impl Torch {
    pub(super) fn open(path: &Path) -> Result<Self, BuildError> {
        let data = super::read(path)?;
        let (object, storages) = parse(&data).map_err(|why| BuildError::Malformed { path: path.to_owned(), why })?;
        Ok(Self { path: path.to_owned(), data, object, storages })
    }

    /// The tensor `section[name]` of the object, row by row, if it has this shape.
    pub(super) fn tensor(&self, section: &str, name: &str, shape: &[usize]) -> Result<Vec<f32>, BuildError> {
        self.find(section, name, shape).map_err(|why| BuildError::Network { path: self.path.clone(), why })
    }

    fn find(&self, section: &str, name: &str, shape: &[usize]) -> Result<Vec<f32>, String> {
        let object = &self.object;
        let part = object.get(&object.root, section).ok_or_else(|| format!("it has no `{section}`"))?;
        let value = object.get(part, name).ok_or_else(|| format!("`{section}` has no tensor `{name}`"))?;
        let odd = || format!("`{name}` is no plain tensor");
        let [Value::Global(module, function), arguments] = object.members(value) else { return Err(odd()) };
        if (&**module, &**function) != ("torch._utils", "_rebuild_tensor_v2") {
            return Err(odd());
        }
        let [storage, Value::Int(offset), size, stride, ..] = object.members(arguments) else { return Err(odd()) };
        let [_, _, Value::Text(key), ..] = object.members(storage) else { return Err(odd()) };
        let whole = |v: &Value| {
            object
                .members(v)
                .iter()
                .map(|m| if let Value::Int(i) = m { usize::try_from(*i).ok() } else { None })
                .collect()
        };
        let (size, stride): (Option<Vec<usize>>, Option<Vec<usize>>) = (whole(size), whole(stride));
        let (size, stride) = (size.ok_or_else(odd)?, stride.ok_or_else(odd)?);
        if size != shape {
            return Err(format!("`{name}` has the shape {size:?} where {shape:?} is expected"));
        }
        let mut count = 1_usize;
        for (&n, &s) in size.iter().zip(&stride).rev() {
            if s != count && n != 1 {
                return Err(format!("`{name}` does not lie row by row"));
            }
            count = count.checked_mul(n).ok_or_else(odd)?;
        }
        let &held =
            self.storages.get(&**key).ok_or_else(|| format!("`{name}` lies in a storage that the file lacks"))?;
        let (start, held) = held.ok_or_else(|| format!("`{name}` is not of 32-bit floats"))?;
        let offset = usize::try_from(*offset).map_err(|_| odd())?;
        if offset.checked_add(count).is_none_or(|end| end > held) {
            return Err(format!("`{name}` reaches past the end of its storage"));
        }
        let raw = &self.data[start + 4 * offset..start + 4 * (offset + count)];
        Ok(raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect())
    }
}

/// For fuzzing: a pickle, and a whole file with its tensors.
pub fn fuzz(data: &[u8]) {
    let _ = pickle::read(&mut Bytes::new(data));
    let Ok((object, storages)) = parse(data) else { return };
    let file = Torch { path: PathBuf::from("weights.pt"), data: data.to_vec(), object, storages };
    for (name, shape) in [("a", &[2, 3][..]), ("b", &[1]), ("lstm.weight_ih_l0", &[4, 2])] {
        if let Ok(numbers) = file.tensor("model_state", name, shape) {
            assert_eq!(numbers.len(), shape.iter().product::<usize>(), "as many numbers as the shape says");
        }
    }
}

fn parse(data: &[u8]) -> Result<(Pickle, Storages), String> {
    let mut bytes = Bytes::new(data);
    if pickle::read(&mut bytes).map(|p| p.root).ok() != Some(Value::Long(MAGIC.as_slice().into())) {
        return Err("it does not start as a legacy torch file".to_owned());
    }
    if pickle::read(&mut bytes)?.root != Value::Int(PROTOCOL) {
        return Err(format!("its protocol is not {PROTOCOL}"));
    }
    let system = pickle::read(&mut bytes)?;
    if system.get(&system.root, "little_endian") != Some(&Value::Bool(true)) {
        return Err("it was written on a big-endian machine".to_owned());
    }
    let object = pickle::read(&mut bytes)?;
    let mut kinds = HashMap::new();
    for id in object.persistents() {
        let [Value::Text(_), Value::Global(_, kind), Value::Text(key), ..] = id else {
            return Err("a persistent id is of an unknown kind".to_owned());
        };
        kinds.insert(key.clone(), kind.clone());
    }
    let keys = pickle::read(&mut bytes)?;
    let mut storages = HashMap::new();
    for key in keys.members(&keys.root) {
        let Value::Text(key) = key else { return Err("a storage's key is no text".to_owned()) };
        let kind = kinds.get(key).map_or("no type", |k| &**k);
        let width = element_bytes(kind).ok_or_else(|| format!("storage {key} is of {kind}, which is not known"))?;
        let count = usize::try_from(bytes.u64()?).map_err(|_| format!("storage {key} is too large"))?;
        let start = bytes.at;
        bytes.take(count.checked_mul(width).ok_or_else(|| format!("storage {key} is too large"))?)?;
        storages.insert(key.to_string(), (kind == "FloatStorage").then_some((start, count)));
    }
    Ok((object, storages))
}

fn element_bytes(kind: &str) -> Option<usize> {
    Some(match kind {
        "FloatStorage" | "IntStorage" => 4,
        "DoubleStorage" | "LongStorage" => 8,
        "HalfStorage" | "BFloat16Storage" | "ShortStorage" => 2,
        "ByteStorage" | "CharStorage" | "BoolStorage" => 1,
        _ => return None,
    })
}

/// A small legacy file with one tensor a name in `model_state`, for tests here and of the builders.
#[cfg(test)]
pub(super) fn synthesise(tensors: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let text = |s: &str| [&b"X"[..], &(s.len() as u32).to_le_bytes(), s.as_bytes()].concat();
    let int = |n: usize| [&b"J"[..], &(n as i32).to_le_bytes()].concat();
    let tuple = |v: &[usize]| [&b"("[..], &v.iter().flat_map(|&n| int(n)).collect::<Vec<_>>(), b"t"].concat();
    let mut out = [
        &b"\x80\x02\x8a\x0a"[..],
        &MAGIC,
        b".\x80\x02M\xe9\x03.\x80\x02}(",
        &text("little_endian"),
        b"\x88u.\x80\x02}(",
        &text("model_state"),
    ]
    .concat();
    out.extend(b"ccollections\nOrderedDict\n)R(");
    for (i, (name, shape, values)) in tensors.iter().enumerate() {
        let stride: Vec<usize> = (0..shape.len()).map(|d| shape[d + 1..].iter().product()).collect();
        out.extend(text(name));
        out.extend(b"ctorch._utils\n_rebuild_tensor_v2\n((");
        out.extend(
            [text("storage"), b"ctorch\nFloatStorage\n".to_vec(), text(&i.to_string()), text("cpu"), int(values.len())]
                .concat(),
        );
        out.extend(b"NtQ");
        out.extend([int(0), tuple(shape), tuple(&stride), b"\x89NtR".to_vec()].concat());
    }
    out.extend(b"uu.\x80\x02](");
    out.extend((0..tensors.len()).flat_map(|i| text(&i.to_string())));
    out.extend(b"e.");
    for (_, _, values) in tensors {
        out.extend((values.len() as u64).to_le_bytes());
        out.extend(values.iter().flat_map(|v| v.to_le_bytes()));
    }
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn opened(data: &[u8]) -> Result<Torch, BuildError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), data).expect("writes");
        Torch::open(file.path())
    }

    fn two() -> Vec<u8> {
        synthesise(&[("a".into(), vec![2, 3], vec![1.0, 2.0, 3.0, 4.0, 5.0, 6.0]), ("b".into(), vec![1], vec![-0.5])])
    }

    #[test]
    fn tensors_come_out_as_they_were_written() {
        let t = opened(&two()).expect("a file");
        assert_eq!(t.tensor("model_state", "a", &[2, 3]).expect("a"), [1.0, 2.0, 3.0, 4.0, 5.0, 6.0]);
        assert_eq!(t.tensor("model_state", "b", &[1]).expect("b"), [-0.5]);
    }

    #[test]
    fn a_missing_or_misshapen_tensor_is_named() {
        let t = opened(&two()).expect("a file");
        let missing = t.tensor("model_state", "c", &[1]).expect_err("missing").to_string();
        assert!(missing.contains("no tensor `c`"), "{missing}");
        let shape = t.tensor("model_state", "a", &[3, 2]).expect_err("misshapen").to_string();
        assert!(shape.contains("[2, 3]") && shape.contains("[3, 2]"), "{shape}");
    }

    #[test]
    fn every_truncation_is_an_error() {
        let whole = two();
        for n in 0..whole.len() {
            assert!(opened(&whole[..n]).is_err(), "{n} bytes");
        }
    }

    #[test]
    fn every_flipped_byte_is_an_error_or_a_tensor_but_no_panic() {
        let whole = two();
        for i in 0..whole.len() {
            for flip in [0x01, 0x80, 0xff] {
                let mut damaged = whole.clone();
                damaged[i] ^= flip;
                if let Ok(t) = opened(&damaged) {
                    let _: Result<_, _> = t.tensor("model_state", "a", &[2, 3]);
                }
            }
        }
    }
}
