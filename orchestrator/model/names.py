"""Names of containers: whether one may be used, and a new one for a container without."""

from __future__ import annotations

import re
import secrets
from collections.abc import Callable

from orchestrator.errors import InvalidInput

_NAME = re.compile(r"[a-zA-Z0-9][a-zA-Z0-9_.-]+")
_TRIES = 20

_ADJECTIVES = """
able airy amber apt arctic autumn azure bold breezy bright brisk calm candid cheery
civil clear clever cosy crisp curious daring deft dreamy eager earnest easy fair festive
fleet fluent fond frank fresh gentle glad golden graceful grand hale handy hardy hearty
helpful honest humble ideal jolly jovial keen kind lively loyal lucid lucky mellow merry
mild mirthful modest neat nimble noble open patient placid plucky polite prime proud
quick quiet radiant rapid ready robust rosy sage serene sharp silent silver sincere
sleek smooth snug solid spry steady sturdy subtle sunny swift tidy tranquil trim true
upbeat valiant vivid warm wise witty zesty
"""
_SURNAMES = """
abel ampere anning archimedes avogadro babbage bessel bohm bohr boltzmann boole born
bose brahe brunel cantor carson cauchy cavendish celsius cerf chandrasekhar church
clarke codd copernicus coulomb curie dalton darwin descartes dijkstra dirac edison
einstein engelbart erdos euclid euler faraday fermat fermi feynman fibonacci fourier
franklin galileo galois gauss goodall hamilton hawking heisenberg helmholtz hertz
hilbert hodgkin hooke hopper hubble huygens hypatia jacobi joule kepler khayyam
kirchhoff knuth kovalevskaya lagrange lamarr laplace leavitt leibniz linnaeus liskov
lovelace mach maxwell meitner mendel mendeleev mirzakhani morse nash newton nightingale
nobel noether ohm pascal pasteur pauli perlman planck poincare ptolemy ramanujan riemann
ritchie rontgen rubin rutherford sagan schrodinger shannon sinclair somerville tesla
thales torvalds turing volta watt wiles wirth wozniak wu zuse
"""


def check_name(name: str) -> None:
    """Raises: InvalidInput: a container cannot be called so."""
    if not _NAME.fullmatch(name):
        raise InvalidInput(
            f"{name!r} cannot be the name of a container",
            code="container-name-invalid",
            about=name,
            hint="use two or more letters, digits, dots, dashes and underscores, a letter or digit"
            " first",
        )


def new_name(taken: Callable[[str], bool]) -> str:
    """A name such as `keen_noether` that is not taken."""
    for _ in range(_TRIES):
        name = f"{secrets.choice(_ADJECTIVES.split())}_{secrets.choice(_SURNAMES.split())}"
        if not taken(name):
            return name
    return f"{name}_{secrets.token_hex(4)}"
