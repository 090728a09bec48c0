// SPDX-License-Identifier: MIT OR Apache-2.0
//! Aligned tables on standard output.

use comfy_table::{CellAlignment, LineStyle, Table, TableStyle};

/// A table whose first `left` columns are text, and the others figures.
pub fn new(header: &[&str], left: usize) -> Table {
    let line = LineStyle::none().fill('─').junction('─');
    let mut table = Table::new();
    table.load_style(TableStyle::new().header_separator(line)).set_header(header.iter().copied());
    for column in table.column_iter_mut().skip(left) {
        column.set_cell_alignment(CellAlignment::Right);
    }
    table
}
