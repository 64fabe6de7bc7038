//! CTranslate2's `model.bin`, version 6: named variables, then aliases. Knows no network.
//!
//! Little endian: u32 version; strings as a u16 length that counts the closing NUL; the spec's name and u32 revision;
//! u32 count; then each variable as name, u8 rank, u32 sizes, u8 type (0 f32, 1 i8, 2 i16, 3 i32, 4 f16), u32 bytes,
//! data; then u32 aliases as name and target.

use std::collections::HashMap;
use std::path::{Path, PathBuf};

use half::f16;

use super::{BuildError, Bytes};

const VERSION: u32 = 6;
const TYPE_BYTES: [usize; 5] = [4, 1, 2, 4, 2];
const F32: u8 = 0;
const I8: u8 = 1;
const F16: u8 = 4;

#[derive(Clone)]
struct Variable {
    shape: Vec<usize>,
    kind: u8,
    /// Where its data lies in the file.
    start: usize,
    bytes: usize,
}

/// A file that was read.
pub(super) struct Ct2 {
    path: PathBuf,
    data: Vec<u8>,
    variables: HashMap<String, Variable>,
}

impl Ct2 {
    /// Reads a file whose spec has this name.
    pub(super) fn open(path: &Path, spec: &str) -> Result<Self, BuildError> {
        Self::of(path, super::read(path)?, spec)
    }

    fn of(path: &Path, data: Vec<u8>, spec: &str) -> Result<Self, BuildError> {
        let variables = parse(&data, spec).map_err(|why| BuildError::Malformed { path: path.to_owned(), why })?;
        Ok(Self { path: path.to_owned(), data, variables })
    }

    /// An error that says that the file is of another network.
    pub(super) fn network(&self, why: String) -> BuildError {
        BuildError::Network { path: self.path.clone(), why }
    }

    /// Whether any variable's name starts so.
    pub(super) fn has(&self, start: &str) -> bool {
        self.variables.keys().any(|name| name.starts_with(start))
    }

    fn variable(&self, name: &str) -> Result<&Variable, BuildError> {
        self.variables.get(name).ok_or_else(|| self.network(format!("it has no variable `{name}`")))
    }

    /// The sizes of a variable of a known rank.
    pub(super) fn shape<const N: usize>(&self, name: &str) -> Result<[usize; N], BuildError> {
        let shape = &self.variable(name)?.shape;
        shape[..]
            .try_into()
            .map_err(|_| self.network(format!("`{name}` has the shape {shape:?} where {N} sizes are expected")))
    }

    /// Puts the variables of another file in the place of those with the same names: a network that was trained
    /// further.
    pub(super) fn replace(&mut self, further: Ct2) -> Result<(), BuildError> {
        for (name, new) in further.variables {
            let old = &self.variable(&name)?.shape;
            if *old != new.shape {
                return Err(self.network(format!(
                    "`{name}` has the shape {old:?}, but `{}` has {:?}",
                    further.path.display(),
                    new.shape
                )));
            }
            let start = self.data.len();
            self.data.extend_from_slice(&further.data[new.start..new.start + new.bytes]);
            self.variables.insert(name, Variable { start, ..new });
        }
        Ok(())
    }

    /// A whole number without sizes.
    pub(super) fn number(&self, name: &str) -> Result<i64, BuildError> {
        let v = self.variable(name)?;
        let raw = &self.data[v.start..v.start + v.bytes];
        match (v.shape.is_empty(), v.kind, raw) {
            (true, 1, &[b]) => Ok(i64::from(b as i8)),
            (true, 2, &[a, b]) => Ok(i64::from(i16::from_le_bytes([a, b]))),
            (true, 3, &[a, b, c, d]) => Ok(i64::from(i32::from_le_bytes([a, b, c, d]))),
            _ => Err(self.network(format!("`{name}` is no whole number"))),
        }
    }

    /// The half floats of a variable with this shape, as raw bytes; 32-bit floats are rounded. Weights in 8 bits are
    /// what they stand for: each row's numbers by the scale of `NAME_scale` that they were multiplied with.
    pub(super) fn halves(&self, name: &str, shape: &[usize]) -> Result<Vec<u8>, BuildError> {
        let v = self.variable(name)?;
        if v.shape != shape {
            return Err(self.network(format!("`{name}` has the shape {:?} where {shape:?} is expected", v.shape)));
        }
        let raw = &self.data[v.start..v.start + v.bytes];
        match v.kind {
            F16 => Ok(raw.to_vec()),
            F32 => Ok(raw
                .chunks_exact(4)
                .flat_map(|b| f16::from_f32(f32::from_le_bytes([b[0], b[1], b[2], b[3]])).to_le_bytes())
                .collect()),
            I8 if !shape.is_empty() && self.variables.contains_key(&format!("{name}_scale")) => {
                let scales = self.scales(&format!("{name}_scale"), shape[0])?;
                let row = |(row, scale): (&[u8], f32)| {
                    row.iter().map(move |&b| f16::from_f32(f32::from(b as i8) / scale)).collect::<Vec<_>>()
                };
                let rows = raw.chunks_exact((raw.len() / shape[0].max(1)).max(1)).zip(scales);
                Ok(rows.flat_map(row).flat_map(f16::to_le_bytes).collect())
            }
            kind => Err(self.network(format!("`{name}` has the type {kind} where floats are expected"))),
        }
    }

    /// The scales of rows in 8 bits, none of them 0.
    fn scales(&self, name: &str, rows: usize) -> Result<Vec<f32>, BuildError> {
        let v = self.variable(name)?;
        let raw = &self.data[v.start..v.start + v.bytes];
        let scales: Vec<f32> = match v.kind {
            F32 => raw.chunks_exact(4).map(|b| f32::from_le_bytes([b[0], b[1], b[2], b[3]])).collect(),
            F16 => raw.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect(),
            _ => Vec::new(),
        };
        let good = scales.len() == rows && scales.iter().all(|s| s.is_finite() && *s > 0.0);
        if good { Ok(scales) } else { Err(self.network(format!("`{name}` is no scale for each of {rows} rows"))) }
    }

    /// The same as 32-bit floats.
    pub(super) fn floats(&self, name: &str, shape: &[usize]) -> Result<Vec<f32>, BuildError> {
        let raw = self.halves(name, shape)?;
        Ok(raw.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect())
    }
}

/// For fuzzing: a whole file, and each of its variables in every way.
pub fn fuzz(data: &[u8]) {
    let Ok(file) = Ct2::of(Path::new("model.bin"), data.to_vec(), "WhisperSpec") else { return };
    for (name, variable) in &file.variables {
        let count = variable.shape.iter().product::<usize>();
        let _ = (file.number(name), file.shape::<1>(name), file.shape::<2>(name));
        if let Ok(floats) = file.floats(name, &variable.shape) {
            assert_eq!(floats.len(), count, "as many numbers as the sizes say");
        }
    }
}

fn parse(data: &[u8], spec: &str) -> Result<HashMap<String, Variable>, String> {
    let mut bytes = Bytes::new(data);
    let version = bytes.u32()?;
    if version != VERSION {
        return Err(format!("its first number is {version} where version {VERSION} is expected"));
    }
    let found = string(&mut bytes)?;
    if found != spec {
        return Err(format!("it is a `{found}` where a `{spec}` is expected"));
    }
    bytes.u32()?;
    let count = bytes.u32()?;
    let mut variables = HashMap::new();
    for _ in 0..count {
        let name = string(&mut bytes)?;
        let rank = bytes.u8()?;
        let mut shape = Vec::new();
        for _ in 0..rank {
            shape.push(bytes.u32()? as usize);
        }
        let kind = bytes.u8()?;
        let stated = bytes.u32()? as usize;
        let width =
            *TYPE_BYTES.get(usize::from(kind)).ok_or_else(|| format!("`{name}` has the unknown type {kind}"))?;
        let expected = shape.iter().try_fold(width, |n, &d| n.checked_mul(d));
        if expected != Some(stated) {
            return Err(format!("`{name}` has {stated} bytes, which do not fit its shape {shape:?}"));
        }
        let start = bytes.at;
        bytes.take(stated)?;
        variables.insert(name, Variable { shape, kind, start, bytes: stated });
    }
    for _ in 0..bytes.u32()? {
        let (name, target) = (string(&mut bytes)?, string(&mut bytes)?);
        let target = variables
            .get(&target)
            .cloned()
            .ok_or_else(|| format!("`{name}` stands for `{target}`, which is not there"))?;
        variables.insert(name, target);
    }
    Ok(variables)
}

fn string(bytes: &mut Bytes) -> Result<String, String> {
    let length = usize::from(bytes.u16()?);
    match bytes.take(length)?.split_last() {
        Some((0, text)) => {
            String::from_utf8(text.to_vec()).map_err(|_| format!("a name before byte {} is not UTF-8", bytes.at))
        }
        _ => Err(format!("a name before byte {} does not end in NUL", bytes.at)),
    }
}

/// A small file with half floats (or i16 numbers, where the shape is empty), for tests here and of the builders.
#[cfg(test)]
pub(super) fn synthesise(spec: &str, variables: &[(String, Vec<usize>, Vec<f32>)]) -> Vec<u8> {
    let string = |s: &str| [&(s.len() as u16 + 1).to_le_bytes()[..], s.as_bytes(), &[0]].concat();
    let mut out =
        [&VERSION.to_le_bytes()[..], &string(spec), &3_u32.to_le_bytes(), &(variables.len() as u32).to_le_bytes()]
            .concat();
    for (name, shape, values) in variables {
        out.extend(string(name));
        out.push(shape.len() as u8);
        out.extend(shape.iter().flat_map(|&d| (d as u32).to_le_bytes()));
        out.push(if shape.is_empty() { 2 } else { F16 });
        out.extend((2 * values.len() as u32).to_le_bytes());
        for &v in values {
            out.extend(if shape.is_empty() { (v as i16).to_le_bytes() } else { f16::from_f32(v).to_le_bytes() });
        }
    }
    out.extend(1_u32.to_le_bytes());
    out.extend(string("alias"));
    out.extend(string(&variables[0].0));
    out
}

#[cfg(test)]
mod tests {
    use super::*;

    fn small() -> Vec<u8> {
        synthesise("Spec", &[("w".into(), vec![2, 2], vec![1.0, -2.0, 0.5, 3.0]), ("heads".into(), vec![], vec![6.0])])
    }

    fn opened(data: &[u8]) -> Result<Ct2, BuildError> {
        let file = tempfile::NamedTempFile::new().expect("a file");
        std::fs::write(file.path(), data).expect("writes");
        Ct2::open(file.path(), "Spec")
    }

    #[test]
    fn variables_and_aliases_come_out() {
        let f = opened(&small()).expect("a file");
        assert_eq!(f.floats("w", &[2, 2]).expect("w"), [1.0, -2.0, 0.5, 3.0]);
        assert_eq!(f.floats("alias", &[2, 2]).expect("alias"), [1.0, -2.0, 0.5, 3.0]);
        assert_eq!(f.number("heads").expect("heads"), 6);
        assert_eq!(f.shape::<2>("w").expect("shape"), [2, 2]);
    }

    #[test]
    fn weights_in_8_bits_are_what_they_stand_for() {
        let data = small();
        let at = data.windows(2).position(|w| w == b"w\0").expect("the first name") + 2;
        // The four half floats become bytes, and the other variable their scales.
        let mut eight = data[..at].to_vec();
        eight.extend([2, 2, 0, 0, 0, 2, 0, 0, 0, I8, 4, 0, 0, 0, 127, 192, 10, 246]);
        eight.extend([8, 0]);
        eight.extend(b"w_scale\0");
        eight.extend([1, 2, 0, 0, 0, F32, 8, 0, 0, 0]);
        eight.extend([127.0_f32, 5.0].iter().flat_map(|s| s.to_le_bytes()));
        eight.extend([0; 4]);
        let floats = opened(&eight).expect("a file").floats("w", &[2, 2]).expect("w");
        let expected = [1.0, -64.0 / 127.0, 2.0, -2.0];
        assert!(floats.iter().zip(expected).all(|(a, b)| (a - b).abs() < 1e-3), "{floats:?}");
        let scales = eight.len() - 12;
        eight[scales..scales + 4].fill(0);
        assert!(
            opened(&eight).expect("a file").floats("w", &[2, 2]).expect_err("no scale").to_string().contains("w_scale")
        );
    }

    #[test]
    fn what_is_missing_or_misshapen_is_named() {
        let f = opened(&small()).expect("a file");
        for (message, part) in [
            (f.floats("v", &[1]).expect_err("missing").to_string(), "`v`"),
            (f.floats("w", &[4]).expect_err("shape").to_string(), "[2, 2]"),
            (f.shape::<1>("w").expect_err("rank").to_string(), "`w`"),
            (f.number("w").expect_err("no number").to_string(), "`w`"),
        ] {
            assert!(message.contains(part), "{message}");
        }
    }

    #[test]
    fn variables_of_another_file_stand_in_their_place_or_are_refused() {
        let mut f = opened(&small()).expect("a file");
        let other = |name: &str, shape: Vec<usize>| {
            opened(&synthesise("Spec", &[(name.into(), shape, vec![4.0, 5.0, 6.0, 7.0])]))
        };
        assert!(f.replace(other("v", vec![2, 2]).expect("a file")).is_err(), "an unknown name");
        assert!(f.replace(other("w", vec![4]).expect("a file")).is_err(), "another shape");
        f.replace(other("w", vec![2, 2]).expect("a file")).expect("replaces");
        assert_eq!(f.floats("w", &[2, 2]).expect("w"), [4.0, 5.0, 6.0, 7.0]);
        assert_eq!(f.number("heads").expect("heads"), 6);
    }

    #[test]
    fn every_truncation_and_the_wrong_spec_are_errors() {
        let whole = small();
        for n in 0..whole.len() {
            assert!(opened(&whole[..n]).is_err(), "{n} bytes");
        }
        let other = synthesise("Other", &[("w".into(), vec![1], vec![1.0])]);
        assert!(opened(&other).is_err());
    }

    #[test]
    fn a_shape_that_lies_about_its_size_is_an_error_and_allocates_nothing() {
        let mut lying = small();
        // The first size of `w` comes after version, spec, revision, count, name and rank.
        let at = 4 + 2 + 5 + 4 + 4 + 2 + 2 + 1;
        lying[at..at + 4].copy_from_slice(&u32::MAX.to_le_bytes());
        assert!(opened(&lying).is_err());
    }
}
