"""Configurations as nested mappings, as Hydra and YAML have them, and the list of their keys."""

from __future__ import annotations

from collections.abc import Collection, Iterator, Mapping, Sequence
from dataclasses import Field, fields
from typing import Any, NamedTuple

import gdconv.config.networks  # noqa: F401
from gdconv.config.problems import PROBLEMS
from gdconv.config.rules import ConfigError, Section, nearest, typed
from gdconv.config.runs import RunConfig
from gdconv.config.sections import ENGINES, METHODS, STARTS, Record, Step, StudyConfig

GROUPS: dict[str, Mapping[str, type[Section]]] = {
    "problem": PROBLEMS,
    "start": STARTS,
    "method": METHODS,
    "engine": ENGINES,
}
# Names that choices had before, and that still are understood.
OTHER_NAMES = {"csv": "table"}
# What people call keys that have another name here.
ALSO_CALLED = {
    **dict.fromkeys(("step_size", "eta", "lr", "learning_rate"), "step.value"),
    **dict.fromkeys(("d", "dimension", "features"), "problem.n_features"),
    **dict.fromkeys(("n", "samples", "rows"), "problem.n_samples"),
    **dict.fromkeys(("steps", "epochs", "max_iter"), "method.iterations"),
    **dict.fromkeys(("beta", "mu"), "method.momentum"),
    **dict.fromkeys(("batch", "B"), "method.batch_size"),
    **dict.fromkeys(("kappa", "cond"), "problem.condition_number"),
}
SECTIONS: dict[str, type[Section]] = {"step": Step, "record": Record}


def from_mapping(
    mapping: Mapping[str, Any], known: dict[tuple[str, str], Any] | None = None
) -> tuple[RunConfig, StudyConfig]:
    """Check a nested mapping of all keys, as Hydra or YAML gives it.

    Parameters
    ----------
    known : dict, optional
        Filled with the parts that were checked. Given again with the next of many mappings, it
        spares checking the parts that are the same.

    Raises
    ------
    ConfigError
        For an unknown key, a value that is not allowed, or a group that does not exist.
    """
    of_study = {declared.name for declared in fields(StudyConfig)}
    of_run = {declared.name for declared in fields(RunConfig)}
    _refuse_unknown(mapping, of_study | of_run, "")
    known = {} if known is None else known
    values = {}
    for name, value in mapping.items():
        # 1, 1.0 and True are equal, but their texts differ.
        part = name, repr(value)
        if part not in known:
            known[part] = _section(name, value)
        values[name] = known[part]
    run = RunConfig(**{name: value for name, value in values.items() if name in of_run})
    return run, StudyConfig(**{name: value for name, value in values.items() if name in of_study})


def to_mapping(config: Section) -> dict[str, Any]:
    """Return the nested mapping of a configuration, the inverse of `from_mapping`."""
    mapping: dict[str, Any] = {}
    for declared in fields(config):
        value = getattr(config, declared.name)
        if isinstance(value, Section):
            named = {"name": value.name} if declared.name in GROUPS else {}
            mapping[declared.name] = named | to_mapping(value)
        else:
            mapping[declared.name] = _as_typed(value)
    return mapping


def _as_typed(value: Any) -> Any:
    """A list for a tuple, but the element itself for a tuple of one."""
    if not isinstance(value, tuple):
        return value
    return _as_typed(value[0]) if len(value) == 1 else [_as_typed(each) for each in value]


def flat(mapping: Mapping[str, Any], prefix: str = "") -> dict[str, Any]:
    """Return a nested mapping as a flat one with dotted keys such as problem.n_samples."""
    leaves: dict[str, Any] = {}
    for name, value in mapping.items():
        if isinstance(value, Mapping):
            leaves |= flat(value, f"{prefix}{name}.")
        else:
            leaves[prefix + name] = value
    return leaves


def _section(name: str, value: Any) -> Any:
    """The dataclass that a top-level key stands for, or the plain value."""
    kind: type[Section]
    if name in GROUPS:
        kinds = GROUPS[name]
        if not isinstance(value, Mapping):
            raise ConfigError(name, value, "must be one of " + ", ".join(kinds))
        chosen = value.get("name")
        chosen = OTHER_NAMES.get(chosen, chosen) if isinstance(chosen, str) else chosen
        if not isinstance(chosen, str) or chosen not in kinds:
            raise ConfigError(f"{name}.name", chosen, "must be one of " + ", ".join(kinds))
        kind = kinds[chosen]
        value = {key: element for key, element in value.items() if key != "name"}
    elif name in SECTIONS:
        kind = SECTIONS[name]
        if not isinstance(value, Mapping):
            raise ConfigError(name, value, f"has the keys {_listed(kind)}: set one of them")
    else:
        return value
    known = {declared.name for declared in fields(kind)}
    _refuse_unknown(value, known, kind.prefix, kind.name)
    return kind(**value)


def _listed(kind: type[Section]) -> str:
    return ", ".join(kind.prefix + declared.name for declared in fields(kind)) or "none"


def _refuse_unknown(
    mapping: Mapping[str, Any], known: set[str], prefix: str, chosen: str = ""
) -> None:
    for name, value in mapping.items():
        if name not in known:
            allowed = [prefix + each for each in sorted(known)]
            raise ConfigError(prefix + name, value, not_a_key(prefix + name, [chosen], allowed))


def not_a_key(key: str, chosen: Collection[str], allowed: Collection[str]) -> str:
    """Say why a key is refused.

    Parameters
    ----------
    chosen
        The names that are chosen for its group, none of which has the key.
    allowed
        The keys that there are.
    """
    group = key.rpartition(".")[0]
    if others := having(key):
        lacking, of_others = (
            [f"{group}={name}" for name in names] for names in (sorted(chosen), others)
        )
        return f"is not a key of {' or '.join(lacking)}, but of {' and '.join(of_others)}"
    every = [each.name for each in declared_keys() if group in ("", each.name.rpartition(".")[0])]
    if not group:
        every += ["experiment", *{name.partition(".")[0] for name in every}]
    meant = nearest(key, every)
    if (other := ALSO_CALLED.get(key.rpartition(".")[2])) and not meant:
        meant = f"; did you mean {other}?"
    return f"is not a key; allowed: {', '.join(allowed) or 'none'}{meant}"


def having(key: str) -> list[str]:
    """Return the choices that have a key of a group, such as method.momentum."""
    group, _, name = key.partition(".")
    kinds = GROUPS.get(group, {})
    return [
        choice for choice, kind in kinds.items() if name in {each.name for each in fields(kind)}
    ]


def is_foreign(key: str, chosen: Mapping[str, Collection[str]]) -> bool:
    """Whether other choices of a group have a key, but none of those that are chosen."""
    group = key.partition(".")[0]
    return group in chosen and bool(others := having(key)) and not {*others} & {*chosen[group]}


def chosen_in(mapping: Mapping[str, Any]) -> dict[str, str]:
    """Return which name is chosen for each group, where one is."""
    names = {group: mapping.get(group) for group in GROUPS}
    return {
        group: section["name"]
        for group, section in names.items()
        if isinstance(section, Mapping) and isinstance(section.get("name"), str)
    }


def leave_out_foreign(mappings: Sequence[dict[str, Any]]) -> None:
    """Remove from each mapping the keys that another mapping's choices have, but not its own.

    An experiment may set a key and sweep over methods of which only some have it.
    """
    chosen = [chosen_in(mapping) for mapping in mappings]
    every = {group: {each[group] for each in chosen if group in each} for group in GROUPS}
    left_out: dict[tuple[str, str, str], bool] = {}
    for mapping, own in zip(mappings, chosen, strict=True):
        for group, name in own.items():
            for key in list(mapping[group]) if len(every[group]) > 1 else ():
                # There may be a hundred thousand jobs, so each key is looked up once.
                place = group, name, key
                if place not in left_out:
                    typed_key = f"{group}.{key}"
                    foreign = is_foreign(typed_key, {group: [name]})
                    left_out[place] = foreign and not is_foreign(typed_key, every)
                if left_out[place]:
                    del mapping[group][key]


def options_of(key: str) -> list[str]:
    """Return the values of a key that is a word from a few, whatever is chosen for its group."""
    group, _, name = key.rpartition(".")
    kinds = [*GROUPS[group].values()] if group in GROUPS else [SECTIONS.get(group)]
    places = [RunConfig, StudyConfig] if not group else [kind for kind in kinds if kind]
    rules = [
        declared.metadata["rule"]
        for kind in places
        for declared in fields(kind)
        if declared.name == name and "rule" in declared.metadata
    ]
    return [*dict.fromkeys(option for rule in rules for option in rule.options)]


class Key(NamedTuple):
    """A key as it is typed.

    Attributes
    ----------
    name : str
        With the name of its group, as problem.n_samples.
    default : str
        Empty if there is none. If choices of a group have several, that of the first one; `meaning`
        says the others.
    unit, meaning : str
        As in `rules.key`; if only some choices of a group have the key, `meaning` begins with
        their names.
    """

    name: str
    default: str
    unit: str
    meaning: str


def declared_keys() -> Iterator[Key]:
    """Yield every key of a configuration."""
    for config in (RunConfig(), StudyConfig()):
        for declared in fields(config):
            value = getattr(config, declared.name)
            if declared.name in GROUPS:
                choices = GROUPS[declared.name]
                names = ", ".join(f"`{name}`" for name in choices)
                yield Key(declared.name, value.name, "", f"{_meaning(declared)}: {names}")
                yield from _keys_of(choices)
            elif declared.name in SECTIONS:
                yield from _keys_of({"": SECTIONS[declared.name]})
            else:
                yield _key(declared.name, declared, _meaning(declared))


def _keys_of(choices: Mapping[str, type[Section]]) -> Iterator[Key]:
    """The keys of all choices of a group, each once."""
    found: dict[str, Field[Any]] = {}
    having: dict[str, dict[str, list[str]]] = {}
    others: dict[str, dict[str, list[str]]] = {}
    for choice, kind in choices.items():
        for declared in fields(kind):
            found.setdefault(kind.prefix + declared.name, declared)
            of_meaning = having.setdefault(kind.prefix + declared.name, {})
            of_meaning.setdefault(_meaning(declared), []).append(choice)
            if declared.default != found[kind.prefix + declared.name].default:
                of_default = others.setdefault(kind.prefix + declared.name, {})
                of_default.setdefault(typed(declared.default), []).append(choice)
    for name, declared in found.items():
        told = [
            meaning if len(names) == len(choices) else f"{', '.join(names)}: {meaning}"
            for meaning, names in having[name].items()
        ]
        told += [
            f"default of {', '.join(names)}: `{default}`"
            for default, names in others.get(name, {}).items()
        ]
        yield _key(name, declared, "; ".join(told))


def _meaning(declared: Field[Any]) -> str:
    """A meaning as text; one that depends on the methods is a function."""
    meaning = declared.metadata["meaning"]
    return str(meaning() if callable(meaning) else meaning)


def _key(name: str, declared: Field[Any], meaning: str) -> Key:
    default = "" if declared.default is None else typed(declared.default)
    return Key(name, default, declared.metadata["unit"], meaning)
