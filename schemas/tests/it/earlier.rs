//! Records that an earlier build wrote are read.

use crate::examples::{bytes, files};
use crate::file;
use crate::schema_files::parsed;
use apache_avro::reader::datum::GenericDatumReader;
use schemas::frame::FrameError;
use schemas::partners::PartnerSaid;
use schemas::wire::PartnerRecord;

const FOLDER: &str = "topics/partners/v1/earlier";

#[test]
fn partners_of_an_earlier_schema_are_read_as_avro_reads_them() {
    let (writer, reader) =
        (parsed(&format!("{FOLDER}/7.avsc")), parsed("topics/partners/v1/schema.avsc"));
    let by_avro = GenericDatumReader::builder(&writer).reader_schema(&reader).build().unwrap();
    let earlier = files(&file(FOLDER), "hex");
    assert!(!earlier.is_empty());
    for path in earlier {
        let (old, name) = (bytes(&path), path.display());
        let mut datum = &old[5..];
        let value = by_avro.read_value(&mut datum).unwrap();
        let resolved: PartnerRecord = apache_avro::from_value(&value).unwrap();
        assert_eq!(PartnerRecord::read(&old).unwrap(), resolved, "{name}");
        assert!(PartnerSaid::decode(&old).unwrap().is_some(), "{name}");
    }
}

#[test]
fn a_broken_record_of_an_earlier_schema_is_refused() {
    for path in files(&file(FOLDER), "hex") {
        let old = bytes(&path);
        for cut in 5..old.len() {
            let read = PartnerRecord::read(&old[..cut]);
            assert!(matches!(read, Err(FrameError::Datum { .. })), "cut to {cut}: {read:?}");
        }
        let longer = [&old[..], &[0]].concat();
        assert!(matches!(PartnerRecord::read(&longer), Err(FrameError::Trailing(1))));
    }
}
