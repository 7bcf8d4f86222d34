"""A simulator of the service, for our tests and for those of our users.

```python
async with FusebillSimulator() as fusebill:
    fusebill.add_customer(id=1, status="Draft")
    fusebill.inject(Fault.reset_after_effect(operation="activate"))
```
"""

from fusebill_async.testing.clock import ClockSkew
from fusebill_async.testing.customers import Template
from fusebill_async.testing.faults import Fault, Fired
from fusebill_async.testing.ledger import Effect
from fusebill_async.testing.listing import Paging
from fusebill_async.testing.messages import Headers, Request
from fusebill_async.testing.quota import SimulatorQuota
from fusebill_async.testing.serving import serve
from fusebill_async.testing.simulator import FusebillSimulator

__all__ = [
    "ClockSkew", "Effect", "Fault", "Fired", "FusebillSimulator", "Headers", "Paging", "Request", "SimulatorQuota",
    "Template", "serve",
]  # fmt: skip
