//! A reader of Python pickles that executes nothing: it knows the operations that torch's files use and refuses the
//! rest.
//!
//! Objects lie in an arena and are named by index, so that a pickle that contains itself costs nothing. Memory is
//! bounded by the length of the file: each operation takes at least a byte and adds at most one object. Knows no
//! tensors.

use std::collections::HashMap;
use std::rc::Rc;

use super::Bytes;

/// A value in a pickle. Compound values are indices into the arena.
#[derive(Debug, Clone, PartialEq)]
pub(super) enum Value {
    None,
    Bool(bool),
    Int(i64),
    /// An integer of more than 64 bits, little endian.
    Long(Rc<[u8]>),
    Float(f64),
    Text(Rc<str>),
    /// A name of a class or function: module and name. Never looked up.
    Global(Rc<str>, Rc<str>),
    Tuple(usize),
    List(usize),
    Dict(usize),
    /// What a call would have made: the called name and the arguments' tuple.
    Call(usize),
    /// A persistent id: what it is, is in the tuple.
    Persistent(usize),
}

/// What one pickle holds.
#[derive(Debug)]
pub(super) struct Pickle {
    pub(super) root: Value,
    objects: Vec<Vec<Value>>,
    persistents: Vec<usize>,
}

impl Pickle {
    /// The tuples of all persistent ids, in order.
    pub(super) fn persistents(&self) -> impl Iterator<Item = &[Value]> {
        self.persistents.iter().map(|&i| &self.objects[i][..])
    }

    /// The members of a tuple, list, dict (keys and values in turn), call (name, arguments) or persistent id.
    pub(super) fn members(&self, value: &Value) -> &[Value] {
        match value {
            Value::Tuple(i) | Value::List(i) | Value::Dict(i) | Value::Call(i) | Value::Persistent(i) => {
                &self.objects[*i]
            }
            _ => &[],
        }
    }

    /// The value of a text key in a dict; the last one wins.
    pub(super) fn get(&self, dict: &Value, key: &str) -> Option<&Value> {
        let Value::Dict(i) = dict else { return None };
        self.objects[*i]
            .chunks_exact(2)
            .rev()
            .find(|kv| matches!(&kv[0], Value::Text(t) if &**t == key))
            .map(|kv| &kv[1])
    }
}

struct Machine<'a, 'b> {
    bytes: &'b mut Bytes<'a>,
    /// `None` is a mark.
    stack: Vec<Option<Value>>,
    memo: HashMap<u32, Value>,
    objects: Vec<Vec<Value>>,
    persistents: Vec<usize>,
}

/// Reads one pickle and leaves the reader after its STOP.
pub(super) fn read(bytes: &mut Bytes) -> Result<Pickle, String> {
    let mut machine =
        Machine { bytes, stack: Vec::new(), memo: HashMap::new(), objects: Vec::new(), persistents: Vec::new() };
    let root = machine.run()?;
    Ok(Pickle { root, objects: machine.objects, persistents: machine.persistents })
}

impl Machine<'_, '_> {
    fn run(&mut self) -> Result<Value, String> {
        loop {
            let at = self.bytes.at;
            let op = self.bytes.u8()?;
            if op == b'.' {
                return self.pop();
            }
            self.step(op, at)?;
        }
    }

    /// One operation; the codes are those of Python's pickletools.
    fn step(&mut self, op: u8, at: usize) -> Result<(), String> {
        let value = match op {
            0x80 => return self.bytes.u8().map(drop), // PROTO
            b'(' => {
                self.stack.push(None);
                return Ok(());
            }
            b'N' => Value::None,
            0x88 => Value::Bool(true),
            0x89 => Value::Bool(false),
            b'K' => Value::Int(self.bytes.u8()?.into()),
            b'M' => Value::Int(self.bytes.u16()?.into()),
            b'J' => Value::Int(i32::from_le_bytes(self.bytes.array()?).into()),
            0x8a => self.long()?,
            b'G' => Value::Float(f64::from_be_bytes(self.bytes.array()?)),
            b'X' => {
                let length = self.bytes.u32()? as usize;
                Value::Text(text(self.bytes.take(length)?)?)
            }
            b'c' => Value::Global(text(self.bytes.line()?)?, text(self.bytes.line()?)?),
            b')' => Value::Tuple(self.object(Vec::new())),
            b']' => Value::List(self.object(Vec::new())),
            b'}' => Value::Dict(self.object(Vec::new())),
            b't' => {
                let members = self.since_mark()?;
                Value::Tuple(self.object(members))
            }
            0x85..=0x87 => {
                let from =
                    self.stack.len().checked_sub(usize::from(op - 0x84)).ok_or("a tuple of more than there is")?;
                let members =
                    self.stack.split_off(from).into_iter().collect::<Option<_>>().ok_or("a tuple across a mark")?;
                Value::Tuple(self.object(members))
            }
            b'q' | b'r' => {
                let key = if op == b'q' { self.bytes.u8()?.into() } else { self.bytes.u32()? };
                let top = self.top()?.clone();
                self.memo.insert(key, top);
                return Ok(());
            }
            b'h' | b'j' => {
                let key = if op == b'h' { self.bytes.u8()?.into() } else { self.bytes.u32()? };
                self.memo
                    .get(&key)
                    .cloned()
                    .ok_or_else(|| format!("object {key} is used at byte {at} before it is made"))?
            }
            b'Q' => {
                let id = self.pop()?;
                let Value::Tuple(i) = id else { return Err(format!("the persistent id at byte {at} is no tuple")) };
                self.persistents.push(i);
                Value::Persistent(i)
            }
            b'R' => {
                let (arguments, called) = (self.pop()?, self.pop()?);
                self.call(called, arguments, at)?
            }
            b'b' => {
                // The state of an ordered dict is only its attributes.
                self.pop()?;
                return match self.top()? {
                    Value::Dict(_) => Ok(()),
                    _ => Err(format!("an object with a state at byte {at}, which is not known")),
                };
            }
            b'a' => {
                let item = self.pop()?;
                return self.extend(vec![item], false);
            }
            b'e' => {
                let items = self.since_mark()?;
                return self.extend(items, false);
            }
            b's' => {
                let (value, key) = (self.pop()?, self.pop()?);
                return self.extend(vec![key, value], true);
            }
            b'u' => {
                let items = self.since_mark()?;
                return self.extend(items, true);
            }
            _ => return Err(format!("the pickle operation {op:#04x} at byte {at} is not known")),
        };
        self.stack.push(Some(value));
        Ok(())
    }

    /// Only an ordered dict is made here; what another call would make stays a call.
    fn call(&mut self, called: Value, arguments: Value, at: usize) -> Result<Value, String> {
        match (&called, &arguments) {
            (Value::Global(module, name), Value::Tuple(i))
                if (&**module, &**name) == ("collections", "OrderedDict") =>
            {
                match self.objects[*i].len() {
                    0 => Ok(Value::Dict(self.object(Vec::new()))),
                    _ => Err(format!("an ordered dict with arguments at byte {at}, which is not known")),
                }
            }
            (Value::Global(..), Value::Tuple(_)) => Ok(Value::Call(self.object(vec![called, arguments]))),
            _ => Err(format!("a call of something that is no name at byte {at}")),
        }
    }

    fn long(&mut self) -> Result<Value, String> {
        let length = self.bytes.u8()? as usize;
        let raw = self.bytes.take(length)?;
        if length > 8 {
            return Ok(Value::Long(raw.into()));
        }
        let sign = if raw.last().is_some_and(|b| b & 0x80 != 0) { 0xff } else { 0 };
        let mut wide = [sign; 8];
        wide[..length].copy_from_slice(raw);
        Ok(Value::Int(i64::from_le_bytes(wide)))
    }

    fn object(&mut self, members: Vec<Value>) -> usize {
        self.objects.push(members);
        self.objects.len() - 1
    }

    fn pop(&mut self) -> Result<Value, String> {
        self.stack.pop().flatten().ok_or_else(|| format!("the pickle's stack is empty at byte {}", self.bytes.at))
    }

    fn top(&self) -> Result<&Value, String> {
        self.stack
            .last()
            .and_then(Option::as_ref)
            .ok_or_else(|| format!("the pickle's stack is empty at byte {}", self.bytes.at))
    }

    fn since_mark(&mut self) -> Result<Vec<Value>, String> {
        let mark = self.stack.iter().rposition(Option::is_none);
        let mark = mark.ok_or_else(|| format!("the pickle lacks a mark before byte {}", self.bytes.at))?;
        let members = self.stack.split_off(mark + 1).into_iter().flatten().collect();
        self.stack.pop();
        Ok(members)
    }

    fn extend(&mut self, items: Vec<Value>, dict: bool) -> Result<(), String> {
        let i = match self.top()? {
            Value::List(i) if !dict => *i,
            Value::Dict(i) if dict && items.len().is_multiple_of(2) => *i,
            _ => {
                return Err(format!(
                    "the pickle adds to something that can't be added to before byte {}",
                    self.bytes.at
                ));
            }
        };
        self.objects[i].extend(items);
        Ok(())
    }
}

fn text(raw: &[u8]) -> Result<Rc<str>, String> {
    std::str::from_utf8(raw).map(Rc::from).map_err(|_| "a text in the pickle is not UTF-8".to_owned())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn parse(raw: &[u8]) -> Result<Pickle, String> {
        read(&mut Bytes::new(raw))
    }

    #[test]
    fn reads_dicts_tuples_and_shared_objects() {
        // {'a': (1, -2, 2.5), 'b': [None, True]} with the key 'a' remembered and used again.
        let p = parse(
            b"\x80\x02}(X\x01\0\0\0aq\0K\x01\x8a\x01\xfeG\x40\x04\0\0\0\0\0\0\x87X\x01\0\0\0b](N\x88eh\0N\x86tbad",
        )
        .map(|_| ());
        assert!(p.is_err(), "a tuple inside a dict's items that leaves an odd count is refused");
        let p = parse(b"\x80\x02}(X\x01\0\0\0aq\0K\x01\x8a\x01\xfeG\x40\x04\0\0\0\0\0\0\x87X\x01\0\0\0b](N\x88h\0eu.")
            .expect("a pickle");
        let a = p.get(&p.root, "a").expect("a");
        assert_eq!(p.members(a), &[Value::Int(1), Value::Int(-2), Value::Float(2.5)]);
        let b = p.get(&p.root, "b").expect("b");
        assert_eq!(p.members(b), &[Value::None, Value::Bool(true), Value::Text("a".into())]);
    }

    #[test]
    fn a_call_is_kept_and_never_made() {
        let p = parse(b"\x80\x02cos\nsystem\nX\x02\0\0\0ls\x85R.").expect("a pickle");
        assert_eq!(p.members(&p.root)[0], Value::Global("os".into(), "system".into()));
    }

    #[test]
    fn a_list_that_holds_itself_is_harmless() {
        let p = parse(b"\x80\x02]q\0h\0a.").expect("a pickle");
        assert_eq!(p.members(&p.root), std::slice::from_ref(&p.root));
    }

    #[test]
    fn damage_is_an_error() {
        for bad in [
            &b""[..],
            b".",
            b"\x80",
            b"X\xff\xff\xff\xffa.",
            b"h\x05.",
            b"t.",
            b"K\x01a.",
            b"\x85.",
            b"Z.",
            b"cos",
            b"(.",
            b"R.",
            b"\x8a\x09ab",
        ] {
            assert!(parse(bad).is_err(), "{bad:?}");
        }
    }
}
