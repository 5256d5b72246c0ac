//! What a batch says, whatever it looks like.

use super::batch::input;
use crate::error::Error;
use crate::print::{Fingerprint, Printer};

/// The fingerprint of a CSV text's cells. Quoting, line ends, blank lines and a byte order mark do
/// not count: the server gives a batch's text back, but nobody has promised that it is the same to
/// the byte.
///
/// Fails with [`ErrorKind::Input`](crate::ErrorKind::Input) if it is no CSV.
pub(crate) fn content(text: &[u8]) -> Result<Fingerprint, Error> {
    let text = text.strip_prefix("\u{feff}".as_bytes()).unwrap_or(text);
    let mut reader = csv::ReaderBuilder::new().has_headers(false).flexible(true).from_reader(text);
    let (mut record, mut printer) = (csv::ByteRecord::new(), Printer::default());
    while reader.read_byte_record(&mut record).map_err(|e| input(format!("this is no CSV: {e}")))? {
        printer.add(&(record.len() as u64).to_le_bytes());
        for cell in &record {
            printer.add(&(cell.len() as u64).to_le_bytes());
            printer.add(cell);
        }
    }
    Ok(printer.so_far())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn looks_do_not_count_but_cells_do() {
        let print = |text: &str| content(text.as_bytes()).unwrap();
        let text = "A,B\nx,\"y \"\"z\"\"\"\n";
        for same in [
            "\u{feff}A,B\r\nx,\"y \"\"z\"\"\"",
            "\"A\",\"B\"\n\n\"x\",\"y \"\"z\"\"\"\n\n",
            "A,B\rx,\"y \"\"z\"\"\"\r",
        ] {
            assert_eq!(print(text), print(same), "{same}");
        }
        for other in [
            "A,B\nx,y",
            "A,B\nx,\"y \"\"z\"\"\"\nx,y",
            "A,B,x\n\"y \"\"z\"\"\"",
            "A\nB\nx\n\"y \"\"z\"\"\"",
        ] {
            assert_ne!(print(text), print(other), "{other}");
        }
    }
}
