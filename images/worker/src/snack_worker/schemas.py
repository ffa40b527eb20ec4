"""
Validation of input against the JSON Schemas that are generated from the contract. An error names the field and the
allowed values, and never repeats the input.
"""

import json
import math
import re
from collections.abc import Iterable, Mapping
from functools import cache
from importlib.resources import files
from typing import Any

from jsonschema import Draft202012Validator, ValidationError, validators
from jsonschema.exceptions import best_match

from .errors import WorkerError


@cache
def schema(name: str) -> dict[str, Any]:
    """Reads `contract/<name>.schema.json`."""
    document: dict[str, Any] = json.loads(files(__package__).joinpath(f"contract/{name}.schema.json").read_bytes())
    return document


def check(name: str, value: object, root: str) -> None:
    """Raises WorkerError invalid_input or too_long for an invalid value. `root` is the value's name in the error."""
    error = best_match(_validator(name).iter_errors(value))
    if error is not None:
        raise _explain(error, root)


@cache
def _validator(name: str) -> Any:
    extend: Any = validators.extend
    return extend(Draft202012Validator, {"items": _items, "type": _type})(schema(name))


def _type(validator: Any, allowed: Any, instance: Any, schema: Any) -> Iterable[ValidationError]:
    """
    Checks `type` and rejects lone surrogates: JSON can contain them (`"\\ud83c"`), but a tokenizer cannot read them.
    """
    yield from Draft202012Validator.VALIDATORS["type"](validator, allowed, instance, schema)
    if allowed == "string" and isinstance(instance, str) and re.search("[\ud800-\udfff]", instance):
        yield ValidationError("", validator="lone surrogate")


def _items(validator: Any, items: Any, instance: Any, schema: Any) -> Iterable[ValidationError]:
    """
    Checks `items` until the first invalid item, because one error is enough. Skips a list longer than `maxItems`,
    because such a list is rejected anyway. The check of an item blocks all jobs of the worker.
    """
    if not isinstance(instance, list) or len(instance) > schema.get("maxItems", math.inf):
        return
    for index, item in enumerate(instance):
        if errors := list(validator.descend(item, items, path=index)):
            yield from errors
            return


def _explain(error: ValidationError, root: str) -> WorkerError:
    field = root + "".join(f"[{part}]" if isinstance(part, int) else f".{part}" for part in error.absolute_path)
    allowed: Any = error.validator_value
    match error.validator:
        case "maxLength":
            return WorkerError("too_long", f"at most {allowed} characters are allowed.", field=field)
        case "maxItems":
            return WorkerError("too_long", f"at most {allowed} items are allowed.", field=field)
        case "minLength" | "minItems":
            return WorkerError("invalid_input", "must not be empty.", field=field)
        case "type":
            return WorkerError("invalid_input", f"must be of type {allowed}.", field=field)
        case "lone surrogate":
            return WorkerError("invalid_input", "must not contain a lone surrogate (half a character).", field=field)
        case "enum":
            return WorkerError("invalid_input", f"must be one of {', '.join(allowed)}.", field=field)
        case "const":
            return WorkerError("invalid_input", f"must be {json.dumps(allowed)}.", field=field)
        case "required":
            instance: Any = error.instance
            missing = [name for name in allowed if name not in instance]
            return WorkerError("invalid_input", f"requires {', '.join(missing)}.", field=field)
        case "additionalProperties":
            return _explain_unknown(error, field)
        case "minimum":
            return WorkerError("invalid_input", f"must be at least {allowed}.", field=field)
        case "maximum":
            return WorkerError("invalid_input", f"must be at most {allowed}.", field=field)
        case "exclusiveMinimum":
            return WorkerError("invalid_input", f"must be more than {allowed}.", field=field)
        case _:
            return WorkerError("invalid_input", "is not valid.", field=field)


def _explain_unknown(error: ValidationError, field: str) -> WorkerError:
    known = list(error.schema["properties"]) if isinstance(error.schema, Mapping) else []
    allowed = f"only {', '.join(known)} are allowed."
    instance: Any = error.instance
    unknown = next((key for key in instance if key not in known), "")
    # Only a field name of this form is repeated. Any other name could be a customer's text.
    if re.fullmatch(r"[a-z_]{1,30}", str(unknown)):
        return WorkerError("invalid_input", f"not allowed here; {allowed}", field=f"{field}.{unknown}")
    return WorkerError("invalid_input", allowed, field=field)
