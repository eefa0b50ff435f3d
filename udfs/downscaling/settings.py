"""How a training is done: the framework of the study as it reaches the kernel, as JSON text."""

from __future__ import annotations

import json
from dataclasses import asdict, dataclass
from functools import lru_cache
from typing import Any

from udfs.downscaling.parameters import ESTIMATORS, PARAMETERS


@dataclass(frozen=True)
class Settings:
    """One framework of a study. Field by field what docs/study_file.md says of its keys.

    `features` and `is_categorical` are the members of a sample's feature list; `combine` is `best` (chosen in SQL) or `stack`.
    """

    combine: str
    features: tuple[str, ...]
    is_categorical: tuple[bool, ...]
    estimators: tuple[str, ...]
    hyperparameters: dict[str, dict[str, list[Any]]]
    min_samples: int
    outer_share: float
    train_share: float
    min_ks_p: float
    max_draws: int
    folds: int
    folds_of: str
    max_fit_samples: dict[str, int]
    max_search_samples: int
    max_score_samples: int
    refit: bool
    interval_level: float
    interval_from: str
    permutations: int
    shap_samples: int
    seed: int

    def key(self, estimator: str) -> dict[str, Any]:
        """What the result of one estimator depends on: settings of the others are left out, unless it is the stack of them all."""
        used = self.estimators if estimator == "stack" else (estimator,)
        found = asdict(self) | {"estimator": estimator, "estimators": used}
        for name in ("hyperparameters", "max_fit_samples"):
            found[name] = {e: found[name][e] for e in used if e in found[name]}
        if estimator != "stack":
            del found["combine"]
        return found


@lru_cache(maxsize=64)
def read_settings(text: str) -> Settings:
    """Settings from JSON with the fields of Settings. ValueError: what is missing, unknown or of no meaning, by name."""
    try:
        given = json.loads(text)
    except json.JSONDecodeError as error:
        raise ValueError(f"train_downscaler: settings is not JSON: {error}") from None
    names = set(Settings.__dataclass_fields__)
    if not isinstance(given, dict) or set(given) != names:
        odd = sorted(names ^ set(given)) if isinstance(given, dict) else "no mapping"
        raise ValueError(f"train_downscaler: settings must have exactly the fields {sorted(names)}; not so: {odd}")
    for name in ("features", "is_categorical", "estimators"):
        given[name] = tuple(given[name])
    settings = Settings(**given)
    if not settings.features or len(settings.features) != len(settings.is_categorical):
        raise ValueError("train_downscaler: settings needs features, and is_categorical for each of them")
    for estimator in settings.estimators:
        if estimator not in ESTIMATORS:
            raise ValueError(f"train_downscaler: no estimator {estimator}; there are {', '.join(ESTIMATORS)}")
    for estimator, grid in settings.hyperparameters.items():
        unknown = sorted(set(grid) - set(PARAMETERS.get(estimator, ())))
        if unknown:
            raise ValueError(
                f"train_downscaler: {estimator} has no hyperparameter {', '.join(unknown)} that can be set"
            )
    if settings.combine not in ("best", "stack"):
        raise ValueError(f"train_downscaler: combine is {settings.combine}; it takes best or stack")
    return settings
