"""Models written in ibis, compiled to SQL that dbt runs on both engines: `python -m soilhouse.ibis_models [--check]`.

A file `models/**/<model>.ibis` is Python with

    CONFIG = "enabled=needs('patterns')"                      # optional: the arguments of dbt's config()
    INPUTS = {"monthly": ("int_monthly", {"pixel_id": "int64", "value": "float64"})}    # argument: (dbt model, columns used)
    def model(monthly): return monthly.group_by("pixel_id").agg(mean=monthly.value.mean())

and becomes `<model>.sql` beside it, with the SQL of both dialects behind `target.type`. The SQL is committed, so a build needs
neither ibis nor this module, and a reviewer sees what runs; `--check` fails where it no longer is what the .ibis file compiles to.

ibis is for models whose shape is a loop (many factors x methods x strata) or that would otherwise be spelled twice; the default is SQL.
"""

from __future__ import annotations

import argparse
import sys
from importlib.machinery import SourceFileLoader
from importlib.util import module_from_spec, spec_from_loader
from pathlib import Path
from types import ModuleType

from soilhouse.errors import UserError
from soilhouse.settings import project_root

QUOTES = {"duckdb": '"', "pyspark": "`"}
HEADER = "-- generated from {name} by `python -m soilhouse.ibis_models`; do not edit"


def compile_model(source: Path) -> str:
    """The dbt model, SQL with Jinja, of one .ibis file.

    Raises UserError when the file is not Python, lacks INPUTS or model(), or names arguments in one that the other has not.
    """
    module = _load(source)
    duckdb, spark = (_sql(source, module, dialect) for dialect in ("duckdb", "pyspark"))
    config = f"{{{{ config({module.CONFIG}) }}}}\n" if getattr(module, "CONFIG", "") else ""
    return (
        f"{HEADER.format(name=source.name)}\n{config}"
        f"{{% if target.type == 'spark' %}}\n{spark}\n{{% else %}}\n{duckdb}\n{{% endif %}}\n"
    )


def stale_models(models: Path) -> dict[Path, str]:
    """The SQL files under `models` that are missing or not what their .ibis file compiles to, with what they should say."""
    fresh = {source.with_suffix(".sql"): compile_model(source) for source in sorted(models.rglob("*.ibis"))}
    return {path: text for path, text in fresh.items() if not path.exists() or path.read_text(encoding="utf-8") != text}


def _load(source: Path) -> ModuleType:
    # Without bytecode: its cache would lie among the models.
    loader = SourceFileLoader(f"ibis_model_{source.stem}", str(source))
    module = module_from_spec(spec_from_loader(loader.name, loader))
    written, sys.dont_write_bytecode = sys.dont_write_bytecode, True
    try:
        loader.exec_module(module)
    except (SyntaxError, ImportError, NameError) as error:
        raise UserError(f"{source} does not run: {error}", "Mend the file; it is plain Python.") from error
    finally:
        sys.dont_write_bytecode = written
    for name in ("INPUTS", "model"):
        if not hasattr(module, name):
            raise UserError(
                f"{source} has no {name}.", "An .ibis file gives INPUTS and model(); see soilhouse/ibis_models.py."
            )
    return module


def _sql(source: Path, module: ModuleType, dialect: str) -> str:
    import ibis

    try:
        _ = ibis.pyspark  # the dialect is known to ibis only after its backend was touched; no session is started
    except (ImportError, AttributeError) as error:
        raise UserError(
            "Compiling for Spark needs pyspark.", "pip install 'soilhouse[spark]' (the models themselves run without)."
        ) from error

    tables = {
        argument: ibis.table(columns, name=_placeholder(model)) for argument, (model, columns) in module.INPUTS.items()
    }
    try:
        expression = module.model(**tables)
    except (TypeError, AttributeError, ibis.common.exceptions.IbisError) as error:
        raise UserError(
            f"{source}, model(): {type(error).__name__}: {error}", "Compare its arguments and columns with INPUTS."
        ) from error

    quote = QUOTES[dialect]
    sql = str(ibis.to_sql(expression, dialect=dialect))
    for model, _ in module.INPUTS.values():
        sql = sql.replace(f"{quote}{_placeholder(model)}{quote}", f"{{{{ ref('{model}') }}}}")
    return sql


def _placeholder(model: str) -> str:
    # A name that no table has, so that only it is turned into the ref().
    return f"__ref__{model}__"


def main(arguments: list[str] | None = None) -> int:
    """Write what is stale, or with --check only say so; 1 when something was stale and --check was given."""
    parser = argparse.ArgumentParser(prog="python -m soilhouse.ibis_models", description=__doc__.splitlines()[0])
    parser.add_argument("--check", action="store_true", help="write nothing; fail when a committed .sql is stale")
    check = parser.parse_args(arguments).check
    root = project_root()
    try:
        stale = stale_models(root / "models")
    except UserError as error:
        print(error, file=sys.stderr)
        return 2
    for path, text in stale.items():
        print(f"{'stale' if check else 'written'}: {path.relative_to(root)}")
        if not check:
            path.write_text(text, encoding="utf-8")
    if check and stale:
        print("Run `python -m soilhouse.ibis_models` and commit what it writes.", file=sys.stderr)
    return int(check and bool(stale))


if __name__ == "__main__":
    sys.exit(main())
