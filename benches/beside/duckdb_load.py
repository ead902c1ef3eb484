"""DuckDB: the file into a table of text, then the groups. Usage: duckdb_load.py FILE DATABASE"""

import os
import sys

import duckdb

file, database = sys.argv[1:]
if os.path.exists(database):
    os.remove(database)
db = duckdb.connect(database)
db.execute("CREATE TABLE lead AS SELECT * FROM read_csv(?, all_varchar = true)", [file])
print(
    db.execute(
        """SELECT count(*), sum(records) - count(*) FROM
           (SELECT count(*) AS records FROM lead WHERE trim(email) <> '' GROUP BY lower(trim(email)) HAVING count(*) > 1)"""
    ).fetchone()
)
db.close()
