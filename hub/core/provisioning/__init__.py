"""What a manifest would change, what it contradicts and what it deserves a warning for: decided without asking anything.

`plan(declared, current, catalogue)` compares what a manifest declares with what the hub has. Knows nothing of YAML, pydantic, SQL or HTTP.
"""

from hub.core.provisioning.checks import moved_by, needs_new_test
from hub.core.provisioning.declared import declared
from hub.core.provisioning.difference import Change, Plan, applied, digest, plan
from hub.core.provisioning.records import (
    OWN_PROTOCOL,
    Catalogue,
    Current,
    Fields,
    Finding,
    Guarded,
    Key,
    Noun,
    Problem,
    ProfileFacts,
    Record,
    policy_fields,
    policy_of,
    rota_fields,
    rota_of,
)
from hub.core.provisioning.scope import beyond

__all__ = [
    "OWN_PROTOCOL",
    "Catalogue",
    "Change",
    "Current",
    "Fields",
    "Finding",
    "Guarded",
    "Key",
    "Noun",
    "Plan",
    "Problem",
    "ProfileFacts",
    "Record",
    "applied",
    "beyond",
    "declared",
    "digest",
    "moved_by",
    "needs_new_test",
    "plan",
    "policy_fields",
    "policy_of",
    "rota_fields",
    "rota_of",
]
