"""Pure: may this be sent again, when, and at what cost. Reads facts, never HTTP."""
