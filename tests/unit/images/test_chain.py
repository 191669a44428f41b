from __future__ import annotations

from orchestrator.images.chain import chain_id, chain_ids

# The example of a base layer and two more; computed with sha256sum.
A, B, C = ("sha256:" + digit * 64 for digit in "abc")


def test_the_lowest_layer_is_its_own_chain() -> None:
    assert chain_id("", A) == A


def test_a_chain_id_is_the_digest_of_the_parent_and_the_layer() -> None:
    assert chain_id(A, B) == (
        "sha256:ccd722928bd92476ba1745586fed6e45a102504185ad88cd89e01ff116fd146c"
    )


def test_the_same_layers_in_another_order_are_another_chain() -> None:
    assert chain_ids([A, B, C]) == [A, chain_id(A, B), chain_id(chain_id(A, B), C)]
    assert chain_ids([B, A, C])[-1] != chain_ids([A, B, C])[-1]
    assert chain_ids([]) == []
