"""Open enums: they compare equal to the API's text, and an unknown value is kept as the `str` that came."""

from __future__ import annotations

from enum import StrEnum


class Status(StrEnum):
    """The service status of a customer."""

    DRAFT = "Draft"
    ACTIVE = "Active"
    HOLD = "Hold"
    SUSPENDED = "Suspended"
    CANCELLED = "Cancelled"


class AccountStatus(StrEnum):
    """The accounting status of a customer."""

    GOOD = "Good"
    POOR_STANDING = "PoorStanding"
    COLLECTION = "Collection"


class Title(StrEnum):
    """The title of a person."""

    MR = "Mr"
    MRS = "Mrs"
    MS = "Ms"
    MISS = "Miss"
    DR = "Dr"


class QuickbooksLatchType(StrEnum):
    """How the customer is latched to QuickBooks Online."""

    CREATE_NEW = "CreateNew"
    LATCH_EXISTING = "LatchExisting"
    DO_NOTHING = "DoNothing"


class SynchStatus(StrEnum):
    """Whether a customer is synchronised with Salesforce or NetSuite."""

    ENABLED = "Enabled"
    DISABLED = "Disabled"


class SalesforceAccountType(StrEnum):
    """The kind of Salesforce account."""

    COMPANY = "Company"
    PERSON = "Person"


class ServiceStartOption(StrEnum):
    """What `release_hold` charges for the periods that were missed."""

    CHARGE_FOR_ALL_MISSED_PERIODS = "ChargeForAllMissedPeriods"
    CHARGE_FOR_LAST_MISSED_PERIODS = "ChargeForLastMissedPeriods"
    NO_CHARGES_FOR_MISSED_PERIODS = "NoChargesForMissedPeriods"
    CHARGE_FOR_CURRENT_FULL_PERIOD = "ChargeForCurrentFullPeriod"


class CancellationOption(StrEnum):
    """What `cancel` credits of charges that are not yet earned."""

    NONE = "None"
    UNEARNED = "Unearned"
    FULL = "Full"
