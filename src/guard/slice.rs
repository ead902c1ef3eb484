//! How many records fit in a call: 300, and a body under Marketo's 1 MB. Pure.

use serde_json::{Map, Value};

use crate::marketo::{BATCH, BODY_BYTES};

/// What the envelope of a call takes.
const ENVELOPE: usize = 1_000;

/// Cuts records into calls, in order. A record that is too large for any call gets one of its own,
/// which Marketo then refuses with HTTP 413, so that it fails alone.
pub(super) fn slices(records: &[Map<String, Value>]) -> Vec<std::ops::Range<usize>> {
    let mut slices = Vec::new();
    let (mut start, mut bytes) = (0, 0);
    for (place, record) in records.iter().enumerate() {
        // A map of plain values always serialises.
        let size = serde_json::to_vec(record).map_or(BODY_BYTES, |text| text.len()) + 1;
        let full = place - start == BATCH || bytes + size > BODY_BYTES - ENVELOPE;
        if full && place > start {
            slices.push(start..place);
            (start, bytes) = (place, 0);
        }
        bytes += size;
    }
    if start < records.len() {
        slices.push(start..records.len());
    }
    slices
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;
    use serde_json::{Map, Value, json};

    use super::slices;

    proptest! {
        #![proptest_config(ProptestConfig::with_cases(32))]
        #[test]
        fn every_record_is_in_one_call_and_no_call_is_too_large(
            // Of small records a call takes as many as Marketo takes, of large ones as many bytes.
            sizes in prop_oneof![Just(300_usize), Just(4_000), Just(60_000)]
                .prop_flat_map(|largest| proptest::collection::vec(0..largest, 0..700))
        ) {
            let records: Vec<Map<String, Value>> = sizes
                .iter()
                .map(|size| Map::from_iter([("notes".to_owned(), json!("x".repeat(*size)))]))
                .collect();
            let cut = slices(&records);
            let covered: Vec<usize> = cut.iter().cloned().flatten().collect();
            prop_assert_eq!(covered, (0..records.len()).collect::<Vec<_>>());
            for slice in cut {
                prop_assert!(slice.len() <= 300);
                let body = json!({"action": "createOnly", "lookupField": "email", "input": records[slice]}).to_string();
                prop_assert!(body.len() < 1_000_000, "{} bytes", body.len());
            }
        }
    }
}
