"""The attributes at the top of a stack file."""

from __future__ import annotations

from orchestrator.compose.schema.files import INCLUDE
from orchestrator.compose.schema.kinds import NAME, TEXT, Scalar
from orchestrator.compose.schema.pending import MODELS, OBSOLETE
from orchestrator.compose.schema.resources import (
    CONFIG,
    MODEL,
    NETWORK,
    SECRET,
    VOLUME,
)
from orchestrator.compose.schema.service import SERVICE
from orchestrator.compose.schema.shapes import Attribute, ListOf, MapOf, Struct

STACK = Struct(
    "stack",
    {
        "version": Attribute(Scalar(), "Obsolete.", OBSOLETE),
        "name": Attribute(TEXT, "The project's name; the directory's unless said."),
        "include": Attribute(ListOf(INCLUDE, nullable=True), "Other stack files to take in."),
        "services": Attribute(MapOf(SERVICE, key=NAME, nullable=True), "The services."),
        "networks": Attribute(MapOf(NETWORK, key=NAME, nullable=True), "The networks."),
        "volumes": Attribute(MapOf(VOLUME, key=NAME, nullable=True), "The named volumes."),
        "configs": Attribute(MapOf(CONFIG, key=NAME, nullable=True), "The configs."),
        "secrets": Attribute(MapOf(SECRET, key=NAME, nullable=True), "The secrets."),
        "models": Attribute(MapOf(MODEL, key=NAME, nullable=True), "The models.", MODELS),
    },
)
