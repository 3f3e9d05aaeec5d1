"""Each node has networks that nobody else on the host has."""

from ipaddress import IPv4Network

import pytest

from backup_sandbox.errors import StartError
from backup_sandbox.node.addresses import Addresses, choose_addresses
from backup_sandbox.node.namespaces import parse_routes


def test_no_two_numbers_share_an_address() -> None:
    networks = [network for number in range(256) for network in Addresses(number).networks]

    assert len(set(networks)) == 3 * 256
    first, second = Addresses(0), Addresses(1)
    assert not any(mine.overlaps(other) for mine in first.networks for other in second.networks)


def test_the_names_that_servers_are_called_by_lie_in_their_networks() -> None:
    addresses = Addresses(7)

    assert {addresses.host, addresses.node} == set(addresses.link.hosts())
    assert addresses.api_service in addresses.services
    assert addresses.dns in addresses.services
    assert len(addresses.host_link) <= 15  # what the kernel takes


def test_a_folder_gets_the_same_addresses_again() -> None:
    assert choose_addresses("/a/folder", []) == choose_addresses("/a/folder", [])


def test_addresses_the_host_has_routes_to_are_passed_over() -> None:
    first = choose_addresses("/a/folder", [])

    second = choose_addresses("/a/folder", first.networks)

    assert second.number == (first.number + 1) % 256


def test_when_none_are_left_the_message_says_what_is_in_the_way() -> None:
    with pytest.raises(StartError, match=r"10\.221\.0\.0/16"):
        choose_addresses("/a/folder", [IPv4Network("10.0.0.0/8")])


def test_the_default_route_takes_no_addresses() -> None:
    answer = (
        '[{"dst":"default","gateway":"192.0.2.1"},{"dst":"192.0.2.0/24"},{"dst":"198.51.100.7"}]'
    )

    assert parse_routes(answer) == [IPv4Network("192.0.2.0/24"), IPv4Network("198.51.100.7/32")]
    assert parse_routes("") == []
