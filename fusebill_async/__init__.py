"""The asyncio client for Fusebill (Stax Bill)."""
