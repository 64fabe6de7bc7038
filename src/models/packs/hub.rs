//! Getting a file from the model hub, piece by piece: what has arrived stays where it is, and the next try goes on
//! behind it. Knows nothing of packs.

use std::fs::{self, File, OpenOptions};
use std::io::{Read, Write};
use std::path::{Path, PathBuf};
use std::time::Duration;

use hf_hub::api::sync::{Api, ApiBuilder, ApiRepo};
use hf_hub::{Cache, Repo, RepoType};
use ureq::Agent;

use super::fetch::FetchError;
use super::hash;
use super::listed::{ListedFile, Precision, Trust};
use crate::runtime::precision;

/// Bytes asked for at once. A line that stands still is noticed after [`PATIENCE`].
const PIECE: u64 = 4 << 20;
const PATIENCE: Duration = Duration::from_secs(120);
const CONNECT: Duration = Duration::from_secs(15);
/// Pieces in a row that may bring nothing.
const TRIES: u32 = 4;
/// Sleep before the second try; each further one waits twice as long.
const PAUSE: Duration = Duration::from_millis(500);

/// A repository of the hub at a revision.
pub(super) struct Hub {
    api: Api,
    files: ApiRepo,
    agent: Agent,
    token: Option<String>,
    name: String,
}

impl Hub {
    /// For `owner/name`. Where the environment's `HF_ENDPOINT` names another hub, that one; `HF_TOKEN`, or the token
    /// that the hub's own client keeps, opens what is not open to all. Touches no network yet.
    pub fn new(name: &str, revision: &str) -> Result<Self, FetchError> {
        let failed = |e: &dyn std::fmt::Display| FetchError::Hub { what: name.to_owned(), why: e.to_string() };
        let token = std::env::var("HF_TOKEN").ok().filter(|t| !t.is_empty()).or_else(|| Cache::from_env().token());
        let api =
            ApiBuilder::from_env().with_progress(false).with_token(token.clone()).build().map_err(|e| failed(&e))?;
        let files = api.repo(Repo::with_revision(name.to_owned(), RepoType::Model, revision.to_owned()));
        let agent = Agent::config_builder()
            .timeout_connect(Some(CONNECT))
            .timeout_recv_response(Some(PATIENCE))
            .timeout_recv_body(Some(PATIENCE));
        Ok(Self { api, files, agent: agent.build().into(), token, name: name.to_owned() })
    }

    /// Brings a file into a folder and tells how well its bytes are known. What lies there from an earlier try is gone
    /// on with, as long as the hub still has the same file. `grown` is told the bytes that are here and those in all;
    /// its error ends the fetching, and what has arrived stays.
    pub fn fetch(
        &self,
        file: &ListedFile,
        folder: &Path,
        grown: &mut dyn FnMut(u64, u64) -> Result<(), FetchError>,
    ) -> Result<Trust, FetchError> {
        let what = format!("`{}` of {}", file.path(), self.name);
        let failed = |why: String| FetchError::Hub { what: what.clone(), why };
        let url = self.files.url(file.path());
        let told = self.api.metadata(&url).map_err(|e| failed(e.to_string()))?;
        let size = told.size() as u64;
        if let Some(expected) = file.bytes.filter(|&bytes| bytes != size) {
            return Err(failed(format!("it has {size} bytes there where the list says {expected}")));
        }
        let place = folder.join(&*file.name);
        let write = |e: std::io::Error| FetchError::Write { path: place.clone(), why: e.to_string() };
        fs::create_dir_all(place.parent().unwrap_or(folder)).map_err(write)?;
        // Large files bear their sha256 as their mark; other marks only tell whether the file is still the same.
        let mark: String = told.etag().chars().filter(char::is_ascii_alphanumeric).collect();
        let (expected, trust) = match &file.sha256 {
            Some(listed) => (Some(listed.to_string()), Trust::Listed),
            None if mark.len() == 64 && mark.bytes().all(|b| b.is_ascii_hexdigit()) => {
                (Some(mark.to_lowercase()), Trust::Hub)
            }
            None => (None, Trust::Unverified),
        };
        let part =
            place.with_file_name(format!("{}.{mark}.part", place.file_name().unwrap_or_default().to_string_lossy()));
        if !place.exists() {
            self.pieces(&url, &part, size, &failed, grown)?;
            fs::rename(&part, &place).map_err(write)?;
        }
        grown(size, size)?;
        let found = File::open(&place).and_then(hash::of_reader).map_err(write)?;
        if let Some(expected) = expected.filter(|e| *e != found) {
            fs::remove_file(&place).map_err(write)?;
            return Err(FetchError::Hash { what, expected, found });
        }
        Ok(trust)
    }

    /// The hub's own list of the repository: the paths of all files.
    fn list(&self) -> Result<Vec<String>, FetchError> {
        let failed = |e: &dyn std::fmt::Display| FetchError::Hub {
            what: format!("the list of {}", self.name),
            why: e.to_string(),
        };
        let info = self.files.info().map_err(|e| failed(&e))?;
        Ok(info.siblings.into_iter().map(|file| file.rfilename).collect())
    }

    /// The files with each one's path, after the hub's own list where ours says `find`. Weights that a graph keeps in a
    /// file beside it, under its own name with `.data` or `_data` behind it, come with it.
    pub fn placed(&self, files: &[ListedFile]) -> Result<Vec<ListedFile>, FetchError> {
        if files.iter().all(|f| f.find.is_none()) {
            return Ok(files.to_vec());
        }
        let list = self.list()?;
        let mut placed = Vec::new();
        for file in files {
            let Some(wanted) = file.find else {
                placed.push(file.clone());
                continue;
            };
            let why = |why| FetchError::Hub { what: format!("`{}` of {}", file.name, self.name), why };
            let path = search(&list, &file.name, wanted).map_err(why)?;
            let named = |path: &str| path.to_owned().try_into().map_err(why);
            placed.push(ListedFile { at: Some(named(path)?), ..file.clone() });
            for beside in list.iter().filter(|p| [".data", "_data"].iter().any(|end| p.strip_suffix(end) == Some(path)))
            {
                let name = named(beside.rsplit('/').next().unwrap_or(beside))?;
                placed.push(ListedFile { name, at: Some(named(beside)?), find: None, bytes: None, sha256: None });
            }
        }
        Ok(placed)
    }

    /// Fills `part` up to `size` bytes.
    fn pieces(
        &self,
        url: &str,
        part: &Path,
        size: u64,
        failed: &dyn Fn(String) -> FetchError,
        grown: &mut dyn FnMut(u64, u64) -> Result<(), FetchError>,
    ) -> Result<(), FetchError> {
        let write = |e: std::io::Error| FetchError::Write { path: PathBuf::from(part), why: e.to_string() };
        let mut file = OpenOptions::new().create(true).append(true).open(part).map_err(write)?;
        let mut here = file.metadata().map_err(write)?.len();
        if here > size {
            file.set_len(0).map_err(write)?;
            here = 0;
        }
        let mut fruitless = 0;
        while here < size {
            grown(here, size)?;
            let before = here;
            let outcome = self.piece(url, &mut file, &mut here, size, &mut |here| grown(here, size));
            fruitless = if here > before { 0 } else { fruitless + 1 };
            match outcome {
                Ok(()) if here > before => {}
                Ok(()) => return Err(failed("the hub sent nothing".to_owned())),
                Err(Stop::Given(e)) => return Err(e),
                Err(Stop::Disk(e)) => return Err(write(e)),
                Err(Stop::Line(why)) if fruitless >= TRIES => return Err(failed(why)),
                Err(Stop::Line(_)) => std::thread::sleep(PAUSE * 2u32.pow(fruitless)),
            }
        }
        file.sync_all().map_err(write)
    }

    /// Appends the next piece; `here` counts what really arrived.
    fn piece(
        &self,
        url: &str,
        file: &mut File,
        here: &mut u64,
        size: u64,
        grown: &mut dyn FnMut(u64) -> Result<(), FetchError>,
    ) -> Result<(), Stop> {
        let last = (*here + PIECE).min(size) - 1;
        let mut request = self.agent.get(url).header("Range", format!("bytes={here}-{last}"));
        if let Some(token) = &self.token {
            request = request.header("Authorization", format!("Bearer {token}"));
        }
        let response = request.call().map_err(|e| Stop::Line(e.to_string()))?;
        if response.status() != 206 && !(response.status() == 200 && *here == 0) {
            return Err(Stop::Line(format!("it answered {} to a request for a part of the file", response.status())));
        }
        let mut body = response.into_body().into_reader().take(size - *here);
        let mut buffer = vec![0; 1 << 16];
        loop {
            match body.read(&mut buffer).map_err(|e| Stop::Line(e.to_string()))? {
                0 => return Ok(()),
                n => file.write_all(&buffer[..n]).map(|()| *here += n as u64).map_err(Stop::Disk)?,
            }
            grown(*here).map_err(Stop::Given)?;
        }
    }
}

/// The one path of a repository whose last part is this name but for its precision, which is the wanted one.
fn search<'l>(list: &'l [String], name: &str, wanted: Precision) -> Result<&'l str, String> {
    let last = |path: &str| path.rsplit('/').next().unwrap_or(path).to_owned();
    let fits = |path: &&String| {
        precision::same_but_for_it(&last(path), &last(name)) && precision::smaller(path) == wanted.word()
    };
    match list.iter().filter(fits).map(String::as_str).collect::<Vec<_>>()[..] {
        [path] => Ok(path),
        [] => Err(format!("none of the repository's {} files is called so in that precision", list.len())),
        ref several => Err(format!("its path isn't known, and {} fit", several.join(", "))),
    }
}

/// Why a piece ended early.
enum Stop {
    /// The line broke or the hub refused: worth another try.
    Line(String),
    /// The disk refused.
    Disk(std::io::Error),
    /// Whoever watched gave up.
    Given(FetchError),
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_file_is_found_wherever_a_repository_keeps_its_precisions() {
        let of = |paths: &str| paths.split(' ').map(str::to_owned).collect::<Vec<_>>();
        for list in [
            of("README.md asr.onnx asr.int8.onnx dit.onnx speaker/speaker.onnx speaker/speaker.int8.onnx"),
            of("asr.onnx asr_int8.onnx speaker/speaker.onnx speaker/speaker_int8.onnx"),
            of("fp32/asr.onnx int8/asr.onnx fp32/speaker/speaker.onnx int8/speaker/speaker.onnx"),
            of("asr.fp32.onnx int8/asr.int8.onnx speaker/fp32/speaker.onnx speaker/int8/speaker.onnx"),
        ] {
            for name in ["asr.onnx", "speaker.onnx"] {
                let full = search(&list, name, Precision::Full).expect("there");
                let small = search(&list, name, Precision::Int8).expect("there");
                assert!(
                    !full.contains("int8") && small.contains("int8") && full.contains(&name[..3]),
                    "{full}, {small}"
                );
            }
        }
        let told = |list: &str, name: &str| search(&of(list), name, Precision::Full).expect_err("not one");
        assert!(told("asr.int8.onnx asr.onnx.data", "asr.onnx").contains("none of the repository's 2 files"));
        assert!(told("40/asr.onnx 120/asr.onnx", "asr.onnx").contains("40/asr.onnx, 120/asr.onnx fit"));
    }
}
