//! The little linear algebra that the recipe needs, in f64.
//!
//! Products are plain loops in a fixed order: no fused operations and no kernels chosen by the processor.

use nalgebra::{DMatrix, SymmetricEigen};

/// A dense matrix, row by row.
#[derive(Clone)]
pub(crate) struct Matrix {
    columns: usize,
    data: Vec<f64>,
}

impl Matrix {
    pub(crate) fn zeros(rows: usize, columns: usize) -> Self {
        Self { columns, data: vec![0.0; rows * columns] }
    }

    /// Rows of equal length.
    pub(crate) fn from_rows(rows: &[Vec<f64>]) -> Self {
        Self { columns: rows.first().map_or(0, Vec::len), data: rows.concat() }
    }

    pub(crate) fn columns(&self) -> usize {
        self.columns
    }

    pub(crate) fn row(&self, row: usize) -> &[f64] {
        &self.data[row * self.columns..][..self.columns]
    }

    pub(crate) fn row_mut(&mut self, row: usize) -> &mut [f64] {
        &mut self.data[row * self.columns..][..self.columns]
    }

    pub(crate) fn rows(&self) -> impl ExactSizeIterator<Item = &[f64]> {
        self.data.chunks_exact(self.columns)
    }

    pub(crate) fn rows_mut(&mut self) -> impl ExactSizeIterator<Item = &mut [f64]> {
        self.data.chunks_exact_mut(self.columns)
    }

    /// The rows from `first` on.
    pub(crate) fn rows_from(&self, first: usize) -> Self {
        Self { columns: self.columns, data: self.data[first * self.columns..].to_vec() }
    }

    /// Each row with a factor of its own.
    pub(crate) fn scaled_rows(mut self, factors: &[f64]) -> Self {
        for (row, factor) in self.rows_mut().zip(factors) {
            row.iter_mut().for_each(|x| *x *= factor);
        }
        self
    }

    /// `self · other`.
    pub(crate) fn times(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.rows().len(), other.columns);
        for (row, sum) in self.rows().zip(product.rows_mut()) {
            for (&x, other) in row.iter().zip(other.rows()) {
                add(sum, x, other);
            }
        }
        product
    }

    /// `selfᵀ · other`.
    pub(crate) fn transposed_times(&self, other: &Self) -> Self {
        let mut product = Self::zeros(self.columns, other.columns);
        for (row, other) in self.rows().zip(other.rows()) {
            for (&x, sum) in row.iter().zip(product.rows_mut()) {
                add(sum, x, other);
            }
        }
        product
    }

    /// The mean of the rows.
    pub(crate) fn mean(&self) -> Vec<f64> {
        let mut mean = vec![0.0; self.columns];
        self.rows().for_each(|row| add(&mut mean, 1.0, row));
        let count = count(self.rows().len());
        mean.iter_mut().for_each(|x| *x /= count);
        mean
    }

    /// `self` with `vector` taken off each row.
    pub(crate) fn minus(mut self, vector: &[f64]) -> Self {
        self.rows_mut().for_each(|row| add(row, -1.0, vector));
        self
    }

    /// The sum of all squares.
    pub(crate) fn squares(&self) -> f64 {
        self.data.iter().map(|x| x * x).sum()
    }

    /// As columns, the eigenvectors of a symmetric matrix, by falling eigenvalue; each one's largest
    /// component is positive.
    pub(crate) fn eigenvectors(&self) -> Self {
        let size = self.columns;
        let eigen = SymmetricEigen::new(DMatrix::from_row_slice(size, size, &self.data));
        let mut order: Vec<usize> = (0..size).collect();
        order.sort_by(|&a, &b| eigen.eigenvalues[b].total_cmp(&eigen.eigenvalues[a]));
        let mut vectors = Self::zeros(size, size);
        for (to, from) in order.into_iter().enumerate() {
            let column = eigen.eigenvectors.column(from);
            let sign = column[column.icamax()].signum();
            for (row, x) in vectors.rows_mut().zip(column.iter()) {
                row[to] = sign * x;
            }
        }
        vectors
    }

    /// The `x` of `self · x = right`, for a symmetric positive definite matrix.
    pub(crate) fn solve(&self, right: &Self) -> Option<Self> {
        let size = self.columns;
        let factor = DMatrix::from_row_slice(size, size, &self.data).cholesky()?;
        let x = factor.solve(&DMatrix::from_row_slice(size, right.columns, &right.data));
        Some(Self { columns: right.columns, data: x.transpose().as_slice().to_vec() })
    }

    /// The first columns.
    pub(crate) fn first_columns(&self, columns: usize) -> Self {
        let data = self.rows().flat_map(|row| &row[..columns]).copied().collect();
        Self { columns, data }
    }

    /// Both, side by side.
    pub(crate) fn beside(&self, other: &Self) -> Self {
        let data = self.rows().zip(other.rows()).flat_map(|(a, b)| [a, b].concat()).collect();
        Self { columns: self.columns + other.columns, data }
    }
}

/// `sum += factor · row`.
pub(crate) fn add(sum: &mut [f64], factor: f64, row: &[f64]) {
    sum.iter_mut().zip(row).for_each(|(sum, x)| *sum += factor * x);
}

/// A count as a factor. Exact: nothing here counts beyond 2³².
pub(crate) fn count(n: usize) -> f64 {
    u32::try_from(n).map_or(f64::INFINITY, f64::from)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn matrix(rows: &[&[f64]]) -> Matrix {
        Matrix::from_rows(&rows.iter().map(|row| row.to_vec()).collect::<Vec<_>>())
    }

    fn near(a: &Matrix, b: &Matrix) -> bool {
        a.columns == b.columns && a.data.iter().zip(&b.data).all(|(a, b)| (a - b).abs() < 1e-12)
    }

    #[test]
    fn products_are_rows_by_columns() {
        let a = matrix(&[&[1.0, 2.0], &[3.0, 4.0], &[5.0, 6.0]]);
        let b = matrix(&[&[1.0, 0.0, 2.0], &[0.0, 1.0, 3.0]]);
        assert!(near(&a.times(&b), &matrix(&[&[1.0, 2.0, 8.0], &[3.0, 4.0, 18.0], &[5.0, 6.0, 28.0]])));
        assert!(near(&a.transposed_times(&a), &matrix(&[&[35.0, 44.0], &[44.0, 56.0]])));
    }

    #[test]
    fn a_solution_solves() {
        let a = matrix(&[&[4.0, 1.0], &[1.0, 3.0]]);
        let x = matrix(&[&[1.0, -2.0, 0.5], &[2.0, 0.0, 1.0]]);
        assert!(near(&a.solve(&a.times(&x)).unwrap(), &x));
    }

    #[test]
    fn eigenvectors_come_by_falling_eigenvalue_with_a_fixed_sign() {
        let half = 0.5_f64.sqrt();
        let vectors = matrix(&[&[2.0, 1.0], &[1.0, 2.0]]).eigenvectors();
        assert!(near(&vectors.times(&matrix(&[&[1.0], &[0.0]])), &matrix(&[&[half], &[half]])));
    }
}
