"""Servers and libraries that tests of this folder need."""

from __future__ import annotations

import importlib
import importlib.util
import os
import shutil
from pathlib import Path

import pytest

from tests.workers.farm import RedisServer


def needs(program):
    """The path of a server; skip where it is not installed, but never where the tests are to prove something."""
    # Debian has those of Postgres in no folder that is searched.
    found = shutil.which(program) or max(map(str, Path("/usr/lib/postgresql").glob(f"*/bin/{program}")), default=None)
    if found is None:
        _missing(program)
    return found


def library(name):
    """Import a library; skip where it is not installed, but never where the tests are to prove something."""
    if importlib.util.find_spec(name.partition(".")[0]) is None:
        _missing(name)
    return importlib.import_module(name)


def _missing(name):
    if os.environ.get("CI") == "true":
        pytest.fail(f"{name} is not installed")
    pytest.skip(f"{name} is not installed")


@pytest.fixture
def with_redis():
    needs("redis-server")
    library("streaq")


@pytest.fixture
def redis(tmp_path, with_redis):
    server = RedisServer(tmp_path)
    server.start()
    yield server
    server.kill()
