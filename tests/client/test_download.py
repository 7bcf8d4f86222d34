"""`client.download`: the bytes of a GET as they came, sent again like any read."""

from __future__ import annotations

import pytest

from fusebill_async import FusebillClient, InvalidResponseError, NotFoundError, ValidationError
from fusebill_async.testing import Fault, FusebillSimulator

PDF = b"%PDF-1.7\n" + bytes(range(256)) * 400


@pytest.fixture(autouse=True)
def invoice(fusebill: FusebillSimulator) -> None:
    fusebill.add_route("GET", "/invoices/5/pdf", PDF, content_type="application/pdf")
    fusebill.add_route("GET", "/invoices/5", {"id": 5})
    fusebill.add_route("GET", "/notes/5", b"caf\xe9", content_type="text/plain; charset=latin-1")


async def test_the_bytes_are_those_that_came(fusebill: FusebillSimulator, client: FusebillClient):
    fusebill.inject(Fault.cut_body(times=1))
    assert await client.download("/invoices/5/pdf", query={"language": "fr"}) == PDF
    assert [request.target for request in fusebill.requests] == ["/v1/invoices/5/pdf?language=fr"] * 2
    # Whatever it is: a service may refuse to make a PDF for who wants JSON.
    assert {request.headers["accept"] for request in fusebill.requests} == {"*/*"}


async def test_text_and_json_are_bytes_too(client: FusebillClient):
    assert await client.download("/notes/5") == b"caf\xe9"
    answer = await client.with_response.download("/invoices/5")
    assert (answer.value, answer.status) == (b'{"id":5}', 200)


async def test_headers_of_a_handle_go_along(fusebill: FusebillSimulator, client: FusebillClient):
    await client.with_options(headers={"X-Tenant": "north"}).download("/invoices/5/pdf")
    assert fusebill.requests[-1].headers["x-tenant"] == "north"
    assert fusebill.requests[-1].headers["accept"] == "*/*"


async def test_a_refusal_is_an_error(fusebill: FusebillSimulator, client: FusebillClient):
    with pytest.raises(NotFoundError):
        await client.download("/invoices/6/pdf")
    fusebill.add_route("GET", "/invoices/7/pdf", {"ErrorId": 7, "Errors": [{"Key": "x", "Value": "no such invoice"}]})
    with pytest.raises(InvalidResponseError, match="says that it is an error"):
        await client.download("/invoices/7/pdf")


@pytest.mark.parametrize("path", ["invoices/5", "/../5", "https://example.org/5", "", None, 5])
async def test_a_path_that_is_none_is_not_sent(fusebill: FusebillSimulator, client: FusebillClient, path: str):
    with pytest.raises(ValidationError, match="path must be like"):
        await client.download(path)
    assert not fusebill.requests
