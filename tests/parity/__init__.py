"""`python -m tests.parity`: one lake through `dbt build` on DuckDB and on a Spark cluster, and every table compared row by row."""
