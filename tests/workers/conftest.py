"""Servers that tests of this folder need."""

from __future__ import annotations

import os
import shutil

import pytest

from tests.workers.farm import RedisServer


def needs(program):
    """Skip where a server is not installed, but never where the tests are to prove something."""
    if shutil.which(program) is not None:
        return
    if os.environ.get("CI") == "true":
        pytest.fail(f"{program} is not installed")
    pytest.skip(f"{program} is not installed")


@pytest.fixture
def with_redis():
    needs("redis-server")


@pytest.fixture
def redis(tmp_path, with_redis):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()
