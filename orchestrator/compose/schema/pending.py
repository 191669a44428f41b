"""Why a valid attribute has no effect: the sentences that warnings say."""

PENDING = "valid, but pystack does not carry it yet: it has no effect"
SWARM = "only a swarm heeds this: it has no effect"
WINDOWS = "only Windows containers heed this: it has no effect"
OBSOLETE = "obsolete: it has no effect"
