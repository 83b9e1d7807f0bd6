"""Builds Milvus filter expressions. Every value, ids too, is quoted here and nowhere else."""

from collections.abc import Iterable
from datetime import timedelta

from scrubjay.errors import InvalidInput
from scrubjay.model import Filter, Scalar, Scope

_ESCAPES = str.maketrans({"\\": "\\\\", '"': '\\"', "\n": "\\n", "\r": "\\r", "\t": "\\t"})
_EXPIRY_STEP_MS = timedelta(minutes=1) // timedelta(milliseconds=1)


def quoted(value: str) -> str:
    """Return `value` as a Milvus string literal: these five escapes, and no others, hold on Lite and on servers."""
    try:
        value.encode()
    except UnicodeEncodeError as error:
        raise InvalidInput("The text holds a lone surrogate, which is not Unicode text.") from error
    return f'"{value.translate(_ESCAPES)}"'


def literal(value: Scalar) -> str:
    """Return a string, number or boolean as a Milvus literal."""
    if isinstance(value, bool):
        return "true" if value else "false"
    return quoted(value) if isinstance(value, str) else repr(value)


def in_list(field: str, values: Iterable[str]) -> str:
    return f"{field} in [{', '.join(map(quoted, values))}]"


def of_ids(ids: Iterable[str]) -> str:
    """Return the expression for these ids alone: the only form that Lite and servers answer without a scan.

    It says nothing of the scope, so whoever uses it must check the rows that come back.
    """
    return in_list("id", ids)


def of_scope(scope: Scope, *, prune: bool = True) -> str:
    """Return the expression for a user of an app. With `prune`, Milvus reads the user's partition alone."""
    user = quoted(scope.user_id)
    mine = f"user_id == {user}" if prune else f"user_id >= {user} and user_id <= {user}"
    return f"{mine} and app_id == {quoted(scope.app_id)}"


def of_filter(scope: Scope, where: Filter, *, prune: bool = True) -> str:
    """Return the expression for all parts of `where` within `scope`."""
    terms = [of_scope(scope, prune=prune)]
    if where.statuses:
        terms.append(in_list("status", where.statuses))
    if where.memory_types:
        terms.append(in_list("memory_type", where.memory_types))
    if where.categories:
        terms.append(in_list("category", where.categories))
    bounds = (
        ("importance >=", where.importance_min),
        ("importance <=", where.importance_max),
        ("created_at >=", where.created_from),
        ("created_at <", where.created_to),
    )
    terms.extend(f"{field} {bound!r}" for field, bound in bounds if bound is not None)
    terms.extend(f"metadata[{quoted(key)}] == {literal(value)}" for key, value in sorted(where.metadata.items()))
    if where.expired_before is not None:
        # Rounded down, so that the same expression comes again and its parsed form is reused; the store drops the
        # few rows that expire within the step.
        now = where.expired_before // _EXPIRY_STEP_MS * _EXPIRY_STEP_MS
        terms.append(f"(expires_at == 0 or expires_at > {now})")
    return " and ".join(terms)
