"""Whatever holds rows, as batches on the device."""
