//! Which take is shown where: pieces of the timeline, as a comp of takes in a mixer. Knows no words.

/// A stretch of the timeline and the take that is shown there.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Piece {
    /// The first second.
    pub from: f64,
    /// The second where it ends, excluded.
    pub to: f64,
    /// The take.
    pub take: u32,
}

/// Pieces in order, none empty, none overlapping the next. Between them nothing was heard.
#[derive(Debug, Clone, PartialEq, Default)]
pub(super) struct Comp {
    pieces: Vec<Piece>,
}

impl Comp {
    pub fn pieces(&self) -> &[Piece] {
        &self.pieces
    }

    /// Shows a take from one second to another, or none. What was shown there is not any more.
    pub fn assign(&mut self, from: f64, to: f64, take: Option<u32>) {
        if from >= to {
            return;
        }
        let first = self.pieces.partition_point(|p| p.to <= from);
        let behind = self.pieces.partition_point(|p| p.from < to);
        let left = self.pieces.get(first).filter(|p| p.from < from).map(|p| Piece { to: from, ..*p });
        let right = self.pieces[..behind].last().filter(|p| p.to > to).map(|p| Piece { from: to, ..*p });
        let new = take.map(|take| Piece { from, to, take });
        self.pieces.splice(first..behind, [left, new, right].into_iter().flatten());
        self.join(first.saturating_sub(1), first + 3);
    }

    /// Makes one of neighbours that show the same take, among the pieces of these indices.
    fn join(&mut self, first: usize, behind: usize) {
        for i in (first + 1..behind.min(self.pieces.len())).rev() {
            let (a, b) = (self.pieces[i - 1], self.pieces[i]);
            if a.take == b.take && a.to == b.from {
                self.pieces[i - 1].to = b.to;
                self.pieces.remove(i);
            }
        }
    }

    /// Shows another take wherever one was shown, or none.
    pub fn replace(&mut self, take: u32, by: Option<u32>) {
        match by {
            Some(by) => self.pieces.iter_mut().filter(|p| p.take == take).for_each(|p| p.take = by),
            None => self.pieces.retain(|p| p.take != take),
        }
        self.join(0, usize::MAX);
    }

    /// The piece that holds a second.
    pub fn at(&self, seconds: f64) -> Option<&Piece> {
        let piece = self.pieces.get(self.pieces.partition_point(|p| p.to <= seconds))?;
        (piece.from <= seconds).then_some(piece)
    }

    /// The pieces that a stretch touches, both of its ends included.
    pub fn touched(&self, from: f64, to: f64) -> &[Piece] {
        let first = self.pieces.partition_point(|p| p.to <= from);
        let behind = self.pieces.partition_point(|p| p.from <= to).max(first);
        &self.pieces[first..behind]
    }

    /// Whether a take is shown anywhere.
    pub fn shows(&self, take: u32) -> bool {
        self.pieces.iter().any(|p| p.take == take)
    }

    pub fn clear(&mut self) {
        self.pieces.clear();
    }
}
