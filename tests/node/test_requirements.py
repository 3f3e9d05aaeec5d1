"""What a machine lacks for a node is said in one message, with the packages that bring it."""

from dataclasses import replace
from pathlib import Path

from backup_sandbox.node.requirements import PACKAGES, Machine, list_obstacles, list_packages

ABLE = Machine("linux", is_root=True, commands=frozenset(PACKAGES), cni_folder=Path("/cni"))


def test_nothing_keeps_an_able_machine_from_a_node() -> None:
    assert list_obstacles(ABLE) == []


def test_elsewhere_than_on_linux_there_is_nothing_to_install() -> None:
    assert list_obstacles(replace(ABLE, platform="darwin", commands=frozenset())) == [
        "a node runs on Linux only, and this is darwin"
    ]


def test_all_that_is_missing_is_named_at_once() -> None:
    bare = Machine("linux", is_root=False, commands=frozenset({"ip"}), cni_folder=None)

    said = "; ".join(list_obstacles(bare))

    assert "needs root" in said
    assert "containerd, ctr, runc, nft" in said
    assert "apt-get install containerd containernetworking-plugins iptables mount nftables" in said


def test_a_command_that_is_there_needs_no_package() -> None:
    assert list_packages(replace(ABLE, commands=frozenset(PACKAGES) - {"nft"})) == ["nftables"]
    assert list_packages(ABLE) == []


def test_what_the_kernel_said_is_passed_on() -> None:
    refusing = replace(ABLE, refusal="unshare failed: Operation not permitted")

    (said,) = list_obstacles(refusing)

    assert "Operation not permitted" in said
