"""The numbers that configurations are made of, as strict types.

Strict, so that YAML's `yes`, `"4"` and `4.5` are refused where a count is meant; a whole number is
taken where a real one is meant. Each concern has its own dataclass beside the code that uses it
(`EncoderConfig`, `TrainingConfig`, ...); pydantic checks the types and reports all faults at once.
"""

from typing import Annotated

from pydantic import ConfigDict, Field

Count = Annotated[int, Field(strict=True, ge=1)]
CountOrZero = Annotated[int, Field(strict=True, ge=0)]
Positive = Annotated[float, Field(strict=True, gt=0, allow_inf_nan=False)]
PositiveOrZero = Annotated[float, Field(strict=True, ge=0, allow_inf_nan=False)]
Share = Annotated[float, Field(strict=True, ge=0, lt=1)]
Factor = Annotated[float, Field(strict=True, gt=0, le=1)]
Switch = Annotated[bool, Field(strict=True)]

CLOSED = ConfigDict(extra="forbid")
