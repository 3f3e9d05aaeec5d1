"""What the components of a node are told."""

import json
import tarfile
import tomllib
from pathlib import Path

import pytest
import yaml

from backup_sandbox import certificates
from backup_sandbox.errors import StartError
from backup_sandbox.node import configuration
from backup_sandbox.node.addresses import Addresses
from backup_sandbox.node.cgroups import remove_cgroup
from backup_sandbox.node.images import write_image
from backup_sandbox.node.places import Places
from backup_sandbox.node.start import is_on_overlay, require_short
from backup_sandbox.node.volumes import PROVISIONER, STORAGE_CLASS, USER

ADDRESSES = Addresses(3)
PLACES = Places(Path("/sandbox/node"))


def test_the_runtime_takes_the_pause_that_is_imported() -> None:
    text = configuration.build_containerd(PLACES, Path("/cni"), "overlayfs")
    runtime = tomllib.loads(text)["plugins"]["io.containerd.grpc.v1.cri"]

    assert runtime["sandbox_image"] == configuration.PAUSE_IMAGE
    assert runtime["cni"] == {"bin_dir": "/cni", "conf_dir": "/sandbox/node/configuration/cni"}


def test_pods_of_two_nodes_share_neither_addresses_nor_control_groups() -> None:
    def told(addresses: Addresses) -> tuple[str, str]:
        kubelet = json.loads(
            configuration.build_kubelet(PLACES, addresses, Path("ca"), Path("crt"), Path("key"))
        )
        return configuration.build_cni(PLACES, addresses), kubelet["cgroupRoot"]

    first, second = told(Addresses(1)), told(Addresses(2))

    assert first[0] != second[0]
    assert first[1] != second[1]


def test_the_cluster_is_told_of_dns_and_of_a_default_storage_class() -> None:
    text = configuration.build_resources(ADDRESSES, PROVISIONER, USER, STORAGE_CLASS)
    resources = {
        (each["kind"], each["metadata"]["name"]): each for each in yaml.safe_load_all(text)
    }

    service = resources["Service", "kube-dns"]["spec"]
    assert service["clusterIP"] == str(ADDRESSES.dns)
    assert "selector" not in service
    storage = resources["StorageClass", STORAGE_CLASS]
    assert storage["volumeBindingMode"] == "WaitForFirstConsumer"
    assert set(storage["metadata"]["annotations"].values()) == {"true"}


def test_the_node_has_certificates_of_its_own_and_the_server_its_addresses() -> None:
    leaves = certificates.leaves_with_node(ADDRESSES)

    assert {ADDRESSES.host, ADDRESSES.api_service} <= set(leaves[certificates.APISERVER].addresses)
    assert leaves[certificates.KUBELET].name == "system:node:sandbox"
    assert leaves[certificates.KUBELET].organization == "system:nodes"
    masters = [name for name, leaf in leaves.items() if leaf.organization == "system:masters"]
    assert masters == [certificates.ADMIN]


def test_an_image_of_one_binary_is_an_archive_that_names_its_layer(tmp_path: Path) -> None:
    (tmp_path / "pause").write_bytes(b"a program")

    write_image(tmp_path / "image.tar", "localhost/pause:1", tmp_path / "pause")

    with tarfile.open(tmp_path / "image.tar") as archive:
        member = archive.extractfile("manifest.json")
        assert member is not None
        (manifest,) = json.load(member)
        layer = archive.extractfile(manifest["Layers"][0])
        assert layer is not None
        with tarfile.open(fileobj=layer) as files:
            assert files.getmember("pause").mode == 0o755
    assert manifest["RepoTags"] == ["localhost/pause:1"]


def test_a_folder_whose_sockets_would_be_too_long_is_refused() -> None:
    with pytest.raises(StartError, match="shorter path"):
        require_short(Places(Path("/" + "a" * 90)))
    require_short(PLACES)


def test_an_overlay_is_noticed_by_the_mount_that_is_nearest(tmp_path: Path) -> None:
    mounts = tmp_path / "mountinfo"
    mounts.write_text(
        "1 0 0:1 / / rw - overlay overlay rw\n2 1 8:1 / /disk rw shared:1 - ext4 /dev/sda rw\n"
    )

    assert is_on_overlay(Path("/elsewhere/folder"), mounts)
    assert not is_on_overlay(Path("/disk/folder"), mounts)


def test_a_control_group_goes_with_all_below_it_in_each_hierarchy(tmp_path: Path) -> None:
    for hierarchy in ("cpu", "memory"):
        (tmp_path / hierarchy / "ours" / "pods" / "one").mkdir(parents=True)
        (tmp_path / hierarchy / "cgroup.procs").touch()
        (tmp_path / hierarchy / "theirs").mkdir()

    remove_cgroup("ours", tmp_path)
    remove_cgroup("ours", tmp_path)

    assert sorted(path.name for path in tmp_path.glob("*/*/")) == ["theirs", "theirs"]
