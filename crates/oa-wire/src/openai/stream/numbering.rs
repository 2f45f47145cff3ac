//! The choice of a stream that is the answer.
//!
//! The one with index 0; where there is none, the first one seen. Some servers number the choice anew with
//! each token: where the indexes of choices that come alone only go up, one by one, they are all the same
//! choice. The first two chunks decide; one whose choice may be either waits for the next.

/// What is known of the choices' indexes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Numbering {
    /// No choice came.
    #[default]
    Unknown,
    /// A choice of index 0 came, in the chunk before which this many others came.
    Zero { chunks: u64 },
    /// The answer has this index.
    Fixed(i64),
    /// Every choice that comes alone is the answer's.
    Counting,
}

/// What a chunk is to the answer, by the index of its only choice.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Next {
    /// It is read now.
    Read,
    /// It is read when the next one came.
    Hold,
}

impl Numbering {
    /// Goes on with a chunk of a choice that came alone, after this many chunks. `held` is the index of the
    /// one that waits.
    pub(super) fn next(&mut self, index: i64, held: Option<i64>, chunks: u64) -> Next {
        *self = match (*self, held) {
            (Self::Unknown, None) if index == 0 => Self::Zero { chunks },
            (Self::Unknown, None) => return Next::Hold,
            (Self::Unknown | Self::Zero { .. }, Some(before)) if index == before + 1 => Self::Counting,
            (Self::Unknown, Some(before)) => Self::Fixed(if index == 0 { 0 } else { before }),
            (Self::Zero { chunks: before }, None) if index == 1 && chunks == before + 1 => return Next::Hold,
            (Self::Zero { .. }, _) => Self::Fixed(0),
            (known, _) => known,
        };
        Next::Read
    }

    /// Ends with a chunk that still waits, of this index; `is_over` when the choice before it has its finish
    /// reason.
    pub(super) fn end(&mut self, held: i64, is_over: bool) {
        *self = match *self {
            Self::Unknown => Self::Fixed(held),
            Self::Zero { .. } if !is_over => Self::Counting,
            Self::Zero { .. } => Self::Fixed(0),
            known => known,
        };
    }

    /// A chunk came with several choices: their indexes are their numbers.
    pub(super) fn fix(&mut self) {
        if matches!(self, Self::Unknown | Self::Zero { .. }) {
            *self = Self::Fixed(0);
        }
    }

    pub(super) fn is_answer(self, index: i64, is_alone: bool) -> bool {
        match self {
            Self::Unknown | Self::Zero { .. } => index == 0,
            Self::Fixed(answer) => index == answer,
            Self::Counting => index == 0 || is_alone,
        }
    }

    pub(super) fn is_decided(self) -> bool {
        matches!(self, Self::Fixed(_) | Self::Counting)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// Which of the choices are the answer's.
    fn answers(indexes: &[i64]) -> Vec<bool> {
        let mut numbering = Numbering::Unknown;
        let mut held: Option<i64> = None;
        let mut out = Vec::new();
        for (chunks, &index) in indexes.iter().enumerate() {
            if numbering.next(index, held, chunks as u64 - u64::from(held.is_some())) == Next::Hold {
                held = Some(index);
                continue;
            }
            out.extend(held.take().map(|index| numbering.is_answer(index, true)));
            out.push(numbering.is_answer(index, true));
        }
        if let Some(index) = held {
            numbering.end(index, false);
            out.push(numbering.is_answer(index, true));
        }
        out
    }

    #[test]
    fn the_first_chunks_decide() {
        let cases: &[(&[i64], &[bool])] = &[
            (&[0, 0, 1, 0], &[true, true, false, true]),
            (&[0, 1, 2, 3], &[true; 4]),
            (&[0, 1], &[true; 2]),
            (&[0, 1, 0, 1], &[true, false, true, false]),
            (&[0, 1, 1, 0], &[true, false, false, true]),
            (&[1, 1, 1], &[true; 3]),
            (&[1, 0, 1], &[false, true, false]),
            (&[1, 2, 3], &[true; 3]),
            (&[5], &[true]),
            (&[-1, -1], &[true; 2]),
            (&[2, 1, 2], &[true, false, true]),
        ];
        for (indexes, want) in cases {
            assert_eq!(&answers(indexes), want, "{indexes:?}");
        }
    }
}
