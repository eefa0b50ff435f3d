"""The lint over compiled SQL: what both engines run must be spelled so that both take it, and take it alike.

Every model and data test is compiled for DuckDB and for Spark. A spelling that is in both texts comes from the model itself and is
judged; a spelling that is in one text only was written by a macro for that engine (`duckdb__`, `spark__`) and is none of our business.
Each rule says what to write instead; docs/engines.md lists the macros.
"""

from __future__ import annotations

import re
from collections import Counter
from collections.abc import Callable, Collection, Iterator, Mapping
from dataclasses import dataclass, field
from functools import cached_property

import duckdb
import sqlglot
from sqlglot import exp
from sqlglot.dialects import DuckDB, Spark
from sqlglot.errors import SqlglotError
from sqlglot.tokens import Token, TokenType

from tests.compiled import Node
from udfs.registry import KERNELS

Key = tuple[str, ...]
Hit = tuple[Key, str]


@dataclass(frozen=True)
class Finding:
    """A spelling that is not shared: `found` as it stands in the compiled SQL, `instead` what to write."""

    model: str
    rule: str
    found: str
    instead: str

    def __str__(self) -> str:
        return f"{self.model}: {self.rule}: {' '.join(self.found.split())[:120]}\n    {self.instead}"


@dataclass(frozen=True)
class Columns:
    """What the project's YAML says of column names: their type where all contracts agree, and which are never NULL."""

    types: Mapping[str, str] = field(default_factory=dict)
    never_null: frozenset[str] = frozenset()


class _NullsSmall(DuckDB):
    NULL_ORDERING = "nulls_are_small"


class _NullsLarge(DuckDB):
    NULL_ORDERING = "nulls_are_large"


class _SparkNullsSmall(Spark):
    NULL_ORDERING = "nulls_are_small"


class _SparkNullsLarge(Spark):
    NULL_ORDERING = "nulls_are_large"


_DIALECTS = {"duckdb": (_NullsSmall, _NullsLarge), "spark": (_SparkNullsSmall, _SparkNullsLarge)}


@dataclass(frozen=True)
class Text:
    """One engine's SQL, as tokens and as a tree."""

    sql: str
    engine: str
    columns: Columns

    @cached_property
    def tokens(self) -> list[Token]:
        return sqlglot.tokenize(self.sql, read=_DIALECTS[self.engine][0])

    @cached_property
    def tree(self) -> exp.Expression:
        return sqlglot.parse_one(self.sql, read=_DIALECTS[self.engine][0])

    @cached_property
    def token_before(self) -> dict[int, TokenType | None]:
        """The kind of the token before the one that starts at a position of the text."""
        before: list[Token | None] = [None, *self.tokens]
        return {token.start: last and last.token_type for last, token in zip(before, self.tokens, strict=False)}

    def calls(self) -> Iterator[tuple[str, int]]:
        """Every function called, in lower case as written, and where its token is."""
        for i, (token, following) in enumerate(zip(self.tokens, self.tokens[1:], strict=False)):
            last = self.tokens[i - 1].token_type if i else None
            if (
                following.token_type == TokenType.L_PAREN
                and re.fullmatch(r"[A-Za-z_]\w*", token.text)
                and token.text.lower() not in _NOT_FUNCTIONS
                and last not in (TokenType.ALIAS, TokenType.WITH, TokenType.RECURSIVE)
                and not self._names_columns(i)
            ):
                yield token.text.lower(), i

    def _names_columns(self, i: int) -> bool:
        """Whether `name (` at token i begins `name (columns) as (` of a common table expression."""
        depth = 0
        for j in range(i + 1, len(self.tokens)):
            kind = self.tokens[j].token_type
            depth += (kind == TokenType.L_PAREN) - (kind == TokenType.R_PAREN)
            if depth == 0:
                following = [token.token_type for token in self.tokens[j + 1 : j + 3]]
                return following == [TokenType.ALIAS, TokenType.L_PAREN]
        return False

    def around(self, i: int, width: int = 6) -> str:
        """The text from token i on."""
        last = self.tokens[min(i + width, len(self.tokens) - 1)]
        return self.sql[self.tokens[i].start : last.end + 1]


@dataclass(frozen=True)
class Rule:
    """`find` yields (key, snippet) for each spelling; keys are the same in both engines' texts where the spelling is."""

    name: str
    instead: str
    find: Callable[[Text], Iterator[Hit]]
    needs_tree: bool = False


def _words(text: str) -> frozenset[str]:
    return frozenset(text.split())


# Words that may stand before a bracket without being a function.
_NOT_FUNCTIONS = _words(
    """
    all and any array as asc between by case cast char decimal desc distinct else end except exists exclude filter from full group
    grouping sets cube rollup having if in inner intersect into is join lateral left like limit not null numeric on or order outer over
    partition qualify replace right select some struct map table then try_cast union using values varchar when where window with within
    """
)

# Functions that both engines have under one name, with one meaning, tried on both. What is not here is a finding: try it on both
# engines (NULLs, zero, negative numbers, ties, types) and add it, or hide the difference in a macro of macros/engine.sql.
SHARED_FUNCTIONS = _words(
    """
    abs acos asin atan atan2 avg bit_count bit_or cbrt ceil coalesce corr cos count covar_pop covar_samp cume_dist day degrees dense_rank exp
    first_value floor greatest grouping hex hour lag last_day last_value lead least length ln log10 lower make_date max max_by md5 median min
    min_by minute month nth_value ntile nullif percent_rank percentile_cont pi power quarter radians rank regr_intercept regr_r2 regr_slope
    replace round row_number second sign sin split_part sqrt stddev_pop stddev_samp substr substring sum tan trim upper var_pop var_samp year
    """
) | {kernel.name for kernel in KERNELS}

_TRAPS = {
    "array_agg": "Spark drops NULLs: aggregate structs, with the macro series(t, v)",
    "list": "the macro series(t, v)",
    "collect_list": "the macro series(t, v)",
    "skewness": "the engines' formulas differ: central moments",
    "kurtosis": "the engines' formulas differ: central moments",
    "log": "log10 on DuckDB, the natural logarithm on Spark: ln or log10",
    "hash": "the engines' numbers differ: md5",
    "xxhash64": "the engines' numbers differ: md5",
    "quantile": "percentile_cont(p) within group (order by x)",
    "quantile_cont": "percentile_cont(p) within group (order by x)",
    "quantile_disc": "percentile_cont(p) within group (order by x)",
    "percentile": "percentile_cont(p) within group (order by x)",
    "approx_percentile": "percentile_cont(p) within group (order by x)",
    "approx_quantile": "percentile_cont(p) within group (order by x)",
    "percentile_approx": "percentile_cont(p) within group (order by x)",
    "arg_max": "max_by",
    "arg_min": "min_by",
    "argmax": "max_by",
    "argmin": "min_by",
    "width_bucket": "floor((x - lower) / width), or a CASE or a join with the classes",
    "generate_series": "a seed or a join, or a recursive common table expression",
    "range": "a seed or a join, or a recursive common table expression",
    "sequence": "a seed or a join, or a recursive common table expression",
    "unnest": "a macro of macros/engine.sql",
    "explode": "a macro of macros/engine.sql",
    "struct_pack": "a macro of macros/engine.sql",
    "named_struct": "a macro of macros/engine.sql",
    "concat": "DuckDB skips NULLs, Spark returns NULL: the operator ||",
    "stddev": "stddev_samp or stddev_pop, so that readers need not know which",
    "variance": "var_samp or var_pop, so that readers need not know which",
    "date_trunc": "gives a TIMESTAMP on DuckDB: the macro first_of_month",
    "any_value": "which row it takes is chance: min, max or min_by",
    "first": "which row it takes is chance: min_by",
    "last": "which row it takes is chance: max_by",
    "mode": "which of several it takes is chance: count, then row_number with a rule for ties",
    "random": "two builds must give the same table: a sample is a rule on the pixel's number",
    "rand": "two builds must give the same table: a sample is a rule on the pixel's number",
    "isnan": "NaN stays out from staging on: the macro finite",
    "trunc": "floor, ceil or round",
    "ceiling": "ceil",
    "pow": "power",
    "mean": "avg",
    "nvl": "coalesce",
    "ifnull": "coalesce",
}


def _functions(text: Text) -> Iterator[Hit]:
    for name, i in text.calls():
        if name not in SHARED_FUNCTIONS:
            yield (name,), text.around(i)


_TYPES = _words("string bigint int integer smallint tinyint double float date boolean timestamp decimal")


def _casts(text: Text) -> Iterator[Hit]:
    opened: list[str] = []
    for i, token in enumerate(text.tokens):
        if token.token_type == TokenType.L_PAREN:
            opened.append(text.tokens[i - 1].text.lower() if i else "")
        elif token.token_type == TokenType.R_PAREN and opened:
            opened.pop()
        is_cast = token.token_type == TokenType.ALIAS and opened and opened[-1] in ("cast", "try_cast")
        if (is_cast or token.token_type == TokenType.DCOLON) and i + 1 < len(text.tokens):
            given = text.tokens[i + 1].text.lower()
            if given not in _TYPES:
                yield (given,), text.around(max(i - 2, 0), 4)


def _aliases(text: Text) -> Iterator[Hit]:
    for node in text.tree.find_all(exp.Alias, exp.TableAlias):
        if isinstance(node.parent, exp.CTE):
            continue
        name = node.args.get("alias") if isinstance(node, exp.Alias) else node.this
        start = name.meta.get("start") if isinstance(name, exp.Identifier) else None
        if start is not None and text.token_before[start] != TokenType.ALIAS:
            yield (
                (name.name.lower(),),
                node.parent.sql(text.engine) if isinstance(node, exp.TableAlias) else node.sql(text.engine),
            )


def _quoted(text: Text) -> Iterator[Hit]:
    for token in text.tokens:
        if text.sql[token.start] == '"':
            yield (token.text.lower(),), f'"{token.text}"'


def _symbols(text: Text) -> Iterator[Hit]:
    """Literals of lists and structs, and subscripts: Spark counts from 0, DuckDB from 1."""
    for i, token in enumerate(text.tokens):
        if token.token_type in (TokenType.L_BRACKET, TokenType.L_BRACE):
            yield (token.text,), text.around(max(i - 1, 0))


def _lambdas(text: Text) -> Iterator[Hit]:
    for i, token in enumerate(text.tokens):
        if token.token_type in (TokenType.ARROW, TokenType.FARROW) or token.text.lower() == "lambda":
            yield ("->",), text.around(max(i - 1, 0))


def _stars(text: Text) -> Iterator[Hit]:
    for i, (token, following) in enumerate(zip(text.tokens, text.tokens[1:], strict=False)):
        if token.token_type == TokenType.STAR and following.text.lower() in ("exclude", "except", "replace", "rename"):
            yield (following.text.lower(),), text.around(i)


def _whole_division(text: Text) -> Iterator[Hit]:
    for i, token in enumerate(text.tokens):
        if text.sql[token.start : token.start + 2] == "//" or token.text.lower() == "div":
            yield ("//",), text.around(max(i - 1, 0), 3)


def _joins(text: Text) -> Iterator[Hit]:
    for i, token in enumerate(text.tokens[:-1]):
        if token.text.lower() in ("asof", "positional", "tablesample", "pivot", "unpivot") and text.tokens[
            i + 1
        ].text.lower() in (
            "join",
            "left",
            "inner",
            "(",
        ):
            yield (token.text.lower(),), text.around(i)


def _orders(text: Text) -> Iterator[Hit]:
    """Ascending keys without a word on NULLs; descending ones end with NULLs on both engines."""
    small, large = (
        list(sqlglot.parse_one(text.sql, read=dialect).find_all(exp.Ordered)) for dialect in _DIALECTS[text.engine]
    )
    for node, other in zip(small, large, strict=True):
        is_silent = bool(node.args.get("nulls_first")) != bool(other.args.get("nulls_first"))
        if not is_silent or node.args.get("desc") or node.find_ancestor(exp.WithinGroup):
            continue
        if _is_never_null(node.this, text.columns):
            continue
        yield _columns(node), f"order by {node.this.sql(text.engine)}"


def _divisions(text: Text) -> Iterator[Hit]:
    for node in text.tree.find_all(exp.Div):
        divisor = node.expression
        if not _is_never_zero(divisor) and not _is_guarded(node, divisor):
            yield _columns(divisor) or (divisor.sql(text.engine).lower(),), node.sql(text.engine)


def _logarithms(text: Text) -> Iterator[Hit]:
    """ln(0) and sqrt(-1) stop DuckDB's build."""
    for node in text.tree.find_all(exp.Ln, exp.Sqrt, exp.Log):
        argument = node.expression if isinstance(node, exp.Log) and node.expression else node.this
        if isinstance(node, exp.Sqrt):
            is_safe = _is_never_negative(argument)
        else:
            is_safe = isinstance(argument, exp.Literal) or bool(argument.find(exp.Greatest))
        if not is_safe and not _is_guarded(node, argument):
            yield _columns(node) or (node.sql(text.engine).lower(),), node.sql(text.engine)


def _whole_casts(text: Text) -> Iterator[Hit]:
    whole = {exp.DataType.Type[name] for name in ("INT", "BIGINT", "SMALLINT", "TINYINT")}
    for node in text.tree.find_all(exp.Cast):
        if node.to.this in whole and _kind(node.this, text.columns) == "double":
            yield _columns(node) or (node.this.sql(text.engine).lower(),), node.sql(text.engine)


def _sums(text: Text) -> Iterator[Hit]:
    for node in text.tree.find_all(exp.Sum):
        if _kind(node.this, text.columns) == "int" and not _within(node, exp.Cast, exp.Div, exp.Predicate):
            yield _columns(node) or (node.this.sql(text.engine).lower(),), node.sql(text.engine)


def _boolean_sums(text: Text) -> Iterator[Hit]:
    for node in text.tree.find_all(exp.Sum, exp.Avg):
        if _kind(node.this, text.columns) == "boolean":
            yield _columns(node), node.sql(text.engine)


def _dates(text: Text) -> Iterator[Hit]:
    for node in text.tree.find_all(exp.Interval):
        cast = node.find_ancestor(exp.Cast, exp.Select)
        if not (isinstance(cast, exp.Cast) and cast.to.this == exp.DataType.Type.DATE):
            yield (node.sql(text.engine).lower(),), node.parent.sql(text.engine)


def _limits(text: Text) -> Iterator[Hit]:
    for node in text.tree.find_all(exp.Select):
        if node.args.get("limit") and not node.args.get("order"):
            yield ("limit",), node.args["limit"].sql(text.engine)


RULES = (
    Rule("a function of one engine, or one that is not known to be shared", "", _functions),
    Rule("a type that is not spelled alike", f"one of {', '.join(sorted(_TYPES))}", _casts),
    Rule(
        "an alias without as", "write `as` before it: many names fail bare on one engine or the other", _aliases, True
    ),
    Rule("a name in double quotes", 'no quotes and no reserved words: "x" is a string on Spark', _quoted),
    Rule(
        "a literal of a list or struct, or a subscript",
        "a macro of macros/engine.sql: Spark counts from 0, DuckDB from 1",
        _symbols,
    ),
    Rule("a lambda over a list", "a kernel", _lambdas),
    Rule("a star with an exception", "name the columns: EXCLUDE is DuckDB's, EXCEPT is Spark's", _stars),
    Rule("whole-number division", "floor(a / b), cast to int", _whole_division),
    Rule("a join or table clause of one engine", "a plain join", _joins),
    Rule(
        "order by without nulls last", "write `nulls last`: NULLs come first on Spark and last on DuckDB", _orders, True
    ),
    Rule(
        "a divisor that may be zero",
        "nullif(divisor, 0): infinity on DuckDB, NULL or an error on Spark",
        _divisions,
        True,
    ),
    Rule(
        "ln or sqrt of what may be out of its domain",
        "a case or nullif guard: DuckDB stops the build, Spark returns NULL or NaN",
        _logarithms,
        True,
    ),
    Rule(
        "a fraction cast to a whole number",
        "floor, ceil or round first: cast(-1.7 as int) is -2 on DuckDB and -1 on Spark",
        _whole_casts,
        True,
    ),
    Rule(
        "a sum of whole numbers without a cast",
        "cast(sum(x) as bigint): HUGEINT on DuckDB, BIGINT on Spark",
        _sums,
        True,
    ),
    Rule(
        "a sum or mean of truth values",
        "sum(case when x then 1 else 0 end), or count(*) filter (where x)",
        _boolean_sums,
        True,
    ),
    Rule("date arithmetic that gives a timestamp", "cast it to date, or use the macro add_months_to", _dates, True),
    Rule("limit without order by", "order by a total order first: which rows are kept is chance", _limits, True),
)
_PARSES = "SQL that does not parse"


def columns_of(nodes: Collection[Node]) -> Columns:
    """What the YAML of a project's nodes says of column names."""
    types: dict[str, set[str]] = {}
    for node in nodes:
        for name, kind in node.columns.items():
            if kind:
                types.setdefault(name, set()).add(kind)
    agreed = {name: kinds.pop() for name, kinds in types.items() if len(kinds) == 1}
    return Columns(agreed, frozenset().union(*(node.not_null for node in nodes)))


def lint(model: str, duckdb_sql: str, spark_sql: str, columns: Columns | None = None) -> list[Finding]:
    """The findings of one model or test, compiled for both engines; none when both take it alike."""
    columns = columns or Columns()
    texts = [Text(sql, engine, columns) for sql, engine in ((duckdb_sql, "duckdb"), (spark_sql, "spark"))]
    findings = [
        Finding(model, _PARSES, error, "SQL that both engines take") for text in texts for error in _parse_errors(text)
    ]
    # Where there is no tree, words alone may still tell what is wrong.
    rules = [rule for rule in RULES if not (findings and rule.needs_tree)]
    for rule in rules:
        in_duckdb, in_spark = (list(rule.find(text)) for text in texts)
        # As often as both texts have it: what is left over in one was written for that engine by a macro.
        left = Counter(key for key, _ in in_spark)
        for key, snippet in in_duckdb:
            if left[key] > 0:
                left[key] -= 1
                instead = rule.instead or _TRAPS.get(key[0], _UNKNOWN)
                findings.append(Finding(model, rule.name, snippet, instead))
    return findings


_UNKNOWN = (
    "try it on both engines, then add it to SHARED_FUNCTIONS in tests/dialect.py, or write a macro in macros/engine.sql"
)


def _parse_errors(text: Text) -> Iterator[str]:
    """By DuckDB's own parser for DuckDB. Spark's own runs in `make parity`; here sqlglot's grammar of it stands in."""
    if text.engine == "duckdb":
        try:
            duckdb.extract_statements(text.sql)
        except duckdb.Error as error:
            yield f"DuckDB: {error}"
            return
    try:
        _ = text.tree
    except SqlglotError as error:
        yield f"{text.engine}: {error}"


def _columns(node: exp.Expression) -> Key:
    """The columns in an expression: its key, since macros within it may be spelled differently."""
    return tuple(sorted(column.name.lower() for column in node.find_all(exp.Column)))


def _within(node: exp.Expression, *kinds: type[exp.Expression]) -> bool:
    """Whether the node lies in one of the kinds, inside the same column of the same select."""
    ancestor = node.parent
    while ancestor is not None and not isinstance(ancestor, (exp.Select, exp.Alias)):
        if isinstance(ancestor, kinds):
            return True
        ancestor = ancestor.parent
    return False


def _is_guarded(node: exp.Expression, guarded: exp.Expression) -> bool:
    """Whether a condition around the node speaks of one of the guarded expression's columns: its case, or its select's filters."""
    names = set(_columns(guarded))
    below, ancestor = node, node.parent
    while ancestor is not None and not isinstance(ancestor, exp.Select):
        conditions: list[exp.Expression] = []
        if isinstance(ancestor, exp.If) and ancestor.this is not below:
            conditions = [ancestor.this]
        elif isinstance(ancestor, exp.Case):
            # The conditions before a branch hold for it, turned round.
            ifs = ancestor.args["ifs"]
            conditions = [branch.this for branch in ifs[: ifs.index(below)]] if below in ifs else [b.this for b in ifs]
        elif isinstance(ancestor, exp.Filter):
            conditions = [ancestor.expression]
        if any(names & set(_columns(condition)) for condition in conditions):
            return True
        below, ancestor = ancestor, ancestor.parent
    if ancestor is None:
        return False
    filters = [ancestor.args.get(part) for part in ("where", "having")]
    return any(names & set(_columns(condition)) for condition in filters if condition is not None)


def _defined(column: exp.Expression) -> list[exp.Expression]:
    """What the statement's own common table expressions define a column as; empty for columns of other models."""
    root, name = column.root(), column.name.lower()
    given = [alias.this for alias in root.find_all(exp.Alias) if alias.alias.lower() == name]
    # A column defined by itself (`max(x) as x`) would be followed for ever.
    return [] if any(name in _columns(expression) for expression in given) else given


def _is_never_null(node: exp.Expression, columns: Columns) -> bool:
    if isinstance(node, exp.Column):
        given = _defined(node)
        return node.name.lower() in columns.never_null or (
            bool(given) and all(_is_never_null(expression, columns) for expression in given)
        )
    if isinstance(node, (exp.Paren, exp.Neg, exp.Cast, exp.Window, exp.Year, exp.Month, exp.Day)):
        return _is_never_null(node.this, columns)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
        return _is_never_null(node.this, columns) and _is_never_null(node.expression, columns)
    if isinstance(node, exp.Div):
        return _is_never_null(node.this, columns) and isinstance(node.expression, (exp.Literal, exp.Cast))
    if isinstance(node, exp.Coalesce):
        return _is_never_null(node.expressions[-1], columns)
    return isinstance(node, (exp.Literal, exp.Count, exp.Rank, exp.DenseRank, exp.RowNumber, exp.Ntile))


def _is_never_zero(node: exp.Expression) -> bool:
    if isinstance(node, exp.Column):
        given = _defined(node)
        return bool(given) and all(_is_never_zero(expression) for expression in given)
    if isinstance(node, exp.Literal):
        return float(node.this) != 0 if node.is_number else False
    if isinstance(node, (exp.Paren, exp.Neg, exp.Cast, exp.Sqrt, exp.Abs)):
        return _is_never_zero(node.this)
    if isinstance(node, exp.Mul):
        return _is_never_zero(node.this) and _is_never_zero(node.expression)
    if isinstance(node, exp.Pow):
        return _is_never_zero(node.this)
    if isinstance(node, exp.Greatest):
        return any(isinstance(part, exp.Literal) and _is_never_zero(part) for part in [node.this, *node.expressions])
    if isinstance(node, exp.Coalesce):
        return all(_is_never_zero(part) for part in [node.this, *node.expressions])
    if isinstance(node, exp.Count):
        # A group has a row.
        select = node.find_ancestor(exp.Select)
        return isinstance(node.this, exp.Star) and select is not None and bool(select.args.get("group"))
    return isinstance(node, (exp.Nullif, exp.Exp, exp.Pi, exp.Day, exp.DayOfMonth, exp.Null))


def _is_never_negative(node: exp.Expression) -> bool:
    if isinstance(node, exp.Column):
        given = _defined(node)
        return bool(given) and all(_is_never_negative(expression) for expression in given)
    if isinstance(node, exp.Literal):
        return True
    if isinstance(node, (exp.Paren, exp.Cast, exp.Sum, exp.Avg, exp.Max, exp.Min)):
        return _is_never_negative(node.this)
    if isinstance(node, exp.Mul):
        both = (node.this, node.expression)
        return both[0] == both[1] or all(_is_never_negative(part) for part in both)
    if isinstance(node, (exp.Add, exp.Div)):
        return _is_never_negative(node.this) and _is_never_negative(node.expression)
    if isinstance(node, exp.Nullif):
        return _is_never_negative(node.this)
    if isinstance(node, exp.Greatest):
        return any(isinstance(part, exp.Literal) for part in [node.this, *node.expressions])
    if isinstance(node, exp.Pow):
        return node.expression.sql() == "2"
    return isinstance(
        node, (exp.Abs, exp.Variance, exp.VariancePop, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Count)
    )


_DOUBLE = (
    exp.Div, exp.Avg, exp.Sqrt, exp.Ln, exp.Exp, exp.Pow, exp.Stddev, exp.StddevPop, exp.StddevSamp, exp.Variance, exp.VariancePop,
    exp.PercentileCont, exp.Median, exp.Corr,
)  # fmt: skip
_WHOLE = (exp.Floor, exp.Ceil, exp.Round, exp.Count, exp.Year, exp.Month, exp.Day, exp.RowNumber)


def _kind(node: exp.Expression | None, columns: Columns) -> str | None:
    """The type of an expression where it can be told without a database: double, int, boolean, else None."""
    if node is None:
        return None
    if isinstance(node, exp.Literal):
        return None if node.is_string else ("int" if node.this.isdigit() else "double")
    if isinstance(node, exp.Column):
        declared = columns.types.get(node.name.lower())
        return "int" if declared in ("int", "bigint", "smallint", "tinyint") else declared
    if isinstance(node, exp.Cast):
        name = node.to.this.name
        return {"DOUBLE": "double", "FLOAT": "double", "BOOLEAN": "boolean"}.get(
            name, "int" if name.endswith("INT") else None
        )
    if isinstance(node, (exp.Boolean, exp.Predicate, exp.Not, exp.Connector)):
        return "boolean"
    if isinstance(node, _DOUBLE):
        return "double"
    if isinstance(node, _WHOLE):
        return "int" if not (isinstance(node, exp.Round) and node.args.get("decimals")) else "double"
    if isinstance(
        node, (exp.Paren, exp.Neg, exp.Abs, exp.Min, exp.Max, exp.Sum, exp.Window, exp.Filter, exp.WithinGroup)
    ):
        return _kind(node.this, columns)
    if isinstance(node, (exp.Add, exp.Sub, exp.Mul)):
        both = {_kind(node.this, columns), _kind(node.expression, columns)}
        return "double" if "double" in both else ("int" if both == {"int"} else None)
    if isinstance(node, (exp.Coalesce, exp.Greatest, exp.Least)):
        return _common([node.this, *node.expressions], columns)
    if isinstance(node, exp.Case):
        return _common([branch.args["true"] for branch in node.args["ifs"]] + [node.args.get("default")], columns)
    return None


def _common(nodes: list[exp.Expression | None], columns: Columns) -> str | None:
    kinds = {_kind(node, columns) for node in nodes if node is not None and not isinstance(node, exp.Null)}
    return "double" if "double" in kinds else (kinds.pop() if len(kinds) == 1 else None)
