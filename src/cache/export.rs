//! The windows of a scan by bulk extract: planned, ordered, loaded.
//!
//! What is here is what makes an interrupted scan cheap to go on with: an order is written down
//! before it leaves and its job when it is known, and the rows of a file and the fact that they are
//! in are stored in one transaction.

use chrono::{DateTime, SecondsFormat, Utc};
use rusqlite::{Connection, OptionalExtension as _, params};

use super::fields::Fields;
use super::load::Loader;
use super::scan::{count_by, running};
use super::{Cache, Error, member};
use crate::lead::{Window, parse_time};

/// One window of the scan under way, and how far its job came.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct ExportWindow {
    /// The creation times that it is of.
    pub window: Window,
    /// When a job was last about to be ordered. Without an `export_id`, it may or may not have
    /// been.
    pub asked_at: Option<DateTime<Utc>>,
    /// Marketo's id of the job.
    pub export_id: Option<String>,
    /// How many jobs of it came to nothing.
    pub lost: u32,
    /// Whether the bytes of its file are counted.
    pub charged: bool,
    /// Rows and bytes of its file, once they are in the cache.
    pub loaded: Option<Loaded>,
}

/// A file that is in the cache.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub struct Loaded {
    /// Its rows, repeats included.
    pub rows: u64,
    /// Its bytes.
    pub bytes: u64,
}

impl Cache {
    /// The windows of the scan under way, by time; none before they are planned.
    pub fn export_windows(&self) -> Result<Vec<ExportWindow>, Error> {
        self.read(|db| {
            let mut statement = db.prepare_cached(
                "SELECT start_at, end_at, asked_at, export_id, lost, rows, bytes, charged FROM export_job \
                 ORDER BY start_at",
            )?;
            let windows = statement.query_map([], read)?;
            windows.collect()
        })
    }

    /// Plans the windows that the scan under way is to read.
    pub fn plan_exports(&mut self, windows: &[Window]) -> Result<(), Error> {
        self.write(|db| windows.iter().try_for_each(|window| insert(db, *window)))
    }

    /// Puts shorter windows in the place of one whose file would be too large; its job is
    /// forgotten.
    pub fn split_export(&mut self, window: Window, parts: &[Window]) -> Result<(), Error> {
        self.write(|db| {
            db.execute("DELETE FROM export_job WHERE start_at = ?1", [written(window.start)])?;
            parts.iter().try_for_each(|part| insert(db, *part))
        })
    }

    /// Writes down that a job is about to be ordered, and when; or that none was.
    pub fn ask_export(
        &mut self,
        window: Window,
        asked_at: Option<DateTime<Utc>>,
    ) -> Result<(), Error> {
        self.write(|db| {
            let sql = "UPDATE export_job SET asked_at = ?2 WHERE start_at = ?1";
            db.execute(sql, params![written(window.start), asked_at.map(written)]).map(drop)
        })
    }

    /// Writes down which job it is.
    pub fn keep_export(&mut self, window: Window, export_id: &str) -> Result<(), Error> {
        self.write(|db| {
            let sql = "UPDATE export_job SET export_id = ?2, charged = 0 WHERE start_at = ?1";
            db.execute(sql, params![written(window.start), export_id]).map(drop)
        })
    }

    /// Forgets a job that came to nothing.
    pub fn lose_export(&mut self, window: Window) -> Result<(), Error> {
        self.write(|db| {
            let sql = "UPDATE export_job SET export_id = NULL, asked_at = NULL, charged = 0, lost = lost + 1 \
                       WHERE start_at = ?1";
            db.execute(sql, [written(window.start)]).map(drop)
        })
    }

    /// Writes down that the bytes of the job's file are counted.
    pub fn charge_export(&mut self, window: Window) -> Result<(), Error> {
        self.write(|db| {
            let sql = "UPDATE export_job SET charged = 1 WHERE start_at = ?1";
            db.execute(sql, [written(window.start)]).map(drop)
        })
    }

    /// Forgets how many jobs came to nothing before: what ailed Marketo then need not ail it now.
    pub fn forgive_exports(&mut self) -> Result<(), Error> {
        self.write(|db| db.execute("UPDATE export_job SET lost = 0", []).map(drop))
    }

    /// Forgets the scan that was interrupted, with its jobs: the next one begins anew. Its rows
    /// stay until that ends, and the cache is not complete until then, since they are half of a
    /// scan.
    pub fn forget_interrupted(&mut self) -> Result<(), Error> {
        self.write(|db| {
            db.execute("DELETE FROM export_job", [])?;
            let sql = "UPDATE running SET strategy = 'forgotten', cursor = NULL, expected = NULL";
            db.execute(sql, []).map(drop)
        })
    }

    /// The oldest creation time of a lead in it.
    pub fn oldest_creation(&self) -> Result<Option<DateTime<Utc>>, Error> {
        let oldest: Option<String> = self.read(|db| {
            let Some(place) = Fields::read(db)?.place("createdAt") else { return Ok(None) };
            let sql = format!(
                "SELECT min(oldest) FROM (SELECT min(body ->> {place}) AS oldest FROM lead UNION ALL \
                 SELECT min(line.value ->> '$[2][{place}]') FROM packed, json_each(packed.lines) AS line)"
            );
            db.query_row(&sql, [], |row| row.get(0))
        })?;
        Ok(oldest.as_deref().and_then(parse_time))
    }

    /// Runs a closure that hands in the rows of a window's file and tells its rows and bytes. If it
    /// fails, or the process ends before it returns, nothing of the file is in the cache; if it
    /// succeeds, all of it is, and that it is.
    pub fn load_export<E: From<Error>>(
        &mut self,
        window: Window,
        fill: impl FnOnce(&mut Loader<'_>) -> Result<Loaded, E>,
    ) -> Result<Loaded, E> {
        let path = self.path.clone();
        let failed = |source| E::from(Error::of(&path, source));
        let transaction = self.db.transaction().map_err(failed)?;
        let Some(number) = running(&transaction).map_err(failed)? else {
            return Err(E::from(Error::NoScan { path: path.clone() }));
        };
        member::outdated(&transaction).map_err(failed)?;
        let fields = Fields::read(&transaction).map_err(failed)?;
        let mut rows = Loader::into_scan(&transaction, &path, number, fields);
        let loaded = fill(&mut rows)?;
        let (added, changed) = rows.counted();
        close(&transaction, window, loaded, added, changed).map_err(failed)?;
        transaction.commit().map_err(failed)?;
        Ok(loaded)
    }

    /// How the scan that was interrupted reads; none where none was.
    pub fn interrupted_strategy(&self) -> Result<Option<String>, Error> {
        self.read(|db| {
            db.query_row("SELECT strategy FROM running", [], |row| row.get(0)).optional()
        })
    }
}

fn insert(db: &Connection, window: Window) -> rusqlite::Result<()> {
    let sql = "INSERT INTO export_job (start_at, end_at) VALUES (?1, ?2)";
    db.prepare_cached(sql)?.execute(params![written(window.start), written(window.end)]).map(drop)
}

fn close(
    db: &Connection,
    window: Window,
    loaded: Loaded,
    added: i64,
    changed: i64,
) -> rusqlite::Result<()> {
    db.execute(
        "UPDATE export_job SET rows = ?2, bytes = ?3 WHERE start_at = ?1",
        params![written(window.start), loaded.rows.cast_signed(), loaded.bytes.cast_signed()],
    )?;
    count_by(db, added)?;
    db.execute(
        "UPDATE running SET added = added + ?1, changed = changed + ?2",
        params![added, changed],
    )?;
    Ok(())
}

fn read(row: &rusqlite::Row<'_>) -> rusqlite::Result<ExportWindow> {
    let time = |column: usize| -> rusqlite::Result<Option<DateTime<Utc>>> {
        Ok(row.get::<_, Option<String>>(column)?.as_deref().and_then(parse_time))
    };
    let odd = |column| {
        rusqlite::Error::InvalidColumnType(column, "time".to_owned(), rusqlite::types::Type::Text)
    };
    let start = time(0)?.ok_or_else(|| odd(0))?;
    let end = time(1)?.ok_or_else(|| odd(1))?;
    let number = |column: usize| -> rusqlite::Result<Option<u64>> {
        Ok(row.get::<_, Option<i64>>(column)?.map(i64::unsigned_abs))
    };
    let loaded = number(5)?.zip(number(6)?).map(|(rows, bytes)| Loaded { rows, bytes });
    Ok(ExportWindow {
        window: Window { start, end },
        asked_at: time(2)?,
        export_id: row.get(3)?,
        lost: row.get(4)?,
        charged: row.get(7)?,
        loaded,
    })
}

/// Times as text that sorts by time.
fn written(time: DateTime<Utc>) -> String {
    time.to_rfc3339_opts(SecondsFormat::Secs, true)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::cache::{Row, ScanSpec};
    use crate::lead::Lead;

    fn at(text: &str) -> DateTime<Utc> {
        text.parse().unwrap()
    }

    fn spec(strategy: &str) -> ScanSpec {
        ScanSpec {
            strategy: strategy.to_owned(),
            fields: vec!["id".to_owned()],
            key_signature: String::new(),
        }
    }

    fn window() -> Window {
        Window::new(at("2026-01-01T00:00:00Z"), at("2026-01-31T23:59:59Z")).unwrap()
    }

    fn planned() -> (tempfile::TempDir, Cache) {
        let folder = tempfile::tempdir().unwrap();
        let mut cache = Cache::open(&folder.path().join("cache.db"), "here").unwrap();
        cache.begin_scan(&spec("bulk"), at("2026-02-01T00:00:00Z")).unwrap();
        cache.plan_exports(&[window()]).unwrap();
        (folder, cache)
    }

    #[test]
    fn a_window_goes_from_planned_to_loaded_and_a_finished_scan_leaves_none() {
        let (_folder, mut cache) = planned();
        let now = at("2026-02-01T00:00:05Z");
        cache.ask_export(window(), Some(now)).unwrap();
        cache.keep_export(window(), "one").unwrap();
        cache.lose_export(window()).unwrap();
        cache.keep_export(window(), "two").unwrap();
        let known = cache.export_windows().unwrap();
        assert_eq!(
            (known[0].export_id.as_deref(), known[0].lost, known[0].asked_at),
            (Some("two"), 1, None)
        );
        let row = Row { lead: Lead::new(7), key: None };
        let loaded = Loaded { rows: 2, bytes: 30 };
        cache
            .load_export(window(), |loader| {
                loader.add(&row)?;
                loader.add(&row)?;
                Ok::<_, Error>(loaded)
            })
            .unwrap();
        assert_eq!(cache.export_windows().unwrap()[0].loaded, Some(loaded));
        let totals = cache.finish_scan(at("2026-02-01T01:00:00Z")).unwrap();
        assert_eq!((totals.leads, totals.new), (1, 1), "a lead that comes twice is one");
        assert_eq!(cache.export_windows().unwrap(), []);
        assert_eq!(cache.summary().unwrap().refresh_from, Some(at("2026-02-01T00:00:00Z")));
    }

    #[test]
    fn a_file_that_fails_leaves_nothing_of_itself() {
        let (_folder, mut cache) = planned();
        let failed = cache.load_export(window(), |loader| {
            loader.add(&Row { lead: Lead::new(7), key: None })?;
            Err(Error::NoScan { path: "x".into() })
        });
        assert!(failed.is_err());
        assert_eq!(
            (cache.lead(7).unwrap(), cache.export_windows().unwrap()[0].loaded),
            (None, None)
        );
    }

    #[test]
    fn parts_take_the_place_of_a_window_and_another_scan_begins_without_any() {
        let (_folder, mut cache) = planned();
        let (first, rest) = window().cut(86_400);
        cache.split_export(window(), &[first, rest.unwrap()]).unwrap();
        let windows: Vec<Window> =
            cache.export_windows().unwrap().iter().map(|known| known.window).collect();
        assert_eq!(windows, [first, rest.unwrap()]);
        cache.begin_scan(&spec("bulk"), at("2026-03-01T00:00:00Z")).unwrap();
        assert_eq!(cache.export_windows().unwrap().len(), 2, "the same scan goes on");
        assert_eq!(cache.interrupted_strategy().unwrap().as_deref(), Some("bulk"));
        cache.begin_scan(&spec("pages"), at("2026-03-01T00:00:00Z")).unwrap();
        assert_eq!(cache.export_windows().unwrap(), []);
    }
}
