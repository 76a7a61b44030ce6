"""What jaxplain does on an accelerator, in one run of a few minutes."""
