//! Products with Whisper's weights, kept in one way or another, as nodes of a graph. Doesn't know which product is kept
//! how.

use half::f16;

use super::BuildError;
use super::eight::{BLOCK, Blocks, ZERO, blocks, columns};
use super::onnx::Is;
use super::whisper_layers::Builder;

/// How the weights of a product are kept, and with it what is multiplied.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Product {
    /// Half floats, widened; exact.
    Half,
    /// 8 bits with a scale an output; what comes in becomes 8 bits with one scale a run.
    Columns,
    /// 8 bits with a scale for each [`BLOCK`] inputs, and so what comes in, row by row.
    Blocks,
}

/// The embeddings: looked up at the decoder's start, multiplied with at its end.
pub(super) enum Table {
    Half {
        values: String,
    },
    /// [words, blocks, BLOCK] and [words, blocks].
    Blocks {
        bytes: String,
        scales: String,
        words: usize,
        blocks: usize,
    },
}

impl Builder<'_> {
    /// A product with the builder's kind of weights, and a bias.
    pub(super) fn linear(&mut self, x: &str, name: &str, inputs: usize, outputs: usize) -> Result<String, BuildError> {
        self.linear_as(self.product, x, name, inputs, outputs)
    }

    /// The same with a kind of its own.
    pub(super) fn linear_as(
        &mut self,
        product: Product,
        x: &str,
        name: &str,
        inputs: usize,
        outputs: usize,
    ) -> Result<String, BuildError> {
        let bias = self.floats(&format!("{name}/bias"), &[outputs])?;
        let weight = format!("{name}/weight");
        let raw = self.net.file.halves(&weight, &[outputs, inputs])?;
        let y = match product {
            Product::Half => {
                // The file has a row an output; MatMul wants a row an input.
                let turned = (0..inputs)
                    .flat_map(|i| (0..outputs).flat_map(move |o| [2 * (o * inputs + i), 2 * (o * inputs + i) + 1]))
                    .map(|b| raw[b])
                    .collect();
                let weight = self.g.f16s(&weight, &[inputs, outputs], turned);
                let weight = self.widen(&weight);
                self.g.op("MatMul", &[x, &weight], &[])
            }
            Product::Columns => {
                let (turned, scales) = columns(&widened(&raw), inputs);
                let turned = self.g.u8s(&weight, &[inputs, outputs], turned);
                let scales = self.g.f32s(&format!("{name}/scales"), &[outputs], &scales);
                let [bytes, scale, zero] = self.eight_bits(x);
                let weight_zero = "weight_zero";
                if !self.g.has(weight_zero) {
                    self.g.u8s(weight_zero, &[], vec![ZERO]);
                }
                // The runtime knows this pattern and computes it in one go.
                let y = self.g.op("MatMulInteger", &[&bytes, &turned, &zero, weight_zero], &[]);
                let y = self.widen(&y);
                let scale = self.g.op("Mul", &[&scale, &scales], &[]);
                self.g.op("Mul", &[&y, &scale], &[])
            }
            Product::Blocks => {
                let Blocks { bytes, scales, blocks } = blocks(&widened(&raw), inputs);
                let bytes = self.g.u8s(&weight, &[outputs, blocks, BLOCK], bytes);
                let scales = self.g.f32s(&format!("{name}/scales"), &[outputs, blocks], &scales);
                self.blocks_product(x, &bytes, &scales, inputs, outputs)
            }
        };
        Ok(self.g.op("Add", &[&y, &bias], &[]))
    }

    fn blocks_product(&mut self, x: &str, bytes: &str, scales: &str, inputs: usize, outputs: usize) -> String {
        let int = |n: usize| Is::Int(n as i64);
        // Level 4: what comes in may become 8 bits too.
        let attributes = [
            ("K", int(inputs)),
            ("N", int(outputs)),
            ("bits", int(8)),
            ("block_size", int(BLOCK)),
            ("accuracy_level", int(4)),
        ];
        self.g.microsoft("MatMulNBits", &[x, bytes, scales], &attributes)
    }

    /// Bytes, scale and zero of a value; made once however many products it goes into.
    fn eight_bits(&mut self, x: &str) -> [String; 3] {
        if let Some(known) = self.bytes.get(x) {
            return known.clone();
        }
        let made = ["bytes", "scale", "zero"].map(|part| format!("{x}/{part}"));
        self.g.named("DynamicQuantizeLinear", &[x], &[&made[0], &made[1], &made[2]], &[]);
        self.bytes.insert(x.to_owned(), made.clone());
        made
    }

    /// The embeddings of all `words`.
    pub(super) fn table(&mut self, name: &str, words: usize) -> Result<Table, BuildError> {
        let dim = self.net.dim;
        let raw = self.net.file.halves(name, &[words, dim])?;
        if self.product == Product::Half {
            return Ok(Table::Half { values: self.g.f16s(name, &[words, dim], raw) });
        }
        let Blocks { bytes, scales, blocks } = blocks(&widened(&raw), dim);
        let bytes = self.g.u8s(name, &[words, blocks, BLOCK], bytes);
        let scales = self.g.f32s(&format!("{name}/scales"), &[words, blocks], &scales);
        Ok(Table::Blocks { bytes, scales, words, blocks })
    }

    /// The embeddings [1, n, D] of tokens [1, n].
    pub(super) fn look_up(&mut self, table: &Table, tokens: &str) -> String {
        match table {
            Table::Half { values } => {
                let x = self.g.op("Gather", &[values, tokens], &[]);
                self.widen(&x)
            }
            Table::Blocks { bytes, scales, blocks, .. } => {
                let x = self.g.op("Gather", &[bytes, tokens], &[]);
                let x = self.widen(&x);
                let middle = self.g.f32_scalar("byte_zero", 128.0);
                let x = self.g.op("Sub", &[&x, &middle], &[]);
                let scales = self.g.op("Gather", &[scales, tokens], &[]);
                let last = self.g.i64s("last_axis", &[-1]);
                let scales = self.g.op("Unsqueeze", &[&scales, &last], &[]);
                let x = self.g.op("Mul", &[&x, &scales], &[]);
                let row = self.g.i64s("row_of_blocks", &[0, 0, (blocks * BLOCK) as i64]);
                let x = self.g.op("Reshape", &[&x, &row], &[]);
                // What fills up the last block goes.
                let (from, to) = (self.g.i64s("row_from", &[0]), self.g.i64s("row_to", &[self.net.dim as i64]));
                self.g.op("Slice", &[&x, &from, &to, &last], &[])
            }
        }
    }

    /// The products of rows [n, D] with each embedding.
    pub(super) fn scores(&mut self, x: &str, table: &Table) -> String {
        match table {
            Table::Half { values } => {
                let wide = self.widen(values);
                self.g.op("Gemm", &[x, &wide], &[("transB", Is::Int(1))])
            }
            Table::Blocks { bytes, scales, words, .. } => self.blocks_product(x, bytes, scales, self.net.dim, *words),
        }
    }
}

fn widened(halves: &[u8]) -> Vec<f32> {
    halves.chunks_exact(2).map(|b| f16::from_le_bytes([b[0], b[1]]).to_f32()).collect()
}
