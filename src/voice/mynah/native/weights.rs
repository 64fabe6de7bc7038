//! All weights of the network as its loops want them, and its sizes: read once from `voice.safetensors` however many
//! voices and modes use it. Knows no state.

use std::path::Path;
use std::sync::Arc;

use super::super::graph::{EMBEDDING, LOOKAHEADS, TIMBRE};
use super::super::heard::{BANDS, BINS, FALL, HOP, RATE, RISE, SIZE};
use super::bands::Bands;
use super::block::BlockWeights;
use super::file::File;
use super::gru::GruWeights;
use super::matrix::{Matrix, stride};
use mynah_files as files;
use mynah_models::runtime::{Cache, RuntimeError};
use mynah_realtime::clock::Mode;

/// No file of weights is larger, in bytes: that of the repository's pack has 7.5 million.
const MOST_BYTES: u64 = 1 << 28;
/// Layouts of the file: in the first, that of packs before December 2026, the encoder is as wide as the decoder and its
/// content is squeezed by `tanh`; in the second both are free and the content is normalised.
const FORMATS: std::ops::RangeInclusive<usize> = 1..=2;
/// Numbers that the decoder is told of a frame beside its content: octaves, voiced, energy, squared octaves.
pub const PITCH: usize = 4;
/// Frames that the decoder's first layer sees.
pub const JOINED: usize = 3;
const WIDTHS: std::ops::RangeInclusive<usize> = 1..=4096;
const BLOCKS: std::ops::RangeInclusive<usize> = 1..=64;
const DILATIONS: std::ops::RangeInclusive<usize> = 1..=64;
const KERNELS: std::ops::RangeInclusive<usize> = 1..=32;

/// What differs from mode to mode.
#[derive(Debug)]
pub struct ModeWeights {
    /// Taps ahead of each encoder block.
    pub ahead: Vec<usize>,
    /// Frames that outputs lag behind inputs.
    pub lookahead: usize,
    /// What is added behind the first layer.
    pub added: Vec<f32>,
}

/// What becomes of the verifier's vector: two layers with a curve between.
pub type Path2 = [Matrix; 2];

/// The content encoder's.
#[derive(Debug)]
pub struct EncoderWeights {
    pub width: usize,
    pub enter: Matrix,
    pub blocks: Vec<BlockWeights>,
    /// Factor and summand of the norm behind the blocks; with it the content is normalised too. Without it `tanh`
    /// squeezes the content.
    pub norm: Option<[Vec<f32>; 2]>,
    pub content: Matrix,
    /// Numbers of the content.
    pub content_width: usize,
}

/// The network's weights.
#[derive(Debug)]
pub struct Weights {
    /// The decoder's.
    pub width: usize,
    pub modes: [ModeWeights; 3],
    pub encoder: EncoderWeights,
    pub narrow_voice: Path2,
    pub wide_voice: Path2,
    pub join: Matrix,
    pub decoder: Vec<BlockWeights>,
    /// Decoder blocks before the recurrent layer.
    pub recurrent_at: usize,
    pub recurrent: GruWeights,
    pub last_modulate: Matrix,
    pub head: Matrix,
    pub tint: Matrix,
    pub bands: Bands,
}

/// Files that voices use now.
static HELD: Cache<Weights> = Cache::new();

impl Weights {
    /// Those of a file, read once however many use them at a time.
    pub fn of(path: &Path) -> Result<Arc<Self>, RuntimeError> {
        let failed = |why: String| RuntimeError::Model { path: path.to_owned(), why };
        let read = || {
            let bytes =
                files::read(path, MOST_BYTES).map_err(|why| RuntimeError::File { path: path.to_owned(), why })?;
            Self::read(path, &bytes).map(Arc::new)
        };
        HELD.get(path, |e| failed(e.to_string()), read)
    }

    /// From the bytes of the file at `path`.
    pub fn read(path: &Path, bytes: &[u8]) -> Result<Self, RuntimeError> {
        let file = File::open(path, bytes)?;
        file.expect("family", "mynah")?;
        let fixed = [
            ("rate", RATE as usize),
            ("hop", HOP),
            ("rise", RISE),
            ("fall", FALL),
            ("n_fft", SIZE),
            ("n_mels", BANDS),
            ("speaker", EMBEDDING),
            ("timbre", TIMBRE),
        ];
        for (key, n) in fixed {
            file.expect(key, &n.to_string())?;
        }
        let (width, kernel) = (file.number("width", WIDTHS)?, file.number("kernel", KERNELS)?);
        let bands = file.number("bands", 1..=BINS)?;
        let (encoder, modes) = encoder(&file, kernel)?;
        let path = |name: &str| -> Result<Path2, RuntimeError> {
            let (inner, _) = file.rows_and_columns(&format!("{name}.0.weight"))?;
            let (outer, _) = file.rows_and_columns(&format!("{name}.2.weight"))?;
            Ok([file.layer(&format!("{name}.0"), EMBEDDING, inner)?, file.layer(&format!("{name}.2"), inner, outer)?])
        };
        let (narrow_voice, wide_voice) = (path("narrow_voice")?, path("wide_voice")?);
        let told = narrow_voice[1].outputs() + wide_voice[1].outputs() + TIMBRE;
        let dilations = file.numbers("decoder", DILATIONS, BLOCKS)?;
        let modulated = file.numbers("modulated", 0..=dilations.len() - 1, 0..=dilations.len())?;
        let told_at = |i: usize| if modulated.contains(&i) { told } else { 0 };
        let decoder = dilations
            .iter()
            .enumerate()
            .map(|(i, &d)| block(&file, &format!("decoder.{i}"), width, d, kernel, 0, told_at(i)))
            .collect::<Result<_, _>>()?;
        let gate = |part: &str| {
            file.matrix(&format!("recurrent.weight_{part}_l0"), &format!("recurrent.bias_{part}_l0"), width, 3 * width)
        };
        let matrix = file.floats("bands", &[bands, BINS])?;
        Ok(Self {
            width,
            modes,
            narrow_voice,
            wide_voice,
            join: file.convolution("join", encoder.content_width + PITCH, width, JOINED)?,
            encoder,
            decoder,
            recurrent_at: file.number("recurrent_at", 0..=dilations.len() - 1)?,
            recurrent: GruWeights { input: gate("ih")?, memory: gate("hh")? },
            last_modulate: file.layer("last_modulate", told, 2 * width)?,
            head: file.layer("head", width, 2 * bands)?,
            tint: file.layer("tint", told, 2 * bands)?,
            bands: Bands::new(&matrix, bands, BINS),
        })
    }

    /// What differs in a mode.
    pub fn mode(&self, mode: Mode) -> &ModeWeights {
        &self.modes[Mode::ALL.iter().position(|m| *m == mode).unwrap_or(0)]
    }
}

/// A row with zeros up to a multiple of the products' lanes.
fn row(mut numbers: Vec<f32>) -> Vec<f32> {
    numbers.resize(stride(numbers.len()), 0.0);
    numbers
}

/// The encoder, and what differs in it from mode to mode.
fn encoder(file: &File, kernel: usize) -> Result<(EncoderWeights, [ModeWeights; 3]), RuntimeError> {
    let second = file.number("format", FORMATS)? == 2;
    let of = |name: &str| if second { format!("encoder.{name}") } else { name.to_owned() };
    let blocks = if second { "encoder.blocks" } else { "encoder" };
    let (width, content_width) =
        (file.number(if second { "encoder_width" } else { "width" }, WIDTHS)?, file.number("content", WIDTHS)?);
    let dilations = file.numbers("encoder", DILATIONS, BLOCKS)?;
    let modes = modes(file, &of("mode.weight"), &dilations, width)?;
    let farthest = |i: usize| modes.iter().map(|m| m.ahead[i]).max().unwrap_or(0);
    let block = |(i, &d): (usize, &usize)| block(file, &format!("{blocks}.{i}"), width, d, kernel, farthest(i), 0);
    let norm = |what: &str| Ok::<_, RuntimeError>(row(file.floats(&of(&format!("norm.{what}")), &[width])?));
    let weights = EncoderWeights {
        width,
        enter: file.layer(&of("enter"), BANDS, width)?,
        blocks: dilations.iter().enumerate().map(block).collect::<Result<_, _>>()?,
        norm: if second { Some([norm("weight")?, norm("bias")?]) } else { None },
        content: file.layer(&of("content"), width, content_width)?,
        content_width,
    };
    Ok((weights, modes))
}

fn modes(file: &File, name: &str, dilations: &[usize], width: usize) -> Result<[ModeWeights; 3], RuntimeError> {
    let table = file.floats(name, &[Mode::ALL.len(), width])?;
    let one = |mode: Mode| {
        let key = format!("ahead.{}", mode.name());
        let mut ahead = file.numbers(&key, 0..=*LOOKAHEADS.end(), 0..=dilations.len())?;
        ahead.resize(dilations.len(), 0);
        let lookahead = ahead.iter().zip(dilations).map(|(a, d)| a * d).sum();
        if !LOOKAHEADS.contains(&lookahead) {
            let expected =
                format!("the metadata `{key}` to look {} to {} frames ahead", LOOKAHEADS.start(), LOOKAHEADS.end());
            return Err(file.contract(expected, format!("{lookahead}")));
        }
        let place = file.place("modes", mode.name(), Mode::ALL.len())?;
        let added = &table[place * width..][..width];
        Ok(ModeWeights { ahead, lookahead, added: row(added.to_vec()) })
    };
    let [live, balanced, studio] = Mode::ALL.map(one);
    Ok([live?, balanced?, studio?])
}

fn block(
    file: &File,
    name: &str,
    width: usize,
    dilation: usize,
    kernel: usize,
    ahead: usize,
    told: usize,
) -> Result<BlockWeights, RuntimeError> {
    let of = |what: &str| format!("{name}.{what}");
    let channels = file.floats(&of("time.weight"), &[width, 1, kernel + ahead])?;
    let tap = |tap: usize| row(channels.iter().skip(tap).step_by(kernel + ahead).copied().collect());
    let (hidden, _) = file.rows_and_columns(&of("widen.weight"))?;
    Ok(BlockWeights {
        dilation,
        kernel,
        taps: (0..kernel + ahead).flat_map(tap).collect(),
        bias: row(file.floats(&of("time.bias"), &[width])?),
        gain: row(file.floats(&of("norm.weight"), &[width])?),
        shift: row(file.floats(&of("norm.bias"), &[width])?),
        modulate: if told > 0 { Some(file.layer(&of("modulate"), told, 2 * width)?) } else { None },
        widen: file.layer(&of("widen"), width, hidden)?,
        narrow: file.layer(&of("narrow"), hidden, width)?,
    })
}
