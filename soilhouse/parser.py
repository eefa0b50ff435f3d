"""The commands, their options and their help. Every help text ends in examples, and every example is parsed by a test."""

from __future__ import annotations

import argparse
from collections.abc import Sequence
from dataclasses import dataclass
from importlib.metadata import version
from typing import NoReturn

from loaders.nearest import suggestion
from soilhouse.errors import UserError
from soilhouse.settings import TARGETS


@dataclass(frozen=True)
class Command:
    """What a command does in one line, what more a newcomer should know, and worked examples: (command, what it does)."""

    summary: str
    details: str
    examples: tuple[tuple[str, str], ...]


COMMANDS: dict[str, Command] = {
    "demo": Command(
        "Make a simulated basin, load it, build it, and show what came out.",
        "The files that it makes have the formats of real products and hold a truth that is known, so that the results can be shown\n"
        "beside it. It takes less than three minutes and writes only into its folder.",
        (
            ("soilhouse demo", "everything, in build/demo of the project"),
            ("soilhouse demo --dir /tmp/basin", "the same in a folder of your own"),
        ),
    ),
    "products": Command(
        "List the products that can be loaded, and which of their months are in the lake.",
        "A product is a YAML file in loaders/products/; data of your own become products when they are loaded.",
        (
            ("soilhouse products", "with the months in the default lake"),
            ("soilhouse products --lake /data/lake", "with the months in another one"),
        ),
    ),
    "load": Command(
        "Read files of a product, check them, and put them into the lake.",
        "A file that cannot be used is named with the reason and skipped; the others are loaded, and the exit code is 1. Loading a\n"
        "file again changes nothing; a newer version of a file replaces the older one. PATH may be a folder: everything in it.",
        (
            ("soilhouse load chirps_monthly rainfall/*.tif", "every month in the folder"),
            (
                "soilhouse load table daily.csv.gz --as my_daily --grid ease2_m36",
                "a table with columns lon, lat, date and variables, as product my_daily",
            ),
            ("soilhouse load regions districts.gpkg --as districts --id-column code", "the regions of a map layer"),
            ("soilhouse load terrain srtm_3s", "slope, aspect and wetness of the elevation that was loaded"),
        ),
    ),
    "build": Command(
        "Check a study and build its tables with dbt.",
        "Everything wrong with a study is said in one message before any work. The tables are in schema `marts` of the database.\n"
        "It is `dbt build --vars \"$(cat STUDY.yml)\"` with the checks before it; plain dbt works too.",
        (
            ("soilhouse build studies/java.yml", "a study"),
            (
                "soilhouse build studies/java.yml --select fct_trends+ --db build/java.duckdb",
                "one table and what stands on it, into a database of its own",
            ),
            (
                "soilhouse build studies/java.yml --start 2017-01-01 --end 2017-04-01",
                "only three months of the large daily tables anew",
            ),
        ),
    ),
    "report": Command(
        "Write one HTML page of a study: maps, plots and the tables behind them.",
        "The page needs no network and no other file: it can be mailed, printed, and opened anywhere. Every figure names the mart and the\n"
        "query it came from. Figures whose marts the study does not build are left out, with a line that says which group to add.",
        (
            ("soilhouse report", "the study in the default database"),
            ("soilhouse report studies/java.yml --db build/java.duckdb --out java.html", "another one, to a place of your own"),
        ),
    ),
    "export": Command(
        "Write maps as GeoTIFF or NetCDF, or tables as files.",
        "Maps come from any mart with pixels: `soilhouse export rasters --help`. Each keeps its grid, its projection and every digit, and says\n"
        "what it was made of; maps of simulated data say SIMULATED.",
        (
            (
                "soilhouse export rasters --mart fct_trends --column sen_slope_per_year --where \"product = 'chirps_monthly'\"",
                "Cloud-Optimised GeoTIFFs, a file a map",
            ),
            (
                "soilhouse export rasters --mart fct_pixel_monthly --column value --where \"variable = 'soil_moisture' and year(month) = 2020\" --form netcdf",
                "CF NetCDF, the months in one file a product",
            ),
            (
                "soilhouse export rasters --mart fct_soil_moisture_daily --column soil_moisture_m3m3 --where \"product = 'smap' and year = 2020\" --form scaled",
                "int16 x 10,000 with YYYYDDD in the name, as other 1 km data sets have it",
            ),
            ("soilhouse export tables --region upper", "the tables of one region as CSV and Excel (group `desk` of the study)"),
        ),
    ),
    "publish": Command(
        "Give the tables to readers: a snapshot, a PostgreSQL database, dashboards.",
        "Every build ends with a snapshot beside its database (snapshot.duckdb), which readers open without being in the way of the next\n"
        "build; without TARGET it is written again. With an address its tables go to PostgreSQL with PostGIS, in one transaction, and only\n"
        "what changed; the password comes from PGPASSWORD or ~/.pgpass. A .zip is dashboards to import into Apache Superset.",
        (
            ("soilhouse publish", "the snapshot anew, such as after a plain `dbt build`"),
            ("soilhouse publish --daily", "the snapshot with the large daily tables, which a build leaves out of it"),
            ("soilhouse publish /shared/soil.duckdb", "a copy for others"),
            (
                "soilhouse publish 'postgresql://soil@db.example.org/gis?sslmode=verify-full'",
                "into schema soilhouse of a database, encrypted, the server's certificate checked",
            ),
            ("soilhouse publish dashboards.zip", "dashboards for Apache Superset"),
        ),
    ),
    "doctor": Command(
        "Check the installation, the lake and the database, one line each.",
        "Each line is ok, a warning or a problem, with what to do about it. The exit code is 1 when there is a problem.",
        (
            ("soilhouse doctor", "the default lake and database"),
            ("soilhouse doctor --lake /data/lake --db /data/soil.duckdb", "others"),
        ),
    ),
}  # fmt: skip

OVERVIEW = """Soilhouse is a warehouse for soil moisture: rasters and station files go in, SQL tables come out.

  files -- load --> lake (Parquet) -- build --> tables (DuckDB or Spark) --> SQL, BI, reports
"""

ENVIRONMENT = """environment:
  SOILHOUSE_LAKE     the lake (default lake/ in the project)
  SOILHOUSE_DB       the database (default build/soilhouse.duckdb in the project)
  SOILHOUSE_TARGET   duckdb or spark
  SOILHOUSE_MEMORY   what DuckDB may use, such as 8GB
  SOILHOUSE_DEBUG    1 shows Python tracebacks"""


class Parser(argparse.ArgumentParser):
    """argparse that answers a wrong word with the nearest right one, and leaves printing and exiting to the caller."""

    def error(self, message: str) -> NoReturn:
        """Raises UserError with exit code 2."""
        unknown = [w for w in message.removeprefix("unrecognized arguments: ").split() if w.startswith("--")]
        if message.startswith("unrecognized arguments") and unknown:
            known = [option for action in self._every_action() for option in action.option_strings]
            message = f"{message}. {suggestion(unknown[0].split('=')[0], known)}"
        raise UserError(f"{self.prog}: {message}", f"{self.prog} --help shows what it takes, with examples.", code=2)

    def _every_action(self) -> list[argparse.Action]:
        actions = list(self._actions)
        for action in self._actions:
            if isinstance(action, argparse._SubParsersAction):
                actions += [inner for parser in action.choices.values() for inner in parser._actions]
        return actions


def parser() -> Parser:
    """The parser of the whole command line."""
    top = Parser(
        prog="soilhouse",
        description=OVERVIEW,
        epilog=f"{_first_steps()}\n\n{ENVIRONMENT}",
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    top.add_argument("--version", action="version", version=f"soilhouse {version('soilhouse')}")
    commands = top.add_subparsers(dest="command", title="commands", metavar="COMMAND", parser_class=Parser)
    for name, add_options in (
        ("demo", _demo),
        ("products", _products),
        ("load", _load),
        ("build", _build),
        ("report", _report),
        ("export", _export),
        ("publish", _publish),
        ("doctor", _doctor),
    ):
        command = COMMANDS[name]
        add_options(
            commands.add_parser(
                name,
                help=command.summary,
                description=f"{command.summary}\n\n{command.details}",
                epilog=_examples(command),
                formatter_class=argparse.RawDescriptionHelpFormatter,
                allow_abbrev=False,
            )
        )
    return top


def parse(arguments: Sequence[str]) -> argparse.Namespace:
    """The parsed command line. Raises UserError (code 2) for wrong usage, SystemExit after --help and --version."""
    arguments = list(arguments)
    word = next((a for a in arguments if not a.startswith("-")), None)
    if word is not None and arguments[0] == word and word not in COMMANDS:
        raise UserError(
            f"soilhouse has no command {word!r}. {suggestion(word, COMMANDS)}", "soilhouse --help lists them.", 2
        )
    return parser().parse_args(arguments)


def _examples(command: Command) -> str:
    lines = [f"  {line}\n      {what}" for line, what in command.examples]
    return "\n".join(["examples:", *lines])


def _first_steps() -> str:
    return (
        "first steps:\n"
        "  soilhouse demo            see it work on simulated data\n"
        "  soilhouse load --help     bring data of your own\n"
        "  soilhouse build --help    make tables of it"
    )


def _demo(parser: Parser) -> None:
    parser.add_argument("--dir", metavar="DIR", help="where everything is written (default build/demo in the project)")


def _products(parser: Parser) -> None:
    _lake(parser)


def _load(parser: Parser) -> None:
    parser.add_argument("product", metavar="PRODUCT", help="a name that `soilhouse products` lists")
    parser.add_argument("paths", metavar="PATH", nargs="+", help="files, or folders of files")
    own = parser.add_argument_group("data of your own (table, raster, stations, regions)")
    own.add_argument("--as", dest="name", metavar="NAME", help="the name it gets in the lake")
    own.add_argument("--grid", metavar="GRID", help="the grid that the points or cells lie on, such as ease2_m36")
    own.add_argument(
        "--mapping",
        metavar="FILE",
        help="YAML with what the files do not say themselves: variables, units, fills, dates",
    )
    own.add_argument("--study", metavar="STUDY.yml", help="first keep the grids that this study defines in the lake")
    regions = parser.add_argument_group("regions")
    regions.add_argument("--layer", metavar="LAYER", help="the layer of a GeoPackage (default the only one)")
    regions.add_argument("--id-column", metavar="COLUMN", help="the attribute that identifies a region")
    regions.add_argument("--name-column", metavar="COLUMN", help="the attribute with a region's name")
    regions.add_argument("--level-column", metavar="COLUMN", help="the attribute with a region's level, 0 the largest")
    _lake(parser)
    parser.add_argument("--workers", type=_positive, default=2, metavar="N", help="files read at once (default 2)")


def _build(parser: Parser) -> None:
    parser.add_argument(
        "study", metavar="STUDY.yml", nargs="?", help="the study file (default the demo's, of dbt_project.yml)"
    )
    parser.add_argument(
        "--select",
        nargs="+",
        default=[],
        metavar="MODEL",
        help="only these models, in dbt's words: fct_trends, +fct_trends, tag:x",
    )
    parser.add_argument("--exclude", nargs="+", default=[], metavar="MODEL", help="not these")
    parser.add_argument("--target", choices=TARGETS, help="the engine (default duckdb); Spark needs Java 17")
    parser.add_argument("--start", metavar="YYYY-MM-01", help="rebuild the large daily tables from this month")
    parser.add_argument("--end", metavar="YYYY-MM-01", help="up to, not including, this one")
    parser.add_argument("--full-refresh", action="store_true", help="drop and build anew what is otherwise added to")
    parser.add_argument("--threads", type=_positive, metavar="N", help="models built at once")
    _lake(parser)
    _database(parser)


def _report(parser: Parser) -> None:
    parser.add_argument(
        "study",
        metavar="STUDY.yml",
        nargs="?",
        help="the study's file, for its title and period (default the one of that name)",
    )
    parser.add_argument("--out", metavar="FILE", help="the page (default STUDY_report.html beside the database)")
    _lake(parser)
    _database(parser)


def _export(parser: Parser) -> None:
    forms = parser.add_subparsers(dest="what", title="what", metavar="WHAT", required=True, parser_class=Parser)
    tables = forms.add_parser(
        "tables",
        help="a region's tables as CSV and Excel",
        description="Write the tables that a desk takes away, a folder a region: CSV and one Excel workbook, with what each column is and\n"
        "what the numbers were made of.",
        epilog=_examples(COMMANDS["export"]),
        formatter_class=argparse.RawDescriptionHelpFormatter,
        allow_abbrev=False,
    )
    tables.add_argument("--region", metavar="REGION", help="one region only (default all of them)")
    tables.add_argument(
        "--form", nargs="+", choices=("csv", "xlsx"), default=["csv", "xlsx"], help="the files (default both)"
    )
    tables.add_argument("--out", metavar="DIR", help="where they go (default tables/ beside the database)")
    tables.add_argument(
        "--study", metavar="STUDY.yml", help="the study's file, for its title (default the one of that name)"
    )
    _lake(tables)
    _database(tables)
    _export_rasters(
        forms.add_parser(
            "rasters",
            help="maps of a column of a mart",
            description="Write the maps of a column of a mart: a map is what its rows hold for one month, product, layer, ...\n"
            "--where chooses rows in SQL; what still differs between maps goes into the files' names.",
            epilog=_examples(COMMANDS["export"]),
            formatter_class=argparse.RawDescriptionHelpFormatter,
            allow_abbrev=False,
        )
    )


def _export_rasters(parser: Parser) -> None:
    parser.add_argument("--mart", required=True, metavar="MART", help="a mart with pixels, such as fct_pixel_monthly")
    parser.add_argument(
        "--column", required=True, metavar="COLUMN", help="what the map shows: a number, a class, yes and no"
    )
    parser.add_argument(
        "--where",
        default="",
        metavar="SQL",
        help="which rows, as after WHERE: \"product = 'x' and year(month) = 2020\"",
    )
    parser.add_argument(
        "--by", nargs="+", default=[], metavar="COLUMN", help="also a map of each value of these columns"
    )
    parser.add_argument(
        "--form",
        choices=("geotiff", "scaled", "netcdf"),
        default="geotiff",
        help="geotiff: Cloud-Optimised GeoTIFF, every digit (default). scaled: the same as int16 x 10,000, no data -9999, YYYYDDD in"
        " the name. netcdf: CF NetCDF, the times of a map in one file",
    )
    parser.add_argument("--out", metavar="DIR", help="where the files go (default rasters/ beside the database)")
    parser.add_argument(
        "--study", metavar="STUDY.yml", help="the study's file, for its title (default the one of that name)"
    )
    _lake(parser)
    _database(parser)


def _publish(parser: Parser) -> None:
    parser.add_argument(
        "to",
        metavar="TARGET",
        nargs="?",
        help="postgresql://user@host/database, FILE.duckdb or FILE.zip (default the snapshot)",
    )
    parser.add_argument("--daily", action="store_true", help="also the daily tables, which lie in the lake's files")
    postgres = parser.add_argument_group("PostgreSQL")
    postgres.add_argument("--schema", default="soilhouse", metavar="NAME", help="the schema (default soilhouse)")
    reading = postgres.add_mutually_exclusive_group()
    reading.add_argument(
        "--reader", default="soilhouse_reader", metavar="ROLE", help="the role that may read (default soilhouse_reader)"
    )
    reading.add_argument(
        "--no-reader", action="store_const", dest="reader", const=None, help="leave roles and rights alone"
    )
    postgres.add_argument("--no-geometry", action="store_true", help="without PostGIS")
    postgres.add_argument("--everything", action="store_true", help="send what has not changed too")
    postgres.add_argument("--replace", action="store_true", help="in the place of another study in the schema")
    _database(parser)


def _doctor(parser: Parser) -> None:
    _lake(parser)
    _database(parser)


def _lake(parser: Parser) -> None:
    parser.add_argument("--lake", metavar="DIR", help="the lake (default SOILHOUSE_LAKE, else lake/ in the project)")


def _database(parser: Parser) -> None:
    parser.add_argument(
        "--db", metavar="FILE", help="the database (default SOILHOUSE_DB, else build/soilhouse.duckdb in the project)"
    )


def _positive(text: str) -> int:
    if not text.isdigit() or int(text) < 1:
        raise argparse.ArgumentTypeError(f"{text!r} is not a whole number above 0")
    return int(text)
