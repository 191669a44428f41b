"""Configs and secrets as a service or a build is granted them."""

from __future__ import annotations

from orchestrator.compose.schema.kinds import TEXT, Mode, Scalar
from orchestrator.compose.schema.mounts import grant_identity, long_grant
from orchestrator.compose.schema.pending import IN_DOCKERFILE
from orchestrator.compose.schema.shapes import Attribute, ListOf, Struct

_OWNER = Scalar(nothing=False)


def _grant(name: str, pending: str = "") -> Struct:
    return Struct(
        name,
        {
            "source": Attribute(TEXT, "Its name at the top of the file.", required=True),
            "target": Attribute(TEXT, "The file it becomes in the container."),
            "uid": Attribute(_OWNER, "The file's owner.", pending),
            "gid": Attribute(_OWNER, "The file's group.", pending),
            "mode": Attribute(Mode(), "The file's permissions.", pending),
        },
        short=long_grant,
        short_schema={"type": "string"},
        form="a name or a mapping",
    )


CONFIG_GRANTS = ListOf(_grant("config_grant"), identity=grant_identity(""))
SECRET_GRANTS = ListOf(_grant("secret_grant"), identity=grant_identity("/run/secrets"))
BUILD_SECRETS = ListOf(
    _grant("build_secret", IN_DOCKERFILE), identity=grant_identity("/run/secrets")
)
