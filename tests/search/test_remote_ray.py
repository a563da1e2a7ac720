"""Addresses that cannot be joined; joining is in `test_joined.py`."""

import socket

import pytest

from mtl_core.errors import ConfigError
from search.remote_ray import join


@pytest.mark.parametrize("address", ["127.0.0.1:{free}", "nowhere", "127.0.0.1:99999999"])
def test_an_address_where_no_cluster_answers_is_refused_at_once(address: str) -> None:
    with socket.socket() as taken:
        taken.bind(("127.0.0.1", 0))  # bound, but nobody listens
        where = address.format(free=taken.getsockname()[1])
        with pytest.raises(ConfigError, match=r"--address .*no Ray cluster answers there"):
            join(where, insecure=False)
