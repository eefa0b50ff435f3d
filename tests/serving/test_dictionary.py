"""What the documentation of a mart must say: every column what it is, every number its unit or that it has none. (`make docs` shows it.)"""

from __future__ import annotations

import re

import pytest
import yaml

from serving.dictionary import dictionary
from tests.serving.marts import REPOSITORY, contracts

DESCRIBED = dictionary(REPOSITORY)
# Units that the end of a column's name states.
NAMES = re.compile(
    r"_(m3m3|m3m3_per_k|m|cm|mm|km|km2|k|days|months|pixels|start|end|db_\d|m3m3_per_\w+)$|^(lon|lat|area_km2|n|n_\w+|df|\w+_n|n_effective\w*)$"
)
# Statistics that have no unit by definition.
BARE = re.compile(
    r"^(\w*_)?(r|r2|rho|z|p|q|f|t|tau_b|skewness|excess_kurtosis|iqr_sd_ratio|cv|cv_sample|cv_population|mk_var_s|var_s|vif|scaling_\d)(_\w+)?$|^(f|t)_statistic$|^p_\w+$|^q_\w+$"
)
# What refers to the column before it is of that column's unit.
SAME = re.compile(r"^(The same|Its |Smallest|Largest|Standard error of|Of the product)|\bas `\w+`")
# Words by which a description gives a unit, or says that the number has none.
WORDS = re.compile(
    r"`unit`|unit of|'s unit|\bdegrees?\b|\bm3 m-3\b|\bmm\b|\bkm2?\b|\bcm\b|\bmetres?\b|, m[;.,]|\bdays?\b|\bmonths?\b|\byears?\b|\bpercent\b|decibel|\bdB\b|standard deviations?|no unit|without unit"
    r"|fraction|share|0 to 1|between 0 and 1|-1 to 1|probabilit|\bp\b|p-value|\bp of\b|correlation|coefficient of determination|\br2?\b|ratio|\bq\b|statistic|number of|\btimes\b|\bcounts?\b"
    r"|Mann-Kendall|tau|variance explained|inflation|importance|\bindex\b|skewness|kurtosis|quantile of the standard normal|rho|weights?\b|coefficient of variation|freedom|\bs\b of|\bz\b|values\b",
    re.IGNORECASE,
)  # fmt: skip


@pytest.mark.parametrize("mart", sorted(contracts()))
def test_every_column_says_what_it_is_and_in_which_unit(mart):
    told = DESCRIBED[mart]
    assert len(told.description) > 20 and "rain" in told.description.lower(), f"{mart}: a description with its grain"
    missing, without = [], []
    for column, known in contracts()[mart].items():
        text = told.columns.get(column, "")
        if len(text) < 5:
            missing.append(column)
        elif known["data_type"] == "double" and not any(
            (NAMES.search(column), BARE.search(column), SAME.search(text), WORDS.search(text))
        ):
            without.append(f"{column}: {text}")
    assert not missing, f"{mart}: no description of {', '.join(missing)}"
    assert not without, f"{mart}: no unit, nor that there is none:\n" + "\n".join(without)


def test_every_mart_has_its_yaml():
    models = {path.stem for path in (REPOSITORY / "models" / "marts").rglob("*.sql")}
    assert models == set(DESCRIBED) == set(contracts())


def test_every_reference_to_a_shared_text_is_one():
    """A doc block that does not exist becomes an empty text, and dbt fails on it only when it parses."""
    folder = REPOSITORY / "models" / "marts"
    blocks = {
        n for path in folder.rglob("*.md") for n in re.findall(r"{% docs (\w+) %}", path.read_text(encoding="utf-8"))
    }
    for path in folder.rglob("*.yml"):
        for name in re.findall(r"doc\('(\w+)'\)", path.read_text(encoding="utf-8")):
            assert name in blocks, f"{path.name}: {name}"


def test_every_model_says_what_it_is():
    """dbt's page shows staging and intermediate too, with what stands between a file and a mart."""
    folder = REPOSITORY / "models"
    told = {}
    for path in folder.rglob("*.yml"):
        for model in (yaml.load(path.read_text(encoding="utf-8"), yaml.CSafeLoader) or {}).get("models") or []:
            told[model["name"]] = model.get("description") or ""
    models = {path.stem for path in folder.rglob("*.sql")}
    assert models <= set(told), f"without an entry in a YAML: {sorted(models - set(told))}"
    assert not [name for name in sorted(models) if len(told[name]) < 15], "a description of one sentence at least"
