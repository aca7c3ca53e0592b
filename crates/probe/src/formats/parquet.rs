//! Exchanges as a Parquet file, for DuckDB, ClickHouse, Spark and their likes: a row each, with the
//! columns of [`mod@crate::formats::csv`] under their types. In: exchanges in their places. Out: the file, a group of
//! rows at a time. Pages are not compressed: every reader reads them, and the codecs would be many.

use std::io::{self, Write};
use std::sync::Arc;

use parquet::basic::{LogicalType, Repetition, TimeUnit, Type as Physical};
use parquet::data_type::{ByteArray, ByteArrayType, DoubleType, Int64Type};
use parquet::errors::ParquetError;
use parquet::file::properties::WriterProperties;
use parquet::file::writer::{SerializedFileWriter, SerializedRowGroupWriter};
use parquet::schema::types::{Type, TypePtr};

use crate::formats::columns::{COLUMNS, Cell, Kind};
use crate::summary::Placed;

/// How many rows are in memory before they are written.
const GROUP_ROWS: usize = 10_000;

/// A Parquet file in the making.
pub struct Table<W: Write + Send> {
    writer: SerializedFileWriter<W>,
    /// The rows of the next group.
    rows: Vec<Vec<Option<Cell>>>,
}

impl<W: Write + Send> Table<W> {
    /// Begins a file.
    ///
    /// # Errors
    /// When `out` cannot be written.
    pub fn new(out: W) -> io::Result<Self> {
        let properties = Arc::new(WriterProperties::builder().build());
        let schema = schema().map_err(failed)?;
        let writer = SerializedFileWriter::new(out, schema, properties).map_err(failed)?;
        Ok(Table { writer, rows: Vec::new() })
    }

    /// Adds the row of an exchange.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn row(&mut self, placed: &Placed<'_>) -> io::Result<()> {
        self.rows.push(COLUMNS.iter().map(|column| (column.of)(placed)).collect());
        if self.rows.len() >= GROUP_ROWS { self.group() } else { Ok(()) }
    }

    /// Writes what is left, and the end of the file.
    ///
    /// # Errors
    /// When it cannot be written.
    pub fn finish(mut self) -> io::Result<()> {
        if !self.rows.is_empty() {
            self.group()?;
        }
        self.writer.close().map(drop).map_err(failed)
    }

    fn group(&mut self) -> io::Result<()> {
        let rows = std::mem::take(&mut self.rows);
        let mut group = self.writer.next_row_group().map_err(failed)?;
        for (at, column) in COLUMNS.iter().enumerate() {
            let cells: Vec<Option<&Cell>> =
                rows.iter().map(|row| row.get(at).and_then(Option::as_ref)).collect();
            write_column(&mut group, column.kind, &cells).map_err(failed)?;
        }
        group.close().map(drop).map_err(failed)
    }
}

fn failed(error: ParquetError) -> io::Error {
    io::Error::other(error)
}

/// The columns as Parquet names their types.
fn schema() -> Result<TypePtr, ParquetError> {
    let fields: Result<Vec<TypePtr>, ParquetError> = COLUMNS
        .iter()
        .map(|column| {
            let (physical, logical) = match column.kind {
                Kind::Text => (Physical::BYTE_ARRAY, Some(LogicalType::String)),
                Kind::Count => (Physical::INT64, None),
                Kind::Time => (Physical::INT64, Some(timestamp())),
                Kind::Money => (Physical::DOUBLE, None),
            };
            let field = Type::primitive_type_builder(column.name, physical)
                .with_repetition(Repetition::OPTIONAL)
                .with_logical_type(logical);
            field.build().map(Arc::new)
        })
        .collect();
    Type::group_type_builder("exchange").with_fields(fields?).build().map(Arc::new)
}

fn timestamp() -> LogicalType {
    LogicalType::timestamp(true, TimeUnit::MILLIS)
}

/// Writes a column of a group; a cell that is missing has no value, only its level.
fn write_column<W: Write + Send>(
    group: &mut SerializedRowGroupWriter<'_, W>,
    kind: Kind,
    cells: &[Option<&Cell>],
) -> Result<(), ParquetError> {
    let Some(mut column) = group.next_column()? else { return Ok(()) };
    let levels: Vec<i16> = cells.iter().map(|cell| i16::from(cell.is_some())).collect();
    let present = cells.iter().copied().flatten();
    match kind {
        Kind::Text => {
            let values: Vec<ByteArray> = present
                .filter_map(|cell| match cell {
                    Cell::Text(text) => Some(ByteArray::from(text.as_str())),
                    _ => None,
                })
                .collect();
            column.typed::<ByteArrayType>().write_batch(&values, Some(&levels), None)?;
        }
        Kind::Count | Kind::Time => {
            let values: Vec<i64> = present
                .filter_map(|cell| match cell {
                    Cell::Count(count) => Some(i64::try_from(*count).unwrap_or(i64::MAX)),
                    Cell::Time(unix_ms) => Some(*unix_ms),
                    _ => None,
                })
                .collect();
            column.typed::<Int64Type>().write_batch(&values, Some(&levels), None)?;
        }
        Kind::Money => {
            let values: Vec<f64> = present
                .filter_map(|cell| match cell {
                    Cell::Money(usd) => Some(*usd),
                    _ => None,
                })
                .collect();
            column.typed::<DoubleType>().write_batch(&values, Some(&levels), None)?;
        }
    }
    column.close()
}
