"""Facts about LED panels and processors of the field, as package data."""
