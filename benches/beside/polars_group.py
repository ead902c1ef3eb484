"""polars: the groups straight from the file. Usage: polars_group.py FILE"""

import sys

import polars as pl

key = pl.col("email").str.strip_chars().str.to_lowercase()
groups = (
    pl.scan_csv(sys.argv[1], infer_schema=False)
    .filter(pl.col("email").str.strip_chars() != "")
    .group_by(key.alias("key"))
    .len()
    .filter(pl.col("len") > 1)
    .select(pl.len(), pl.col("len").sum() - pl.len())
    .collect()
)
print(groups.row(0))
