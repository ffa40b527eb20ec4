"""The errors a client may see. Codes, texts and `retryable` come from the registry that every language shares."""

import json
from importlib.resources import files

_registry: dict[str, dict[str, object]] = json.loads(files(__package__).joinpath("contract/errors.json").read_bytes())


class WorkerError(Exception):
    """
    The only error whose text may reach a client.

    `code` is a code of the registry; `message` replaces the registry's text where there is more to say, and never
    carries internals. `field` is the path of the field at fault, which `message` then goes without. `cause` is the
    internal reason, for the log only.
    """

    def __init__(
        self, code: str, message: str | None = None, *, field: str | None = None, cause: str | None = None
    ) -> None:
        self.code = code
        self.text = message or str(_registry[code]["message"])
        self.field = field
        self.cause = cause
        super().__init__(self.message)

    @property
    def message(self) -> str:
        """What is wrong, the field first."""
        return f"{self.field}: {self.text}" if self.field else self.text

    @property
    def status(self) -> int:
        """HTTP status of the code."""
        return int(str(_registry[self.code]["status"]))

    def body(self) -> dict[str, object]:
        """`code`, `message` and `retryable`."""
        return {"code": self.code, "message": self.message, "retryable": bool(_registry[self.code]["retryable"])}

    def to_json(self) -> str:
        """The wire form `{"error": {"code", "message", "retryable"}}` as JSON text."""
        return json.dumps({"error": self.body()}, ensure_ascii=False)
