from pathlib import Path

SAMPLES = Path(__file__).parent.parent / "samples"
CUSTOMERS = ("customer_hold_200", "customer_put_200", "customer_activation_200", "hubspot_unlatch_200")
