"""The endpoints: one module per wire, and what they share."""
