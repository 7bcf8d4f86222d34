"""Every name that users import from `fusebill_async.testing`."""

from fusebill_async.testing.clock import ClockSkew
from fusebill_async.testing.customers import Template
from fusebill_async.testing.effect_log import Effect
from fusebill_async.testing.faults import Fault, Fired
from fusebill_async.testing.listing import Paging
from fusebill_async.testing.messages import Headers, Request
from fusebill_async.testing.network_faults import NetworkFault
from fusebill_async.testing.quota import SimulatorQuota
from fusebill_async.testing.serving import serve
from fusebill_async.testing.simulated_network import SimulatedNetwork
from fusebill_async.testing.simulation import run_simulated
from fusebill_async.testing.simulator import FusebillSimulator
from fusebill_async.testing.threaded import FusebillServer
from fusebill_async.testing.trace import Trace, TraceEvent
from fusebill_async.testing.virtual_computer import NotSimulatedError
from fusebill_async.testing.virtual_time import (
    SimulationDeadlockError,
    SimulationError,
    SimulationTooLongError,
    VirtualTimeLoop,
)

__all__ = [
    "ClockSkew", "Effect", "Fault", "Fired", "FusebillServer", "FusebillSimulator", "Headers", "NetworkFault",
    "NotSimulatedError", "Paging", "Request", "SimulatedNetwork", "SimulationDeadlockError", "SimulationError",
    "SimulationTooLongError", "SimulatorQuota", "Template", "Trace", "TraceEvent", "VirtualTimeLoop", "run_simulated",
    "serve",
]  # fmt: skip
