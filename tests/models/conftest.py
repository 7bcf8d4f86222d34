import pytest

from tests.models.sample_payloads import CUSTOMERS, SAMPLES


@pytest.fixture(scope="session")
def sample():
    """Give a sample payload's bytes by its name."""
    return lambda name: (SAMPLES / f"{name}.json").read_bytes()


@pytest.fixture(params=CUSTOMERS)
def customer_body(request, sample):
    return sample(request.param)
